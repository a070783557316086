"""Checkpoints: what a log says its tree is, as a signed note (C2SP tlog-checkpoint).

Only a signature by one of the log's own keys makes a checkpoint: a witness that vouches for it adds to that and never
stands in for it. Extension lines, which other logs may have, are kept as they are and mean nothing here.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from typing_extensions import override

from deepnode_ledger.errors import BadInput
from deepnode_ledger.transparency import note
from deepnode_ledger.transparency.key import Verifier
from deepnode_ledger.transparency.line import HASH_BYTES, SIZE_MAX, hash_from_base64, number, text_of, to_base64
from deepnode_ledger.transparency.tree import EMPTY_ROOT

TEXT_BYTES_MAX: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class TreeHead:
    """A log's tree: ``str()`` is the text of its checkpoint.

    Attributes:
        origin: the log's identity, one line.
        size: the number of leaves.
        root: the root over them, 32 bytes.
        extensions: further lines, opaque.

    Raises:
        BadInput: an empty line or one with a control character, a size out of range, a root of another length, or one
            of an empty tree that is not the hash of nothing.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for line in (self.origin, *self.extensions):
            if not line or "\n" in text_of(line, bytes_max=TEXT_BYTES_MAX, what="a line of a checkpoint"):
                raise BadInput(f"a line of a checkpoint is not empty and is one line, not {line!r:.80}")
        if not 0 <= self.size <= SIZE_MAX:
            raise BadInput(f"a tree has 0 to {SIZE_MAX} leaves, not {self.size}")
        if len(self.root) != HASH_BYTES:
            raise BadInput(f"a root has {HASH_BYTES} bytes, not {len(self.root)}")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise BadInput(f"the root of the empty tree is {EMPTY_ROOT.hex()}, not {self.root.hex()}")

    @override
    def __str__(self) -> str:
        return "".join(f"{line}\n" for line in (self.origin, self.size, to_base64(self.root), *self.extensions))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head that its log has signed, and the witnesses among the trusted ones that have cosigned it."""

    head: TreeHead
    signed: note.Note
    log_signatures: tuple[note.Signature, ...]
    cosignatures: tuple[note.Signature, ...]

    @override
    def __str__(self) -> str:
        return str(self.signed)


def parse_head(text: str) -> TreeHead:
    """Read the text of a checkpoint.

    Raises:
        BadInput: too long, fewer than three lines, or a line that breaks its rule.
    """
    lines = text_of(text, bytes_max=TEXT_BYTES_MAX, what="a checkpoint").split("\n")
    if len(lines) < 4 or lines.pop():
        raise BadInput(f"a checkpoint has an origin, a size and a root, each ended by a newline, not {text!r:.80}")
    origin, size, root, *extensions = lines
    what = "of a checkpoint"
    return TreeHead(
        origin,
        number(size, what=f"the size {what}"),
        hash_from_base64(root, what=f"the root {what}"),
        tuple(extensions),
    )


def sign_head(head: TreeHead, signers: Collection[note.NoteSigner]) -> note.Note:
    """Sign a tree head. ``str()`` of the note is what is stored and served.

    Raises:
        BadInput: no signer, or too many.
    """
    return note.sign(str(head), signers)


def open_checkpoint(
    raw: bytes | str,
    log: Verifier | Collection[Verifier],
    witnesses: Iterable[note.NoteVerifier] = (),
    *,
    origin: str | None = None,
) -> Checkpoint:
    """Verify a checkpoint.

    Args:
        raw: the note.
        log: the log's key, or its keys, one of which must have signed.
        witnesses: keys of witnesses whose cosignatures are verified and returned; none of them has to be there.
        origin: the log's identity; the first key's name unless told otherwise.

    Raises:
        NotSigned: no key of the log has signed, or a trusted key's line does not verify.
        BadInput: malformed, of another origin, or no key given.
    """
    keys: tuple[note.NoteVerifier, ...] = (log,) if isinstance(log, Verifier) else tuple(log)
    if not keys:
        raise BadInput("a checkpoint is opened with at least one key of its log")
    expected = keys[0].name if origin is None else origin
    opened = note.parse(raw)
    signatures = note.verify(opened.text, opened.signatures, keys)
    if not signatures:
        raise note.NotSigned(f"the checkpoint is not signed by {', '.join(key.name for key in keys)}")
    head = parse_head(opened.text)
    if head.origin != expected:
        raise BadInput(f"the checkpoint's origin must be {expected!r:.80}, not {head.origin!r:.80}")
    return Checkpoint(head, opened, signatures, note.verify(opened.text, opened.signatures, witnesses))
