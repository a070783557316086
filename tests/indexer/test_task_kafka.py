"""A topic is taken in from librdkafka's own brokers: each message once, and from the log's offsets after a restart."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from confluent_kafka import Producer as KafkaProducer
from typing_extensions import override

from deepnode_indexer import kafka
from deepnode_indexer.kafka import KafkaSource
from deepnode_indexer.sources import Told, outcomes, refusals, source_of
from deepnode_ledger.errors import BadInput, Conflict, TryAgain
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.log import Log
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.record import TaskEvent
from deepnode_ledger.tail import Accepted
from tests.ledger.histories import block, records
from tests.ledger.paper_deployment import OTHER_KEY, envelope, payload, signature_of

TOPIC = "task-events"
WAIT_SECONDS = 30


class Brokers:
    """Two brokers with one topic of four partitions; they speak the real protocol and live in a producer's client."""

    def __init__(self) -> None:
        quiet = {"log_level": 0, "log.connection.close": False}
        self._client = KafkaProducer({"test.mock.num.brokers": 2, "bootstrap.servers": "none", **quiet})
        found = self._client.list_topics(TOPIC, 10)
        self.cluster = found.cluster_id
        self.servers = ",".join(f"{each.host}:{each.port}" for each in found.brokers.values())
        self.url = f"kafka://{self.servers}/{TOPIC}"

    def send(self, value: bytes | None, partition: int = 0, headers: dict[str, str] | None = None) -> None:
        self._client.produce(TOPIC, value, partition=partition, headers=dict(headers or {}))
        assert self._client.flush(10) == 0


@pytest.fixture
def brokers() -> Brokers:
    return Brokers()


@pytest.fixture
def covered(log: Log) -> Log:
    log.extend(None, [block(1)])
    return log


class Reading:
    """A topic that is followed in a thread, and what it told."""

    def __init__(self, source: KafkaSource, log: Log, manifest: Manifest) -> None:
        self.told: list[Told] = []
        self.failure: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(source, log, manifest))
        self._thread.start()

    def _work(self, source: KafkaSource, log: Log, manifest: Manifest) -> None:
        try:
            for told in source.follow(log, manifest, self._stop.is_set):
                self.told += told
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            self.failure = error

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not condition():
            assert time.monotonic() < deadline, (self.told, self.failure)
            time.sleep(0.01)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(WAIT_SECONDS)
        assert not self._thread.is_alive()


@pytest.fixture
def read(brokers: Brokers, covered: Log, manifest: Manifest) -> Iterator[Callable[..., Reading]]:
    started: list[Reading] = []

    def start(log: Log = covered) -> Reading:
        source = source_of(brokers.url)
        assert isinstance(source, KafkaSource)
        started.append(Reading(source, log, manifest))
        return started[-1]

    yield start
    for each in started:
        each.stop()


def held(log: Log) -> set[str]:
    return {record.event_id for record in records(log) if isinstance(record, TaskEvent)}


def names(*numbers: int) -> set[str]:
    return {f"event-{number}" for number in numbers}


def test_each_partition_is_taken_in_from_its_beginning(
    brokers: Brokers, read: Callable[..., Reading], covered: Log
) -> None:
    """Sends to every partition before the start, and to some of them afterwards."""
    for number in range(1, 9):
        brokers.send(envelope(payload(number)), partition=number % 4)
    reading = read()
    reading.until(lambda: held(covered) == names(*range(1, 9)))
    brokers.send(envelope(payload(9)), partition=2)
    reading.until(lambda: "event-9" in held(covered))
    assert covered.offsets(f"kafka {brokers.cluster} {TOPIC}") == {0: 2, 1: 2, 2: 3, 3: 2}
    assert f"{TOPIC} partition 2 offset 2" in [place for place, _ in reading.told]


def test_reading_goes_on_at_the_logs_offsets(brokers: Brokers, read: Callable[..., Reading], covered: Log) -> None:
    """Stops, sends more, starts again: only what is new is read, so nothing comes as a duplicate."""
    for number in (1, 2):
        brokers.send(envelope(payload(number)), partition=number)
    first = read()
    first.until(lambda: held(covered) == names(1, 2))
    first.stop()
    for number in (3, 4):
        brokers.send(envelope(payload(number)), partition=number - 1)
    second = read()
    second.until(lambda: held(covered) == names(1, 2, 3, 4))
    assert all(isinstance(outcome, Accepted) and not outcome.duplicate for outcome in outcomes(second.told))
    assert len(outcomes(second.told)) == 2


