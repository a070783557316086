"""The access paths beside what the batches say: each segment is exactly the postings of its batches."""

from typing import Any

import numpy as np
import pyarrow as pa
from psycopg import Connection

from deepnode_ledger import segment
from deepnode_ledger.fsck.difference import Findings
from deepnode_ledger.fsck.rows import every, one
from deepnode_ledger.segment import BATCH_BYTES, POSTINGS_MAX, TERM_BYTES, Segment


class Segments:
    """Takes in the batches, and compares each segment once its last batch is there."""

    def __init__(self, connection: Connection[Any], findings: Findings) -> None:
        self._connection = connection
        self._findings = findings
        self._stored = every(
            connection,
            "SELECT first_batch, last_batch, postings, octet_length(terms), octet_length(batches) FROM log.segment"
            " ORDER BY first_batch",
        )
        self._covered = 0
        self._made: list[Segment] = []
        self._last = 0

    def add(self, number: int, batch: pa.RecordBatch) -> None:
        """Take in the batch that follows."""
        self._last = number
        self._drop_overlaps()
        if not self._stored or number < self._stored[0][0]:
            return
        first, last, postings, _, _ = self._stored[0]
        if first > self._covered + 1:
            self._gap(first - 1)
            self._covered = first - 1
        self._made.append(segment.of_batch(number, batch))
        if number < last and sum(len(each.terms) for each in self._made) <= POSTINGS_MAX:
            return
        where = f"log.segment first_batch {first}"
        if number < last:
            self._findings.note(f"{where}: last_batch", f"{number} at most, for {POSTINGS_MAX} postings", last)
        else:
            self._compare(where, segment.merge(self._made), postings)
        del self._stored[0]
        self._made = []
        self._covered = last

    def finish(self) -> None:
        """Say what no segment covers, and which one covers what is not there."""
        self._drop_overlaps()
        if self._stored:
            first, last, *_ = self._stored[0]
            self._findings.note(f"log.segment first_batch {first}: last_batch", f"{self._last} at most", last)
        elif self._covered < self._last:
            self._gap(self._last)

    def _drop_overlaps(self) -> None:
        while self._stored and not self._made:
            first, last, *_ = self._stored[0]
            if self._covered < first <= last:
                return
            where = f"log.segment first_batch {first}"
            self._findings.note(where, f"batches behind {self._covered}, upwards", f"batches {first} to {last}")
            del self._stored[0]

    def _gap(self, last: int) -> None:
        first = self._covered + 1
        self._findings.note(f"log.segment first_batch {first}", f"a segment of batches {first} to {last}", "none")

    def _compare(self, where: str, made: Segment, postings: int) -> None:
        _, _, _, terms_bytes, batches_bytes = self._stored[0]
        count = len(made.terms)
        same = self._findings.compare(f"{where}: postings", count, postings)
        same &= self._findings.compare(f"{where}: bytes of terms", count * TERM_BYTES, terms_bytes)
        same &= self._findings.compare(f"{where}: bytes of batches", count * BATCH_BYTES, batches_bytes)
        if not same:
            return
        row = one(self._connection, "SELECT terms, batches FROM log.segment WHERE first_batch = %s", (made.first,))
        assert row is not None, "the transaction sees one state"
        terms, numbers = np.frombuffer(row[0], ">u8"), np.frombuffer(row[1], ">u4")
        wrong = np.flatnonzero((terms != made.terms) | (numbers != made.batches))
        if len(wrong):
            at = int(wrong[0])
            self._findings.note(
                f"{where}, posting {at}",
                f"term {made.terms[at]:#018x} in batch {made.batches[at]}",
                f"term {int(terms[at]):#018x} in batch {numbers[at]}",
            )
