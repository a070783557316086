"""CloudEvents come as their users send them, and the log keeps the bytes that were signed, as they came."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from deepnode_indexer.delivery import BATCH, ONE_EVENT
from deepnode_indexer.intake import make_app
from deepnode_indexer.status import Status
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.log import ACCEPT_MAX, Log
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.record import TaskEvent
from tests.ledger.histories import block, records
from tests.ledger.paper_deployment import OTHER_KEY, envelope, payload, signature_of


@pytest.fixture
def client(log: Log, manifest: Manifest) -> Iterator[TestClient]:
    log.extend(None, [block(1)])
    with TestClient(make_app(log, manifest, Status())) as client:
        yield client


def signatures(*texts: bytes) -> str:
    return ", ".join(to_hex(signature_of(text)) for text in texts)


def held(log: Log) -> list[bytes]:
    return [record.payload for record in records(log) if isinstance(record, TaskEvent)]


@pytest.mark.parametrize("content_type", [ONE_EVENT, f"{ONE_EVENT}; charset=utf-8", ONE_EVENT.upper()])
def test_one_event_in_structured_mode(client: TestClient, log: Log, content_type: str) -> None:
    """Posts an event's JSON with blanks and line feeds inside and around it."""
    text = payload(1).replace(b'"data":', b'\n "data" :\t')
    headers = {"content-type": content_type, "deepnode-signature": signatures(text)}
    response = client.post("/task-events", content=b"\n " + text + b"\r\n", headers=headers)
    assert response.json() == {"outcomes": [{"accepted": True, "position": 1, "duplicate": False}]}
    assert held(log) == [text]


def test_a_batch_of_events(client: TestClient, log: Log) -> None:
    """Posts an array in which each event is written in another way, and one is signed by somebody else."""
    texts = [payload(1), payload(2).replace(b'":', b'" : '), payload(3), payload(4, data={"note": "größe ]}, [{"})]
    signed = [to_hex(signature_of(text)) for text in texts]
    signed[2] = to_hex(signature_of(texts[2], OTHER_KEY))
    body = b" [ " + b"\n,\t".join(texts) + b"]\n"
    headers = {"content-type": BATCH, "deepnode-signature": ",".join(signed)}
    response = client.post("/task-events", content=body, headers=headers)
    assert response.status_code == 400
    assert [outcome["accepted"] for outcome in response.json()["outcomes"]] == [True, True, False, True]
    assert held(log) == [texts[0], texts[1], texts[3]]


def test_signatures_may_come_in_several_headers(client: TestClient, log: Log) -> None:
    """Repeats the header for each event: that is what commas stand for in HTTP."""
    texts = [payload(1), payload(2)]
    headers = [("content-type", BATCH), *(("Deepnode-Signature", signatures(text)) for text in texts)]
    response = client.post("/task-events", content=b"[" + b",".join(texts) + b"]", headers=headers)
    assert response.status_code == 200
    assert held(log) == texts


def test_a_delivery_in_another_form_is_the_same_event(client: TestClient, log: Log) -> None:
    """Sends one event as a line, alone and in a batch."""
    text = payload(1)
    assert client.post("/task-events", content=envelope(text)).status_code == 200
    for content_type, body in ((ONE_EVENT, text), (BATCH, b"[" + text + b"]")):
        headers = {"content-type": content_type, "deepnode-signature": signatures(text)}
        [outcome] = client.post("/task-events", content=body, headers=headers).json()["outcomes"]
        assert (outcome["accepted"], outcome["duplicate"]) == (True, True)
    assert held(log) == [text]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_each_event_needs_its_signature(client: TestClient, log: Log, count: int) -> None:
    """Posts two events with another number of signatures: which belongs to which cannot be told, so nothing counts."""
    texts = [payload(1), payload(2)]
    headers = {"content-type": BATCH, "deepnode-signature": ",".join([signatures(texts[0])] * count)}
    response = client.post("/task-events", content=b"[" + b",".join(texts) + b"]", headers=headers)
    assert response.status_code == 400
    assert f"2 events need as many signatures in the header deepnode-signature, not {count}" in response.text
    assert held(log) == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{}", "must be a JSON array"),
        (b"[", "must be a JSON array"),
        (b"[1,]", "must be a JSON array"),
        (b"", "must be a JSON array"),
        (b"[" * 100_000, "nests deeper"),
        (b"[]", "holds 1 to"),
        (b"\xff", "must be a JSON array"),
    ],
)
def test_a_batch_is_an_array(client: TestClient, body: bytes, message: str) -> None:
    """Posts other JSON, broken JSON and brackets without end."""
    response = client.post("/task-events", content=body, headers={"content-type": BATCH})
    assert (response.status_code, response.json()["code"]) == (400, "BAD_INPUT")
    assert message in response.json()["message"]


def test_a_batch_has_a_length(client: TestClient, log: Log) -> None:
    """Posts an event more than the log takes at once; the signatures are no ones, for it does not come to them."""
    body = b"[" + b",".join([b"1"] * (ACCEPT_MAX + 1)) + b"]"
    headers = {"content-type": BATCH, "deepnode-signature": ",".join(["x"] * (ACCEPT_MAX + 1))}
    assert client.post("/task-events", content=body, headers=headers).status_code == 413


@pytest.mark.parametrize(
    "headers",
    [
        {"ce-specversion": "1.0", "content-type": "application/json"},
        {"content-type": "application/cloudevents+avro"},
        {"content-type": "application/cloudevents-batch+xml"},
    ],
)
def test_what_nobody_could_sign_is_refused(client: TestClient, log: Log, headers: dict[str, str]) -> None:
    """Posts in binary mode and in other formats."""
    response = client.post("/task-events", content=payload(1), headers=headers)
    assert response.status_code == 400
    assert "no bytes that a producer could sign" in response.json()["message"]
    assert held(log) == []
