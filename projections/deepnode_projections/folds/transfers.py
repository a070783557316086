"""Transfers, column by column: the fast twin of the journal's rule for ``Transfer``.

Nearly everything that a chain says are transfers of tokens. What is one without any doubt is read from the batch's
buffers as arrays; every other log, were it only for a dirty padding, is left to ``journal``, which is the definition.
A test holds that both ways leave the same books.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from deepnode_ledger.account import BURN, MINT, UNATTRIBUTED, Account
from deepnode_ledger.contract import Contract, Contracts
from deepnode_ledger.posting import AMOUNT_LIMIT
from deepnode_ledger.vocabulary import KINDS
from deepnode_projections.folds import columns, limbs
from deepnode_projections.folds.columns import Flags, Integers, Octets
from deepnode_projections.folds.journal import ZERO_ADDRESS, pocket_of

TRANSFER: Final = KINDS["Token"][0]

_TOPIC0: Final = np.frombuffer(TRANSFER.topic0, np.uint64)
_PADDING_BYTES: Final = 12
_NO_TOKEN: Final = -1

Holder = Account | bytes
"""Whose tokens move: a pocket, or the address of a wallet, of which there are so many that no object is made."""


@dataclass(frozen=True, slots=True)
class Transfers:
    """Transfers of one chain that moved something, in the order of positions: an array's element each.

    ``token`` counts in ``tokens``. ``legs`` are two rows a transfer, who gave and who got, and count in ``holders``.
    """

    chain_id: int
    tokens: list[Contract]
    token: Integers
    position: Integers
    block_number: Integers
    block_time: Integers
    transaction_hash: Octets
    log_index: Integers
    holders: list[Holder]
    legs: npt.NDArray[np.int64]
    amount: limbs.Numbers


def split(batch: pa.RecordBatch, known: Contracts, uncertain: Collection[bytes]) -> tuple[list[Transfers], Flags]:
    """Take the transfers out of a batch.

    Args:
        batch: with the columns of ``batch_versions.SCHEMA``.
        known: the contracts.
        uncertain: addresses that become contracts within the batch; what they are depends on where a log stands.

    Returns:
        The transfers, chain by chain; and the rows that were dealt with, among them the transfers of nothing, which
        do nothing.
    """
    chains = columns.integers(batch, "chain_id")
    found: list[Transfers] = []
    done = np.zeros(batch.num_rows, np.bool_)
    for chain_id in [int(chains[0])] if (chains == chains[0]).all() else np.unique(chains).tolist():
        tokens, token = _tokens(batch, known, chain_id, uncertain)
        meant = (chains == chain_id) & (token != _NO_TOKEN) & _is_transfer(batch)
        words, one_word = columns.data_words(batch)
        high, low = _halves(words)
        meant &= one_word & _below_limit(words, high, low)
        if uncertain:
            meant &= ~_names(batch, uncertain)
        done |= meant
        moving = np.flatnonzero(meant & ((high | low) != 0))
        if len(moving):
            found.append(
                _transfers(batch, moving, known, chain_id, tokens, token, limbs.of_halves(high[moving], low[moving]))
            )
    return found, done


def _tokens(
    batch: pa.RecordBatch, known: Contracts, chain_id: int, uncertain: Collection[bytes]
) -> tuple[list[Contract], Integers]:
    """Number the tokens that speak in a batch; say which one each log is of."""
    addresses = batch.column("address").dictionary_encode()
    tokens: list[Contract] = []
    numbers = [_NO_TOKEN]
    for address in addresses.dictionary.to_pylist():
        contract = None if address in uncertain else known.get(address, chain_id)
        if contract is not None and _moves_by_transfer(contract):
            numbers.append(len(tokens))
            tokens.append(contract)
        else:
            numbers.append(_NO_TOKEN)
    # A task event has no address: its null becomes the first of the numbers.
    codes = addresses.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return tokens, np.array(numbers, np.int64)[codes + 1]


def _moves_by_transfer(contract: Contract) -> bool:
    key = (TRANSFER.topic0, TRANSFER.topics_count)
    versions = [events for _, events in contract.abis] or [contract.events]
    return contract.kind == "Token" and all(events.get(key) == TRANSFER for events in versions)


def _is_transfer(batch: pa.RecordBatch) -> Flags:
    """Say which logs have the first topic of a transfer and two clean addresses behind it."""
    topic0 = columns.octets(batch, "topic0").view(np.uint64)
    meant = columns.filled(batch, "topic0") & ~columns.filled(batch, "topic3")
    for part in range(4):
        meant &= topic0[:, part] == _TOPIC0[part]
    for name in ("topic1", "topic2"):
        words = columns.octets(batch, name).view(np.uint32)
        meant &= columns.filled(batch, name) & ((words[:, 0] | words[:, 1] | words[:, 2]) == 0)
    return meant


def _halves(words: Octets) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Read the lower 128 bits of each word as two numbers."""
    lower = words[:, 16:].copy().view(">u8")
    return lower[:, 0].astype(np.uint64), lower[:, 1].astype(np.uint64)


