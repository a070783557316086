"""Cosignatures: a witness says that at a time it saw this tree, and that it only grew (C2SP tlog-cosignature).

Only the Ed25519 form ``cosignature/v1`` is known here (signature type 0x04). Lines of other forms and of unknown
witnesses are neither an error nor of any weight: they are skipped.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar, Final

from typing_extensions import override

from deepnode_ledger.errors import BadInput
from deepnode_ledger.transparency.checkpoint import parse_head
from deepnode_ledger.transparency.key import SIGNATURE_BYTES, SecretKey, Verifier
from deepnode_ledger.transparency.line import SIZE_MAX
from deepnode_ledger.transparency.note import Note, Signature, parse, parse_signatures, verify

TIME_BYTES: Final = 8
COSIGNATURE_BYTES: Final = TIME_BYTES + SIGNATURE_BYTES
# POSIX seconds; 2**63 - 1 is the format's own limit.
TIME_SECONDS_MAX: Final = SIZE_MAX


@dataclass(frozen=True, slots=True)
class Witness(Verifier):
    """A witness whose cosignatures are believed: a name and an Ed25519 public key (type 0x04)."""

    TYPE: ClassVar[int] = 0x04

    @override
    def verifies(self, text: str, signature: bytes) -> bool:
        """Whether the bytes of a signature line, a time and a signature, cosign this checkpoint's text."""
        if len(signature) != COSIGNATURE_BYTES:
            return False
        time_seconds = int.from_bytes(signature[:TIME_BYTES], "big")
        if not 0 < time_seconds <= TIME_SECONDS_MAX:
            return False
        return self._signed(message(text, time_seconds), signature[TIME_BYTES:])


class WitnessSigner(SecretKey):
    """Who cosigns checkpoints. The same key must not sign anything else, not even under another name."""

    __slots__ = ()
    VERIFIER: ClassVar[type[Verifier]] = Witness

    def cosign(self, text: str, time_seconds: int) -> Signature:
        """The line by which this witness says that it saw this checkpoint, and nothing larger, at a time.

        Args:
            text: the checkpoint's text, with its last newline and without signatures.
            time_seconds: POSIX seconds.

        Raises:
            BadInput: the text is no checkpoint, or the time is not from 1 to 2**63 - 1.
        """
        parse_head(text)
        if not 0 < time_seconds <= TIME_SECONDS_MAX:
            raise BadInput(f"the time of a cosignature is 1 to {TIME_SECONDS_MAX} seconds, not {time_seconds}")
        signed = self._sign(message(text, time_seconds))
        return Signature(self.name, self.key_id, time_seconds.to_bytes(TIME_BYTES, "big") + signed)


def message(text: str, time_seconds: int) -> bytes:
    """What a witness signs: a header, the time, and the checkpoint's text."""
    return f"cosignature/v1\ntime {time_seconds}\n{text}".encode()


def time_of(cosignature: Signature) -> int:
    """When a cosignature was made, POSIX seconds. To be asked of a verified one.

    Raises:
        BadInput: another length than a cosignature's.
    """
    if len(cosignature.signature) != COSIGNATURE_BYTES:
        raise BadInput(f"a cosignature has {COSIGNATURE_BYTES} bytes, not {len(cosignature.signature)}")
    return int.from_bytes(cosignature.signature[:TIME_BYTES], "big")


def add_cosignatures(checkpoint: bytes | str, lines: bytes | str, witnesses: Collection[Verifier]) -> Note:
    """A checkpoint with the lines that witnesses answered; the caller has verified that the log signed it.

    Args:
        checkpoint: the note as it is.
        lines: a witness's answer, or several joined.
        witnesses: whose lines are taken; those of others are left out.

    Returns:
        The note with each witness's line behind those that were there; it takes the place of an older one of that
        witness.

    Raises:
        NotSigned: a line that bears a known witness's name and id does not verify.
        BadInput: the note or the lines are malformed.
    """
    note = parse(checkpoint)
    parse_head(note.text)
    new = verify(note.text, parse_signatures(lines), witnesses)
    replaced = {line.key for line in new}
    kept = tuple(line for line in note.signatures if line.key not in replaced)
    return parse(str(Note(note.text, kept + new)))
