"""Task events from a topic of Kafka, or of any broker that speaks its protocol.

How far each partition was read is kept in the log, in the transaction that makes the events durable, and nowhere else:
the client joins no consumer group and commits nothing to the broker. So after any crash reading goes on behind the last
event that is in the log. A message is a line with an envelope, or a CloudEvent in JSON with its signature in the header
``deepnode-signature``. One that is no genuine event is refused and told; it holds nothing up.

The client is librdkafka, an extra of its own: ``pip install 'deepnode-ledger[kafka]'``.
"""

import logging
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deepnode_indexer.delivery import SIGNATURE_HEADER, Delivery, deliveries_of
from deepnode_indexer.intake import Outcome
from deepnode_indexer.sources import KAFKA_SCHEME, POLL_SECONDS, Stopped, Told, ask, insist
from deepnode_ledger.errors import BadInput, TryAgain
from deepnode_ledger.log import ACCEPT_MAX, Log
from deepnode_ledger.manifest import Manifest

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Message

METADATA_SECONDS: Final = 3.0
PARTITIONS_SECONDS: Final = 30.0
"""How often it is asked whether the topic has more partitions."""

AHEAD_KIB: Final = 16 * 1024
"""So much is fetched ahead of what is taken in."""

_URL = re.compile(r"kafka://(?P<brokers>[^/\s]+)/(?P<topic>[A-Za-z0-9._-]{1,249})")
_OURS: Final = {"bootstrap.servers", "group.id", "enable.auto.commit", "auto.offset.reset", "enable.auto.offset.store"}


class KafkaSource:
    """A topic, all of whose partitions are read, from their beginning at first."""

    def __init__(self, brokers: str, topic: str, config: dict[str, str] | None = None) -> None:
        self._topic = topic
        self._config: dict[str, object] = {
            **(config or {}),
            "bootstrap.servers": brokers,
            # The client asks for a name of a group, though it joins none.
            "group.id": "deepnode",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            # An offset that is gone is told, and not passed over.
            "auto.offset.reset": "error",
            "queued.max.messages.kbytes": AHEAD_KIB,
        }

    @classmethod
    def of_url(cls, url: str, config: Path | None = None) -> "KafkaSource":
        """Read ``kafka://HOST:PORT,HOST:PORT/TOPIC``, and a file of librdkafka's own settings (``name=value`` lines).

        Raises:
            BadInput: the URL or the file is malformed, or the client is not installed.
        """
        match = _URL.fullmatch(url)
        if match is None:
            raise BadInput(f"a topic must be like {KAFKA_SCHEME}HOST:9092,HOST:9092/TOPIC, not {url!r}")
        try:
            import confluent_kafka  # noqa: F401 (is it there?)
        except ImportError as error:
            raise BadInput("for Kafka another package is needed: pip install 'deepnode-ledger[kafka]'") from error
        return cls(match["brokers"], match["topic"], _settings(config) if config is not None else None)

    @property
    def name(self) -> str:
        """The topic, as in a URL without its brokers."""
        return f"kafka topic {self._topic}"

    def follow(self, log: Log, manifest: Manifest, stopped: Stopped) -> Iterator[Sequence[Told]]:
        """See ``Source``. While no broker answers, the client goes on trying by itself."""
        from confluent_kafka import Consumer, KafkaException

        logger = logging.getLogger("deepnode.kafka")
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
        failures: list[KafkaError] = []
        try:
            consumer = Consumer({**self._config, "error_cb": failures.append, "logger": logger})
        except (KafkaException, ValueError, TypeError) as error:
            raise BadInput(f"{self.name}: the client refuses its settings: {error}") from error
        try:
            yield from _Reader(consumer, self._topic, log, manifest, stopped, failures).read()
        finally:
            consumer.close()


