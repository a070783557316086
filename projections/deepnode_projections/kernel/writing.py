"""Writing a history down: all tables of the books, by COPY alone, while the log is folded in memory.

A row is written once, when it is over, or at the end if it still stands; rows of one table come in no order that
matters. Behind every batch of the log its postings are taken from the holdings, and what is over from the state
(``history``). The books are those that the projector would have written.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa

from deepnode_ledger.batch import entries
from deepnode_ledger.contract import Contract
from deepnode_ledger.decoding import ChainEvent, decode
from deepnode_ledger.hexadecimal import ADDRESS_BYTES, WORD_BYTES
from deepnode_ledger.record import Finality
from deepnode_ledger.roster import Roster
from deepnode_projections import tables
from deepnode_projections.books import Page
from deepnode_projections.checkpoint import EMPTY, Checkpoint, save_checkpoint
from deepnode_projections.kernel.binary_rows import SMALL, Cells, Form, Octets, Source, copy, form_of, statement
from deepnode_projections.kernel.decoded import DecodedBatch
from deepnode_projections.kernel.history import HistoryState, Version
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
from deepnode_projections.kernel.lanes import Lane, divided
from deepnode_projections.kernel.layout import ADDRESS, AMOUNT, INT, TEXT, WORD
from deepnode_projections.kernel.ops import RECEIVED, RULES, SPLIT, TRANSFER
from deepnode_projections.kernel.table import OLD
from deepnode_projections.posting_columns import WALLET
from deepnode_projections.projector import tokens_of
from deepnode_projections.registers.record import Record, fields_of, values_of
from deepnode_projections.replay.holding import Beyond

LANES: Final = 4

OLD_ROWS_MIN: Final = 16_384
"""Rows of a kind that are over, from which on they are written: fewer are not worth a statement of their own."""

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
_BALANCE: Final = Form.of(
    "balance", [("account_id", INT, 0), ("asset_id", SMALL, 1), ("balance", AMOUNT, 2), ("position", INT, 4)]
)
_BLOCK: Final = Form.of("block", [("number", INT, 0), ("hash", WORD, 1), ("time", INT, 2), ("last_position", INT, 3)])
_WALLET: Final = Form.of(
    "account",
    [
        *(("account_id", INT, 0), ("name", TEXT, 1), ("owner", TEXT, 2), ("pocket", TEXT, 3)),
        *(("key", ADDRESS, 4), ("holder", ADDRESS, 4), ("first_position", INT, 5)),
    ],
)

_NO_WORDS: Final = Source.of_texts(np.zeros((0, WORD_BYTES), np.uint8), [])

_KIND_OF: Final = {TRANSFER: "Transfer", RECEIVED: "RevenueReceived", SPLIT: "RevenueSplit"}
"""The events that an operation tells; its first cell is the id of the contract."""

_WEIGHTS: Final = dict(
    [
        *(("validation", 39), ("task_slot", 33), ("checked", 24), ("posting", 23), ("task", 17), ("trust", 16)),
        *(("entry", 12), ("validator_work", 9), ("receipt", 6), ("work", 5), ("model_use", 5), ("block", 5)),
    ]
)
"""How long tables take beside one another, of a history of much work; 1 of those that are not named."""


@dataclass(slots=True, eq=False)
class _Kept:
    """What the end needs of what was written."""

    ids: Cells = field(default_factory=lambda: np.zeros(0, np.int64))
    """The id of each of the holdings' accounts, 0 of one that has no posting yet."""
    accounts: int = 0
    blocks: list[Cells] = field(default_factory=list)
    block_hashes: list[Octets] = field(default_factory=list)


