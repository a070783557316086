"""What a log and a witness say to each other, as bytes: the request ``add-checkpoint`` (C2SP tlog-witness).

The log shows its new checkpoint and the proof that the tree which the witness saw last is a prefix of it. Sending and
answering is not done here.
"""

from dataclasses import dataclass
from typing import Final

from typing_extensions import override

from deepnode_ledger.errors import BadInput
from deepnode_ledger.transparency.line import HASH_BYTES, SIZE_MAX, hash_from_base64, number, text_of, to_base64
from deepnode_ledger.transparency.note import NOTE_BYTES_MAX
from deepnode_ledger.transparency.tree import PROOF_HASHES_MAX

REQUEST_BYTES_MAX: Final = NOTE_BYTES_MAX + 4096
# The type of the answer 409, whose body is the size that the witness saw last.
SIZE_CONTENT_TYPE: Final = "text/x.tlog.size"
SIZE_BYTES_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """The request: ``str()`` is its body.

    Attributes:
        old_size: of the tree that the witness saw last; 0 if it never saw this log.
        proof: the consistency proof from there to the checkpoint; empty for an old size of 0.
        checkpoint: the note, signed by the log.

    Raises:
        BadInput: a size or a hash out of its limits, more than 63 hashes, or any of them for an old size of 0.
    """

    old_size: int
    proof: tuple[bytes, ...]
    checkpoint: str

    def __post_init__(self) -> None:
        if not 0 <= self.old_size <= SIZE_MAX:
            raise BadInput(f"the old size is 0 to {SIZE_MAX}, not {self.old_size}")
        if len(self.proof) > (PROOF_HASHES_MAX if self.old_size else 0):
            raise BadInput(f"a proof from size {self.old_size} cannot have {len(self.proof)} hashes")
        if any(len(value) != HASH_BYTES for value in self.proof):
            raise BadInput(f"a consistency proof holds hashes of {HASH_BYTES} bytes")

    @override
    def __str__(self) -> str:
        return "\n".join([f"old {self.old_size}", *map(to_base64, self.proof), "", self.checkpoint])


def parse_add_checkpoint(raw: bytes | str) -> AddCheckpoint:
    """Read the body of a request; the checkpoint in it is as unbelievable as any note.

    Raises:
        BadInput: too large, or a line that is missing or breaks its rule.
    """
    top, blank, checkpoint = text_of(raw, bytes_max=REQUEST_BYTES_MAX, what="the request").partition("\n\n")
    old, *hashes = top.split("\n")
    if not blank or not old.startswith("old "):
        raise BadInput("the request has an old size line, proof lines, a blank line and a checkpoint")
    if len(hashes) > PROOF_HASHES_MAX:
        raise BadInput(f"a consistency proof has {PROOF_HASHES_MAX} hashes at most, not {len(hashes)}")
    return AddCheckpoint(
        number(old.removeprefix("old "), what="the old size"),
        tuple(hash_from_base64(line, what="a hash of a consistency proof") for line in hashes),
        checkpoint,
    )


def parse_size(raw: bytes | str) -> int:
    """Read the body of the answer 409: the size of the tree that the witness saw last.

    Raises:
        BadInput: not a decimal and a newline.
    """
    text = text_of(raw, bytes_max=SIZE_BYTES_MAX, what="the witness's size")
    if not text.endswith("\n"):
        raise BadInput(f"the witness's size ends in a newline: {text!r}")
    return number(text[:-1], what="the witness's size")
