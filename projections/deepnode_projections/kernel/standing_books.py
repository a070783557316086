"""What stands in the books, as the kernel's state and holdings: with it a fold goes on where the books are.

Records of hot kinds become rows of cells column by column; a million of them take some seconds.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from psycopg import Cursor, sql
from psycopg.rows import DictRow, tuple_row

from deepnode_ledger.account import Account
from deepnode_ledger.compiled import Integer, compiled
from deepnode_ledger.hexadecimal import WORD_BYTES
from deepnode_projections.kernel.history import HistoryState
from deepnode_projections.kernel.holding import ColumnHoldings
from deepnode_projections.kernel.layout import ADDRESS, AMOUNT, NONE, TEXT, WORD, Place
from deepnode_projections.kernel.state import RULED
from deepnode_projections.kernel.table import Cells, Table, View, enter
from deepnode_projections.kernel.wide import cells_of_amount
from deepnode_projections.registers.record import Record, fields_of, of_row
from deepnode_projections.rules.book import RECORDS

ROWS_AT_ONCE: Final = 10_000

_UNKNOWN_AMOUNT: Final = (0, NONE)


def load_state(cursor: Cursor[DictRow]) -> HistoryState:
    """Read every record that stands, and since when, in the caller's transaction."""
    state = HistoryState()
    for kind in RECORDS:
        table = state.tables.get(kind)
        for rows in _standing(cursor, kind):
            if table is not None and kind not in RULED:
                _enter_rows(state, table, rows)
                continue
            for row in rows:
                state.stand(of_row(kind, row[:-1]), row[-1])
    return state


def load_holdings(cursor: Cursor[DictRow], state: HistoryState) -> tuple[ColumnHoldings, dict[int, int]]:
    """Read the balances; return them, and the books' id of each of their accounts."""
    holdings = ColumnHoldings(state.words, keeps=True)
    rows = cursor.connection.cursor(row_factory=tuple_row, binary=True)
    rows.execute("SELECT account_id, owner, pocket, key, holder FROM account")
    numbers = {account_id: holdings.account(Account(*who)) for account_id, *who in rows}
    rows.execute("SELECT asset_id, address FROM asset")
    words = {asset_id: state.words.number(address) for asset_id, address in rows}
    rows.execute("SELECT account_id, asset_id, balance, position FROM balance")
    for account_id, asset_id, balance, position in rows:
        # NUMERIC without a fraction comes as a Decimal; int() of it is exact at any size.
        cells = (numbers[account_id], words[asset_id], *cells_of_amount(int(balance)))
        holdings.table.put(cells, position)
    return holdings, {number: account_id for account_id, number in numbers.items()}


def _standing(cursor: Cursor[DictRow], kind: type[Record]) -> Iterator[list[tuple[Any, ...]]]:
    names = sql.SQL(", ").join(sql.Identifier(each.name) for each in fields_of(kind))
    statement = sql.SQL("SELECT {}, position FROM {} WHERE until IS NULL").format(names, sql.Identifier(kind.TABLE))
    with cursor.connection.cursor(name="standing", row_factory=tuple_row) as found:
        found.execute(statement, binary=True)
        while rows := found.fetchmany(ROWS_AT_ONCE):
            yield rows


def _enter_rows(state: HistoryState, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    layout, columns = table.layout, list(zip(*rows, strict=True))
    cells = np.empty((len(rows), layout.since + 1), np.int64)
    for place, column in zip(layout.places, columns, strict=False):
        width = 2 if place.what == AMOUNT else 1
        cells[:, place.at : place.at + width] = _cells(state, place, column).reshape(-1, width)
    cells[:, layout.since] = columns[-1]
    table.make_room(len(rows))
    _enter_all(table.view(), layout.key, layout.same, cells)


def _cells(state: HistoryState, place: Place, column: Sequence[Any]) -> Cells:
    """Return the cells of a column: two a value for amounts."""
    if place.what == AMOUNT:
        return np.array([_UNKNOWN_AMOUNT if each is None else cells_of_amount(int(each)) for each in column], np.int64)
    if place.what not in (WORD, ADDRESS, TEXT):
        return np.array([NONE if each is None else each for each in column], np.int64)
    cells = np.full(len(column), NONE, np.int64)
    known = np.array([each is not None for each in column], np.bool_)
    values = [each for each in column if each is not None]
    if place.what == TEXT:
        cells[known] = _texts(state, place, values)
    else:
        octets = np.frombuffer(b"".join([each.ljust(WORD_BYTES, b"\0") for each in values]), np.uint8)
        words = octets.reshape(-1, WORD_BYTES)
        is_raw = place.is_raw
        cells[known] = state.words.enter_all(words) + np.arange(len(words)) if is_raw else state.words.numbers(words)
    return cells


def _texts(state: HistoryState, place: Place, values: Sequence[str]) -> Cells:
    if not place.is_raw:
        return np.array([state.texts.number(each) for each in values], np.int64)
    encoded = [each.encode() for each in values]
    ends = np.cumsum([0, *(len(each) for each in encoded)], dtype=np.int64)
    found: Cells = state.texts.enter_all(np.frombuffer(b"".join(encoded), np.uint8), ends) + np.arange(len(values))
    return found


@compiled
def _enter_all(table: View, length: Integer, same: Integer, cells: Cells) -> None:
    """Enter rows whose keys are not there yet."""
    for row in range(len(cells)):
        b = cells[row, 1] if length > 1 else np.int64(0)
        c = cells[row, 2] if length > 2 else np.int64(0)
        d = cells[row, 3] if length > 3 else np.int64(0)
        to = enter(table, length, same, cells[row, 0], b, c, d)
        for cell in range(cells.shape[1]):
            table.cells[to, cell] = cells[row, cell]
