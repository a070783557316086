"""The verdict over a log that was faulted: nothing acknowledged is lost, nothing is invented, nothing signed is broken.

What the log may hold is told by a model: the acknowledged calls, and of the first one that was not, all or nothing.
"""

from collections.abc import Sequence
from pathlib import Path
from random import Random

import psycopg
import pyarrow as pa
from psycopg import IsolationLevel
from psycopg.rows import dict_row

from deepnode_ledger import leaf
from deepnode_ledger.errors import BadInput, TryAgain
from deepnode_ledger.fsck import fsck
from deepnode_ledger.publishing import PublishedFiles
from deepnode_ledger.snapshot import Snapshot
from deepnode_ledger.transparency import (
    Signer,
    TileHashes,
    consistency_proof,
    leaf_hashes,
    open_checkpoint,
    root_of,
    verify_consistency,
)
from tests.faults.forked_worker import Acknowledged, Job, Message, Refused
from tests.faults.log_calls import Call, Desk, LogState, Place, state_of

PROOFS = 3
"""Proofs of consistency for each case, from signed checkpoints chosen by the case's seed; all of them in the end."""


class Archive:
    """Every checkpoint that was ever seen signed, as an outsider keeps them: no later one may contradict them."""

    def __init__(self, place: Place) -> None:
        self._verifier = Signer.parse(place.signer).verifier
        self._files = PublishedFiles(Path(place.directory))
        self._signed: dict[int, bytes] = {}
        self._shown = 0

    def compare(self, view: Snapshot, read: Sequence[pa.RecordBatch], rng: Random | None) -> int:
        """Compare what is signed and shown now with all that was, and with the log; return the size that is shown."""
        cursor = view.connection.cursor(row_factory=dict_row)
        cursor.execute("SELECT size, root, note FROM log.checkpoint ORDER BY size")
        held = {row["size"]: bytes(row["root"]) for row in cursor.fetchall() if self._is_genuine(**row)}
        lost = {size: root for size, root in self._signed.items() if held.get(size) != root}
        assert not lost, f"signed and not in the table any more: {sorted(lost)}"
        new = held.keys() - self._signed.keys()
        leaves = [each for batch in read for each in leaf_hashes(leaf.entries(batch))] if new else []
        for size in new:
            assert size <= view.head.sealed_position, f"size {size} is signed, and not all of it is sealed"
            assert root_of(leaves[:size]) == held[size], f"the signed root of size {size} is not that of the entries"
        self._signed = held
        self._compare_files(held, rng)
        return self._shown

    def _is_genuine(self, size: int, root: bytes, note: str) -> bool:
        head = open_checkpoint(note, self._verifier).head
        assert (head.size, head.root) == (size, root), head
        return True

    def _compare_files(self, held: dict[int, bytes], rng: Random | None) -> None:
        text = self._files.checkpoint()
        if text is None:
            assert self._shown == 0, "the published checkpoint has vanished"
            return
        head = open_checkpoint(text, self._verifier).head
        assert held.get(head.size) == head.root, f"size {head.size} was published before it was stored"
        assert head.size >= self._shown, f"size {self._shown} was published, now it is {head.size}"
        self._shown = head.size
        hashes = TileHashes(head.size, self._files.read_tile)
        assert hashes.root == head.root, "the tiles do not lead to the published root"
        older = sorted(size for size in held if 0 < size < head.size)
        for size in rng.sample(older, min(PROOFS, len(older))) if rng else older:
            proof = consistency_proof(size, head.size, hashes)
            verify_consistency(size, held[size], head.size, head.root, proof)


class Judge:
    """Knows what a log must hold, and compares it with what it does hold, from its first call to its last."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.state = LogState()
        self._archive = Archive(place)
        self._verifier = Signer.parse(place.signer).verifier

    def judge(self, job: Job, messages: Sequence[Message], rng: Random) -> None:
        """Judge what a worker left, then let a fresh writer repeat what was not acknowledged.

        What that makes of the log is judged with the next case, or at the end.
        """
        calls = (*job.prepare, *job.calls)
        done = self._acknowledged(job, messages)
        found = self._read(rng)
        possible = [self.state]
        if done < len(calls):
            possible.append(calls[done].after(self.state))
        assert found in possible, f"after {done} acknowledged calls: {_difference(possible, found)}"
        if done < len(calls):
            self._repeat(calls[done:], found)

    def close(self) -> None:
        """Judge what is left in the end, and the newest checkpoint against every other one that was ever signed."""
        found = self._read(None)
        assert found == self.state, f"in the end: {_difference([self.state], found)}"

    def _acknowledged(self, job: Job, messages: Sequence[Message]) -> int:
        """Follow what the worker said, and return how many calls were surely carried out."""
        calls = (*job.prepare, *job.calls)
        last = messages[-1]
        assert not (job.persistent and isinstance(last, Refused)), f"refused again and again:\n{last}"
        done = 0
        for message in messages:
            if isinstance(message, Refused):
                # A call that is refused when it is repeated was carried out before, and its answer was lost.
                again = message.attempt > 1 and message.family == BadInput.__name__
                assert again or message.family == TryAgain.__name__, f"no error of ours:\n{message.text}"
                assert message.message, f"an error without a message:\n{message.text}"
                if not again:
                    continue
            elif not isinstance(message, Acknowledged):
                continue
            assert message.number == done, message
            after = calls[done].after(self.state)
            if isinstance(message, Acknowledged) and message.attempt == 1:
                calls[done].check(message.answer, self.state, after)
            self.state = after
            done += 1
        return done

    def _repeat(self, calls: Sequence[Call], found: LogState) -> None:
        """Make calls of which the first may have been carried out: then it changes nothing more, or is refused."""
        desk = Desk(self.place)
        try:
            for call in calls:
                self.state = call.after(self.state)
                try:
                    call.make(desk)
                except BadInput:
                    assert found == self.state, f"{call} was refused, and had not been carried out"
        finally:
            desk.close()

    def _read(self, rng: Random | None) -> LogState:
        with psycopg.connect(self.place.url, row_factory=dict_row) as connection:
            connection.isolation_level = IsolationLevel.REPEATABLE_READ
            view = Snapshot(connection)
            read = list(view.read(1))
            found = state_of(view, read)
            shown = self._archive.compare(view, read, rng)
            differences = list(fsck(connection, directory=self.place.directory, verifier=self._verifier))
        assert differences == [], "fsck: " + "\n".join(map(str, differences))
        assert shown <= found.signed
        return found


def _difference(possible: Sequence[LogState], found: LogState) -> str:
    lines = []
    for state in possible:
        names = [name for name in LogState.__slots__ if getattr(state, name) != getattr(found, name)]
        wrong = [f"{name}: {_short(getattr(state, name))}, not {_short(getattr(found, name))}" for name in names]
        lines.append("\n".join(wrong))
    return "\nor\n".join(lines)


def _short(value: object) -> str:
    return f"{len(value)}: …{value[-6:]}" if isinstance(value, tuple) else repr(value)
