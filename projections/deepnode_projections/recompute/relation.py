"""Relations: what the books hold beside what was recomputed, joined row by row.

Each is a block of ``relations.sql``: two queries with the same columns, of which the first are the key.
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from psycopg import Cursor, sql
from psycopg.errors import UndefinedColumn, UndefinedTable

from deepnode_ledger.errors import BadInput

SHOWN_MAX: Final = 1_000
"""Differing values of a relation that are listed; all of them are counted."""

_BLOCK: Final = re.compile(
    r"^-- relation (?P<name>\w+) (?P<key>\d+)\n-- books\n(?P<books>.*?)\n-- recomputed\n(?P<recomputed>.*?)\n(?=\n|\Z)",
    re.ASCII | re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Differing:
    """A value that is not the same: ``books`` or ``recomputed`` is None where there is none, or no such row."""

    relation: str
    key: tuple[str, ...]
    column: str
    books: str | None
    recomputed: str | None


@dataclass(frozen=True, slots=True)
class Compared:
    """How a relation compares: rows on either side, how many of them differ, and the first values that do."""

    relation: str
    rows: int
    differing: int
    values: tuple[Differing, ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation: ``key`` columns identify a row; ``books`` and ``recomputed`` are queries."""

    name: str
    key: int
    books: str
    recomputed: str

    def compare(self, cursor: Cursor[Any]) -> Compared:
        """Join both sides, in the order of keys, and list what differs."""
        # A query's columns are known without running it.
        cursor.execute(f"({self.books}) LIMIT 0".encode())
        assert cursor.description is not None
        names = [column.name for column in cursor.description]
        keys, values = names[: self.key], names[self.key :]
        joined = _JOINED.format(
            books=self.books,
            recomputed=self.recomputed,
            names=_list(names),
            keys=_list(keys),
            differs=" OR ".join(
                f"b.{_quoted(each)} IS DISTINCT FROM r.{_quoted(each)}" for each in [*values, "is_there"]
            ),
            key_texts=", ".join(f"{_quoted(each)}::text" for each in keys),
            values=", ".join(f"('{each}', b.{_quoted(each)}::text, r.{_quoted(each)}::text)" for each in values),
        )
        cursor.execute(f"CREATE TEMPORARY TABLE compared ON COMMIT DROP AS {joined}".encode())
        counted = cursor.execute(_COUNTS, prepare=False).fetchone()
        assert counted is not None
        found = cursor.execute(_VALUES, (SHOWN_MAX,), prepare=False).fetchall()
        cursor.execute("DROP TABLE compared")
        listed = tuple(
            Differing(self.name, tuple(_shown(each) or "" for each in key), column, _shown(books), _shown(recomputed))
            for key, column, books, recomputed in found
        )
        return Compared(self.name, counted[0], counted[1], listed)


_JOINED: Final = """
    SELECT ARRAY[{key_texts}] AS key, {differs} AS differs, ARRAY(
        SELECT ARRAY[column_name, books, recomputed] FROM (VALUES {values}) AS v(column_name, books, recomputed)
        WHERE books IS DISTINCT FROM recomputed
    ) AS told
    FROM (SELECT *, true AS is_there FROM ({books}) AS books({names})) AS b
    FULL JOIN (SELECT *, true AS is_there FROM ({recomputed}) AS recomputed({names})) AS r USING ({keys})"""

# Neither is prepared: the table is another one each time.
_COUNTS: Final = "SELECT count(*), count(*) FILTER (WHERE differs) FROM compared"

_VALUES: Final = """
    SELECT key, told[n][1], told[n][2], told[n][3]
    FROM compared CROSS JOIN generate_series(1, greatest(array_length(told, 1), 1)) AS n
    WHERE differs ORDER BY key, n LIMIT %s"""

NEWEST_BALANCE: Final = """
    SELECT a.name AS account, a.holder, s.address AS asset, p.balance
    FROM (SELECT DISTINCT ON (account_id, asset_id) account_id, asset_id, balance FROM books_posting
          WHERE position <= (SELECT position FROM moment) ORDER BY account_id, asset_id, position DESC, leg DESC) AS p
    JOIN books_account a USING (account_id) JOIN books_asset s USING (asset_id)"""


@cache
def relations() -> tuple[Relation, ...]:
    """Return every relation, in the order of ``relations.sql``."""
    text = (files("deepnode_projections.recompute") / "relations.sql").read_text("utf-8")
    found = tuple(
        Relation(match["name"], int(match["key"]), match["books"], match["recomputed"])
        for match in _BLOCK.finditer(text)
    )
    assert len(found) == text.count("\n-- relation "), "a block is not written as the others are"
    return found


def chosen(names: tuple[str, ...]) -> tuple[Relation, ...]:
    """Return the relations of these names, or all of them if there is none.

    Raises:
        BadInput: there is no relation of a name.
    """
    known = {each.name: each for each in relations()}
    for name in names:
        if name not in known:
            raise BadInput(f"{name!r:.80} is nothing that is recomputed: there are {', '.join(known)}")
    return tuple(known[name] for name in dict.fromkeys(names)) if names else relations()


def look_at_books(cursor: Cursor[Any], books: str, position: int) -> None:
    """Make views of the books as of a position, which the relations' queries read.

    Raises:
        BadInput: the books lack what another version of the program keeps.
    """
    try:
        _make_views(cursor, books, position)
        for each in relations():
            cursor.execute(f"({each.books}) LIMIT 0".encode())
    except (UndefinedTable, UndefinedColumn) as error:
        lacking = str(error).partition("\n")[0]
        raise BadInput(f"the books were kept by another version, run `deepnode rebuild`: {lacking}") from error


def _make_views(cursor: Cursor[Any], books: str, position: int) -> None:
    cursor.execute("CREATE TABLE moment AS SELECT %s::bigint AS position", (position,))
    text = "\n".join(each.books for each in relations()) + NEWEST_BALANCE
    for name in sorted(set(re.findall(r"\bbooks_(\w+)", text))):
        view = sql.SQL("CREATE VIEW {} AS SELECT * FROM {}")
        cursor.execute(view.format(sql.Identifier(f"books_{name}"), sql.Identifier(books, name)))
    for name in sorted(set(re.findall(r"\bnow_(\w+)", text))):
        view = sql.SQL(
            "CREATE VIEW {} AS SELECT * FROM {} WHERE position <= (SELECT position FROM moment)"
            " AND (until IS NULL OR until > (SELECT position FROM moment))"
        )
        cursor.execute(view.format(sql.Identifier(f"now_{name}"), sql.Identifier(books, name)))
    cursor.execute(f"CREATE VIEW newest_balance AS {NEWEST_BALANCE}".encode())


def forget_books(cursor: Cursor[Any], schema: str) -> None:
    """Drop the views of the books."""
    cursor.execute("SELECT viewname FROM pg_views WHERE schemaname = %s", (schema,))
    for (name,) in cursor.fetchall():
        cursor.execute(sql.SQL("DROP VIEW IF EXISTS {} CASCADE").format(sql.Identifier(schema, name)))


def _quoted(name: str) -> str:
    assert '"' not in name, name
    return f'"{name}"'


def _list(names: list[str]) -> str:
    return ", ".join(map(_quoted, names))


def _shown(text: str | None) -> str | None:
    # PostgreSQL writes bytes with a backslash.
    return f"0x{text[2:]}" if text is not None and text.startswith("\\x") else text