def _below_limit(words: Octets, high: npt.NDArray[np.uint64], low: npt.NDArray[np.uint64]) -> Flags:
    upper = words[:, :16].any(axis=1)
    limit_high, limit_low = np.uint64(AMOUNT_LIMIT >> 64), np.uint64(AMOUNT_LIMIT & (1 << 64) - 1)
    below: Flags = ~upper & ((high < limit_high) | ((high == limit_high) & (low < limit_low)))
    return below


def _names(batch: pa.RecordBatch, addresses: Collection[bytes]) -> Flags:
    """Say which logs name one of the addresses as giver or taker."""
    wanted = {bytes(_PADDING_BYTES) + address for address in addresses}
    found = np.zeros(batch.num_rows, np.bool_)
    for name in ("topic1", "topic2"):
        codes = batch.column(name).dictionary_encode()
        hits = np.array([False, *(value in wanted for value in codes.dictionary.to_pylist())])
        found |= hits[codes.indices.fill_null(-1).to_numpy(zero_copy_only=False) + 1]
    return found


def _transfers(
    batch: pa.RecordBatch,
    rows: npt.NDArray[np.intp],
    known: Contracts,
    chain_id: int,
    tokens: list[Contract],
    token: Integers,
    amount: limbs.Numbers,
) -> Transfers:
    addresses = np.empty((len(rows), 2, 20), np.uint8)
    addresses[:, 0] = columns.octets(batch, "topic1")[rows, _PADDING_BYTES:]
    addresses[:, 1] = columns.octets(batch, "topic2")[rows, _PADDING_BYTES:]
    encoded = columns.as_fixed(addresses.reshape(-1, 20)).dictionary_encode()
    legs = encoded.indices.to_numpy().astype(np.int64).reshape(-1, 2)
    holders = list[Holder](encoded.dictionary.to_pylist())
    for code, address in enumerate(encoded.dictionary.to_pylist()):
        if address == ZERO_ADDRESS:
            # Who gives out of nothing mints, who gives to nobody burns.
            legs[legs[:, 0] == code, 0] = len(holders)
            legs[legs[:, 1] == code, 1] = len(holders) + 1
            holders += [MINT, BURN]
        elif (contract := known.get(address, chain_id)) is not None:
            holders[code] = pocket_of(contract, UNATTRIBUTED)
    return Transfers(
        chain_id,
        tokens,
        token[rows],
        columns.integers(batch, "position")[rows],
        columns.integers(batch, "block_number")[rows],
        columns.integers(batch, "block_time")[rows],
        columns.octets(batch, "transaction_hash")[rows],
        columns.integers(batch, "log_index")[rows],
        holders,
        legs,
        amount,
    )
