"""The tree, rebuilt from the entries, beside every checkpoint that was signed.

This is what finds a change that was made everywhere at once: a signature cannot be adapted. A hand that holds the
database can rewrite each table so that all of them agree, but then the root is another one.
"""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from psycopg import Connection

from deepnode_ledger import leaf
from deepnode_ledger.errors import BadInput
from deepnode_ledger.fsck.difference import Findings, Report, shown
from deepnode_ledger.fsck.published import PublishedTree
from deepnode_ledger.fsck.rows import Rows
from deepnode_ledger.transparency import Edge, Verifier, leaf_hashes, note, open_checkpoint, parse_head


class SignedTree:
    """Grows the tree by what is sealed, and stops at the size of each checkpoint to compare."""

    def __init__(
        self,
        connection: Connection[Any],
        findings: Findings,
        report: Report,
        verifier: Verifier | None,
        published: PublishedTree | None,
    ) -> None:
        self.edge = Edge()
        self._connection = connection
        self._findings = findings
        self._report = report
        self._verifier = verifier
        self._published = published
        self._origin: str | None = None
        self._signed = Rows(connection, "SELECT size, root, note FROM log.checkpoint ORDER BY size")

    def add(self, batch: pa.RecordBatch) -> None:
        """Take in the entries that follow."""
        made = leaf.entries(batch)
        hashes = leaf_hashes(made)
        start = 0
        self._compare()
        while start < len(hashes):
            stop = min(len(hashes), start + self._room())
            self._grow(made[start:stop], hashes[start:stop])
            start = stop
            self._compare()

    def finish(self) -> None:
        """Compare what is left: checkpoints of more entries than there are, and cosignatures of none."""
        self._compare()
        for size, _, _ in self._signed:
            self._findings.note(f"log.checkpoint size {size}", f"a size up to {self.edge.size}, the sealed part", size)
        for size, name, key_id, line, signed in Rows(
            self._connection,
            "SELECT c.size, c.name, c.key_id, c.line, k.size IS NOT NULL FROM log.cosignature c"
            " LEFT JOIN log.checkpoint k USING (size) ORDER BY 1, 2, 3",
        ):
            where = f"log.cosignature size {size} of {name!r:.80}"
            if not signed:
                self._findings.note(where, "a checkpoint of that size", "none")
            try:
                keys = [each.key for each in note.parse_signatures(line)]
            except BadInput as error:
                self._findings.note(f"{where}: line", "a signature line", error)
                continue
            self._findings.compare(f"{where}: key in its line", [(name, key_id)], keys)

    def _room(self) -> int:
        """How many entries there are up to where the tree is next looked at."""
        stops = [self._signed.next[0]] if self._signed.next is not None else []
        if self._published is not None:
            stops.append(self._published.size)
        return min([stop - self.edge.size for stop in stops if stop > self.edge.size], default=2**63)

    def _grow(self, made: Sequence[bytes], hashes: Sequence[bytes]) -> None:
        self.edge, tiles = self.edge.extend(hashes)
        self._report.entries = self.edge.size
        if self._published is not None:
            self._published.add(made, tiles)
            if self.edge.size == self._published.size:
                self._published.expect(self.edge)

    def _compare(self) -> None:
        while self._signed.next is not None and self._signed.next[0] <= self.edge.size:
            size, root, text = self._signed.take()
            where = f"log.checkpoint size {size}"
            if size < self.edge.size:
                self._findings.note(where, "a size of 0 or more", size)
                continue
            self._report.checkpoints += 1
            self._findings.compare(f"{where}: root", self.edge.root, root)
            self._read(where, size, text)

    def _read(self, where: str, size: int, text: str) -> None:
        try:
            head = parse_head(note.parse(text).text)
        except BadInput as error:
            self._findings.note(f"{where}: note", "a signed checkpoint", error)
            return
        self._findings.compare(f"{where}: size in its note", size, head.size)
        self._findings.compare(f"{where}: root in its note", self.edge.root, head.root)
        try:
            if self._verifier is not None:
                open_checkpoint(text, self._verifier, origin=head.origin)
        except BadInput as error:
            self._findings.note(f"{where}: note", f"a signature by {self._verifier}", shown(error))
        if self._origin is None:
            self._origin = head.origin
        self._findings.compare(f"{where}: origin in its note", self._origin, head.origin)