class _Reader:
    """One run through a topic."""

    def __init__(
        self,
        consumer: "Consumer",
        topic: str,
        log: Log,
        manifest: Manifest,
        stopped: Stopped,
        failures: "list[KafkaError]",
    ) -> None:
        self._consumer = consumer
        self._topic = topic
        self._log = log
        self._manifest = manifest
        self._stopped = stopped
        self._failures = failures
        self._source: str | None = None
        self._assigned: set[int] = set()
        self._asked_at = 0.0

    def read(self) -> Iterator[Sequence[Told]]:
        last_hindrance = ""
        while not self._stopped():
            hindrances = [*self._assign(), *self._failed()]
            if hindrances and hindrances[-1] != last_hindrance:
                yield [(f"kafka topic {self._topic}", TryAgain(reason)) for reason in hindrances]
                last_hindrance = hindrances[-1]
            messages = self._consumer.consume(ACCEPT_MAX, POLL_SECONDS)
            if messages:
                yield from self._taken(messages)
                last_hindrance = ""

    def _assign(self) -> Iterator[str]:
        """Begin to read partitions that are not read yet; yield what hinders that."""
        from confluent_kafka import OFFSET_BEGINNING, KafkaException, TopicPartition

        if self._asked_at and time.monotonic() - self._asked_at < PARTITIONS_SECONDS:
            return
        try:
            found = self._consumer.list_topics(self._topic, METADATA_SECONDS)
        except KafkaException as error:
            yield f"no broker says what the topic is: {error}"
            return
        topic = found.topics[self._topic]
        if topic.error is not None or not topic.partitions:
            yield f"the topic cannot be read: {topic.error}"
            time.sleep(POLL_SECONDS)
            return
        # The cluster's id is part of the name: in another cluster the same offset is another message.
        self._source = f"kafka {found.cluster_id} {self._topic}"
        new = sorted(set(topic.partitions) - self._assigned)
        if new:
            source = self._source
            offsets = ask(lambda: self._log.offsets(source), self._stopped)
            if self._stopped():
                return
            places = [TopicPartition(self._topic, each, offsets.get(each, OFFSET_BEGINNING)) for each in new]
            self._consumer.incremental_assign(places)
            self._assigned.update(new)
        self._asked_at = time.monotonic()

    def _failed(self) -> list[str]:
        failures = list(self._failures)
        self._failures.clear()
        for failure in failures:
            if failure.fatal():
                raise BadInput(f"kafka topic {self._topic}: the client gave up: {failure.str()}")
        return [failure.str() for failure in failures]

    def _taken(self, messages: "Sequence[Message]") -> Iterator[Sequence[Told]]:
        """Take in messages in runs that the log takes in one transaction, each run with the offsets behind it."""
        places: list[str] = []
        deliveries: list[Delivery] = []
        offsets: dict[tuple[str, int], int] = {}
        assert self._source is not None
        for message in messages:
            partition, offset = message.partition(), message.offset()
            assert partition is not None
            if message.error() is not None:
                yield self._troubled(message)
                continue
            assert offset is not None
            place = f"{self._topic} partition {partition} offset {offset}"
            try:
                found = _deliveries(message)
            except BadInput as error:
                yield [(place, error)]
                found = []
            if len(deliveries) + len(found) > ACCEPT_MAX:
                yield self._durable(places, deliveries, offsets)
                places, deliveries, offsets = [], [], {}
            places += [place] * len(found)
            deliveries += found
            offsets[(self._source, partition)] = offset + 1
        if offsets:
            yield self._durable(places, deliveries, offsets)

    def _durable(
        self, places: Sequence[str], deliveries: Sequence[Delivery], offsets: dict[tuple[str, int], int]
    ) -> Sequence[Told]:
        outcomes: list[Outcome] | None = insist(self._log, self._manifest, deliveries, self._stopped, offsets)
        return list(zip(places, outcomes or [], strict=False))

    def _troubled(self, message: "Message") -> Sequence[Told]:
        """Tell of an error in place of a message; go on at the earliest message where the next one is gone."""
        from confluent_kafka import KafkaError, KafkaException, TopicPartition

        error, partition = message.error(), message.partition()
        assert error is not None
        assert partition is not None
        place = f"{self._topic} partition {partition}"
        if error.fatal():
            raise BadInput(f"kafka topic {self._topic}: the client gave up: {error.str()}")
        if error.code() != KafkaError._AUTO_OFFSET_RESET:
            return [(place, TryAgain(error.str()))]
        here = TopicPartition(self._topic, partition)
        # Once its offset is gone the client does not seek in a partition: it has to be given up and taken anew.
        self._consumer.incremental_unassign([here])
        try:
            low, high = self._consumer.get_watermark_offsets(here, METADATA_SECONDS)
        except KafkaException as failure:
            self._assigned.discard(partition)
            self._asked_at = 0.0
            return [(place, TryAgain(str(failure)))]
        self._consumer.incremental_assign([TopicPartition(self._topic, partition, low)])
        gone = f"offset {message.offset()} is gone, the broker holds {low} to {high}; reading goes on at {low}"
        return [(place, TryAgain(f"{gone}. Events between them were lost if a producer's sequence numbers have a gap"))]


def _deliveries(message: "Message") -> list[Delivery]:
    value = message.value()
    if not value:
        raise BadInput("the message is empty")
    headers = {name.lower(): _text(value) for name, value in dict(message.headers() or {}).items()}
    kind = headers.get("content-type")
    binary_mode = "ce_specversion" in headers
    found = deliveries_of(value, kind, headers.get(SIGNATURE_HEADER), binary_mode=binary_mode)
    if not 1 <= len(found) <= ACCEPT_MAX:
        raise BadInput(f"a message holds 1 to {ACCEPT_MAX} events, not {len(found)}")
    return found


def _text(value: bytes | str | None) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value or ""


def _settings(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8 text: {error}") from error
    settings: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        name, equals, value = (part.strip() for part in line.partition("="))
        if not line.strip() or name.startswith("#"):
            continue
        # The value may be a password, so it is not named.
        if not equals or not name:
            raise BadInput(f"{path} line {number}: a setting must be like name=value")
        if name in _OURS:
            raise BadInput(f"{path} line {number}: {name} is not to be set, reading depends on it")
        settings[name] = value
    return settings
