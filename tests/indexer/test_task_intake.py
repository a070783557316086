"""What a producer is told is true: an accepted line is in the log, a refused one is not, whatever the others are."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from deepnode_indexer.intake import BODY_BYTES_MAX, RETRY_SECONDS, make_app
from deepnode_indexer.status import Status
from deepnode_ledger.log import ACCEPT_MAX, Log
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.record import TaskEvent
from tests.ledger.histories import block, records
from tests.ledger.paper_deployment import OTHER_KEY, envelope, payload


@pytest.fixture
def status() -> Status:
    return Status()


@pytest.fixture
def client(log: Log, manifest: Manifest, status: Status) -> Iterator[TestClient]:
    with TestClient(make_app(log, manifest, status)) as client:
        yield client


@pytest.fixture
def covered(log: Log) -> Log:
    """The log with its first block covered, so that task events have a place."""
    log.extend(None, [block(1, logs=1)])
    return log


def post(client: TestClient, *lines: bytes) -> tuple[int, Any]:
    response = client.post("/task-events", content=b"\n".join(lines))
    return response.status_code, response.json()


def held(log: Log) -> list[str]:
    return [record.event_id for record in records(log) if isinstance(record, TaskEvent)]


def test_good_lines_are_in_the_log_when_they_are_acknowledged(client: TestClient, covered: Log) -> None:
    """Sends two events, with blank lines and other line ends between them."""
    status, answer = post(client, envelope(payload(1)), b"", b"  \r", envelope(payload(2)) + b"\r\n")
    assert (status, answer) == (
        200,
        {
            "outcomes": [
                {"accepted": True, "position": 2, "duplicate": False},
                {"accepted": True, "position": 3, "duplicate": False},
            ]
        },
    )
    assert held(covered) == ["event-1", "event-2"]
    [first, _] = [record for record in records(covered) if isinstance(record, TaskEvent)]
    assert first.payload == payload(1)


def test_a_second_delivery_is_accepted_and_adds_nothing(client: TestClient, covered: Log) -> None:
    """Sends an event again, in the same body and in the next."""
    _, first = post(client, envelope(payload(1)), envelope(payload(1)))
    status, again = post(client, envelope(payload(1)))
    assert status == 200
    assert [outcome["duplicate"] for outcome in (*first["outcomes"], *again["outcomes"])] == [False, True, True]
    assert len({outcome["position"] for outcome in (*first["outcomes"], *again["outcomes"])}) == 1
    assert held(covered) == ["event-1"]


def test_a_bad_line_does_not_take_a_good_one_with_it(client: TestClient, covered: Log) -> None:
    """Sends good lines around no JSON, a foreign signature and a float."""
    code, answer = post(
        client,
        envelope(payload(1)),
        b"not JSON",
        envelope(payload(2)),
        envelope(payload(3), OTHER_KEY),
        envelope(payload(4, data={"price": 0.1})),
        envelope(payload(5)),
    )
    assert code == 400
    assert [outcome["accepted"] for outcome in answer["outcomes"]] == [True, False, True, False, False, True]
    assert {o["code"] for o in answer["outcomes"] if not o["accepted"]} == {"BAD_INPUT"}
    assert all(o["message"] for o in answer["outcomes"] if not o["accepted"])
    assert held(covered) == ["event-1", "event-2", "event-5"]


def test_a_contradiction_is_a_conflict_of_its_line_alone(client: TestClient, covered: Log) -> None:
    """Sends a known id with another payload and a known sequence number under another id, beside good lines."""
    post(client, envelope(payload(1)))
    code, answer = post(
        client,
        envelope(payload(1, type="other")),
        b"{}",
        envelope(payload(1, id="thief")),
        envelope(payload(2)),
    )
    assert code == 409
    assert [outcome.get("code") for outcome in answer["outcomes"]] == ["CONFLICT", "BAD_INPUT", "CONFLICT", None]
    assert held(covered) == ["event-1", "event-2"]


def test_nothing_is_taken_in_before_the_chain_is(client: TestClient, log: Log) -> None:
    """Sends an event before the first block is covered: try again, after so many seconds."""
    response = client.post("/task-events", content=envelope(payload(1)))
    assert response.status_code == 503
    assert response.headers["retry-after"] == str(RETRY_SECONDS)
    assert response.json()["code"] == "TRY_AGAIN"
    assert held(log) == []


def test_a_bad_line_is_told_even_before_the_chain_is_there(client: TestClient) -> None:
    """Sends only what no log will ever take."""
    assert post(client, b"{}")[0] == 400


def test_a_lost_database_is_worth_another_try(client: TestClient, covered: Log) -> None:
    """Closes the log's connections for good."""
    covered.datastore.close()
    response = client.post("/task-events", content=envelope(payload(1)))
    assert (response.status_code, response.headers.get("retry-after")) == (503, str(RETRY_SECONDS))


@pytest.mark.parametrize("body", [b"", b"\n", b" \n\t\r\n\n"])
def test_an_empty_body_is_refused(client: TestClient, covered: Log, body: bytes) -> None:
    """Sends nothing, and lines of nothing."""
    response = client.post("/task-events", content=body)
    assert (response.status_code, response.json()["code"]) == (400, "BAD_INPUT")
    assert "not 0" in response.json()["message"]


def test_a_body_has_a_limit(client: TestClient, covered: Log) -> None:
    """Sends a byte more than allowed in one piece, and too much in chunks that do not tell their sum."""

    def chunks() -> Iterator[bytes]:
        for _ in range(BODY_BYTES_MAX // 65_536 + 1):
            yield b" " * 65_536

    for content in (b" " * (BODY_BYTES_MAX + 1), chunks()):
        response = client.post("/task-events", content=content)
        assert response.status_code == 413
        assert str(BODY_BYTES_MAX) in response.json()["message"]


def test_the_number_of_lines_has_a_limit(client: TestClient, covered: Log) -> None:
    """Sends as many lines as allowed and one more, all of them bad so that it is quick."""
    code, answer = post(client, *[b"{}"] * ACCEPT_MAX)
    assert (code, len(answer["outcomes"])) == (400, ACCEPT_MAX)
    assert post(client, *[b"{}"] * (ACCEPT_MAX + 1))[0] == 413


def test_another_method_or_path_is_not_there(client: TestClient) -> None:
    """Reads the door, and knocks at others."""
    assert client.get("/task-events").status_code == 405
    assert client.post("/").status_code == 404


def test_the_status_counts_what_became_of_the_lines(client: TestClient, covered: Log, status: Status) -> None:
    """Sends lines of every fate and reads the metrics, as Prometheus does."""
    post(client, envelope(payload(1)), envelope(payload(1)), b"{}", envelope(payload(1, type="other")))
    found = client.get("/metrics")
    assert found.headers["content-type"].startswith("text/plain; version=0.0.4")
    for outcome in ("accepted", "duplicate", "refused", "conflict"):
        assert f'deepnode_indexer_task_events_total{{outcome="{outcome}"}} 1\n' in found.text
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/ready").status_code == 503
    status.in_step()
    assert client.get("/ready").json() == {"status": "ready"}
    status.failed("the node is away")
    assert client.get("/ready").json() == {"status": "not ready", "reason": "the node is away"}


def test_an_answer_is_json_for_every_text(client: TestClient, covered: Log) -> None:
    """Sends names in letters of all kinds; the answer must still be read."""
    response = client.post("/task-events", content=json.dumps({"payload": "\u2028\x00", "signature": "ü"}).encode())
    assert response.status_code == 400
    assert response.json()["outcomes"][0]["code"] == "BAD_INPUT"
