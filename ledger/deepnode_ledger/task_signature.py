"""The producer's signature over a task event: EIP-191 or EIP-712, by one key, over the same bytes.

Either way what is signed is the payload, byte for byte as it came, and nothing is encoded again to check it. The two
schemes prefix what they hash with different bytes, so a signature of one is never one of the other: which it is need
not be said, and is not stored. A stored entry is checked again from the log and the manifest alone.

EIP-712 also signs the chain's id, so a test network's events cannot be sent to the main one. Its typed data are::

    domain   {"name": "DeepNode task events", "version": "1", "chainId": <the home chain's id>}
    types    TaskEvent(string payload)
"""

from enum import StrEnum
from functools import lru_cache
from typing import Final

from eth_keys.constants import SECPK1_N
from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_utils.crypto import keccak
from eth_utils.exceptions import ValidationError

from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import to_hex

SIGNATURE_BYTES: Final = 65
DOMAIN_NAME: Final = "DeepNode task events"
DOMAIN_VERSION: Final = "1"

_DOMAIN_TYPE: Final = keccak(b"EIP712Domain(string name,string version,uint256 chainId)")
_MESSAGE_TYPE: Final = keccak(b"TaskEvent(string payload)")


class Scheme(StrEnum):
    """How a payload becomes the 32 bytes that are signed."""

    EIP191 = "EIP-191"
    EIP712 = "EIP-712"


class NotGenuine(BadInput):
    """A signature that is malformed, or not of the key that it must be of."""


def verify(payload: bytes, signature: bytes, key: bytes, chain_id: int) -> Scheme:
    """Check that ``key`` (an address, 20 bytes) signed a payload, and say by which scheme.

    Args:
        payload: the exact bytes that were signed, as the log keeps them.
        signature: 65 bytes r, s, v. Only the canonical form is accepted (v 27 or 28, s in the lower half): the other
            form of the same signature would be a second envelope for the same event.
        key: the producer's key.
        chain_id: the home chain's id, under which the entry stands.

    Raises:
        NotGenuine: not a signature, not in canonical form, or of another key; the message names the values.
    """
    signers = []
    for scheme in Scheme:
        signer = recover_signer(signed_hash(scheme, payload, chain_id), signature)
        if signer == key:
            return scheme
        signers.append(f"{to_hex(signer)} by {scheme}")
    raise NotGenuine(
        f"must be signed by {to_hex(key)}; its signature is of {' or '.join(signers)}: "
        "another key, or the payload was changed, or EIP-712 for another chain"
    )


def signed_hash(scheme: Scheme, payload: bytes, chain_id: int) -> bytes:
    """Return what a producer's key signs for a payload (32 bytes)."""
    if scheme is Scheme.EIP191:
        # Version 0x45 ("personal_sign"): the length in decimal digits keeps a payload from being a transaction.
        return keccak(b"\x19Ethereum Signed Message:\n" + str(len(payload)).encode() + payload)
    return keccak(b"\x19\x01" + _domain_separator(chain_id) + keccak(_MESSAGE_TYPE + keccak(payload)))


def recover_signer(signed: bytes, signature: bytes) -> bytes:
    """Return the address (20 bytes) whose key made a signature over the 32 bytes ``signed``.

    Raises:
        NotGenuine: not a signature, or not in canonical form.
    """
    r, s, v = int.from_bytes(signature[:32]), int.from_bytes(signature[32:64]), signature[64:]
    if len(v) != 1 or v[0] not in (27, 28) or not 0 < s <= SECPK1_N // 2 or not 0 < r < SECPK1_N:
        raise NotGenuine(f"a signature must be r, s in the lower half and v 27 or 28, not {to_hex(signature)}")
    try:
        key = Signature(vrs=(v[0] - 27, r, s)).recover_public_key_from_msg_hash(signed)
    except (BadSignature, ValidationError, ValueError) as error:
        raise NotGenuine(f"no key makes the signature {to_hex(signature)}: {error}") from error
    return key.to_canonical_address()


@lru_cache
def _domain_separator(chain_id: int) -> bytes:
    name, version = keccak(DOMAIN_NAME.encode()), keccak(DOMAIN_VERSION.encode())
    return keccak(_DOMAIN_TYPE + name + version + chain_id.to_bytes(32))
