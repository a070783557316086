"""Segments: which sealed batches hold a term, found without reading a batch.

A *term* is eight bytes that stand for something an entry can be found by, such as a transaction's hash. A *posting*
says that a batch holds a term; a segment is the sorted postings of a run of batches, in two packed columns: terms
(unsigned, big-endian) and, beside each, the batch's number. Terms are hashes, so they spread evenly and a term's place
in a segment can be computed; a search reads a page or two of each segment, and there are only few: whenever
``FAN`` of one size stand side by side they are merged into one, up to ``POSTINGS_MAX``.

Two things may share a term. So a segment says where to look, never what is there. Segments are made from the batches
alone and can be made again.
"""

import hashlib
import heapq
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import Cursor
from psycopg.rows import DictRow, dict_row

FAN: Final = 8

POSTINGS_MAX: Final = 2**21
"""Postings in a merged segment: 24 MiB. A log of 100 million transactions has some fifty segments of that size."""

PAGE_TERMS: Final = 1_024

TERM_BYTES: Final = 8
BATCH_BYTES: Final = 4

_Terms = npt.NDArray[np.uint64]
_Numbers = npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Segment:
    """The postings of batches ``first`` to ``last`` (both included), by term and then by batch."""

    first: int
    last: int
    terms: _Terms
    batches: _Numbers


def hashed_term(kind: str, value: bytes) -> int:
    """Return the term of a value that is not a hash itself. ``kind`` keeps equal values of two columns apart."""
    return int.from_bytes(hashlib.sha256(kind.encode() + b"\x00" + value).digest()[:TERM_BYTES])


def transaction_term(transaction_hash: bytes) -> int:
    """Return the term of a transaction: its hash is one already."""
    return int.from_bytes(transaction_hash[:TERM_BYTES])


def kind_term(kind: int) -> int:
    """Return the term of a kind of entries."""
    return hashed_term("kind", kind.to_bytes(1))


def of_batch(number: int, batch: pa.RecordBatch) -> Segment:
    """Return the postings of one batch."""
    kinds = pc.unique(batch.column("kind")).to_pylist()
    terms = [_transactions(batch), np.array([kind_term(kind) for kind in kinds], np.uint64)]
    for kind, column in HASHED_COLUMNS:
        values = pc.unique(batch.column(column)).drop_null().to_pylist()
        encoded = [value if isinstance(value, bytes) else value.encode() for value in values]
        terms.append(np.array([hashed_term(kind, value) for value in encoded], np.uint64))
    distinct = np.unique(np.concatenate(terms))
    return Segment(number, number, distinct, np.full(len(distinct), number, np.uint32))


HASHED_COLUMNS: Final = (
    ("type", "topic0"),
    ("type", "event_type"),
    ("contract", "address"),
    ("producer", "producer"),
    ("task", "task"),
)
"""Columns whose values become terms, each with the kind under which it is looked for."""


def merge(segments: Sequence[Segment]) -> Segment:
    """Join segments that follow one another into one."""
    for left, right in itertools.pairwise(segments):
        assert left.last + 1 == right.first, (left.last, right.first)
    # Column by column, and no copy longer than it is needed: a merge is what takes the log's writer the most memory.
    # Stable: among equal terms the batches stay in their order.
    order = np.argsort(np.concatenate([each.terms for each in segments]), kind="stable").astype(np.uint32)
    terms = np.concatenate([each.terms for each in segments])[order]
    numbers = np.concatenate([each.batches for each in segments])[order]
    return Segment(segments[0].first, segments[-1].last, terms, numbers)


def add(cursor: Cursor[DictRow], added: Segment) -> None:
    """Store the segment of the next batch, and merge what has come to be ``FAN`` of one size."""
    span = 1
    while added.last % (span * FAN) == 0 and _mergeable(cursor, added, span):
        first = added.last - span * FAN + 1
        added = merge([*_load(cursor, first, added.first - 1), added])
        cursor.execute("DELETE FROM log.segment WHERE first_batch BETWEEN %s AND %s", (first, added.last))
        span *= FAN
    cursor.execute(
        "INSERT INTO log.segment (first_batch, last_batch, postings, terms, batches) VALUES (%s, %s, %s, %b, %b)",
        (
            added.first,
            added.last,
            len(added.terms),
            added.terms.astype(">u8").tobytes(),
            added.batches.astype(">u4").tobytes(),
        ),
    )


def batches_with(cursor: Cursor[DictRow], term: int, first: int, last: int, *, newest_first: bool) -> Iterator[int]:
    """Yield the numbers of the batches from ``first`` to ``last`` that may hold a term, in order."""
    cursor.execute(
        "SELECT first_batch, postings FROM log.segment WHERE last_batch >= %s AND first_batch <= %s"
        " ORDER BY first_batch",
        (first, last),
    )
    rows = cursor.fetchall()
    for row in reversed(rows) if newest_first else rows:
        found = _Packed(cursor, row["first_batch"], row["postings"]).batches_with(term)
        for number in reversed(found) if newest_first else found:
            if first <= number <= last:
                yield number


