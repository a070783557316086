"""Whoever sends too much is told when to come back; nobody else suffers, and nothing that was let in is lost."""

import asyncio
import threading
from collections.abc import Iterator, Mapping, Sequence

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient
from typing_extensions import override

from deepnode_indexer import admission
from deepnode_indexer.admission import BURST_SECONDS, InHand, Limits, Rates, TooMuch
from deepnode_indexer.intake import make_app
from deepnode_indexer.status import Status
from deepnode_ledger.errors import BadInput, Conflict
from deepnode_ledger.log import Log
from deepnode_ledger.manifest import Manifest, Producer
from deepnode_ledger.record import TaskEvent
from deepnode_ledger.tail import Accepted
from tests.ledger.histories import block, records
from tests.ledger.paper_deployment import OTHER_KEY, PRODUCER, address_of, envelope, payload

OTHER = "urn:producer:2"


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def manifest(manifest: Manifest) -> Manifest:
    manifest.producers[OTHER] = Producer(OTHER, address_of(OTHER_KEY))
    return manifest


@pytest.fixture
def covered(log: Log) -> Log:
    log.extend(None, [block(1)])
    return log


def held(log: Log) -> list[str]:
    return [record.event_id for record in records(log) if isinstance(record, TaskEvent)]


def others(number: int) -> bytes:
    return envelope(payload(number, source=OTHER, id=f"other-{number}"), OTHER_KEY)


# --- The buckets -----------------------------------------------------------------------------------------------------


def test_a_rate_holds_in_the_long_run() -> None:
    """Charges as often as it is allowed for a minute: no more passes than the rate and one burst, and one call."""
    clock = Clock()
    rates = Rates("client", 10, clock)
    passed = 0
    for _ in range(6_000):
        clock.now += 0.01
        try:
            rates.charge("a", 7)
            passed += 7
        except TooMuch:
            continue
    assert 60 * 10 <= passed <= 60 * 10 + 10 * BURST_SECONDS + 7


@given(st.integers(1, 100), st.integers(1, 100_000))
def test_who_waits_as_told_gets_in(rate: int, size: int) -> None:
    """Makes calls of any size, larger than any burst too: each passes at the second try, after the time named."""
    clock = Clock()
    rates = Rates("client", rate, clock)
    for _ in range(3):
        try:
            rates.charge("a", size)
        except TooMuch as error:
            clock.now += error.retry_seconds
            rates.charge("a", size)


def test_one_name_does_not_pay_for_another() -> None:
    """Uses up one name's rate."""
    rates = Rates("client", 1, Clock())
    rates.charge("a", 1_000)
    with pytest.raises(TooMuch, match="a may send 1 events a second"):
        rates.check("a")
    rates.charge("b", 1)


def test_no_rate_is_no_limit() -> None:
    """Charges a rate of 0 at will."""
    rates = Rates("client", 0, Clock())
    for _ in range(10):
        rates.charge("a", 10**9)


def test_the_number_of_names_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comes under ever new names at one moment: those in debt longest are forgotten first, never the newest."""
    monkeypatch.setattr(admission, "BUCKETS_MAX", 10)
    rates = Rates("client", 1, Clock())
    for number in range(1_000):
        rates.charge(f"name {number}", 1_000)
        with pytest.raises(TooMuch):
            rates.check(f"name {number}")
    assert len(rates._buckets) <= 10


def test_what_is_in_hand_is_bounded() -> None:
    """Takes up to the bound and one more, and once more than the bound with empty hands."""
    hand = InHand("events", 10)
    hand.take(4)
    hand.take(6)
    with pytest.raises(TooMuch, match="10 events are in hand of 10, 1 more"):
        hand.take(1)
    hand.give_back(10)
    hand.take(1_000)
    assert hand.count == 1_000


def test_a_rate_below_zero_is_refused() -> None:
    """Asks for one."""
    with pytest.raises(BadInput, match="0 or more, not -1"):
        Limits(client_rate=-1)


# --- The door --------------------------------------------------------------------------------------------------------


def test_a_client_above_its_rate_is_told_when_to_come_back(covered: Log, manifest: Manifest) -> None:
    """Sends far more lines than the rate, bad ones too; then a good line is not looked at."""
    limits = Limits(client_rate=1)
    with TestClient(make_app(covered, manifest, Status(), limits)) as client:
        assert client.post("/task-events", content=b"\n".join([b"{}"] * 20)).status_code == 400
        response = client.post("/task-events", content=envelope(payload(1)))
        assert (response.status_code, response.json()["code"]) == (429, "TRY_AGAIN")
        assert 1 <= int(response.headers["retry-after"]) <= 20
        assert 'deepnode_indexer_intake_limited_total{limit="client"} 1\n' in client.get("/metrics").text
    assert held(covered) == []


def test_a_producer_above_its_rate_does_not_hold_up_another(covered: Log, manifest: Manifest) -> None:
    """Two producers share a request once one of them has used up its rate."""
    limits = Limits(producer_rate=1)
    with TestClient(make_app(covered, manifest, Status(), limits)) as client:
        first = [envelope(payload(number)) for number in range(1, 11)]
        assert client.post("/task-events", content=b"\n".join(first)).status_code == 200
        response = client.post("/task-events", content=b"\n".join([envelope(payload(11)), others(1), b"{}"]))
        assert (response.status_code, int(response.headers["retry-after"]) >= 1) == (429, True)
        assert [outcome.get("code") for outcome in response.json()["outcomes"]] == ["TRY_AGAIN", None, "BAD_INPUT"]
        assert PRODUCER in response.json()["outcomes"][0]["message"]
    assert held(covered) == [*(f"event-{number}" for number in range(1, 11)), "other-1"]


def test_a_forged_event_does_not_use_up_a_producers_rate(covered: Log, manifest: Manifest) -> None:
    """Somebody else signs in the producer's name, more often than its rate allows."""
    limits = Limits(producer_rate=1)
    with TestClient(make_app(covered, manifest, Status(), limits)) as client:
        forged = [envelope(payload(number), OTHER_KEY) for number in range(1, 21)]
        assert client.post("/task-events", content=b"\n".join(forged)).status_code == 400
        assert client.post("/task-events", content=envelope(payload(1))).status_code == 200


