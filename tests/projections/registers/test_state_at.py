"""The state at a position, read from the tables, is what a state in memory held there."""

from collections.abc import Sequence

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row

from deepnode_projections.registers.at import StateAt
from deepnode_projections.registers.kept import Kept
from deepnode_projections.registers.record import Record, key_of
from deepnode_projections.registers.state import MemoryState
from tests.conftest import fresh_database
from tests.ledger.histories import WITHOUT_SHRINKING
from tests.projections.registers.test_records_kept import KINDS, Pair, Single, tables_in

_PAIRS = st.builds(
    Pair,
    st.sampled_from([b"", b"\x00", b"\xff\x00"]),
    st.sampled_from([-1, 0, 2**63 - 1]),
    st.integers(-(10**38) + 1, 10**38 - 1),
    st.none() | st.sampled_from(["", "ü"]),
    st.booleans(),
)
_SINGLES = st.builds(
    Single,
    st.sampled_from(["", "a", "ä", "B"]),
    st.integers(0, 2),
    *[st.none() | st.binary(max_size=3), st.none() | st.just(10**38 - 1)],
)
_EVENTS = st.lists(st.lists(_PAIRS | _SINGLES, max_size=4), min_size=1, max_size=8)


def put(state: MemoryState | Kept, position: int, records: Sequence[Record]) -> None:
    with state.attempt(position):
        for record in records:
            state.put(record)


@settings(max_examples=25, phases=WITHOUT_SHRINKING)
@given(_EVENTS)
def test_every_past_is_what_memory_held_then(postgres_url: str, events: list[list[Record]]) -> None:
    """Compares all that can be asked at each position with a state in memory that has seen as many events."""
    with fresh_database(postgres_url) as url, tables_in(url) as connection:
        memory, kept = MemoryState(), Kept(connection.cursor(row_factory=dict_row))
        for position, records in enumerate(events, 1):
            put(kept, position, records)
        kept.write()
        now, made = StateAt(connection, len(events)), dict[tuple[type[Record], object], tuple[int, Record]]()
        for position, records in enumerate(events, 1):
            put(memory, position, records)
            past = now.at(position)
            for kind in KINDS:
                held = memory.every(kind)
                assert past.every(kind) == list(held)
                for each in held:
                    key = (kind, key_of(each))
                    if key not in made or made[key][1] != each:
                        made[key] = (position, each)
                    assert past.get(kind, *key_of(each)) == each
                    assert past.since(kind, *key_of(each)) == made[key][0]
                    assert past.changes(kind, *key_of(each))[-1] == made[key]
            for group in (b"", b"\x00", b"\xff\x00", b"none"):
                assert past.every(Pair, group) == list(memory.every(Pair, group))
                found = [(made[Pair, key_of(each)][0], each) for each in memory.every(Pair, group)]
                assert list(past.found(Pair, "group", group)) == found


def test_nothing_was_known_at_first(postgres_url: str) -> None:
    """Asks before the first entry, and for a key that never was."""
    with fresh_database(postgres_url) as url, tables_in(url) as connection:
        kept = Kept(connection.cursor(row_factory=dict_row))
        put(kept, 5, [Single("a", 1, None, None)])
        kept.write()
        past = StateAt(connection, 4)
        assert (past.get(Single, "a"), past.since(Single, "a"), past.every(Single)) == (None, None, [])
        assert StateAt(connection, 5).get(Single, "b") is None
        assert [*past.at(5).changes(Single, "a")] == [(5, Single("a", 1, None, None))]


def test_the_past_is_not_written(postgres_url: str) -> None:
    """Puts a record, and begins an event: both are refused."""
    with fresh_database(postgres_url) as url, psycopg.connect(url) as connection:
        past = StateAt(connection, 1)
        with pytest.raises(AssertionError, match="read only"):
            past.put(Single("a", 1, None, None))
        with pytest.raises(AssertionError, match="read only"):
            past.attempt(1)
