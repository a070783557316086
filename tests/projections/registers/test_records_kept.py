"""Records in the books' tables are what a state in memory would hold, at every position, and after every rollback."""

from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any, ClassVar

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row
from sqlalchemy import MetaData, create_engine
from sqlalchemy.pool import NullPool

from deepnode_projections.registers.kept import Kept, roll_back
from deepnode_projections.registers.record import Amount, Record, fields_of, key_of, values_of
from deepnode_projections.registers.state import MemoryState
from deepnode_projections.registers.tables import table_of
from tests.conftest import fresh_database
from tests.ledger.histories import WITHOUT_SHRINKING


@dataclass(frozen=True, slots=True)
class Pair:
    """A thing of a group, with something of every sort in it."""

    TABLE: ClassVar[str] = "pair"
    KEY: ClassVar[int] = 2

    group: bytes
    number: int
    amount: Amount
    note: str | None
    is_over: bool


@dataclass(frozen=True, slots=True)
class Single:
    """A thing that is told by a text."""

    TABLE: ClassVar[str] = "single"
    KEY: ClassVar[int] = 1

    name: str
    until_what: int
    hash: bytes | None
    size: Amount | None


KINDS: tuple[type[Record], ...] = (Pair, Single)

_pairs = st.builds(
    Pair,
    st.sampled_from([b"", b"\x00", b"\xff\x00", b"a"]),
    st.sampled_from([-1, 0, 2**63 - 1]),
    st.integers(-(10**38) + 1, 10**38 - 1),
    st.none() | st.sampled_from(["", "\\N", "tab\tand\nline", "ü"]),
    st.booleans(),
)
_singles = st.builds(
    Single,
    st.sampled_from(["", "a", "ä", "B"]),
    st.integers(0, 2),
    *[st.none() | st.binary(max_size=3), st.none() | st.just(10**38 - 1)],
)
_events = st.lists(st.tuples(st.lists(_pairs | _singles, max_size=4), st.booleans()), min_size=1, max_size=12)


class Refused(Exception):
    """A rule's refusal, in the middle of an event."""


@pytest.fixture
def books(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    with tables_in(database_url) as connection:
        yield connection


def tables_in(url: str) -> Any:
    connection = psycopg.connect(url, autocommit=True)
    engine = create_engine("postgresql+psycopg://", creator=lambda: connection, poolclass=NullPool)
    metadata = MetaData()
    for kind in KINDS:
        table_of(kind, metadata)
    with engine.connect() as alchemy:
        metadata.create_all(alchemy)
        alchemy.commit()
    return closing(psycopg.connect(url, autocommit=True))


def rows_at(connection: psycopg.Connection[Any], kind: type[Record], position: int) -> list[tuple[Any, ...]]:
    names = [f'"{field.name}"' for field in fields_of(kind)]
    query = (
        f"SELECT {', '.join(names)} FROM {kind.TABLE} WHERE position <= %s AND (until IS NULL OR until > %s)"
        f" ORDER BY {', '.join(names[: kind.KEY])}"
    )
    return connection.execute(query.encode(), (position, position)).fetchall()


def apply(state: MemoryState | Kept, position: int, records: list[Record], refused: bool) -> None:
    with suppress(Refused), state.attempt(position):
        for record in records:
            state.put(record)
        if refused:
            raise Refused


@settings(max_examples=25, phases=WITHOUT_SHRINKING)
@given(_events, st.data())
def test_the_tables_hold_what_memory_holds_at_every_position(
    postgres_url: str, events: list[tuple[list[Record], bool]], data: st.DataObject
) -> None:
    """Applies events, some refused, with writes and new beginnings anywhere, then takes some back and goes on."""
    with fresh_database(postgres_url) as url, tables_in(url) as connection:
        memory, kept = MemoryState(), Kept(connection.cursor(row_factory=dict_row))
        held = []
        for position, (records, refused) in enumerate(events, 1):
            apply(memory, position, records, refused)
            apply(kept, position, records, refused)
            held.append({kind: list(memory.every(kind)) for kind in KINDS})
            assert [list(kept.every(kind)) for kind in KINDS] == [held[-1][kind] for kind in KINDS]
            if data.draw(st.booleans()):
                kept.write()
                if data.draw(st.booleans()):
                    kept = Kept(connection.cursor(row_factory=dict_row))
        kept.write()
        check(connection, held)
        until = data.draw(st.integers(0, len(events)))
        roll_back(connection.cursor(row_factory=dict_row), KINDS, until)
        check(connection, held[:until])
        again = Kept(connection.cursor(row_factory=dict_row))
        for position, (records, refused) in enumerate(events[until:], until + 1):
            apply(again, position, records, refused)
        again.write()
        check(connection, held)


def check(connection: psycopg.Connection[Any], held: list[dict[type[Record], list[Record]]]) -> None:
    for position, records in enumerate(held, 1):
        for kind in KINDS:
            assert rows_at(connection, kind, position) == [values_of(each) for each in records[kind]], position


def test_what_stays_the_same_makes_no_row(books: psycopg.Connection[Any]) -> None:
    """Puts the same record three times, and another and the first again within one event: one row."""
    kept = Kept(books.cursor(row_factory=dict_row))
    one, other = Single("a", 1, None, None), Single("a", 2, None, None)
    for position, records in enumerate([[one], [one], [other, one]], 1):
        apply(kept, position, list(records), refused=False)
        kept.write()
    assert books.execute("SELECT position, until FROM single").fetchall() == [(1, None)]


def test_a_prefix_is_read_once_and_then_known(books: psycopg.Connection[Any]) -> None:
    """Reads a group, closes the connection, and asks again for the group and for what is not in it."""
    kept = Kept(books.cursor(row_factory=dict_row))
    pair = Pair(b"a", 0, 5, None, True)
    apply(kept, 1, [pair], refused=False)
    kept.write()
    again = Kept(books.cursor(row_factory=dict_row))
    assert again.every(Pair, b"a") == [pair]
    books.close()
    assert again.every(Pair, b"a") == [pair]
    assert again.get(Pair, *key_of(pair)) == pair
    assert again.get(Pair, b"a", 7) is None
