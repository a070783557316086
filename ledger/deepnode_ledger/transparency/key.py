"""Names and keys of those who sign notes, in the text forms of C2SP signed-note and of Go's note package.

A verifier's key is public: ``name+id+base64(type || public key)``. A signer's is secret:
``PRIVATE+KEY+name+id+base64(type || seed)``. The id is no fingerprint; it only says which key to try. One Ed25519 key
under two signature types has two ids, so a signature of one type never passes for one of the other.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from typing_extensions import override

from deepnode_ledger.errors import BadInput
from deepnode_ledger.transparency.line import from_base64, to_base64

KEY_BYTES: Final = 32
KEY_ID_BYTES: Final = 4
SIGNATURE_BYTES: Final = 64
NAME_CHARACTERS_MAX: Final = 256
KEY_TEXT_CHARACTERS_MAX: Final = 512

_PRIVATE: Final = "PRIVATE+KEY+"
_ID = re.compile(r"[0-9a-f]{8}")


def check_name(name: str) -> str:
    """The name, if it may be a key's: not empty, no white space, no plus, no control character.

    Raises:
        BadInput: it may not.
    """
    if not 0 < len(name) <= NAME_CHARACTERS_MAX:
        raise BadInput(f"a key's name has 1 to {NAME_CHARACTERS_MAX} characters, not {len(name)}")
    if any(character.isspace() or character == "+" or character < " " for character in name):
        raise BadInput(f"a key's name holds no white space, plus or control character: {name!r:.80}")
    try:
        name.encode()
    except UnicodeError as error:
        raise BadInput(f"a key's name must be UTF-8: {name!r:.80}") from error
    return name


def key_id(name: str, signature_type: int, public_key: bytes) -> bytes:
    """The four bytes by which a signature line names its key (C2SP signed-note, "Signatures")."""
    return hashlib.sha256(b"%b\n%c%b" % (name.encode(), signature_type, public_key)).digest()[:KEY_ID_BYTES]


@dataclass(frozen=True, slots=True)
class Verifier:
    """Whose signatures over a note are believed: a name and an Ed25519 public key (type 0x01).

    ``str()`` writes the text form that ``parse`` reads, and that Go's ``note.NewVerifier`` takes.

    Raises:
        BadInput: a name that no key may have, or a public key that has not 32 bytes.
    """

    name: str
    public_key: bytes
    TYPE: ClassVar[int] = 0x01

    def __post_init__(self) -> None:
        check_name(self.name)
        if len(self.public_key) != KEY_BYTES:
            raise BadInput(f"an Ed25519 public key has {KEY_BYTES} bytes, not {len(self.public_key)}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``name+id+base64``.

        Raises:
            BadInput: malformed, a key of another type, or an id that is not this key's.
        """
        name, stated_id, material = _parts(text, "a verifier key")
        found = cls(name, _key_of(material, cls.TYPE, "a verifier key"))
        _check_id(stated_id, found.key_id, text)
        return found

    @property
    def key_id(self) -> bytes:
        """The four bytes by which signature lines name this key."""
        return key_id(self.name, self.TYPE, self.public_key)

    @override
    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{to_base64(bytes([self.TYPE]) + self.public_key)}"

    def verifies(self, text: str, signature: bytes) -> bool:
        """Whether the bytes of a signature line, behind the key id, sign this text."""
        return self._signed(text.encode(), signature)

    def _signed(self, message: bytes, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


class SecretKey:
    """The secret half of a key. Neither its ``repr`` nor its ``str`` shows it.

    Args:
        name: by which the log or witness is known.
        seed: the 32 secret bytes of RFC 8032.

    Raises:
        BadInput: a name that no key may have, or a seed that has not 32 bytes.
    """

    __slots__ = ("_secret", "_verifier")
    VERIFIER: ClassVar[type[Verifier]] = Verifier

    def __init__(self, name: str, seed: bytes) -> None:
        if len(seed) != KEY_BYTES:
            raise BadInput(f"an Ed25519 seed has {KEY_BYTES} bytes, not {len(seed)}")
        self._secret = Ed25519PrivateKey.from_private_bytes(seed)
        self._verifier = self.VERIFIER(name, self._secret.public_key().public_bytes_raw())

    @classmethod
    def generate(cls, name: str) -> Self:
        """A new key from the system's randomness.

        Raises:
            BadInput: a name that no key may have.
        """
        return cls(name, Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``PRIVATE+KEY+name+id+base64``. No message holds any part of the text.

        Raises:
            BadInput: malformed, a key of another type, or an id that is not this key's.
        """
        found = None
        try:
            if text.startswith(_PRIVATE):
                name, stated_id, material = _parts(text.removeprefix(_PRIVATE), "a signer key")
                found = cls(name, _key_of(material, cls.VERIFIER.TYPE, "a signer key"))
                _check_id(stated_id, found.key_id, text)
        except BadInput:
            # That error shows the text, and a key that is almost right is still a secret. So it ends here, and the one
            # below does not even have it for its context.
            found = None
        if found is None:
            raise BadInput(f"a signer key is {_PRIVATE}name+id+base64, with the id and the type of its public key")
        return found

    @property
    def name(self) -> str:
        """The name that stands in this signer's lines."""
        return self._verifier.name

    @property
    def key_id(self) -> bytes:
        """The four bytes by which this signer's lines name its key."""
        return self._verifier.key_id

    @property
    def verifier(self) -> Verifier:
        """The public half."""
        return self._verifier

    def secret_text(self) -> str:
        """The text form that ``parse`` reads and Go's ``note.NewSigner`` takes. Whoever reads it can sign."""
        material = bytes([self.VERIFIER.TYPE]) + self._secret.private_bytes_raw()
        return f"{_PRIVATE}{self.name}+{self.key_id.hex()}+{to_base64(material)}"

    def _sign(self, message: bytes) -> bytes:
        return self._secret.sign(message)

    @override
    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name}+{self.key_id.hex()}, secret)"


class Signer(SecretKey):
    """Who signs notes: a name and an Ed25519 secret key (type 0x01)."""

    __slots__ = ()

    def sign(self, text: str) -> bytes:
        """The bytes of a signature line over this text, behind the key id."""
        return self._sign(text.encode())


def _parts(text: str, what: str) -> tuple[str, str, bytes]:
    if len(text) > KEY_TEXT_CHARACTERS_MAX:
        raise BadInput(f"{what} may have {KEY_TEXT_CHARACTERS_MAX} characters, not {len(text)}")
    # The key's base64 may hold a plus; a name and an id cannot.
    parts = text.split("+", 2)
    if len(parts) != 3 or _ID.fullmatch(parts[1]) is None:
        raise BadInput(f"{what} is name+id+base64, its id eight hexadecimal digits, not {text!r:.80}")
    return check_name(parts[0]), parts[1], from_base64(parts[2], what=f"the last part of {what}")


def _key_of(material: bytes, signature_type: int, what: str) -> bytes:
    if material[:1] != bytes([signature_type]):
        raise BadInput(f"{what} must be of type 0x{signature_type:02x}, not 0x{material[:1].hex()}")
    if len(material) != 1 + KEY_BYTES:
        raise BadInput(f"{what} must hold {KEY_BYTES} bytes, not {len(material) - 1}")
    return material[1:]


def _check_id(stated: str, actual: bytes, text: str) -> None:
    if stated != actual.hex():
        raise BadInput(f"the id of this key is {actual.hex()}, not {stated}: {text!r:.80}")
