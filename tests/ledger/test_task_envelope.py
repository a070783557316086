"""Only a well-formed, genuine task event passes the door, and whatever else comes is a mistake of its sender."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from eth_keys.constants import SECPK1_N
from hypothesis import given
from hypothesis import strategies as st

from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import Manifest, Producer
from deepnode_ledger.record import TaskEvent
from deepnode_ledger.task_event import ENVELOPE_BYTES_MAX, PAYLOAD_BYTES_MAX, SEQUENCE_MAX, open_envelope
from tests.ledger.histories import CHAIN_ID
from tests.ledger.paper_deployment import (
    OTHER_KEY,
    PRODUCER,
    PRODUCER_KEY,
    address_of,
    envelope,
    paper_manifest,
    payload,
    signature_of,
)

PRODUCERS = {PRODUCER: Producer(PRODUCER, address_of(PRODUCER_KEY))}


def refused(line: bytes) -> str:
    with pytest.raises(BadInput) as error:
        open_envelope(line, PRODUCERS, CHAIN_ID)
    return str(error.value)


def test_a_good_envelope_gives_the_exact_signed_bytes() -> None:
    """Opens one whose text has blanks, escapes and letters beyond ASCII: not a byte of it changes."""
    text = payload(7, data={"note": "größe\u2028"}).replace(b'"data":', b'\n "data" : ').replace(b"gr", b"\\u0067r")
    event = open_envelope(envelope(text), PRODUCERS, CHAIN_ID)
    assert event == TaskEvent(PRODUCER, "event-7", 7, "deepnode.task.created", text, signature_of(text))


def test_a_manifest_opens_its_producers_envelopes(tmp_path: Path) -> None:
    """Opens an envelope with the producers of a loaded manifest."""
    manifest: Manifest = paper_manifest(tmp_path)
    assert open_envelope(envelope(payload(1)), manifest.producers, CHAIN_ID).sequence == 1


@given(
    st.dictionaries(
        st.text(max_size=5),
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
            max_leaves=8,
        ),
        max_size=4,
    )
)
def test_any_data_of_texts_and_whole_numbers_passes(data: dict[str, Any]) -> None:
    """Signs events with any JSON data without fractions."""
    try:
        text = payload(1, data=data)
    except msgspec.MsgspecError:  # a lone surrogate is no text
        return
    assert open_envelope(envelope(text), PRODUCERS, CHAIN_ID).payload == text


def test_a_changed_payload_is_refused() -> None:
    """Changes one digit behind the signature's back; the message names both keys."""
    good = payload(1)
    message = refused(envelope(good.replace(b"1000000", b"9000000"), signature=signature_of(good)))
    assert f"must be signed by {to_hex(address_of(PRODUCER_KEY))}" in message


def test_another_key_is_refused() -> None:
    """Signs with a key that is not the producer's."""
    assert f"its signature is of {to_hex(address_of(OTHER_KEY))}" in refused(envelope(payload(1), OTHER_KEY))


def test_an_unknown_producer_is_refused() -> None:
    """Signs properly in a name that the manifest does not have."""
    assert "source 'urn:nobody' of event 'event-1' is no producer" in refused(envelope(payload(1, source="urn:nobody")))


def test_a_signature_has_one_form() -> None:
    """Offers the second valid form of a good signature (s above the half), v outside 27 and 28, r and s of zero."""
    text = payload(1)
    good = signature_of(text)
    r, s, v = good[:32], int.from_bytes(good[32:64]), good[64]
    other_form = r + (SECPK1_N - s).to_bytes(32) + bytes([55 - v])
    forms = [other_form, *(good[:64] + bytes([other]) for other in (0, 1, 26, 29, 37, 255))]
    forms += [bytes(32) + good[32:], good[:32] + bytes(32) + good[64:], b"\xff" * 65, bytes(65)]
    forms.append(SECPK1_N.to_bytes(32) + good[32:])
    for form in forms:
        assert "must be r, s in the lower half and v 27 or 28" in refused(envelope(text, signature=form))


@given(st.binary(min_size=32, max_size=32), st.integers(1, SECPK1_N // 2), st.sampled_from([27, 28]))
def test_no_signature_is_fatal(r: bytes, s: int, v: int) -> None:
    """Offers random signatures in canonical form, half of which no key can make."""
    refused(envelope(payload(1), signature=r + s.to_bytes(32) + bytes([v])))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"{",
        b'"text"',
        b'{"payload": "x"}',
        b'{"signature": "0x"}',
        b'{"payload": {}, "signature": "0x"}',
        b'{"payload": "\xff", "signature": "0x"}',
        b'{"payload": "\\ud800", "signature": "0x00"}',
        b'{"payload": "x", "signature": "0x", "more": 1}',
        b"\xff\xfe",
        b"\xef\xbb\xbf" + envelope(payload(1)),
        envelope(payload(1)) + envelope(payload(1)),
        b"[" * 100_000,
        b'{"a":' * 20_000,
        b'{"payload": ' + b"[" * 100_000,
    ],
)
def test_what_is_no_envelope_is_refused(line: bytes) -> None:
    """Offers other JSON, broken JSON, broken text, and brackets without end."""
    assert refused(line).startswith("an envelope must be")


