"""Task events at the door: an envelope, the signed CloudEvents text in it, and the producer's signature.

An envelope is one line of JSON, ``{"payload": "<CloudEvents 1.0 JSON>", "signature": "0x<65 bytes>"}``. What is signed
(see ``task_signature``) and kept are the payload's UTF-8 bytes exactly as they came. Nothing is ever encoded again.
A claim that passes here is well-formed and genuine; whether it has an effect is for the books to decide.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec

from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import from_hex
from deepnode_ledger.manifest import Producer
from deepnode_ledger.nesting import check_depth
from deepnode_ledger.record import TaskEvent
from deepnode_ledger.task_signature import SIGNATURE_BYTES, NotGenuine, verify

PAYLOAD_BYTES_MAX: Final = 64 * 1024
ENVELOPE_BYTES_MAX: Final = 2 * PAYLOAD_BYTES_MAX
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


def open_envelope(line: bytes, producers: Mapping[str, Producer], chain_id: int) -> TaskEvent:
    """Check an envelope and return what it holds.

    Args:
        line: the envelope, one JSON object.
        producers: whose events are taken in, by id.
        chain_id: the home chain's id, which an EIP-712 signature covers.

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
    return open_event(payload, envelope.signature, producers, chain_id)


def open_event(payload: bytes, signature: str, producers: Mapping[str, Producer], chain_id: int) -> TaskEvent:
    """Check a payload and its signature (0x and 130 digits), however they came, and return the event.

    Raises:
        BadInput: as ``open_envelope``.
    """
    signed = from_hex(signature, SIGNATURE_BYTES, what="the envelope's signature")
    event = parse_payload(payload)
    producer = producers.get(event.source)
    if producer is None:
        raise BadInput(f"source {event.source!r} of event {event.id!r} is no producer of the manifest")
    try:
        verify(payload, signed, producer.key, chain_id)
    except NotGenuine as error:
        raise NotGenuine(f"event {event.id!r} of {producer.id}: {error}") from error
    return TaskEvent(producer.id, event.id, int(event.sequence), event.type, payload, signed)


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
