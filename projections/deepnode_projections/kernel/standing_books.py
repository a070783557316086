"""What stands in the books, as the kernel's state and holdings: with it a fold goes on where the books are."""

from typing import Final, TypeVar

from psycopg import Cursor, sql
from psycopg.rows import DictRow, tuple_row

from deepnode_ledger.account import Account
from deepnode_projections.kernel.history import HistoryState
from deepnode_projections.kernel.holding import ColumnHoldings
from deepnode_projections.kernel.wide import cells_of_amount
from deepnode_projections.registers.record import Record, fields_of, of_row
from deepnode_projections.rules.book import RECORDS

R = TypeVar("R", bound=Record)

ROWS_AT_ONCE: Final = 10_000


def load_state(cursor: Cursor[DictRow]) -> HistoryState:
    """Read every record that stands, and since when, in the caller's transaction."""
    state = HistoryState()
    for kind in RECORDS:
        names = sql.SQL(", ").join(sql.Identifier(each.name) for each in fields_of(kind))
        statement = sql.SQL("SELECT {}, position FROM {} WHERE until IS NULL")
        with cursor.connection.cursor(name="standing", row_factory=tuple_row) as rows:
            rows.itersize = ROWS_AT_ONCE
            rows.execute(statement.format(names, sql.Identifier(kind.TABLE)), binary=True)
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
