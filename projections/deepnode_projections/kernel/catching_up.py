"""Catching up: books that are far behind the log are taken on by the kernel, a large step at a time.

What stands in the books is in memory meanwhile. A step folds its entries, and then writes their rows in the projector's
transaction: what changes of rows from before is when they are over, and everything else is new.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from psycopg import Cursor, sql
from psycopg.rows import DictRow

from deepnode_ledger.record import BlockRef
from deepnode_ledger.roster import Roster
from deepnode_projections import books, bulk, copying, tables
from deepnode_projections.books import Page
from deepnode_projections.kernel.binary_rows import Cells, Form, Source, copy, copy_rows, form_of
from deepnode_projections.kernel.history import HistoryState
from deepnode_projections.kernel.layout import ADDRESS, INT, TEXT, WORD, Layout
from deepnode_projections.kernel.log_fold import LogFold
from deepnode_projections.kernel.log_source import run_of
from deepnode_projections.kernel.money_rows import MoneyRows, blocks_of
from deepnode_projections.kernel.standing_books import load_holdings, load_state
from deepnode_projections.kernel.table import Table
from deepnode_projections.kernel.writing import journal, rows_of_versions
from deepnode_projections.registers.record import COLUMN_TYPES, Record, fields_of, key_of

_LOW: Final = 0xFFFFFFFF


class CatchingUp:
    """Books that are taken on by the kernel.

    Args:
        cursor: of the projector's connection, in the transaction of the first step.
        roster: the contracts that are known where the books stand.
    """

    def __init__(self, cursor: Cursor[DictRow], roster: Roster) -> None:
        state = load_state(cursor)
        holdings, ids = load_holdings(cursor, state)
        self._cursor = cursor
        self._fold = LogFold(roster, state, holdings)
        self._money = MoneyRows(roster, state.words, holdings, self, ids)

    def book(self, cursor: Cursor[DictRow], run: pa.RecordBatch) -> Page:
        """Fold the entries that follow and write their rows; return a page with their blocks alone."""
        self._cursor = cursor
        roster, before = self._fold.roster, run.column("position")[0].as_py() - 1
        made = run_of(run, roster)
        decoded = made.decoded
        page, beyond = self._fold.feed(decoded, made.entry_at)
        books.assets(cursor, self._money.tokens().values())
        self._money.write(decoded)
        for table, rows in journal(page, beyond).items():
            self.copy_rows(table, rows)
        self._write_balances(before)
        self._write_records(before)
        numbers, hashes = blocks_of(decoded, roster.manifest.chain_id)
        for (number, _, time, last_position), block_hash in zip(numbers.tolist(), hashes, strict=True):
            page.blocks[number] = (BlockRef(number, block_hash.tobytes(), time), last_position)
        bulk.write_blocks(cursor, page.blocks.values())
        return page

    def copy(self, form: Form, cells: Cells, source: Source) -> None:
        """Write rows of cells."""
        copy(self._cursor, form, cells, source, is_new=False)

    def copy_rows(self, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Write rows of all columns of a table."""
        names = [column.name for column in tables.metadata.tables[table].columns]
        copy_rows(self._cursor, table, names, rows, is_new=False)

    def _write_balances(self, before: int) -> None:
        cells = self._money.balances(before)
        if len(cells):
            low, high = cells[:, 2], cells[:, 3]
            amounts = np.stack([low & _LOW, (low >> 32) & _LOW, high & _LOW, high >> 32])
            bulk.set_balances(self._cursor, cells[:, 0], cells[:, 1].astype(np.int16), amounts, cells[:, 4])

    def _write_records(self, before: int) -> None:
        """Write what came to stand behind a position; and of what stood there, until when it did."""
        state = self._fold.state
        source = Source.of(state.words, state.texts)
        for kind, table in state.tables.items():
            old, since = table.take_old(), table.layout.since
            stood = old[:, since] <= before
            if stood.any():
                self._end(kind, _keys(table, old[stood], state), old[stood][:, [since, table.layout.width]])
            self.copy(form_of(table.layout, is_over=True), old[~stood], source)
            held = table.cells[: table.rows]
            self.copy(form_of(table.layout, is_over=False), held[held[:, since] > before], source)
        over, standing = state.take_over(), state.standing(before)
        for kind in over.keys() | standing.keys():
            ended = [each for each in over.get(kind, ()) if each.since <= before]
            if ended:
                keys = [list(values) for values in zip(*(key_of(each.record) for each in ended), strict=True)]
                self._end(kind, keys, np.array([(each.since, each.until) for each in ended], np.int64))
            new = [each for each in over.get(kind, ()) if each.since > before] + standing.get(kind, [])
            copy_rows(self._cursor, kind.TABLE, *rows_of_versions(kind, new), is_new=False)

    def _end(self, kind: type[Record], keys: Sequence[Any], places: Cells) -> None:
        """Say until when rows held: they are found by their keys and the positions since which they did."""
        fields = fields_of(kind)[: kind.KEY]
        arrays = sql.SQL(", ").join(sql.SQL(f"%s::{COLUMN_TYPES[each.type]}[]") for each in fields)
        names = [sql.Identifier(each.name) for each in fields]
        matches = sql.SQL(" AND ").join(sql.SQL("t.{0} = n.{0}").format(name) for name in names)
        statement = sql.SQL(
            "UPDATE {table} t SET until = n.ended FROM unnest({arrays}, %s::bigint[], %s::bigint[])"
            " n({names}, since, ended) WHERE {matches} AND t.position = n.since"
        ).format(table=sql.Identifier(kind.TABLE), arrays=arrays, names=sql.SQL(", ").join(names), matches=matches)
        cursor = copying.teach(self._cursor)
        cursor.execute(statement, [*keys, copying.array("bigint", places[:, 0]), copying.array("bigint", places[:, 1])])
        assert cursor.rowcount == len(places), (kind, cursor.rowcount, len(places))


def _keys(table: Table, rows: Cells, state: HistoryState) -> list[Any]:
    """Return the keys of rows, as array parameters."""
    return [_column(table.layout, place, rows, state) for place in range(table.layout.key)]


def _column(layout: Layout, place: int, rows: Cells, state: HistoryState) -> Any:
    what, cells = layout.places[place].what, rows[:, layout.places[place].at]
    if what in (WORD, ADDRESS):
        return copying.array("bytea", state.words.octets()[cells][:, : 32 if what == WORD else 20])
    if what == TEXT:
        return copying.text_array([state.texts[cell] for cell in cells.tolist()])
    assert what == INT, (layout.kind, place)
    return copying.array("bigint", cells)
