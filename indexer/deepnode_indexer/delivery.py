"""How task events are put into a request or a message: lines of envelopes, one CloudEvent, or a batch of them.

What is signed are the bytes of the event's JSON, so a CloudEvent comes with its signature beside it: in the header
``Deepnode-Signature``, for a batch one for each event, in order, with commas between them. CloudEvents' binary mode
spreads the attributes over headers, where there are no bytes left that somebody could have signed; it is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from deepnode_ledger.errors import BadInput
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.nesting import check_depth
from deepnode_ledger.record import TaskEvent
from deepnode_ledger.task_event import ENVELOPE_BYTES_MAX, open_envelope, open_event

SIGNATURE_HEADER: Final = "deepnode-signature"
ONE_EVENT: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"


@dataclass(frozen=True, slots=True)
class SignedPayload:
    """A CloudEvent's JSON as it came, and its signature in text."""

    payload: bytes
    signature: str


Delivery = bytes | SignedPayload
"""One task event as it came: a line with an envelope, or a payload with its signature."""


def deliveries_of(
    body: bytes, content_type: str | None, signatures: str | None, *, binary_mode: bool
) -> list[Delivery]:
    """Take a body apart.

    Args:
        body: all of it.
        content_type: the header's value. Whatever is no type of CloudEvents is read as lines of envelopes.
        signatures: the value of ``Deepnode-Signature``.
        binary_mode: the headers carry CloudEvents attributes.

    Raises:
        BadInput: the body is not what its content type says, or the number of signatures is not that of events.
    """
    kind = (content_type or "").partition(";")[0].strip().lower()
    signed = [each.strip() for each in (signatures or "").split(",") if each.strip()]
    if kind == ONE_EVENT:
        return list(_paired([body.strip()], signed))
    if kind == BATCH:
        return list(_paired(_elements(body), signed))
    if kind.startswith("application/cloudevents") or binary_mode:
        raise BadInput(
            "CloudEvents in binary mode or another format have no bytes that a producer could sign: "
            f"send {ONE_EVENT}, {BATCH} or lines of envelopes"
        )
    return [line for line in body.split(b"\n") if line.strip()]


def open_delivery(delivery: Delivery, manifest: Manifest) -> TaskEvent:
    """Check a delivery and return the event.

    Raises:
        BadInput: it is not a genuine task event.
    """
    if isinstance(delivery, SignedPayload):
        return open_event(delivery.payload, delivery.signature, manifest.producers, manifest.chain_id)
    return open_envelope(delivery, manifest.producers, manifest.chain_id)


def _elements(body: bytes) -> list[bytes]:
    try:
        check_depth(body, what="a batch")
        return [bytes(each) for each in msgspec.json.decode(body, type=list[msgspec.Raw])]
    except msgspec.MsgspecError as error:
        raise BadInput(f"{BATCH} must be a JSON array of events: {error}") from error


def _paired(payloads: Sequence[bytes], signatures: Sequence[str]) -> list[SignedPayload]:
    if len(payloads) != len(signatures):
        raise BadInput(
            f"{len(payloads)} events need as many signatures in the header {SIGNATURE_HEADER}, not {len(signatures)}"
        )
    longest = max((len(each) for each in payloads), default=0)
    if longest > ENVELOPE_BYTES_MAX:
        raise BadInput(f"an event may have {ENVELOPE_BYTES_MAX} bytes, not {longest}")
    return [SignedPayload(payload, signature) for payload, signature in zip(payloads, signatures, strict=True)]