class SlowLog(Log):
    """The log, whose transactions wait until they may begin."""

    def __init__(self, log: Log) -> None:
        super().__init__(log.datastore, log.chain_id)
        self.may_begin = threading.Event()
        self.sizes: list[int] = []

    @override
    def accept(
        self, events: Sequence[TaskEvent], offsets: Mapping[tuple[str, int], int] | None = None
    ) -> list[Accepted | Conflict]:
        assert self.may_begin.wait(30)
        self.sizes.append(len(events))
        return super().accept(events, offsets)


@pytest.fixture
def slow(covered: Log) -> Iterator[SlowLog]:
    log = SlowLog(covered)
    yield log
    log.may_begin.set()


async def waiting_posts(
    client: httpx.AsyncClient, bodies: Sequence[bytes], *, at_log: int
) -> list[asyncio.Task[httpx.Response]]:
    """Post bodies and come back once so many events stand at the log, and the others were answered."""
    tasks = [asyncio.create_task(client.post("/task-events", content=body)) for body in bodies]
    text = ""
    for _ in range(1_000):
        await asyncio.sleep(0.01)
        text = (await client.get("/metrics")).text
        if f"deepnode_indexer_intake_events_at_log {at_log}\n" in text and text.count(f"in_hand {at_log}\n"):
            return tasks
    raise AssertionError(text)


def test_requests_that_wait_share_a_transaction(slow: SlowLog, manifest: Manifest) -> None:
    """Twenty requests come while a transaction is under way: one more transaction serves them all."""

    async def story() -> None:
        transport = httpx.ASGITransport(make_app(slow, manifest, Status()))
        async with httpx.AsyncClient(transport=transport, base_url="http://door") as client:
            first = await waiting_posts(client, [envelope(payload(1))], at_log=1)
            others = await waiting_posts(client, [envelope(payload(number)) for number in range(2, 22)], at_log=21)
            slow.may_begin.set()
            answers = [await each for each in (*first, *others)]
        positions = [answer.json()["outcomes"][0]["position"] for answer in answers]
        assert sorted(positions) == list(range(1, 22))

    asyncio.run(story())
    assert slow.sizes == [1, 20]
    assert len(held(slow)) == 21


def test_a_failed_transaction_is_told_to_each_that_shared_it(slow: SlowLog, manifest: Manifest) -> None:
    """The database goes away while requests wait: each is asked to try again, and the door goes on."""

    async def story() -> None:
        transport = httpx.ASGITransport(make_app(slow, manifest, Status()))
        async with httpx.AsyncClient(transport=transport, base_url="http://door") as client:
            tasks = await waiting_posts(client, [envelope(payload(number)) for number in range(1, 6)], at_log=5)
            slow.datastore.close()
            slow.may_begin.set()
            for task in tasks:
                answer = await task
                assert (answer.status_code, answer.json()["code"]) == (503, "TRY_AGAIN")
            assert (await client.post("/task-events", content=b"{}")).status_code == 400

    asyncio.run(story())


def test_a_full_door_asks_to_come_back_and_loses_nothing(slow: SlowLog, manifest: Manifest) -> None:
    """More requests come than may be in hand: those above it are told so at once, the others get their answer."""

    async def story() -> None:
        transport = httpx.ASGITransport(make_app(slow, manifest, Status(), Limits(events_in_hand_max=5)))
        async with httpx.AsyncClient(transport=transport, base_url="http://door") as client:
            tasks = await waiting_posts(client, [envelope(payload(number)) for number in range(1, 9)], at_log=5)
            turned_away = [task.result() for task in tasks if task.done()]
            assert [(answer.status_code, answer.headers["retry-after"]) for answer in turned_away] == [(429, "1")] * 3
            assert "deepnode_indexer_intake_events_in_hand 5\n" in (await client.get("/metrics")).text
            slow.may_begin.set()
            assert sorted([(await task).status_code for task in tasks]) == [200] * 5 + [429] * 3
            assert "deepnode_indexer_intake_events_in_hand 0\n" in (await client.get("/metrics")).text
            assert (await client.post("/task-events", content=envelope(payload(9)))).status_code == 200

    asyncio.run(story())
    assert len(held(slow)) == 6


def test_bytes_in_hand_are_bounded(slow: SlowLog, manifest: Manifest) -> None:
    """Large bodies come while others wait: what is in hand of them is given back, however they end."""
    padded = [envelope(payload(number)) + b" " * 60_000 for number in range(1, 4)]

    async def story() -> None:
        transport = httpx.ASGITransport(make_app(slow, manifest, Status(), Limits(bytes_in_hand_max=150_000)))
        async with httpx.AsyncClient(transport=transport, base_url="http://door") as client:
            tasks = await waiting_posts(client, padded, at_log=2)
            assert [task.result().status_code for task in tasks if task.done()] == [429]
            slow.may_begin.set()
            assert sorted([(await task).status_code for task in tasks]) == [200, 200, 429]
            assert "deepnode_indexer_intake_bytes_in_hand 0\n" in (await client.get("/metrics")).text

    asyncio.run(story())
