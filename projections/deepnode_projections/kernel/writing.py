"""Writing a history down: all tables of the books, by COPY alone, while the log is folded in memory.

A row is written once, when it is over, or at the end if it still stands; rows of one table come in no order that
matters. Behind every batch of the log its postings are taken from the holdings, and what is over from the state
(``history``). The books are those that the projector would have written.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from deepnode_ledger.roster import Roster
from deepnode_projections import tables
from deepnode_projections.books import Page
from deepnode_projections.checkpoint import EMPTY, Checkpoint, save_checkpoint
from deepnode_projections.kernel.binary_rows import SMALL, Cells, Form, Octets, Source, copy, copy_rows, form_of
from deepnode_projections.kernel.decoded import DecodedBatch
from deepnode_projections.kernel.history import HistoryState, Version
from deepnode_projections.kernel.holding import ColumnHoldings
from deepnode_projections.kernel.lanes import Lane, divided
from deepnode_projections.kernel.layout import AMOUNT, INT, WORD
from deepnode_projections.kernel.money_rows import NO_WORDS, MoneyRows, blocks_of
from deepnode_projections.kernel.table import OLD
from deepnode_projections.registers.record import Record, fields_of, values_of
from deepnode_projections.replay.holding import Beyond

_BALANCE: Final = Form.of(
    "balance", [("account_id", INT, 0), ("asset_id", SMALL, 1), ("balance", AMOUNT, 2), ("position", INT, 4)]
)
_BLOCK: Final = Form.of("block", [("number", INT, 0), ("hash", WORD, 1), ("time", INT, 2), ("last_position", INT, 3)])
LANES: Final = 4

OLD_ROWS_MIN: Final = 16_384
"""Rows of a kind that are over, from which on they are written: fewer are not worth a statement of their own."""

_WEIGHTS: Final = dict(
    [
        *(("validation", 39), ("task_slot", 33), ("checked", 24), ("posting", 23), ("task", 17), ("trust", 16)),
        *(("entry", 12), ("validator_work", 9), ("receipt", 6), ("work", 5), ("model_use", 5), ("block", 5)),
    ]
)
"""How long tables take beside one another, of a history of much work; 1 of those that are not named."""


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
        self._money = MoneyRows(roster, state.words, holdings, self)
        self._blocks: list[Cells] = []
        self._block_hashes: list[Octets] = []
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
        # A block's last position may be in another batch: they are written in the end.
        cells, hashes = blocks_of(decoded, self._roster.manifest.chain_id)
        self._blocks.append(cells)
        self._block_hashes.append(hashes)
        self._money.write(decoded)
        for table, rows in journal(page, beyond).items():
            self.copy_rows(table, rows)
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
            self.copy(form_of(table.layout, is_over=False), table.cells[: table.rows], source)
        for kind, versions in self._state.standing().items():
            self._versions(kind, versions)
        self._write_blocks()
        self.copy(_BALANCE, self._money.balances(), NO_WORDS)
        if checkpoint.position:
            tokens = self._money.tokens().values()
            self.copy_rows("asset", [(n, t.address, t.symbol, t.decimals) for n, t in enumerate(tokens, 1)])
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

    def copy(self, form: Form, cells: Cells, source: Source) -> None:
        """Write rows of cells."""
        if len(cells):
            self._lane_of[form.table].put(lambda cursor: copy(cursor, form, cells, source))

    def copy_rows(self, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Write rows of all columns of a table."""
        names = [column.name for column in tables.metadata.tables[table].columns]
        self._lane_of[table].put(lambda cursor: copy_rows(cursor, table, names, rows))

    def _versions(self, kind: type[Record], versions: Sequence[Version]) -> None:
        names, rows = rows_of_versions(kind, versions)
        self._lane_of[kind.TABLE].put(lambda cursor: copy_rows(cursor, kind.TABLE, names, rows))

    def _over(self, rows_min: int) -> None:
        """Write what is over, of the kinds of which there is so much."""
        source = Source.of(self._state.words, self._state.texts)
        for table in self._state.tables.values():
            if int(table.counts[OLD]) >= rows_min:
                self.copy(form_of(table.layout, is_over=True), table.take_old(), source)
        for kind, versions in self._state.take_over(rows_min).items():
            self._versions(kind, versions)

    def _write_blocks(self) -> None:
        if not self._blocks:
            return
        cells = np.concatenate(self._blocks)
        hashes = np.concatenate(self._block_hashes)
        _, firsts = np.unique(cells[:, 0], return_index=True)
        _, lasts = np.unique(cells[::-1, 0], return_index=True)
        made = cells[firsts]
        made[:, 1] = firsts
        made[:, 3] = cells[::-1, 3][lasts]
        self.copy(_BLOCK, made, Source.of_texts(hashes, []))


def journal(page: Page, beyond: Sequence[Beyond]) -> dict[str, Sequence[tuple[Any, ...]]]:
    """Return the rows of what was refused and of what has no meaning, by table."""
    refused = [(logged.position, kind, contract, why.reason) for logged, kind, contract, why in page.refusals]
    refused += [(entry.position, entry.kind, entry.contract, too_much.reason) for entry, too_much in beyond]
    return {"refusal": refused, "quarantine": page.quarantined}


def rows_of_versions(kind: type[Record], versions: Sequence[Version]) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Return the columns of a kind's table, and its versions as rows of these."""
    names = [*(each.name for each in fields_of(kind)), "position", "until"]
    return names, [(*values_of(each.record), each.since, each.until) for each in versions]


def _names() -> list[str]:
    return [table.name for table in tables.metadata.sorted_tables]
