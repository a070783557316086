"""Proofs that stand alone: an entry, a key and this text are all that is needed, and no network (C2SP tlog-proof).

A proof holds the entry's index, the hashes that lead to the root, and the checkpoint that the log signed. The entry
itself is not in it: whoever verifies brings the bytes whose inclusion is in question.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from typing_extensions import override

from deepnode_ledger.errors import BadInput
from deepnode_ledger.transparency.checkpoint import Checkpoint, open_checkpoint
from deepnode_ledger.transparency.key import Verifier
from deepnode_ledger.transparency.line import (
    HASH_BYTES,
    SIZE_MAX,
    from_base64,
    hash_from_base64,
    number,
    text_of,
    to_base64,
)
from deepnode_ledger.transparency.note import NOTE_BYTES_MAX, NoteVerifier, NotSigned
from deepnode_ledger.transparency.tree import PROOF_HASHES_MAX, leaf_hash, verify_inclusion

HEADER: Final = "c2sp.org/tlog-proof@v1"
SUFFIX: Final = ".tlog-proof"
EXTRA_BYTES_MAX: Final = 64 * 1024
PROOF_BYTES_MAX: Final = NOTE_BYTES_MAX + 2 * EXTRA_BYTES_MAX


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """That an entry stands in a log: ``str()`` is the text of the proof.

    Attributes:
        index: the entry's index in the log, from 0.
        hashes: the leaf's sibling first, 32 bytes each.
        checkpoint: the note as the log published it.
        extra: bytes for an application's own use, which nothing authenticates; none if empty.

    Raises:
        BadInput: a number, a hash or the extra data out of its limits.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: str
    extra: bytes = b""

    def __post_init__(self) -> None:
        if not 0 <= self.index < SIZE_MAX:
            raise BadInput(f"an index is 0 to {SIZE_MAX - 1}, not {self.index}")
        if len(self.hashes) > PROOF_HASHES_MAX:
            raise BadInput(f"a proof has {PROOF_HASHES_MAX} hashes at most, not {len(self.hashes)}")
        if any(len(value) != HASH_BYTES for value in self.hashes):
            raise BadInput(f"a proof holds hashes of {HASH_BYTES} bytes")
        if len(self.extra) > EXTRA_BYTES_MAX:
            raise BadInput(f"the extra data may have {EXTRA_BYTES_MAX} bytes, not {len(self.extra)}")

    @override
    def __str__(self) -> str:
        extra = [f"extra {to_base64(self.extra)}"] if self.extra else []
        return "\n".join([HEADER, *extra, f"index {self.index}", *map(to_base64, self.hashes), "", self.checkpoint])

    def verify(
        self,
        entry: bytes,
        log: Verifier | Collection[Verifier],
        *,
        origin: str | None = None,
        witnesses: Collection[NoteVerifier] = (),
        quorum: int = 0,
    ) -> Checkpoint:
        """Check that the log has this entry at this index.

        Args:
            entry: the entry's bytes, of which the leaf is the hash.
            log: the log's key or keys.
            origin: the log's identity; the first key's name unless told otherwise.
            witnesses: the witnesses that are trusted.
            quorum: how many of them must have cosigned.

        Returns:
            The checkpoint in whose tree the entry is.

        Raises:
            NotSigned: no key of the log has signed the checkpoint, a trusted line does not verify, or too few
                witnesses. NotProven: the hashes do not lead from the entry to the checkpoint's root. BadInput: the
                checkpoint is malformed or of another origin.
        """
        opened = open_checkpoint(self.checkpoint, log, witnesses, origin=origin)
        if len(opened.cosignatures) < quorum:
            raise NotSigned(f"{quorum} witnesses must have cosigned, not {len(opened.cosignatures)}")
        verify_inclusion(leaf_hash(entry), self.index, opened.head.size, opened.head.root, self.hashes)
        return opened


def parse_proof(raw: bytes | str) -> InclusionProof:
    """Read the text of a proof. Nothing in it is to be believed before ``verify``.

    Raises:
        BadInput: too large, or a line that is missing or breaks its rule.
    """
    top, blank, checkpoint = text_of(raw, bytes_max=PROOF_BYTES_MAX, what="a proof").partition("\n\n")
    if not blank:
        raise BadInput("a proof has a blank line between its hashes and its checkpoint")
    header, *lines = top.split("\n")
    if header != HEADER:
        raise BadInput(f"a proof starts with the line {HEADER}, not {header!r:.80}")
    extra = b""
    if lines and lines[0].startswith("extra "):
        extra = from_base64(lines.pop(0).removeprefix("extra "), what="the extra data of a proof")
        if not extra:
            raise BadInput("a proof without extra data has no line for it")
    if not lines or not lines[0].startswith("index "):
        raise BadInput("a proof has an index line before its hashes")
    index, *hashes = lines
    if len(hashes) > PROOF_HASHES_MAX:
        raise BadInput(f"a proof has {PROOF_HASHES_MAX} hashes at most, not {len(hashes)}")
    return InclusionProof(
        number(index.removeprefix("index "), what="the index of a proof"),
        tuple(hash_from_base64(line, what="a hash of a proof") for line in hashes),
        checkpoint,
        extra,
    )
