"""What is written in the binary format is what PostgreSQL then reads."""

from collections.abc import Iterator

import numpy as np
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import Connection
from psycopg.rows import TupleRow

from deepnode_projections import copying
from deepnode_projections.copying import Numeric
from deepnode_projections.folds import limbs
from tests.projections.test_limbs import numbers

bigints, smallints = st.integers(-(2**63), 2**63 - 1), st.integers(-(2**15), 2**15 - 1)
rows_of_all_types = st.lists(st.tuples(bigints, smallints, st.binary(min_size=3, max_size=3), numbers), max_size=12)


@pytest.fixture(scope="module")
def connection(postgres_url: str) -> Iterator[Connection[TupleRow]]:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            "CREATE TEMP TABLE every"
            " (big bigint, small smallint, octets bytea, amount numeric(39, 0), said text, none text)"
        )
        yield connection


@settings(max_examples=40)
@given(rows_of_all_types)
def test_every_type_arrives(connection: Connection[TupleRow], rows: list[tuple[int, int, bytes, int]]) -> None:
    """Copies rows of every type, negative, zero and as large as they come, and an empty text; and reads them back."""
    with connection.transaction(force_rollback=True), connection.cursor() as cursor:
        amounts = Numeric(limbs.normal(limbs.of_ints([row[3] for row in rows])))
        columns: list[copying.Column] = [
            np.array([row[0] for row in rows], np.int64),
            np.array([row[1] for row in rows], np.int16),
            np.frombuffer(b"".join(row[2] for row in rows), np.uint8).reshape(-1, 3),
            amounts,
            "größer".encode(),
            b"",
        ]
        copying.copy(cursor, "every (big, small, octets, amount, said, none)", len(rows), columns)
        assert cursor.execute("SELECT * FROM every").fetchall() == [(*row, "größer", "") for row in rows]


@settings(max_examples=40)
@given(rows_of_all_types)
def test_arrays_arrive(connection: Connection[TupleRow], rows: list[tuple[int, int, bytes, int]]) -> None:
    """Gives columns as array parameters, none or many elements long, and unnests them."""
    with connection.cursor() as cursor:
        given_arrays = (
            copying.array("bigint", np.array([row[0] for row in rows], np.int64)),
            copying.array("smallint", np.array([row[1] for row in rows], np.int16)),
            copying.array("bytea", np.frombuffer(b"".join(row[2] for row in rows), np.uint8).reshape(-1, 3)),
            copying.array("numeric", Numeric(limbs.normal(limbs.of_ints([row[3] for row in rows])))),
        )
        copying.teach(cursor).execute(
            "SELECT * FROM unnest(%s::bigint[], %s::smallint[], %s::bytea[], %s::numeric[])", given_arrays
        )
        assert cursor.fetchall() == rows


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5)))
def test_arrays_of_texts_arrive(connection: Connection[TupleRow], texts: list[str]) -> None:
    """Gives texts of any length and letters as an array parameter."""
    with connection.cursor() as cursor:
        copying.teach(cursor).execute("SELECT unnest(%s::text[])", (copying.text_array(texts),))
        assert [text for (text,) in cursor.fetchall()] == texts


def test_rows_of_many_chunks_arrive_in_order(connection: Connection[TupleRow]) -> None:
    """Copies more than two chunks, whose amounts grow from chunk to chunk in their number of digits."""
    count = 2 * copying.CHUNK_ROWS + 5
    values = [10 ** (number * 37 // count) for number in range(count)]
    with connection.transaction(force_rollback=True), connection.cursor() as cursor:
        columns: list[copying.Column] = [np.arange(count), Numeric(limbs.of_ints(values))]
        copying.copy(cursor, "every (big, amount)", count, columns)
        assert cursor.execute("SELECT big, amount FROM every ORDER BY big").fetchall() == list(enumerate(values))
