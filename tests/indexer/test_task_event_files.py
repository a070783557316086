"""A file of task events is taken in as it grows, line by line, and each bad line is told by its number."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deepnode_indexer.intake import Outcome
from deepnode_indexer.jsonl import follow_file
from deepnode_ledger.errors import BadInput
from deepnode_ledger.log import ACCEPT_MAX, Log
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.record import TaskEvent
from deepnode_ledger.tail import Accepted
from deepnode_ledger.task_event import ENVELOPE_BYTES_MAX
from tests.ledger.histories import block, records
from tests.ledger.paper_deployment import OTHER_KEY, envelope, payload

WAIT_SECONDS = 30


class Reader:
    """Follows a file in a thread; outcomes by (line number, outcome)."""

    def __init__(self, path: Path, log: Log, manifest: Manifest) -> None:
        self.outcomes: list[tuple[int, Outcome]] = []
        self.failure: BaseException | None = None
        self._stop = threading.Event()
        self._came = threading.Condition()
        self._thread = threading.Thread(target=self._read, args=(path, log, manifest))
        self._thread.start()

    def _read(self, path: Path, log: Log, manifest: Manifest) -> None:
        try:
            for run in follow_file(path, log, manifest, self._stop.is_set):
                with self._came:
                    self.outcomes += run
                    self._came.notify_all()
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            self.failure = error

    def wait_for(self, count: int) -> list[tuple[int, Outcome]]:
        with self._came:
            assert self._came.wait_for(lambda: len(self.outcomes) >= count, WAIT_SECONDS), (self.outcomes, self.failure)
            return list(self.outcomes)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(WAIT_SECONDS)
        assert not self._thread.is_alive()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


@pytest.fixture
def covered(log: Log) -> Log:
    log.extend(None, [block(1)])
    return log


@pytest.fixture
def readers() -> Iterator[list[Reader]]:
    started: list[Reader] = []
    yield started
    for reader in started:
        reader.stop()


def follow(readers: list[Reader], path: Path, log: Log, manifest: Manifest) -> Reader:
    readers.append(Reader(path, log, manifest))
    return readers[-1]


def add(path: Path, text: bytes) -> None:
    with path.open("ab") as file:
        file.write(text)


def held(log: Log) -> list[str]:
    return [record.event_id for record in records(log) if isinstance(record, TaskEvent)]


def test_lines_are_taken_in_as_the_file_grows(
    readers: list[Reader], path: Path, covered: Log, manifest: Manifest
) -> None:
    """Writes a line, waits, writes two more with a blank one between them."""
    add(path, envelope(payload(1)) + b"\n")
    reader = follow(readers, path, covered, manifest)
    assert reader.wait_for(1) == [(1, Accepted(1, duplicate=False))]
    add(path, envelope(payload(2)) + b"\r\n\n" + envelope(payload(3)) + b"\n")
    assert reader.wait_for(3)[1:] == [(2, Accepted(2, duplicate=False)), (4, Accepted(3, duplicate=False))]
    assert held(covered) == ["event-1", "event-2", "event-3"]


def test_half_a_line_waits_for_its_other_half(
    readers: list[Reader], path: Path, covered: Log, manifest: Manifest
) -> None:
    """Writes a line in three pieces behind a whole one, and at last its line feed."""
    line = envelope(payload(2))
    add(path, envelope(payload(1)) + b"\n" + line[:10])
    reader = follow(readers, path, covered, manifest)
    reader.wait_for(1)
    for piece in (line[10:50], line[50:]):
        add(path, piece)
        time.sleep(0.3)
        assert len(reader.outcomes) == 1
    add(path, b"\n")
    assert reader.wait_for(2)[1] == (2, Accepted(2, duplicate=False))


def test_a_bad_line_is_told_by_its_number(readers: list[Reader], path: Path, covered: Log, manifest: Manifest) -> None:
    """Writes good lines around an empty object, a foreign signature and bytes that are no text."""
    lines = [envelope(payload(1)), b"{}", b"", envelope(payload(2), OTHER_KEY), b"\xff\xfe", envelope(payload(3))]
    add(path, b"\n".join(lines) + b"\n")
    outcomes = follow(readers, path, covered, manifest).wait_for(5)
    assert [number for number, outcome in outcomes if isinstance(outcome, BadInput)] == [2, 4, 5]
    assert [number for number, outcome in outcomes if isinstance(outcome, Accepted)] == [1, 6]
    assert held(covered) == ["event-1", "event-3"]


@pytest.mark.parametrize("length", [ENVELOPE_BYTES_MAX + 1, ENVELOPE_BYTES_MAX + 2, 3 * ENVELOPE_BYTES_MAX])
def test_too_long_a_line_is_refused_with_its_number(
    readers: list[Reader], path: Path, covered: Log, manifest: Manifest, length: int
) -> None:
    """Writes a line above the limit between two good ones: only its own number is refused."""
    lines = [envelope(payload(1)), b"x" * length, envelope(payload(2))]
    add(path, b"\n".join(lines) + b"\n")
    reader = follow(readers, path, covered, manifest)
    add(path, envelope(payload(3)) + b"\n")
    deadline = time.monotonic() + WAIT_SECONDS
    while len(held(covered)) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    reader.stop()
    assert {number for number, outcome in reader.outcomes if isinstance(outcome, BadInput)} == {2}
    assert [number for number, outcome in reader.outcomes if isinstance(outcome, Accepted)] == [1, 3, 4]


def test_the_end_of_too_long_a_line_is_no_line(
    readers: list[Reader], path: Path, covered: Log, manifest: Manifest
) -> None:
    """Ends a line above the limit with what would be a good envelope of its own: nothing of the line counts."""
    add(path, b" " * (ENVELOPE_BYTES_MAX + 2) + envelope(payload(1)) + b"\n" + envelope(payload(2)) + b"\n")
    reader = follow(readers, path, covered, manifest)
    deadline = time.monotonic() + WAIT_SECONDS
    while "event-2" not in held(covered) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert held(covered) == ["event-2"]
    assert reader.failure is None


def test_a_file_is_read_again_without_harm(readers: list[Reader], path: Path, covered: Log, manifest: Manifest) -> None:
    """Follows the same file a second time, as after a restart."""
    add(path, envelope(payload(1)) + b"\n" + envelope(payload(2)) + b"\n")
    follow(readers, path, covered, manifest).wait_for(2)
    again = follow(readers, path, covered, manifest).wait_for(2)
    assert again == [(1, Accepted(1, duplicate=True)), (2, Accepted(2, duplicate=True))]


def test_many_lines_go_in_several_calls(readers: list[Reader], path: Path, covered: Log, manifest: Manifest) -> None:
    """Writes more lines than one call takes; most are bad so that it is quick, the last is good."""
    add(path, b"{}\n" * (ACCEPT_MAX + 3) + envelope(payload(1)) + b"\n")
    outcomes = follow(readers, path, covered, manifest).wait_for(ACCEPT_MAX + 4)
    assert [number for number, _ in outcomes] == list(range(1, ACCEPT_MAX + 5))
    assert outcomes[-1][1] == Accepted(1, duplicate=False)


def test_lines_wait_until_the_log_is_there(readers: list[Reader], path: Path, log: Log, manifest: Manifest) -> None:
    """Writes a line before the first block is covered; it is taken in once that is so."""
    add(path, envelope(payload(1)) + b"\n")
    reader = follow(readers, path, log, manifest)
    time.sleep(0.3)
    assert (reader.outcomes, reader.failure) == ([], None)
    log.extend(None, [block(1)])
    assert reader.wait_for(1) == [(1, Accepted(1, duplicate=False))]


def test_a_file_that_is_not_there_is_refused(tmp_path: Path, log: Log, manifest: Manifest) -> None:
    """Follows a missing file, and a folder."""
    for path in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(BadInput, match=f"task events cannot be read from {path}"):
            next(follow_file(path, log, manifest, lambda: False))
