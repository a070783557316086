"""Moves: a batch's transfers, whose holders are numbered together when all of them are there."""

from collections import defaultdict
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from deepnode_ledger.account import BURN, MINT, UNATTRIBUTED, Account
from deepnode_ledger.column import Fixed, Mask
from deepnode_ledger.gathering import Rows
from deepnode_ledger.hexadecimal import ADDRESS_BYTES
from deepnode_ledger.roster import Roster
from deepnode_projections.kernel import ops
from deepnode_projections.kernel.decoded import Cells, Octets
from deepnode_projections.kernel.decoding_sheet import Sheet
from deepnode_projections.rules.pockets import pocket_of
from deepnode_projections.rules.tokens import ZERO_ADDRESS


@dataclass(frozen=True, slots=True, eq=False)
class Move:
    """Transfers of one token (an id) on a chain, a row each; ``low`` and ``high`` are the halves of the amounts."""

    chain_id: int
    token: int
    rows: Rows
    giver: Octets
    taker: Octets
    low: Cells
    high: Cells


class Moves:
    """The transfers of a batch that move something, in groups of one token."""

    def __init__(self) -> None:
        self._by_chain: defaultdict[int, list[Move]] = defaultdict(list)

    def add(self, move: Move) -> None:
        """Take transfers of a token."""
        self._by_chain[move.chain_id].append(move)

    def put(self, sheet: Sheet, roster: Roster) -> tuple[Cells, list[Account]]:
        """Put all transfers to a sheet; return the ``holders`` and the ``pockets`` of a decoded batch."""
        pockets: dict[Account, int] = {}
        coded: list[Cells] = [np.zeros(0, np.int64)]
        for chain_id, moves in self._by_chain.items():
            octets = np.concatenate(list(chain.from_iterable((move.giver, move.taker) for move in moves)))
            is_giver = np.concatenate([np.repeat([True, False], len(move.rows)) for move in moves])
            coded.append(_coded(sheet, roster, chain_id, sheet.numbered(octets), is_giver, pockets))
        # A wallet is the number of its id, pocket n is -1 - n: moved up, all are places in one array.
        places = np.concatenate(coded) + len(pockets)
        is_there = np.zeros(len(pockets) + len(sheet.ids), np.bool_)
        is_there[places] = True
        numbers = (np.cumsum(is_there) - 1)[places]
        for move in chain.from_iterable(self._by_chain.values()):
            count = len(move.rows)
            giver, taker, numbers = numbers[:count], numbers[count : 2 * count], numbers[2 * count :]
            token = np.full(count, move.token, np.int64)
            sheet.put(ops.TRANSFER, move.rows, [token, giver, taker, move.low, move.high])
        assert not len(numbers), len(numbers)
        return np.flatnonzero(is_there) - len(pockets), list(pockets)


def _coded(
    sheet: Sheet, roster: Roster, chain_id: int, ids: Cells, is_giver: Mask, pockets: dict[Account, int]
) -> Cells:
    """Say of addresses, given as ids, whose they are: the id itself, or -1 - n for the pocket with number n."""

    def code(account: Account) -> int:
        return -1 - pockets.setdefault(account, len(pockets))

    codes = np.arange(len(sheet.ids))
    is_there = np.zeros(len(codes), np.bool_)
    is_there[ids] = True
    distinct = np.flatnonzero(is_there)
    addresses = Fixed(sheet.ids[distinct, :ADDRESS_BYTES]).arrow()
    known = pa.array(roster.addresses(chain_id), addresses.type)
    for number in np.flatnonzero(pc.is_in(addresses, known).to_numpy(zero_copy_only=False)).tolist():
        contract = roster.get(addresses[number].as_py(), chain_id)
        assert contract is not None, addresses[number]
        codes[distinct[number]] = code(pocket_of(contract, UNATTRIBUTED))
    coded: Cells = codes[ids]
    is_zero = ids == sheet.id(ZERO_ADDRESS)
    # Who gives out of nothing mints, who gives to nobody burns.
    for account, meant in ((MINT, is_zero & is_giver), (BURN, is_zero & ~is_giver)):
        if bool(meant.any()):
            coded[meant] = code(account)
    return coded
