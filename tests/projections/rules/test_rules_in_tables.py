"""The rules over the books' own tables: what any events leave there is what they leave in memory."""

from collections.abc import Sequence
from typing import Any, Final

import psycopg
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row
from sqlalchemy import MetaData, create_engine
from sqlalchemy.pool import NullPool

from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.posting import AmountTooLarge, Entry, Posting
from deepnode_ledger.vocabulary import KINDS
from deepnode_projections.registers.kept import Kept
from deepnode_projections.registers.record import Record
from deepnode_projections.registers.state import MemoryState
from deepnode_projections.registers.tables import table_of
from deepnode_projections.rules import (
    burns,
    checkpoints,
    collateral,
    comparisons,
    domains,
    emission,
    epochs,
    funding,
    governance,
    parameters,
    registry,
    revenue,
    staking,
    trust,
)
from deepnode_projections.rules.scene import NoEffect, Rules
from tests.conftest import fresh_database
from tests.ledger.histories import WITHOUT_SHRINKING
from tests.projections.rules.told import DN, USDC, anything, scene

MECHANISMS: Final = (
    parameters,
    domains,
    registry,
    collateral,
    staking,
    funding,
    revenue,
    burns,
    epochs,
    emission,
    governance,
    checkpoints,
    trust,
)
TABLES: Final[tuple[Rules, ...]] = tuple(each.RULES for each in MECHANISMS)
RECORDS: Final[tuple[type[Record], ...]] = (
    *comparisons.RECORDS,
    *(kind for each in MECHANISMS for kind in each.RECORDS),
)

SPOKEN: Final = [kind for kind in KINDS if kind not in ("Token", "Other")]
SENSIBLE: Final[dict[str, Sequence[Any]]] = {
    "address": [DN, USDC],
    "uint32[]": [(30_000, 10_000, 10_000, 20_000, 5_000, 0)],
    "uint32[5]": [(400_000, 200_000, 200_000, 50_000, 140_000)],
    "string": ["a\0b", "\\N", "tab\tand\nline"],
}


def apply(state: MemoryState | Kept, position: int, event: ChainEvent) -> tuple[Posting, ...] | str:
    """What an event moves by all rules together, or why it has no effect."""
    at = scene(state, position)
    try:
        with state.attempt(position):
            rules = [table[key] for table in TABLES if (key := (event.contract.kind, event.name)) in table]
            moved = tuple(posting for rule in rules for posting in rule(event, at))
            return Entry(position, event.name, event.contract.name, moved).postings
    except (NoEffect, AmountTooLarge) as refusal:
        return str(refusal)


def make_tables(url: str) -> None:
    metadata = MetaData()
    for kind in RECORDS:
        table_of(kind, metadata)
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=NullPool)
    metadata.create_all(engine)


@settings(max_examples=8, phases=WITHOUT_SHRINKING, deadline=None)
@given(st.lists(st.tuples(anything(SPOKEN, also=SENSIBLE), st.booleans()), min_size=20, max_size=80))
def test_any_events_leave_in_the_tables_what_they_leave_in_memory(
    postgres_url: str, told_events: list[tuple[ChainEvent, bool]]
) -> None:
    """Puts events of every kind to all rules, over tables and in memory, with writes and restarts anywhere."""
    with fresh_database(postgres_url) as url:
        make_tables(url)
        with psycopg.connect(url, autocommit=True) as connection:
            memory, kept = MemoryState(), over(connection)
            for position, (event, starts_again) in enumerate(told_events, 1):
                assert apply(kept, position, event) == apply(memory, position, event)
                if starts_again:
                    kept.write()
                    kept = over(connection)
            kept.write()
            again = over(connection)
            for kind in RECORDS:
                assert list(again.every(kind)) == list(memory.every(kind)), kind


def over(connection: psycopg.Connection[Any]) -> Kept:
    return Kept(connection.cursor(row_factory=dict_row))
