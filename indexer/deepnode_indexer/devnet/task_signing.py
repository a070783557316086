"""Signing task events, as a producer does it.

The signature covers the exact bytes of the event (EIP-191 personal_sign), so a reader canonicalises nothing to check
it. The key in this module is public knowledge and good for local chains only.
"""

from __future__ import annotations

import msgspec
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_utils.crypto import keccak

DEVNET_PRODUCER_ID = "urn:deepnode:producer:devnet"
# Anybody can compute this key. A manifest that names its address trusts everybody.
DEVNET_PRODUCER_KEY = keccak(text="deepnode devnet producer 1")


def sign_envelope(payload: bytes, key: bytes = DEVNET_PRODUCER_KEY) -> bytes:
    """The envelope of one event: a JSON line (without newline) that holds `payload` as text, and its signature.

    Raises:
        UnicodeDecodeError: `payload` is not UTF-8.
    """
    signature = Account.sign_message(encode_defunct(primitive=payload), key).signature
    assert len(signature) == 65
    return msgspec.json.encode({"payload": payload.decode("utf-8"), "signature": "0x" + bytes(signature).hex()})


def devnet_producer_address() -> str:
    """The address that belongs to the devnet's producer key."""
    return str(Account.from_key(DEVNET_PRODUCER_KEY).address)
