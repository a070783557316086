"""Rows that are made of cells are what PostgreSQL then reads, of every kind of record that has cells."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import Connection
from psycopg.rows import TupleRow

from deepnode_ledger.compiled import available

if not available():
    pytest.skip("cells need the compiler", allow_module_level=True)

from deepnode_projections.kernel.binary_rows import SMALL, Form, Source, chunks, copy, form_of
from deepnode_projections.kernel.layout import ADDRESS, INT, TEXT, Layout, cells_of, layout_of
from deepnode_projections.kernel.state import HOT
from deepnode_projections.kernel.texts import Texts
from deepnode_projections.kernel.words import Words
from deepnode_projections.registers.record import Field, Record, Value, fields_of
from deepnode_projections.schema import create_bare

EDGE = 10**38 - 1
amounts = st.integers(-EDGE, EDGE) | st.sampled_from(
    [0, 1, -1, 9_999, 10_000, 10**8, 2**63, 2**64, -(2**64), 10**30, EDGE, -EDGE]
)
numbers = st.integers(1 - 2**63, 2**63 - 1)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9)


@pytest.fixture(scope="module")
def connection(postgres_url: str) -> Iterator[Connection[TupleRow]]:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE SCHEMA cells")
        connection.execute("SET search_path TO cells")
        yield connection
        connection.rollback()


def values(field: Field, what: int) -> st.SearchStrategy[Value]:
    """What a field may hold."""
    length = 20 if what == ADDRESS else 32
    sorts: dict[type, st.SearchStrategy[Value]] = {
        bytes: st.binary(min_size=length, max_size=length),
        str: texts,
        bool: st.booleans(),
        int: amounts if field.is_amount else numbers,
    }
    known = sorts[field.type]
    return st.none() | known if field.may_be_unknown else known


@st.composite
def versions(draw: st.DrawFn, layout: Layout) -> list[tuple[Value, ...]]:
    """Rows of a kind's table: its fields, then position and until."""
    fields = [values(field, place.what) for field, place in zip(fields_of(layout.kind), layout.places, strict=True)]
    return draw(st.lists(st.tuples(*fields, numbers, st.none() | numbers), max_size=4))


def copied(connection: Connection[TupleRow], layout: Layout, rows: list[tuple[Value, ...]]) -> list[tuple[Any, ...]]:
    """What a table has in it behind a copy of rows: some of what is over, others of what stands."""
    names = ", ".join([*(field.name for field in fields_of(layout.kind)), "position", "until"])
    words, held = Words(), Texts()
    with connection.transaction(force_rollback=True), connection.cursor() as cursor:
        create_bare(connection, [layout.kind.TABLE])
        for is_over in (True, False):
            cells = [
                [*cells_of(layout, row[:-2], words, held), row[-2], -1, row[-1]]
                for row in rows
                if (row[-1] is not None) == is_over
            ]
            width = layout.width + is_over
            table = np.array([row[:width] for row in cells], np.int64).reshape(-1, width)
            copy(cursor, form_of(layout, is_over=is_over), table, Source.of(words, held))
        found = cursor.execute(f"SELECT {names} FROM {layout.kind.TABLE}".encode()).fetchall()
        return [tuple(int(each) if isinstance(each, Decimal) else each for each in row) for row in found]


@settings(max_examples=30, deadline=None)
@given(st.data(), st.sampled_from(HOT))
def test_every_hot_kind_arrives(connection: Connection[TupleRow], data: st.DataObject, kind: type[Record]) -> None:
    """Copies rows of a kind, bounds and unknowns in them, into its table, and reads them back."""
    layout = layout_of(kind)
    rows = data.draw(versions(layout))
    assert sorted(map(repr, copied(connection, layout, rows))) == sorted(map(repr, rows))


def test_chunks_have_whole_rows_and_grow_with_a_text_that_fits_none() -> None:
    """Makes chunks of ten rows at most, one of which has a text that is larger than a chunk."""
    form = Form.of("any", [("number", INT, 0), ("small", SMALL, 0), ("said", TEXT, 1)])
    source = Source.of_texts(np.zeros((0, 32), np.uint8), ["ä", "long" * 1_000, ""])
    cells = np.stack([np.arange(100), np.arange(100) % 3], axis=1)
    made = list(map(bytes, chunks(form, cells, source, size_bytes=300)))
    assert all(chunk[:2] == b"\0\3" for chunk in made)
    assert b"".join(made) == b"".join(map(bytes, chunks(form, cells, source)))
    assert b"".join(made).count(b"long" * 1_000) == 33