def test_offsets_move_with_the_events_or_not_at_all(
    brokers: Brokers, read: Callable[..., Reading], covered: Log
) -> None:
    """The transaction fails for a while: no offset moves without the events, and then all of them are there."""

    class Failing(Log):
        failing = True

        @override
        def accept(
            self, events: Sequence[TaskEvent], offsets: Mapping[tuple[str, int], int] | None = None
        ) -> list[Accepted | Conflict]:
            if self.failing:
                raise TryAgain("the disk is full")
            return super().accept(events, offsets)

    failing = Failing(covered.datastore, covered.chain_id)
    brokers.send(envelope(payload(1)))
    reading = read(failing)
    time.sleep(1)
    assert (held(covered), covered.offsets(f"kafka {brokers.cluster} {TOPIC}")) == (set(), {})
    failing.failing = False
    reading.until(lambda: held(covered) == names(1))
    assert covered.offsets(f"kafka {brokers.cluster} {TOPIC}") == {0: 1}


def test_a_bad_message_holds_nothing_up(brokers: Brokers, read: Callable[..., Reading], covered: Log) -> None:
    """Sends what is no event between events: each is told by its place, and the offset is behind the last."""
    bad = [None, b"", b"{}", envelope(payload(7), OTHER_KEY), b"{}\n" * 2_000]
    for value in (envelope(payload(1)), *bad, envelope(payload(2))):
        brokers.send(value)
    reading = read()
    reading.until(lambda: held(covered) == names(1, 2))
    assert covered.offsets(f"kafka {brokers.cluster} {TOPIC}") == {0: 7}
    told = refusals(reading.told)
    assert sorted(each.split(" was refused")[0] for each in told) == [
        f"{TOPIC} partition 0 offset {offset}" for offset in range(1, 6)
    ]
    reading.stop()
    again = read()
    brokers.send(envelope(payload(3)))
    again.until(lambda: held(covered) == names(1, 2, 3))
    assert refusals(again.told) == []


def test_messages_may_be_cloudevents(brokers: Brokers, read: Callable[..., Reading], covered: Log) -> None:
    """Sends an event in structured mode, one in binary mode, and two lines in one message."""
    text = payload(1)
    signed = {"content-type": "application/cloudevents+json", "deepnode-signature": to_hex(signature_of(text))}
    brokers.send(text, headers=signed)
    brokers.send(json.dumps({"task": 1}).encode(), headers={"ce_specversion": "1.0", "ce_id": "x"})
    brokers.send(envelope(payload(2)) + b"\n" + envelope(payload(3)))
    reading = read()
    reading.until(lambda: held(covered) == names(1, 2, 3))
    [refused] = refusals(reading.told)
    assert f"{TOPIC} partition 0 offset 1 was refused: CloudEvents in binary mode" in refused


def test_an_offset_that_is_gone_is_told(brokers: Brokers, read: Callable[..., Reading], covered: Log) -> None:
    """The log says a place that the broker does not have: it is told, and the earliest that there is comes next."""
    covered.accept([], {(f"kafka {brokers.cluster} {TOPIC}", 0): 99})
    brokers.send(envelope(payload(1)))
    reading = read()
    reading.until(lambda: held(covered) == names(1))
    [told] = refusals(reading.told)
    assert "partition 0: offset 99 is gone, the broker holds 0 to 1; reading goes on at 0" in told


def test_brokers_that_are_away_are_told_and_waited_for(
    covered: Log, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names a port where nobody listens."""
    monkeypatch.setattr(kafka, "METADATA_SECONDS", 0.3)
    reading = Reading(KafkaSource("127.0.0.1:1", TOPIC), covered, manifest)
    reading.until(lambda: reading.told != [])
    assert isinstance(reading.told[0][1], TryAgain)
    assert reading.failure is None
    reading.stop()


@pytest.mark.parametrize("url", ["kafka://", "kafka://host", "kafka:///topic", "kafka://host/a/b", "kafka://host/a b"])
def test_a_malformed_topic_is_refused(url: str) -> None:
    """Leaves out the brokers, the topic, or adds to it."""
    with pytest.raises(BadInput, match="a topic must be like"):
        source_of(url)


def test_settings_of_the_client_come_from_a_file(tmp_path: Path, covered: Log, manifest: Manifest) -> None:
    """Gives settings with comments, one that is unknown, and ones that reading depends on or that are none."""
    path = tmp_path / "kafka.properties"
    path.write_text("# TLS\n\nsecurity.protocol = ssl\nno.such.setting=1\n")
    source = source_of("kafka://127.0.0.1:1/t", path)
    with pytest.raises(BadInput, match=r"the client refuses its settings: .*no\.such\.setting"):
        next(source.follow(covered, manifest, lambda: False))
    for text, message in (
        ("group.id=x", "line 1: group.id is not to be set"),
        ("sasl.password", "line 1: a setting must be like name=value"),
    ):
        path.write_text(text)
        with pytest.raises(BadInput, match=message):
            source_of("kafka://127.0.0.1:1/t", path)
    with pytest.raises(BadInput, match="cannot be read"):
        source_of("kafka://127.0.0.1:1/t", tmp_path / "none")
