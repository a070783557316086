"""A sequence number that never came is seen by whoever looks, in words and in metrics."""

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from deepnode_indexer import producers
from deepnode_indexer.intake import make_app
from deepnode_indexer.status import Status
from deepnode_ledger.log import Log
from deepnode_ledger.manifest import Manifest
from tests.ledger.histories import block
from tests.ledger.paper_deployment import PRODUCER, envelope, payload


@pytest.fixture
def client(log: Log, manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setattr(producers, "FRESH_SECONDS", 0.0)
    log.extend(None, [block(1)])
    with TestClient(make_app(log, manifest, Status())) as client:
        yield client


def the_producer(client: TestClient) -> dict[str, Any]:
    [found] = client.get("/producers").json()["producers"]
    assert found.pop("producer") == PRODUCER
    return dict(found)


def test_a_producer_that_sent_nothing_is_listed(client: TestClient) -> None:
    """Looks before the first event."""
    assert the_producer(client) == {"last_sequence": 0, "events": 0, "missing": 0, "gaps": []}


def test_a_missing_sequence_number_is_a_visible_gap(client: TestClient) -> None:
    """Sends 3, 4 and 7, then fills one gap, then the other."""
    client.post("/task-events", content=b"\n".join(envelope(payload(n)) for n in (3, 4, 7)))
    gaps = [{"first": 1, "last": 2}, {"first": 5, "last": 6}]
    assert the_producer(client) == {"last_sequence": 7, "events": 3, "missing": 4, "gaps": gaps}
    assert f'deepnode_indexer_producer_missing_events{{producer="{PRODUCER}"}} 4\n' in client.get("/metrics").text
    client.post("/task-events", content=b"\n".join(envelope(payload(n)) for n in (2, 1)))
    assert the_producer(client) == {"last_sequence": 7, "events": 5, "missing": 2, "gaps": gaps[1:]}
    client.post("/task-events", content=b"\n".join(envelope(payload(n)) for n in (5, 6)))
    assert the_producer(client) == {"last_sequence": 7, "events": 7, "missing": 0, "gaps": []}
    text = client.get("/metrics").text
    assert f'deepnode_indexer_producer_missing_events{{producer="{PRODUCER}"}} 0\n' in text
    assert f'deepnode_indexer_producer_last_sequence{{producer="{PRODUCER}"}} 7\n' in text


def test_while_the_log_is_away_the_rest_is_still_told(client: TestClient, log: Log) -> None:
    """Closes the log's connections: the list is worth another try, the metrics are there without it."""
    log.datastore.close()
    response = client.get("/producers")
    assert (response.status_code, response.json()["code"]) == (503, "TRY_AGAIN")
    assert response.headers["retry-after"]
    assert "deepnode_indexer_task_events_total" in client.get("/metrics").text


def test_the_log_is_not_asked_at_every_look(client: TestClient, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sends an event between two looks that are close together: the second is as old as the first."""
    monkeypatch.setattr(producers, "FRESH_SECONDS", 3_600.0)
    assert the_producer(client)["events"] == 0
    client.post("/task-events", content=envelope(payload(1)))
    assert the_producer(client)["events"] == 0
