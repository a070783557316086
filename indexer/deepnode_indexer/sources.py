"""Where task events come from besides HTTP: files, standard input, a directory, a Kafka topic.

A source hands over what it finds and says what became of each event, by its place. None of them needs a memory of its
own: an event that is taken in again adds nothing, and where reading everything again would be long, the log itself
notes how far a source was read, in the transaction that makes the events durable.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from deepnode_indexer.delivery import Delivery
from deepnode_indexer.intake import Outcome, take_in
from deepnode_ledger.errors import BadInput, DeepNodeError, TryAgain
from deepnode_ledger.log import Log
from deepnode_ledger.manifest import Manifest

POLL_SECONDS: Final = 0.2
"""How often a source is looked at for more."""

STANDARD_INPUT: Final = "-"
KAFKA_SCHEME: Final = "kafka://"

Told = tuple[str, Outcome | TryAgain]
"""Where an event stands, and what became of it; or what hinders a source for now."""

Stopped = Callable[[], bool]


class Source(Protocol):
    """Something that task events are read from."""

    @property
    def name(self) -> str:
        """What people call it, for messages."""

    def follow(self, log: Log, manifest: Manifest, stopped: Stopped) -> Iterator[Sequence[Told]]:
        """Take in what the source has and gets, until it ends or ``stopped``; tell what became of each event.

        While the log is away the same events are tried again.

        Raises:
            BadInput: the source cannot be read, now or ever.
        """


def source_of(text: str, kafka_config: Path | None = None) -> Source:
    """Find the source that somebody named: ``-``, a directory, a file or ``kafka://HOST:PORT,…/TOPIC``.

    Raises:
        BadInput: the name of a Kafka topic is malformed, or its client is not installed.
    """
    from deepnode_indexer.directory import DirectorySource
    from deepnode_indexer.jsonl import FileSource, StandardInput

    if text == STANDARD_INPUT:
        return StandardInput()
    if text.startswith(KAFKA_SCHEME):
        from deepnode_indexer.kafka import KafkaSource

        return KafkaSource.of_url(text, kafka_config)
    path = Path(text)
    return DirectorySource(path) if path.is_dir() else FileSource(path)


def follow_all(
    sources: Sequence[Source],
    log: Log,
    manifest: Manifest,
    stop: threading.Event,
    tell: Callable[[Sequence[Told]], None],
) -> None:
    """Follow sources side by side until each has ended or ``stop`` is set; one that fails sets it.

    Args:
        sources: what to read.
        log: where the events go.
        manifest: whose events count.
        stop: set from outside or by the first failure.
        tell: called with what became of events, from several threads.

    Raises:
        BadInput: the first failure of a source.
    """
    failures: list[DeepNodeError] = []

    def work(source: Source) -> None:
        try:
            for told in source.follow(log, manifest, stop.is_set):
                tell(told)
        except DeepNodeError as error:
            failures.append(error)
            stop.set()

    threads = [threading.Thread(target=work, args=(source,), name=source.name) for source in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def insist(
    log: Log,
    manifest: Manifest,
    deliveries: Sequence[Delivery],
    stopped: Stopped,
    offsets: Mapping[tuple[str, int], int] | None = None,
) -> list[Outcome] | None:
    """Take in events, again and again while the log is away; None if it was stopped before that came about."""
    while not stopped():
        try:
            return take_in(log, manifest, deliveries, offsets)
        except TryAgain:
            time.sleep(POLL_SECONDS)
    return None


def ask(question: Callable[[], dict[int, int]], stopped: Stopped) -> dict[int, int]:
    """Ask the log, again and again while it is away; nothing if it was stopped before that came about."""
    while not stopped():
        try:
            return question()
        except TryAgain:
            time.sleep(POLL_SECONDS)
    return {}


def refusals(told: Sequence[Told]) -> list[str]:
    """Name what was refused and what hinders, each with its place, for people."""
    return [
        f"{place}: {outcome}" if isinstance(outcome, TryAgain) else f"{place} was refused: {outcome}"
        for place, outcome in told
        if isinstance(outcome, BadInput | TryAgain)
    ]


def outcomes(told: Sequence[Told]) -> list[Outcome]:
    """Leave out what only hinders: what became of events, to be counted."""
    return [outcome for _, outcome in told if not isinstance(outcome, TryAgain)]
