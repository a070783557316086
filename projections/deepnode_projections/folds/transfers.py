"""Transfers, column by column: the fast twin of the rule for ``Transfer`` in ``rules.tokens``.

Nearly everything that a chain says are transfers of tokens. What this cannot tell for many at once (an amount that the
books refuse, an address that becomes a contract on the way) it leaves to the rules, which are the definition. A test
holds that both ways leave the same books.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from deepnode_ledger.account import BURN, MINT, UNATTRIBUTED, Account
from deepnode_ledger.bulk import Decoded
from deepnode_ledger.column import Fixed, Wide
from deepnode_ledger.contract import Contract, Contracts
from deepnode_ledger.gathering import Group, Rows
from deepnode_ledger.posting import AMOUNT_LIMIT
from deepnode_ledger.vocabulary import KINDS
from deepnode_projections.folds import limbs
from deepnode_projections.rules.pockets import pocket_of
from deepnode_projections.rules.tokens import ZERO_ADDRESS

TRANSFER: Final = KINDS["Token"][0]

Holder = Account | bytes
"""Whose tokens move: a pocket, or the address of a wallet, of which there are so many that no object is made."""

Octets = npt.NDArray[np.uint8]
"""Fixed-width bytes: a row each."""

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Transfers:
    """Transfers of one token that moved something, in the order of positions: an array's element each.

    ``legs`` are two numbers a transfer, who gave and who got, and count in ``holders``.
    """

    token: Contract
    chain_id: int
    position: Integers
    block_number: Integers
    block_time: Integers
    transaction_hash: Octets
    log_index: Integers
    holders: list[Holder]
    legs: Integers
    amount: limbs.Numbers


def is_transfer(group: Group) -> bool:
    """Say whether the logs of a group are transfers of a token."""
    return group.contract.kind == "Token" and group.event == TRANSFER


def fold(
    batch: pa.RecordBatch, group: Group, decoded: Decoded, known: Contracts, uncertain: Collection[bytes]
) -> tuple[Transfers, Rows]:
    """Say what transfers do to the books.

    Args:
        batch: entries of the log.
        group: those of its rows that are transfers of one token.
        decoded: what they say; what could not be read is left out.
        known: the contracts.
        uncertain: addresses that become contracts within the batch: what they are depends on where a log stands.

    Returns:
        The transfers, without those of nothing, which do nothing; and the rows that are left to the rules.
    """
    giver, taker, value = decoded.columns["from"], decoded.columns["to"], decoded.columns["value"]
    assert isinstance(giver, Fixed)
    assert isinstance(taker, Fixed)
    assert isinstance(value, Wide)
    left = decoded.good & ~value.below(AMOUNT_LIMIT)
    if uncertain:
        left |= decoded.good & (_among(giver, uncertain) | _among(taker, uncertain))
    high, low = value.hi_lo()
    moving = np.flatnonzero(decoded.good & ~left & ((high | low) != 0))
    chain_id = batch.column("chain_id")[int(group.rows[0])].as_py()
    holders, legs = _legs(giver.octets[moving], taker.octets[moving], known, chain_id)
    rows = pa.array(group.rows[moving])
    columns = {name: batch.column(name).take(rows) for name in _COLUMNS}
    made = Transfers(
        group.contract,
        chain_id,
        columns["position"].to_numpy(),
        columns["block_number"].to_numpy(),
        columns["block_time"].to_numpy(),
        octets_of(columns["transaction_hash"]),
        columns["log_index"].to_numpy().astype(np.int64),
        holders,
        legs,
        limbs.of_halves(high[moving], low[moving]),
    )
    return made, group.rows[left]


_COLUMNS: Final = ("position", "block_number", "block_time", "transaction_hash", "log_index")


def _legs(giver: Octets, taker: Octets, known: Contracts, chain_id: int) -> tuple[list[Holder], Integers]:
    """Number those who gave and got; no number is given twice."""
    encoded = Fixed(np.stack([giver, taker], axis=1).reshape(-1, 20)).arrow().dictionary_encode()
    legs = encoded.indices.to_numpy().astype(np.int64).reshape(-1, 2)
    addresses: list[bytes] = encoded.dictionary.to_pylist()
    holders = list[Holder](addresses)
    for number, address in enumerate(addresses):
        if address == ZERO_ADDRESS:
            # Who gives out of nothing mints, who gives to nobody burns.
            legs[legs[:, 0] == number, 0] = len(holders)
            legs[legs[:, 1] == number, 1] = len(holders) + 1
            holders += [MINT, BURN]
        elif (contract := known.get(address, chain_id)) is not None:
            holders[number] = pocket_of(contract, UNATTRIBUTED)
    return holders, legs.reshape(-1)


def _among(addresses: Fixed, wanted: Collection[bytes]) -> npt.NDArray[np.bool_]:
    encoded = addresses.arrow().dictionary_encode()
    hits = np.array([address in wanted for address in encoded.dictionary.to_pylist()], np.bool_)
    found: npt.NDArray[np.bool_] = hits[encoded.indices.to_numpy()]
    return found


def octets_of(column: pa.Array) -> Octets:
    """Return a column of fixed-width bytes as octets: a row each."""
    width = column.type.byte_width
    cells = np.frombuffer(column.buffers()[1], np.uint8, len(column) * width, column.offset * width)
    return cells.reshape(-1, width)