def batches_with_all(
    cursor: Cursor[DictRow], groups: Sequence[Sequence[int]], first: int, last: int, *, newest_first: bool
) -> Iterator[int]:
    """Yield, in order, the numbers of the batches that may hold a term of every group."""

    def search(term: int) -> Iterator[int]:
        # A cursor of its own, as the searches go on side by side.
        own = cursor.connection.cursor(row_factory=dict_row)
        return batches_with(own, term, first, last, newest_first=newest_first)

    searches = [heapq.merge(*map(search, group), reverse=newest_first) for group in groups]
    # A number counts when it has come from every group; within a group it may come several times.
    tagged = (zip(search, itertools.repeat(which)) for which, search in enumerate(searches))
    for number, together in itertools.groupby(heapq.merge(*tagged, reverse=newest_first), key=lambda pair: pair[0]):
        if len({which for _, which in together}) == len(groups):
            yield number


def last_batch(cursor: Cursor[DictRow]) -> int:
    """Return the newest batch that the segments know; 0 if they know none."""
    cursor.execute("SELECT coalesce(max(last_batch), 0) AS last FROM log.segment")
    row = cursor.fetchone()
    assert row is not None
    return int(row["last"])


def load(cursor: Cursor[DictRow]) -> Iterator[Segment]:
    """Yield every stored segment, oldest first."""
    cursor.execute("SELECT first_batch FROM log.segment ORDER BY first_batch")
    for row in cursor.fetchall():
        yield from _load(cursor, row["first_batch"], row["first_batch"])


class _Packed:
    """One stored segment, of which only pages are read."""

    def __init__(self, cursor: Cursor[DictRow], first_batch: int, postings: int) -> None:
        self._cursor = cursor
        self._first_batch = first_batch
        self._postings = postings

    def batches_with(self, term: int) -> list[int]:
        place = self._lower_bound(term)
        found: list[int] = []
        while place < self._postings:
            page = self._terms(place)
            equal = int(np.searchsorted(page, np.uint64(term), side="right"))
            found += self._batches(place, equal)
            place += equal
            if equal < len(page):
                break
        return found

    def _lower_bound(self, term: int) -> int:
        """Return the place of the first posting whose term is not below ``term``."""
        low, high = 0, self._postings
        # The terms are spread evenly, so the first guess is close; from there on by halves.
        guess = self._postings * term >> (8 * TERM_BYTES)
        while low < high:
            start = min(max(low, guess - PAGE_TERMS // 2), max(low, high - 1))
            page = self._terms(start)[: high - start]
            place = int(np.searchsorted(page, np.uint64(term), side="left"))
            if 0 < place < len(page):
                return start + place
            if place == 0:
                high = start
            else:
                low = start + len(page)
            guess = (low + high) // 2
        return low

    def _terms(self, start: int) -> _Terms:
        stored = self._slice("terms", start * TERM_BYTES, PAGE_TERMS * TERM_BYTES)
        return np.frombuffer(stored, ">u8").astype(np.uint64)

    def _batches(self, start: int, count: int) -> list[int]:
        stored = self._slice("batches", start * BATCH_BYTES, count * BATCH_BYTES)
        numbers: list[int] = np.frombuffer(stored, ">u4").tolist()
        return numbers

    def _slice(self, column: str, start: int, length: int) -> bytes:
        self._cursor.execute(
            # The column's name is ours, never a caller's.
            f"SELECT substring({column} FROM %s FOR %s) AS part FROM log.segment WHERE first_batch = %s".encode(),  # noqa: S608 (constant)
            (start + 1, length, self._first_batch),
        )
        row = self._cursor.fetchone()
        assert row is not None
        return bytes(row["part"])


def _transactions(batch: pa.RecordBatch) -> _Terms:
    column = batch.column("transaction_hash").drop_null()
    if len(column) == 0:
        return np.array([], np.uint64)
    width = column.type.byte_width
    hashes = np.frombuffer(column.buffers()[1], np.uint8)[column.offset * width :][: len(column) * width]
    heads = np.ascontiguousarray(hashes.reshape(-1, width)[:, :TERM_BYTES])
    return heads.view(">u8").reshape(-1).astype(np.uint64)


def _mergeable(cursor: Cursor[DictRow], added: Segment, span: int) -> bool:
    """Say whether the segments before one are of its size and, with it, not too large for one. None is read for it."""
    cursor.execute(
        "SELECT count(*) AS segments, sum(postings)::bigint AS postings,"
        " bool_and(last_batch - first_batch + 1 = %s) AS alike"
        " FROM log.segment WHERE first_batch BETWEEN %s AND %s",
        (span, added.last - span * FAN + 1, added.first - 1),
    )
    row = cursor.fetchone()
    assert row is not None
    whole = row["segments"] == FAN - 1 and bool(row["alike"])
    return whole and int(row["postings"]) + len(added.terms) <= POSTINGS_MAX


def _load(cursor: Cursor[DictRow], first: int, last: int) -> list[Segment]:
    cursor.execute(
        "SELECT * FROM log.segment WHERE first_batch BETWEEN %s AND %s ORDER BY first_batch",
        (first, last),
        # As text, every byte would travel, and be held, as two digits.
        binary=True,
    )
    return [
        Segment(
            row["first_batch"],
            row["last_batch"],
            np.frombuffer(row["terms"], ">u8").astype(np.uint64),
            np.frombuffer(row["batches"], ">u4").astype(np.uint32),
        )
        for row in cursor.fetchall()
    ]
