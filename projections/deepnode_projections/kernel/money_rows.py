"""What moved value, as rows of the books: entries, postings, accounts, balances; and the blocks that they stand in.

Accounts and tokens get the ids that the projector gives them: accounts in the order of their first postings, tokens in
that in which they became known.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa

from deepnode_ledger.batch import entries
from deepnode_ledger.contract import Contract
from deepnode_ledger.decoding import ChainEvent, decode
from deepnode_ledger.hexadecimal import ADDRESS_BYTES, WORD_BYTES
from deepnode_ledger.record import Finality
from deepnode_ledger.roster import Roster
from deepnode_projections.folds.transfers import octets_of
from deepnode_projections.kernel.binary_rows import SMALL, Cells, Form, Octets, Source
from deepnode_projections.kernel.decoded import DecodedBatch
from deepnode_projections.kernel.holding import (
    ACCOUNT,
    AFTER,
    ASSET,
    BALANCE,
    BALANCE_SINCE,
    LEG,
    POSITION,
    ColumnHoldings,
)
from deepnode_projections.kernel.holding import AMOUNT as POSTED
from deepnode_projections.kernel.layout import ADDRESS, AMOUNT, INT, TEXT, WORD
from deepnode_projections.kernel.ops import RECEIVED, RULES, SPLIT, TRANSFER
from deepnode_projections.kernel.words import Words
from deepnode_projections.posting_columns import WALLET
from deepnode_projections.projector import tokens_of

_ENTRY: Final = Form.of(
    "entry",
    [
        *(("position", INT, 0), ("chain_id", INT, 1), ("kind", TEXT, 2), ("contract", TEXT, 3)),
        *(("block_number", INT, 4), ("block_time", INT, 5), ("transaction_hash", WORD, 6), ("log_index", INT, 7)),
    ],
)
_POSTING: Final = Form.of(
    "posting",
    [
        *(("position", INT, POSITION), ("leg", SMALL, LEG), ("account_id", INT, ACCOUNT), ("asset_id", SMALL, ASSET)),
        *(("amount", AMOUNT, POSTED), ("balance", AMOUNT, AFTER)),
    ],
)
_WALLET: Final = Form.of(
    "account",
    [
        *(("account_id", INT, 0), ("name", TEXT, 1), ("owner", TEXT, 2), ("pocket", TEXT, 3)),
        *(("key", ADDRESS, 4), ("holder", ADDRESS, 4), ("first_position", INT, 5)),
    ],
)

NO_WORDS: Final = Source.of_texts(np.zeros((0, WORD_BYTES), np.uint8), [])

_KIND_OF: Final = {TRANSFER: "Transfer", RECEIVED: "RevenueReceived", SPLIT: "RevenueSplit"}
"""The events that an operation tells; its first cell is the id of the contract."""


class Sink(Protocol):
    """Where rows go to."""

    def copy(self, form: Form, cells: Cells, source: Source) -> None:
        """Write rows of cells into the table that ``form`` names; maybe later."""

    def copy_rows(self, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Write rows, given as all values of their columns, into a table; maybe later."""