class HistoryWriter:
    """Writes new books into a schema. It is fed with every batch from the log's first on, and finished once.

    Args:
        url: of the database.
        schema: a schema without tables.
        roster: of the fold.
        state: on which the log is folded.
        holdings: likewise; they keep their postings.
        lanes: how many connections write at the same time.
    """

    def __init__(
        self,
        url: str,
        schema: str,
        roster: Roster,
        state: HistoryState,
        holdings: ColumnHoldings,
        *,
        lanes: int = LANES,
    ) -> None:
        self._roster = roster
        self._state = state
        self._holdings = holdings
        self._kept = _Kept()
        self._lanes: list[Lane] = []
        self._lane_of: dict[str, Lane] = {}
        try:
            for names in divided({each: _WEIGHTS.get(each, 1) for each in _names()}, lanes):
                lane = Lane(url, schema, names)
                self._lanes.append(lane)
                self._lane_of.update(dict.fromkeys(names, lane))
        except BaseException:
            self.close()
            raise

    def take(self, decoded: DecodedBatch, page: Page, beyond: Sequence[Beyond]) -> None:
        """Write what a batch did, beside the records' own history: its postings are taken from the holdings.

        Args:
            decoded: the entries, which have just been folded.
            page: what was refused, and what has no meaning.
            beyond: entries without effect, because a balance would have gone too far.

        Raises:
            TryAgain: the database is away.
        """
        self._take_blocks(decoded)
        postings = self._holdings.take_postings()
        if len(postings):
            self._entries(decoded, np.unique(postings[:, POSITION]) - decoded.first)
            self._postings(postings)
        refused = [(logged.position, kind, contract, why.reason) for logged, kind, contract, why in page.refusals]
        refused += [(entry.position, entry.kind, entry.contract, too_much.reason) for entry, too_much in beyond]
        self._rows("refusal", refused)
        self._rows("quarantine", page.quarantined)
        self._over(OLD_ROWS_MIN)

    def finish(self, checkpoint: Checkpoint) -> None:
        """Have written what stands, and keys and indexes made; ``commit`` waits for it.

        Args:
            checkpoint: of the last entry.

        Raises:
            TryAgain: the database is away.
        """
        self._over(1)
        source = Source.of(self._state.words, self._state.texts)
        for table in self._state.tables.values():
            self._copy(form_of(table.layout, is_over=False), table.cells[: table.rows], source)
        for kind, versions in self._state.standing().items():
            self._versions(kind, versions)
        self._write_blocks()
        self._write_balances()
        if checkpoint.position:
            tokens = list(self._tokens().values())
            self._rows("asset", [(n, t.address, t.symbol, t.decimals) for n, t in enumerate(tokens, 1)])
        for lane in self._lanes:
            lane.finish()
        if checkpoint != EMPTY:
            self._lane_of["checkpoint"].put(lambda cursor: save_checkpoint(cursor, self._roster.manifest, checkpoint))

    def commit(self) -> None:
        """Wait until everything is written; then it is there for all.

        Raises:
            TryAgain: the database is away.
        """
        for lane in self._lanes:
            lane.commit()

    def close(self) -> None:
        """Disconnect; without ``commit`` nothing is left."""
        for lane in self._lanes:
            lane.close()

    def _copy(self, form: Form, cells: Cells, source: Source) -> None:
        if len(cells):
            self._lane_of[form.table].put(lambda cursor: copy(cursor, form, cells, source))

    def _rows(self, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
        self._copy_rows(table, [column.name for column in tables.metadata.tables[table].columns], rows)

    def _versions(self, kind: type[Record], versions: Sequence[Version]) -> None:
        names = [*(each.name for each in fields_of(kind)), "position", "until"]
        self._copy_rows(kind.TABLE, names, [(*values_of(each.record), each.since, each.until) for each in versions])

    def _copy_rows(self, table: str, names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        if not rows:
            return

        def write(cursor: Any) -> None:
            with cursor.copy(statement(table, names, is_binary=False)) as sent:
                for row in rows:
                    sent.write_row(row)

        self._lane_of[table].put(write)

    def _over(self, rows_min: int) -> None:
        """Write what is over, of the kinds of which there is so much."""
        source = Source.of(self._state.words, self._state.texts)
        for table in self._state.tables.values():
            if int(table.counts[OLD]) >= rows_min:
                self._copy(form_of(table.layout, is_over=True), table.take_old(), source)
        for kind, versions in self._state.take_over(rows_min).items():
            self._versions(kind, versions)

    def _take_blocks(self, decoded: DecodedBatch) -> None:
        """Note the home chain's blocks: their last position may be in another batch."""
        places = decoded.places
        rows = np.flatnonzero(places.column("chain_id").to_numpy() == self._roster.manifest.chain_id)
        numbers = places.column("block_number").to_numpy()[rows]
        lasts = rows[np.diff(numbers, append=-1) != 0]
        cells = np.zeros((len(lasts), 4), np.int64)
        for place, name in ((0, "block_number"), (2, "block_time")):
            cells[:, place] = places.column(name).to_numpy()[lasts]
        cells[:, 3] = lasts + decoded.first
        self._kept.blocks.append(cells)
        self._kept.block_hashes.append(_octets(places.column("block_hash"))[lasts])

    def _write_blocks(self) -> None:
        if not self._kept.blocks:
            return
        cells = np.concatenate(self._kept.blocks)
        hashes = np.concatenate(self._kept.block_hashes)
        _, firsts = np.unique(cells[:, 0], return_index=True)
        _, lasts = np.unique(cells[::-1, 0], return_index=True)
        made = cells[firsts]
        made[:, 1] = firsts
        made[:, 3] = cells[::-1, 3][lasts]
        self._copy(_BLOCK, made, Source.of_texts(hashes, []))

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
        self._copy(_ENTRY, cells, Source.of_texts(_octets(places.column("transaction_hash")), list(names)))

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
        cells[:, ACCOUNT] = self._kept.ids[cells[:, ACCOUNT]]
        cells[:, ASSET] = self._asset_ids(cells[:, ASSET])
        self._copy(_POSTING, cells, _NO_WORDS)

    def _enrol(self, accounts: Cells, positions: Cells) -> None:
        """Give the accounts that have their first posting here ids, in its order, and write them."""
        kept, who = self._kept, self._holdings.who
        if len(kept.ids) < len(who):
            kept.ids = np.concatenate([kept.ids, np.zeros(2 * len(who) - len(kept.ids), np.int64)])
        of_new = np.flatnonzero(kept.ids[accounts] == 0)
        if not len(of_new):
            return
        numbers, firsts = np.unique(accounts[of_new], return_index=True)
        order = np.argsort(firsts)
        numbers, firsts = numbers[order], positions[of_new[firsts[order]]]
        ids = np.arange(len(numbers)) + kept.accounts + 1
        kept.ids[numbers] = ids
        kept.accounts += len(numbers)
        are_wallets = who[numbers] >= 0
        self._wallets(ids[are_wallets], who[numbers[are_wallets]], firsts[are_wallets])
        pockets = [self._holdings.pockets[-1 - of] for of in who[numbers[~are_wallets]].tolist()]
        places = zip(ids[~are_wallets].tolist(), pockets, firsts[~are_wallets].tolist(), strict=True)
        rows = [(n, each.name, each.owner, each.pocket, each.key, each.holder, first) for n, each, first in places]
        self._rows("account", rows)

    def _wallets(self, ids: Cells, words: Cells, firsts: Cells) -> None:
        count = len(ids)
        octets = self._state.words.octets()[words]
        text = octets[:, :ADDRESS_BYTES].tobytes().hex()
        names = [f"{WALLET}{text[start : start + 40]}" for start in range(0, len(text), 40)]
        cells = np.empty((count, 6), np.int64)
        cells[:, 0], cells[:, 5] = ids, firsts
        cells[:, 1] = cells[:, 4] = np.arange(count)
        cells[:, 2], cells[:, 3] = count, count + 1
        self._copy(_WALLET, cells, Source.of_texts(octets, [*names, WALLET.partition(":")[0], ""]))

    def _write_balances(self) -> None:
        held = self._holdings.table.cells[: self._holdings.table.rows]
        if len(held):
            cells = np.empty((len(held), 5), np.int64)
            cells[:, 0], cells[:, 1] = self._kept.ids[held[:, 0]], self._asset_ids(held[:, 1])
            cells[:, 2:4], cells[:, 4] = held[:, BALANCE : BALANCE + 2], held[:, BALANCE_SINCE]
            self._copy(_BALANCE, cells[np.lexsort((cells[:, 1], cells[:, 0]))], _NO_WORDS)

    def _tokens(self) -> dict[bytes, Contract]:
        """Return the tokens by address, in the order in which they became known."""
        found: dict[bytes, Contract] = {}
        for token in tokens_of(self._roster):
            found.setdefault(token.address, token)
        return found

    def _asset_ids(self, words: Cells) -> Cells:
        """Number the tokens of words as ``books.assets`` does: in the order in which they became known."""
        ids = {address: number for number, address in enumerate(self._tokens(), 1)}
        distinct, places = np.unique(words, return_inverse=True)
        numbers = [ids[self._state.words[word][:ADDRESS_BYTES]] for word in distinct.tolist()]
        found: Cells = np.array(numbers, np.int64)[places]
        return found


def _grouped(columns: Sequence[Cells]) -> tuple[list[int], Cells]:
    """Return the first row of each group of rows that say the same, and the group of each row."""
    _, firsts, groups = np.unique(np.stack(columns, axis=1), axis=0, return_index=True, return_inverse=True)
    return firsts.tolist(), groups.reshape(-1)


def _names() -> list[str]:
    return [table.name for table in tables.metadata.sorted_tables]


def _octets(column: pa.Array) -> Octets:
    width = column.type.byte_width
    cells = np.frombuffer(column.buffers()[1], np.uint8, len(column) * width, column.offset * width)
    return cells.reshape(-1, width)
