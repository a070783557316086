"""Signed notes: a text and the lines of those who signed it (C2SP signed-note).

The text means nothing until a key that the reader trusts is found to have signed it. Signatures by unknown keys are
skipped; a wrong one by a known key refuses the whole note, as does a note that none of the known keys has signed.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from typing_extensions import override

from deepnode_ledger.errors import BadInput
from deepnode_ledger.transparency.key import KEY_ID_BYTES, check_name
from deepnode_ledger.transparency.line import from_base64, text_of, to_base64

NOTE_BYTES_MAX: Final = 1_000_000
SIGNATURES_MAX: Final = 100
# An ML-DSA-44 cosignature has 2 428 bytes; the largest signature of any known kind stays below this.
SIGNATURE_BYTES_MAX: Final = 16 * 1024

_DASH: Final = "— "


class NotSigned(BadInput):
    """No trusted key has signed the note, or what bears a trusted key's name is not its signature."""


class NoteVerifier(Protocol):
    """A key that is trusted: ``key.Verifier`` for a log, ``cosignature.Witness`` for a witness."""

    @property
    def name(self) -> str:
        """The name in its signature lines."""
        ...

    @property
    def key_id(self) -> bytes:
        """The four bytes that name the key in its signature lines."""
        ...

    def verifies(self, text: str, signature: bytes) -> bool:
        """Whether these bytes sign this text."""
        ...


class NoteSigner(Protocol):
    """A key that signs: ``key.Signer`` for a log, or a witness at one moment."""

    @property
    def name(self) -> str:
        """The name in its signature lines."""
        ...

    @property
    def key_id(self) -> bytes:
        """The four bytes that name the key in its signature lines."""
        ...

    def sign(self, text: str) -> bytes:
        """The bytes that sign this text."""
        ...


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: the key's name and id, and the bytes behind them. ``str()`` is the line with its newline.

    Raises:
        BadInput: a name that no key may have, an id that has not 4 bytes, or an empty or too long signature.
    """

    name: str
    key_id: bytes
    signature: bytes

    def __post_init__(self) -> None:
        check_name(self.name)
        if len(self.key_id) != KEY_ID_BYTES:
            raise BadInput(f"a key id has {KEY_ID_BYTES} bytes, not {len(self.key_id)}")
        if not 1 <= len(self.signature) <= SIGNATURE_BYTES_MAX:
            raise BadInput(f"a signature has 1 to {SIGNATURE_BYTES_MAX} bytes, not {len(self.signature)}")

    @property
    def key(self) -> tuple[str, bytes]:
        """What identifies the key: name and id together."""
        return self.name, self.key_id

    @override
    def __str__(self) -> str:
        return f"{_DASH}{self.name} {to_base64(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text that ends in a newline, and signature lines that nobody has verified. ``str()`` is the whole note."""

    text: str
    signatures: tuple[Signature, ...]

    @override
    def __str__(self) -> str:
        return f"{self.text}\n{''.join(map(str, self.signatures))}"


@dataclass(frozen=True, slots=True)
class Opened:
    """A note that trusted keys have signed.

    ``verified`` holds one signature of each trusted key that signed, in the note's order; a quorum may be counted on
    it.
    """

    note: Note
    verified: tuple[Signature, ...]

    @property
    def text(self) -> str:
        """The signed text, with its last newline."""
        return self.note.text

    def signed_by(self, verifier: NoteVerifier) -> Signature | None:
        """The signature that this trusted key made, if it did."""
        return next((line for line in self.verified if line.key == (verifier.name, verifier.key_id)), None)


def parse(raw: bytes | str) -> Note:
    """Take a note apart. Nothing in it is to be believed before ``open_note``.

    Raises:
        BadInput: too large, not UTF-8, a control character, no blank line, or a signature line that is malformed, or
            more than 100 of them.
    """
    whole = text_of(raw, bytes_max=NOTE_BYTES_MAX, what="a note")
    body, blank, lines = whole.rpartition("\n\n")
    if not blank:
        raise BadInput("a note has a blank line between its text and its signatures")
    return Note(f"{body}\n", parse_signatures(lines))


def parse_signatures(raw: bytes | str) -> tuple[Signature, ...]:
    """Read one or more signature lines, each ended by a newline, as a note and a witness's answer hold them.

    Raises:
        BadInput: none, more than 100, or a malformed one.
    """
    text = text_of(raw, bytes_max=NOTE_BYTES_MAX, what="a signature line")
    lines = text.split("\n")
    if lines.pop() or not lines:
        raise BadInput("signature lines end in a newline each, and there is at least one")
    if len(lines) > SIGNATURES_MAX:
        raise BadInput(f"a note may have {SIGNATURES_MAX} signatures, not {len(lines)}")
    return tuple(map(_parse_line, lines))


def open_note(raw: bytes | str, verifiers: Iterable[NoteVerifier]) -> Opened:
    """Take a note apart and verify the signatures of the keys that are trusted.

    Raises:
        NotSigned: no trusted key has signed it, or a trusted key's line does not verify.
        BadInput: the note is malformed, or two trusted keys share name and id.
    """
    note = parse(raw)
    verified = verify(note.text, note.signatures, verifiers)
    if not verified:
        raise NotSigned(f"no trusted key has signed the note; it bears {_names(note.signatures)}")
    return Opened(note, verified)


def verify(text: str, signatures: Sequence[Signature], verifiers: Iterable[NoteVerifier]) -> tuple[Signature, ...]:
    """The first signature of each trusted key over a text; none if no trusted key signed it.

    Raises:
        NotSigned: a line that bears a trusted key's name and id does not verify.
        BadInput: two trusted keys share name and id, so nobody can say which one a line means.
    """
    known: dict[tuple[str, bytes], NoteVerifier] = {}
    for verifier in verifiers:
        if known.setdefault((verifier.name, verifier.key_id), verifier) != verifier:
            raise BadInput(f"two trusted keys are named {verifier.name} and {verifier.key_id.hex()}")
    verified: dict[tuple[str, bytes], Signature] = {}
    for line in signatures:
        trusted = known.get(line.key)
        if trusted is None:
            continue
        if not trusted.verifies(text, line.signature):
            raise NotSigned(f"the signature of {line.name} ({line.key_id.hex()}) is not one over this text")
        verified.setdefault(line.key, line)
    return tuple(verified.values())


def sign(text: str, signers: Collection[NoteSigner]) -> Note:
    """Sign a text, which ends in a newline.

    Raises:
        BadInput: a text that no note may have, or no signer.
    """
    if not text_of(text, bytes_max=NOTE_BYTES_MAX, what="a note").endswith("\n"):
        raise BadInput(f"a note's text ends in a newline: {text[-80:]!r}")
    if not 1 <= len(signers) <= SIGNATURES_MAX:
        raise BadInput(f"a note has 1 to {SIGNATURES_MAX} signatures, not {len(signers)}")
    return Note(text, tuple(Signature(signer.name, signer.key_id, signer.sign(text)) for signer in signers))


def _parse_line(line: str) -> Signature:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space:
        raise BadInput(f"a signature line is — name base64, not {line!r:.80}")
    data = from_base64(encoded, what=f"the signature of {name!r:.80}")
    return Signature(name, data[:KEY_ID_BYTES], data[KEY_ID_BYTES:])


def _names(signatures: Sequence[Signature]) -> str:
    named = ", ".join(f"{line.name} ({line.key_id.hex()})" for line in signatures[:5])
    return named if len(signatures) <= 5 else f"{named} and {len(signatures) - 5} more"
