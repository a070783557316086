"""Task events at the door: an envelope, the signed CloudEvents text in it, and the producer's signature.

An envelope is one line of JSON, ``{"payload": "<CloudEvents 1.0 JSON>", "signature": "0x<65 bytes>"}``. What is signed
(EIP-191, ``personal_sign``) and kept are the payload's UTF-8 bytes exactly as they came. Nothing is ever encoded again.
A claim that passes here is well-formed and genuine; whether it has an effect is for the books to decide.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from eth_keys.constants import SECPK1_N
from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_utils.crypto import keccak
from eth_utils.exceptions import ValidationError

from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import from_hex, to_hex
from deepnode_ledger.manifest import Producer
from deepnode_ledger.nesting import check_depth
from deepnode_ledger.record import TaskEvent

PAYLOAD_BYTES_MAX: Final = 64 * 1024
ENVELOPE_BYTES_MAX: Final = 2 * PAYLOAD_BYTES_MAX
SIGNATURE_BYTES: Final = 65
SEQUENCE_MAX: Final = 2**53

_NAME = Annotated[str, msgspec.Meta(pattern="^[!-~]{1,256}\\Z")]


class _Envelope(msgspec.Struct, forbid_unknown_fields=True):
    payload: str
    signature: str


class _CloudEvent(msgspec.Struct):
    """The attributes that the ledger relies on (CloudEvents 1.0, section 3; ``sequence`` is its extension)."""

    specversion: Literal["1.0"]
    id: _NAME
    source: _NAME
    type: _NAME
    time: Annotated[str, msgspec.Meta(max_length=64)]
    sequence: Annotated[str, msgspec.Meta(pattern="^[1-9][0-9]{0,15}\\Z")]
    data: dict[str, Any]
    datacontenttype: Literal["application/json"] = "application/json"


def open_envelope(line: bytes, producers: Mapping[str, Producer]) -> TaskEvent:
    """Check an envelope and return what it holds.

    Raises:
        BadInput: too large, not JSON, not a CloudEvent, a float in its data, an unknown producer, or a signature that
            is missing, malformed or not that producer's. The message names the value and the rule.
    """
    if len(line) > ENVELOPE_BYTES_MAX:
        raise BadInput(f"an envelope may have {ENVELOPE_BYTES_MAX} bytes, not {len(line)}")
    try:
        check_depth(line, what="it")
        envelope = msgspec.json.decode(line, type=_Envelope)
        payload = envelope.payload.encode()
    except (msgspec.MsgspecError, UnicodeError, BadInput) as error:
        raise BadInput(f'an envelope must be {{"payload": text, "signature": "0x…"}}: {error}') from error
    signature = from_hex(envelope.signature, SIGNATURE_BYTES, what="the envelope's signature")
    event = parse_payload(payload)
    producer = producers.get(event.source)
    if producer is None:
        raise BadInput(f"source {event.source!r} of event {event.id!r} is no producer of the manifest")
    signer = recover_signer(payload, signature)
    if signer != producer.key:
        raise BadInput(
            f"event {event.id!r} must be signed by {to_hex(producer.key)}, the key of {producer.id}; "
            f"its signature is of {to_hex(signer)}: another key, or the payload was changed"
        )
    return TaskEvent(producer.id, event.id, int(event.sequence), event.type, payload, signature)


def parse_payload(payload: bytes) -> _CloudEvent:
    """Read the signed text as a CloudEvent.

    Raises:
        BadInput: it is not one, or its data holds a float (amounts are decimal strings of base units).
    """
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise BadInput(f"a payload may have {PAYLOAD_BYTES_MAX} bytes, not {len(payload)}")
    try:
        check_depth(payload, what="it")
        event = msgspec.json.decode(payload, type=_CloudEvent)
    except (msgspec.MsgspecError, UnicodeError, BadInput) as error:
        raise BadInput(f"the payload must be a CloudEvents 1.0 JSON object: {error}") from error
    if not _RFC3339.match(event.time):
        raise BadInput(f"time of event {event.id!r} must be like 2026-01-31T12:00:00Z, not {event.time!r}")
    if int(event.sequence) > SEQUENCE_MAX:
        raise BadInput(f"sequence of event {event.id!r} must be at most {SEQUENCE_MAX}, not {event.sequence}")
    _refuse_inexact(event.id, event.data)
    return event


def recover_signer(payload: bytes, signature: bytes) -> bytes:
    """Return the address (20 bytes) whose key made an EIP-191 signature over ``payload``.

    Only the canonical form is accepted (v 27 or 28, s in the lower half): the other form of the same signature would
    be a second envelope for the same event.

    Raises:
        BadInput: not a signature, or not in canonical form.
    """
    r, s, v = int.from_bytes(signature[:32]), int.from_bytes(signature[32:64]), signature[64]
    if v not in (27, 28) or not 0 < s <= SECPK1_N // 2 or not 0 < r < SECPK1_N:
        raise BadInput(f"a signature must be r, s in the lower half and v 27 or 28, not {to_hex(signature)}")
    # EIP-191, version 0x45 ("personal_sign"): the length in decimal digits keeps a payload from being a transaction.
    digest = keccak(b"\x19Ethereum Signed Message:\n" + str(len(payload)).encode() + payload)
    try:
        key = Signature(vrs=(v - 27, r, s)).recover_public_key_from_msg_hash(digest)
    except (BadSignature, ValidationError, ValueError) as error:
        raise BadInput(f"no key makes the signature {to_hex(signature)}: {error}") from error
    return key.to_canonical_address()


_RFC3339 = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)\Z", re.ASCII)


def _refuse_inexact(event_id: str, data: dict[str, Any]) -> None:
    waiting: list[Any] = [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, float) or (isinstance(value, int) and not -(2**63) <= value < 2**63):
            raise BadInput(
                f"data of event {event_id!r} holds the number {value!r:.40}: whole numbers below 2**63 only, "
                "larger amounts as decimal strings of base units"
            )