@pytest.mark.parametrize("length", [0, 64, 66])
def test_a_signature_has_65_bytes(length: int) -> None:
    """Offers signatures of other lengths."""
    assert f"must have 65 bytes, not {length}" in refused(envelope(payload(1), signature=bytes(length)))


def test_an_unsigned_envelope_is_refused() -> None:
    """Sends a payload with an empty signature, then with none."""
    text = payload(1).decode()
    refused(msgspec.json.encode({"payload": text, "signature": ""}))
    refused(msgspec.json.encode({"payload": text}))


def test_sizes_have_a_limit() -> None:
    """Sends the largest payload, one byte more, and an envelope above its own limit."""
    room = PAYLOAD_BYTES_MAX - len(payload(1, data={"note": ""}))
    largest = payload(1, data={"note": "x" * room})
    assert open_envelope(envelope(largest), PRODUCERS, CHAIN_ID).payload == largest
    larger = payload(1, data={"note": "x" * (room + 1)})
    assert f"a payload may have {PAYLOAD_BYTES_MAX} bytes" in refused(envelope(larger))
    assert f"an envelope may have {ENVELOPE_BYTES_MAX} bytes" in refused(b" " * (ENVELOPE_BYTES_MAX + 1))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("specversion", "0.3"),
        ("specversion", None),
        ("id", None),
        ("id", ""),
        ("id", "two words"),
        ("id", "nul\x00"),
        ("id", "\x00"),
        ("id", "größe"),
        ("id", "x" * 257),
        ("id", "line\n"),
        ("id", 7),
        ("type", "nul\x00"),
        ("type", "line\n"),
        ("source", "urn:\x00"),
        ("time", None),
        ("time", "yesterday"),
        ("time", "2026-01-31"),
        ("time", "2026-01-31T12:00:00"),
        ("time", "2026-01-31T12:00:00Z\n"),
        ("time", "\u0662026-01-31T12:00:00Z"),
        ("sequence", 1),
        ("sequence", "0"),
        ("sequence", "01"),
        ("sequence", "-1"),
        ("sequence", "+1"),
        ("sequence", "1.0"),
        ("sequence", "1e3"),
        ("sequence", " 1"),
        ("sequence", "1\n"),
        ("sequence", "\u0661"),
        ("sequence", ""),
        ("sequence", str(SEQUENCE_MAX + 1)),
        ("sequence", "9" * 16),
        ("sequence", "9" * 5000),
        ("data", None),
        ("data", []),
        ("data", "text"),
        ("datacontenttype", "text/plain"),
    ],
)
def test_an_attribute_that_breaks_its_rule_is_refused(name: str, value: object) -> None:
    """Signs events with one attribute missing or malformed."""
    message = refused(envelope(payload(1, **{name: value})))
    assert name in message
    assert len(message) < 1000


def test_the_largest_sequence_number_passes() -> None:
    """Sends 2**53."""
    assert open_envelope(envelope(payload(1, sequence=str(SEQUENCE_MAX))), PRODUCERS, CHAIN_ID).sequence == SEQUENCE_MAX


@pytest.mark.parametrize(
    "number",
    ["1.0", "0.1", "1e3", "-0.0", "1E-7", "1e400", "18446744073709551616", "9223372036854775808", "1" + "0" * 400],
)
@pytest.mark.parametrize("place", ['{"a": %s}', '{"a": [1, %s]}', '{"a": {"b": [{"c": %s}]}}'])
def test_numbers_that_other_readers_round_are_refused_anywhere_in_the_data(number: str, place: str) -> None:
    """Puts fractions, exponents and whole numbers of 2**63 and more at three depths."""
    text = payload(1).replace(json.dumps(json.loads(payload(1))["data"], separators=(",", ":")).encode(), b"DATA")
    assert b"DATA" in text
    assert re.search("number|float|range", refused(envelope(text.replace(b"DATA", (place % number).encode()))))


IN_A_PROCESS_OF_ITS_OWN = """
import sys
from deepnode_ledger.errors import BadInput
from deepnode_ledger.task_event import open_envelope
try:
    open_envelope(sys.stdin.buffer.read(), {}, 1)
except BadInput as error:
    print(error)
"""


@pytest.mark.parametrize("opening", ['{"a":', "["])
@pytest.mark.parametrize("attribute", ["data", "extension"])
@pytest.mark.parametrize("closed", [True, False])
def test_a_payload_that_is_nested_without_end_is_refused(opening: str, attribute: str, closed: bool) -> None:
    """Nests as deep as a payload has room for, in a process of its own: if it dies, it takes no other test along."""
    depth = 60_000 // len(opening) // 2
    nested = opening * depth + ("1" + ("}" if opening.startswith("{") else "]") * depth if closed else "")
    text = f'{{"specversion":"1.0","{attribute}":{{"deep":{nested}}}}}'
    line = msgspec.json.encode({"payload": text, "signature": "0x" + "00" * 65})
    child = subprocess.run(
        [sys.executable, "-c", IN_A_PROCESS_OF_ITS_OWN], input=line, capture_output=True, check=False
    )
    assert child.returncode == 0, f"the process ended with {child.returncode}"
    assert child.stdout.startswith(b"the payload must be a CloudEvents 1.0 JSON object"), child.stdout
