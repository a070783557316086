"""The publisher: follows the sealed log, grows its tree, signs checkpoints, and publishes all of it as static files.

A checkpoint is a promise that can never be taken back, so a round goes in this order: tiles and bundles are durable;
the new tree is proven from those files to continue the last signed one; the checkpoint is signed and committed to
``log.checkpoint``; witnesses are asked; the file ``checkpoint`` is replaced. A crash anywhere leaves what the next
round goes on from. Whatever does not fit (a table older than the directory, a file that was changed, a tree that is no
continuation) is refused, and then nothing is signed and nothing overwritten.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import psycopg

from deepnode_ledger.database import database_errors, open_datastore
from deepnode_ledger.errors import BadInput, Damaged
from deepnode_ledger.head import load_head
from deepnode_ledger.log import CHANNEL
from deepnode_ledger.polled_subscription import POLL_SECONDS
from deepnode_ledger.publishing import signed
from deepnode_ledger.publishing.directory import CHECKPOINT, Directory
from deepnode_ledger.publishing.growth import Growth, resume, sealed_leaves
from deepnode_ledger.publishing.signed import SignedCheckpoint
from deepnode_ledger.publishing.witnessing import Witnesses, WitnessFault
from deepnode_ledger.schema import create_log
from deepnode_ledger.standing import reading
from deepnode_ledger.subscription import listen, wait_for_hint
from deepnode_ledger.transparency import (
    EMPTY_ROOT,
    Edge,
    NotProven,
    Signature,
    Signer,
    TileHashes,
    TreeHead,
    add_cosignatures,
    consistency_proof,
    open_checkpoint,
    sign_head,
    verify_consistency,
)

ROUND_ENTRIES: Final = 1_048_576
"""Entries in one round, so that a long backfill gets checkpoints on its way."""


@dataclass(frozen=True, slots=True)
class Published:
    """What a round did.

    Attributes:
        head: the newest tree head that is signed.
        note: its checkpoint, with the cosignatures that there are.
        entries: how many entries it holds more than the one before; 0 if it was signed in an earlier round.
        behind: sealed entries that wait for the next round.
        cosigned: names of the witnesses that have cosigned it.
        public: whether readers see it: not while too few witnesses have cosigned.
        faults: witnesses that were asked in this round and did not cosign.
    """

    head: TreeHead
    note: str
    entries: int
    behind: int
    cosigned: tuple[str, ...]
    public: bool
    faults: tuple[WitnessFault, ...]


class Publisher:
    """Publishes one log into one directory. ``open`` it, or use it in a ``with`` block.

    Args:
        url: of the log's database.
        directory: where the files go; it is made if it is missing.
        signer: the log's key.
        origin: the log's identity in its checkpoints; the key's name unless told otherwise.
        witnesses: who is asked to cosign.
        quorum: how many of them must have cosigned before readers see a checkpoint.
        round_entries: entries in one round.

    Raises:
        BadInput: a quorum of more witnesses than there are.
    """

    def __init__(
        self,
        url: str,
        directory: Path | Directory,
        signer: Signer,
        *,
        origin: str | None = None,
        witnesses: Witnesses | None = None,
        quorum: int = 0,
        round_entries: int = ROUND_ENTRIES,
    ) -> None:
        assert round_entries >= 1, round_entries
        self._url = url
        self._datastore = open_datastore(url, pool_size=1)
        self._directory = directory if isinstance(directory, Directory) else Directory(directory)
        self._signer = signer
        self._origin = signer.name if origin is None else origin
        self._witnesses = Witnesses([]) if witnesses is None else witnesses
        if not 0 <= quorum <= len(self._witnesses.services):
            raise BadInput(f"of {len(self._witnesses.services)} witnesses, {quorum} cannot have cosigned")
        self._quorum = quorum
        self._round_entries = round_entries

    def open(self) -> Self:
        """Lock the directory, and bring the log's tables up to date.

        Raises:
            TryAgain: another publisher works in the directory, or the database is away.
            BadInput: the directory may not be written, or the tables are newer than this program.
        """
        self._directory.open()
        try:
            create_log(self._datastore)
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """Leave the directory to others, and the database."""
        self._directory.close()
        self._datastore.close()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()

    def publish(self) -> Published | None:
        """Do one round: publish what is sealed behind the newest checkpoint, and what an earlier round left undone.

        Returns:
            What was done, or None if there was nothing to do.

        Raises:
            Damaged: a file or a batch is not what was written; the message names it.
            BadInput: the database, the directory and the key are not of one log, or one is an older copy.
            TryAgain: the database is away, the disk is full, or another publisher was quicker.
        """
        with database_errors(self._url):
            newest, sealed = self._stand()
            shown = self._shown(newest)
            if newest is not None and (shown is None or shown.size < newest.size):
                # A crash came between the commit and the file, or witnesses were missing; or the files are behind.
                self._catch_up(newest, shown)
                self._show(newest)
            entries = min(sealed - (newest.size if newest else 0), self._round_entries)
            if entries:
                newest = self._grow(newest, entries)
            if newest is None:
                return None
            published, asked = self._witness(newest, entries, sealed - newest.size)
            same = self._directory.checkpoint() == (shown.note if shown else None)
            return None if same and not entries and not asked else published

    def refill(self) -> None:
        """Write every file that is missing anew from the log, and compare all others with it.

        Every checkpoint that was ever signed is compared with the tree on the way. No file is overwritten.

        Raises:
            Damaged: a file, or a signed checkpoint, is not what the log makes; the message names it.
            BadInput: the database, the directory and the key are not of one log, or one is an older copy.
            TryAgain: the database is away, or the disk is full.
        """
        with database_errors(self._url):
            newest, _ = self._stand()
            self._shown(newest)
            if newest is not None:
                self._regrow(Growth(Edge(), [], self._directory), newest)

    def follow(self, stop: threading.Event) -> Iterator[Published]:
        """Publish as the log is sealed, until told to stop; yield what the rounds did.

        Raises:
            as ``publish``.
        """
        with database_errors(self._url), psycopg.connect(self._url, autocommit=True) as listener:
            listen(listener, CHANNEL)
            while not stop.is_set():
                published = self.publish()
                if published is not None:
                    yield published
                wait_for_hint(listener, 0 if published is not None and published.behind else POLL_SECONDS)

    def _stand(self) -> tuple[SignedCheckpoint | None, int]:
        """Return the newest signed checkpoint, which must be ours, and how far the log is sealed."""
        with reading(self._datastore) as cursor:
            newest = signed.newest(cursor)
            sealed = load_head(cursor).sealed_position
        if newest is None:
            return None, sealed
        try:
            head = self._opened(newest.note)
        except BadInput as error:
            raise BadInput(
                f"{error}: the database's newest, of size {newest.size}. Go on with the key that signed it, "
                "or is this another log's database? Nothing was signed"
            ) from error
        if (head.size, head.root) != (newest.size, newest.root):
            raise Damaged(f"log.checkpoint holds size {newest.size} with the note of another one, of {head.size}")
        if sealed < newest.size:
            raise BadInput(
                f"size {newest.size} is signed, and the log is sealed up to {sealed}: "
                "was the database restored from an older copy? Nothing was signed"
            )
        return newest, sealed

    def _shown(self, newest: SignedCheckpoint | None) -> SignedCheckpoint | None:
        """Return the checkpoint that readers see; it must be one that the table holds."""
        path = self._directory.path / CHECKPOINT
        text = self._directory.checkpoint()
        if text is None:
            return None
        try:
            head = self._opened(text)
        except BadInput as error:
            raise Damaged(
                f"{path} is no checkpoint of {self._origin} ({error}): changed by hand, or another log's directory? "
                "Once the file is moved away, the newest signed one takes its place"
            ) from error
        size = newest.size if newest else 0
        if head.size > size:
            raise BadInput(
                f"{path} shows size {head.size}, and the newest that the database has signed is {size}: "
                "was the database restored from an older copy, or is this another log's directory? Nothing was signed"
            )
        with reading(self._datastore) as cursor:
            held = signed.at(cursor, head.size)
        if held is None or held.root != head.root:
            raise BadInput(
                f"{path} shows size {head.size} with the root {head.root.hex()}, the database has signed "
                f"{'nothing there' if held is None else held.root.hex()}: "
                "was the database restored from an older copy, or is this another log's directory? Nothing was signed"
            )
        return SignedCheckpoint(head.size, head.root, text)

    def _grow(self, newest: SignedCheckpoint | None, entries: int) -> SignedCheckpoint:
        """Take the next entries into the tree, and sign and store its checkpoint."""
        old = SignedCheckpoint(0, EMPTY_ROOT, "") if newest is None else newest
        size = old.size + entries
        growth = resume(self._directory, old.size, old.root)
        for leaves in sealed_leaves(self._datastore, old.size + 1, size):
            growth.add(leaves)
        growth.put_partials(size)
        self._directory.sync()
        head = TreeHead(self._origin, size, growth.edge.root)
        self._prove(old, head)
        note = str(sign_head(head, [self._signer]))
        with self._datastore.transaction(commit=True) as cursor:
            return signed.add(cursor, head, note, behind=old.size)

    def _prove(self, old: SignedCheckpoint, head: TreeHead) -> None:
        """Check, from the files as they are, that the tree continues the last signed one."""
        hashes = TileHashes(head.size, self._directory.read_tile)
        what = f"the tiles in {self._directory.path} do not make size {head.size} a continuation of size {old.size}"
        then = "Nothing was signed; run `deepnode log fsck`"
        if hashes.root != head.root:
            raise Damaged(f"{what}: they lead to {hashes.root.hex()}, the log to {head.root.hex()}. {then}")
        proof = consistency_proof(old.size, head.size, hashes)
        try:
            verify_consistency(old.size, old.root, head.size, head.root, proof)
        except NotProven as error:
            raise Damaged(f"{what}: {error}. {then}") from error

    def _catch_up(self, newest: SignedCheckpoint, shown: SignedCheckpoint | None) -> None:
        """Make sure that the files of the newest checkpoint are there before readers see it.

        They are not if the directory was lost or is an older copy, or if the checkpoint was signed on another machine.
        """
        try:
            resume(self._directory, newest.size, newest.root)
        except Damaged:
            lost = Growth(Edge(), [], self._directory)
            self._regrow(lost if shown is None else resume(self._directory, shown.size, shown.root), newest)

    def _regrow(self, growth: Growth, newest: SignedCheckpoint) -> None:
        """Write what is missing up to the newest checkpoint; compare the tree with each that was signed on the way."""
        while growth.edge.size < newest.size:
            with reading(self._datastore) as cursor:
                page = signed.page_behind(cursor, growth.edge.size)
            for each in page:
                for leaves in sealed_leaves(self._datastore, growth.edge.size + 1, each.size):
                    growth.add(leaves)
                if growth.edge.root != each.root:
                    raise Damaged(
                        f"the log's first {each.size} entries have the root {growth.edge.root.hex()}, signed is "
                        f"{each.root.hex()}: entries were changed since. Nothing was published; run `deepnode log fsck`"
                    )
                growth.put_partials(newest.size)
        self._directory.sync()
        self._prove(newest, TreeHead(self._origin, newest.size, newest.root))

    def _witness(self, newest: SignedCheckpoint, entries: int, behind: int) -> tuple[Published, bool]:
        """Ask the witnesses who have not cosigned yet, if it is time, and show the checkpoint if enough have."""
        head = TreeHead(self._origin, newest.size, newest.root)
        faults: list[WitnessFault] = []
        services = self._witnesses.due(self._cosigned(newest)[1])
        if services:
            with reading(self._datastore) as cursor:
                seen = signed.last_cosigned(cursor, [each.key for each in services])
            lines, faults = self._witnesses.ask(
                services, head, newest.note, seen, lambda: TileHashes(newest.size, self._directory.read_tile)
            )
            with self._datastore.transaction(commit=True) as cursor:
                signed.add_cosignatures(cursor, newest.size, lines)
        public, note, cosignatures = self._show(newest)
        names = tuple(line.name for line in cosignatures)
        return Published(head, note, entries, behind, names, public, tuple(faults)), bool(services)

    def _show(self, newest: SignedCheckpoint) -> tuple[bool, str, Sequence[Signature]]:
        """Let readers see a checkpoint, if enough witnesses have cosigned it."""
        note, cosignatures = self._cosigned(newest)
        if len(cosignatures) < self._quorum:
            return False, note, cosignatures
        shown = self._directory.checkpoint()
        if shown != note:
            self._directory.replace_checkpoint(note)
            since = 0 if shown is None else self._opened(shown).size
            self._directory.forget_partials(newest.size, since)
        return True, note, cosignatures

    def _cosigned(self, newest: SignedCheckpoint) -> tuple[str, Sequence[Signature]]:
        """Return a checkpoint with the stored lines of the witnesses, and those lines."""
        keys = [each.key for each in self._witnesses.services]
        with reading(self._datastore) as cursor:
            lines = signed.cosignatures(cursor, newest.size) if keys else ""
        if not lines:
            return newest.note, ()
        try:
            note = str(add_cosignatures(newest.note, lines, keys))
            return note, open_checkpoint(note, self._signer.verifier, keys, origin=self._origin).cosignatures
        except BadInput as error:
            raise Damaged(f"log.cosignature holds for size {newest.size} what was never verified: {error}") from error

    def _opened(self, note: str) -> TreeHead:
        return open_checkpoint(note, self._signer.verifier, origin=self._origin).head