class MoneyRows:
    """Makes the rows of what moves value, batch after batch.

    Args:
        roster: of the fold.
        words: of its state.
        holdings: of the fold; they keep their postings.
        sink: where the rows go to.
        ids: of the accounts that are in the books already, by their numbers in the holdings.
    """

    def __init__(
        self, roster: Roster, words: Words, holdings: ColumnHoldings, sink: Sink, ids: Mapping[int, int] | None = None
    ) -> None:
        self._roster = roster
        self._words = words
        self._holdings = holdings
        self._sink = sink
        known = ids or {}
        self._ids: Cells = np.zeros(max(known, default=-1) + 1, np.int64)
        self._ids[list(known)] = list(known.values())
        self._accounts = max(known.values(), default=0)

    def write(self, decoded: DecodedBatch) -> None:
        """Write what a batch moved, which has just been folded: its postings are taken from the holdings."""
        postings = self._holdings.take_postings()
        if len(postings):
            self._entries(decoded, np.unique(postings[:, POSITION]) - decoded.first)
            self._postings(postings)

    def balances(self, after: int = 0) -> Cells:
        """Return the balances with a posting behind a position: account, asset, balance (two cells), last position."""
        held = self._holdings.table.cells[: self._holdings.table.rows]
        held = held[held[:, BALANCE_SINCE] > after]
        cells = np.empty((len(held), 5), np.int64)
        if len(held):
            cells[:, 0], cells[:, 1] = self._ids[held[:, 0]], self._asset_ids(held[:, 1])
            cells[:, 2:4], cells[:, 4] = held[:, BALANCE : BALANCE + 2], held[:, BALANCE_SINCE]
        found: Cells = cells[np.lexsort((cells[:, 1], cells[:, 0]))]
        return found

    def tokens(self) -> dict[bytes, Contract]:
        """Return the tokens by address, in the order in which they became known."""
        found: dict[bytes, Contract] = {}
        for token in tokens_of(self._roster):
            found.setdefault(token.address, token)
        return found

    def _asset_ids(self, words: Cells) -> Cells:
        """Number the tokens of words as ``books.assets`` does: in the order in which they became known."""
        ids = {address: number for number, address in enumerate(self.tokens(), 1)}
        distinct, places = np.unique(words, return_inverse=True)
        numbers = [ids[self._words[word][:ADDRESS_BYTES]] for word in distinct.tolist()]
        found: Cells = np.array(numbers, np.int64)[places]
        return found

    def _entries(self, decoded: DecodedBatch, rows: Cells) -> None:
        """Write the entries that moved value."""
        places, names = decoded.places.take(pa.array(rows)), dict[str, int]()
        cells = np.empty((len(rows), 8), np.int64)
        cells[:, 0], cells[:, 6] = rows + decoded.first, np.arange(len(rows))
        for place, name in ((1, "chain_id"), (4, "block_number"), (5, "block_time"), (7, "log_index")):
            cells[:, place] = places.column(name).to_numpy()
        ops = decoded.ops[rows]
        for op, kind in _KIND_OF.items():
            of = np.flatnonzero(ops == op)
            if not len(of):
                continue
            ids = decoded.cells[decoded.starts[rows[of]]]
            firsts, groups = _grouped([cells[of, 1], ids])
            addresses = [decoded.ids[ids[first], :ADDRESS_BYTES].tobytes() for first in firsts]
            contracts = [
                self._contract_at(address, int(cells[of[first], 1]))
                for address, first in zip(addresses, firsts, strict=True)
            ]
            cells[of, 2] = names.setdefault(kind, len(names))
            cells[of, 3] = np.array([names.setdefault(each, len(names)) for each in contracts], np.int64)[groups]
        of = np.flatnonzero(ops == RULES)
        if len(of):
            singles = decoded.singles.take(pa.array(np.searchsorted(np.flatnonzero(decoded.ops == RULES), rows[of])))
            said = [singles.column(name).dictionary_encode().indices.to_numpy() for name in ("address", "topic0")]
            firsts, groups = _grouped([cells[of, 1], *said])
            events = [self._event(singles, first) for first in firsts]
            for place, told in ((2, [each.name for each in events]), (3, [each.contract.name for each in events])):
                cells[of, place] = np.array([names.setdefault(each, len(names)) for each in told], np.int64)[groups]
        self._sink.copy(_ENTRY, cells, Source.of_texts(octets_of(places.column("transaction_hash")), list(names)))

    def _contract_at(self, address: bytes, chain_id: int) -> str:
        contract = self._roster.get(address, chain_id)
        assert contract is not None, address
        return contract.name

    def _event(self, singles: pa.RecordBatch, row: int) -> ChainEvent:
        [logged] = entries(singles.slice(row, 1), Finality.PENDING)
        event = decode(logged, self._roster)
        assert isinstance(event, ChainEvent), logged.position
        return event

    def _postings(self, cells: Cells) -> None:
        self._enrol(cells[:, ACCOUNT], cells[:, POSITION])
        cells[:, ACCOUNT] = self._ids[cells[:, ACCOUNT]]
        cells[:, ASSET] = self._asset_ids(cells[:, ASSET])
        self._sink.copy(_POSTING, cells, NO_WORDS)

    def _enrol(self, accounts: Cells, positions: Cells) -> None:
        """Give the accounts that have their first posting here ids, in its order, and write them."""
        who = self._holdings.who
        if len(self._ids) < len(who):
            self._ids = np.concatenate([self._ids, np.zeros(2 * len(who) - len(self._ids), np.int64)])
        of_new = np.flatnonzero(self._ids[accounts] == 0)
        if not len(of_new):
            return
        numbers, firsts = np.unique(accounts[of_new], return_index=True)
        order = np.argsort(firsts)
        numbers, firsts = numbers[order], positions[of_new[firsts[order]]]
        ids = np.arange(len(numbers)) + self._accounts + 1
        self._ids[numbers] = ids
        self._accounts += len(numbers)
        are_wallets = who[numbers] >= 0
        self._wallets(ids[are_wallets], who[numbers[are_wallets]], firsts[are_wallets])
        pockets = [self._holdings.pockets[-1 - of] for of in who[numbers[~are_wallets]].tolist()]
        places = zip(ids[~are_wallets].tolist(), pockets, firsts[~are_wallets].tolist(), strict=True)
        rows = [(n, each.name, each.owner, each.pocket, each.key, each.holder, first) for n, each, first in places]
        self._sink.copy_rows("account", rows)

    def _wallets(self, ids: Cells, words: Cells, firsts: Cells) -> None:
        count = len(ids)
        octets = self._words.octets()[words]
        text = octets[:, :ADDRESS_BYTES].tobytes().hex()
        names = [f"{WALLET}{text[start : start + 40]}" for start in range(0, len(text), 40)]
        cells = np.empty((count, 6), np.int64)
        cells[:, 0], cells[:, 5] = ids, firsts
        cells[:, 1] = cells[:, 4] = np.arange(count)
        cells[:, 2], cells[:, 3] = count, count + 1
        self._sink.copy(_WALLET, cells, Source.of_texts(octets, [*names, WALLET.partition(":")[0], ""]))


def blocks_of(decoded: DecodedBatch, chain_id: int) -> tuple[Cells, Octets]:
    """Return a chain's blocks in a batch, a row each: number, 0, time, last position in the batch; and their hashes."""
    places = decoded.places
    rows = np.flatnonzero(places.column("chain_id").to_numpy() == chain_id)
    numbers = places.column("block_number").to_numpy()[rows]
    lasts = rows[np.diff(numbers, append=-1) != 0]
    cells = np.zeros((len(lasts), 4), np.int64)
    for place, name in ((0, "block_number"), (2, "block_time")):
        cells[:, place] = places.column(name).to_numpy()[lasts]
    cells[:, 3] = lasts + decoded.first
    return cells, octets_of(places.column("block_hash"))[lasts]


def _grouped(columns: Sequence[Cells]) -> tuple[list[int], Cells]:
    """Return the first row of each group of rows that say the same, and the group of each row."""
    _, firsts, groups = np.unique(np.stack(columns, axis=1), axis=0, return_index=True, return_inverse=True)
    return firsts.tolist(), groups.reshape(-1)
