"""Task events come in from a stream and from a directory, whole and once, and what hinders is told."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from deepnode_indexer import directory
from deepnode_indexer.directory import DirectorySource
from deepnode_indexer.jsonl import FileSource, StandardInput
from deepnode_indexer.lines import Line, LineSplitter
from deepnode_indexer.sources import Source, Told, follow_all, outcomes, refusals, source_of
from deepnode_ledger.errors import BadInput, Conflict, TryAgain
from deepnode_ledger.log import ACCEPT_MAX, Log
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.record import TaskEvent
from deepnode_ledger.tail import Accepted
from deepnode_ledger.task_event import ENVELOPE_BYTES_MAX
from tests.ledger.histories import block, records
from tests.ledger.paper_deployment import envelope, payload

WAIT_SECONDS = 30


class Following:
    """Sources that are followed in a thread, and what they told."""

    def __init__(self, log: Log, manifest: Manifest, *sources: Source) -> None:
        self.told: list[Told] = []
        self.failure: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(sources, log, manifest))
        self._thread.start()

    def _work(self, sources: Sequence[Source], log: Log, manifest: Manifest) -> None:
        try:
            follow_all(sources, log, manifest, self._stop, self.told.extend)
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            self.failure = error

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not condition():
            assert time.monotonic() < deadline, (self.told, self.failure)
            time.sleep(0.01)

    def places(self) -> list[str]:
        return [place for place, outcome in self.told if isinstance(outcome, Accepted)]

    def end(self) -> None:
        self._thread.join(WAIT_SECONDS)
        assert not self._thread.is_alive()

    def stop(self) -> None:
        self._stop.set()
        self.end()


@pytest.fixture
def covered(log: Log, monkeypatch: pytest.MonkeyPatch) -> Log:
    monkeypatch.setattr(directory, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(directory, "QUIET_SECONDS", 0.02)
    log.extend(None, [block(1)])
    return log


@pytest.fixture
def follow(covered: Log, manifest: Manifest) -> Iterator[Callable[..., Following]]:
    started: list[Following] = []

    def start(*sources: Source, log: Log = covered) -> Following:
        started.append(Following(log, manifest, *sources))
        return started[-1]

    yield start
    for each in started:
        each.stop()


def held(log: Log) -> list[str]:
    return [record.event_id for record in records(log) if isinstance(record, TaskEvent)]


def lines(*numbers: int) -> bytes:
    return b"".join(envelope(payload(number)) + b"\n" for number in numbers)


def remembered(log: Log) -> list[int]:
    with log.datastore.cursor() as cursor:
        cursor.execute("SELECT next_offset FROM log.intake_offset ORDER BY 1")
        return [row["next_offset"] for row in cursor.fetchall()]


# --- Lines -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from([b"a", b"bc", b"", b"  ", b"\r", b"x\r"]), max_size=8), st.data())
def test_lines_do_not_depend_on_the_pieces_they_come_in(texts: list[bytes], data: st.DataObject) -> None:
    """Cuts a text anywhere: numbers and lines are those of the whole."""
    whole = b"\n".join(texts)
    splitter = LineSplitter()
    found: list[Line] = []
    rest = whole
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        found += splitter.feed(rest[:size])
        rest = rest[size:]
    found += splitter.end()
    expected = [(n, text.rstrip(b"\r")) for n, text in enumerate(whole.split(b"\n"), start=1) if text.strip()]
    assert found == expected


@settings(max_examples=25)
@given(st.integers(1_000, 3 * ENVELOPE_BYTES_MAX), st.integers(ENVELOPE_BYTES_MAX + 1, 3 * ENVELOPE_BYTES_MAX))
def test_a_line_above_the_limit_is_one_line(size: int, length: int) -> None:
    """Feeds too long a line between two short ones in pieces of any size: it is handed out once, cut off."""
    whole = b"a\n" + b"x" * length + b"\nb\n"
    splitter = LineSplitter()
    found: list[Line] = []
    for start in range(0, len(whole), size):
        found += splitter.feed(whole[start : start + size])
        assert len(splitter._half) <= ENVELOPE_BYTES_MAX
    assert [(number, len(line)) for number, line in found] == [(1, 1), (2, ENVELOPE_BYTES_MAX + 1), (3, 1)]


# --- Standard input --------------------------------------------------------------------------------------------------


def test_a_stream_is_read_to_its_end(follow: Callable[..., Following], covered: Log) -> None:
    """Writes lines into a pipe, a bad one among them and the last without its line feed, and closes it."""
    reading, writing = os.pipe()
    following = follow(StandardInput(reading))
    os.write(writing, lines(1))
    following.until(lambda: held(covered) == ["event-1"])
    os.write(writing, b"\nbad\n" + lines(2, 3).rstrip(b"\n"))
    os.close(writing)
    following.end()
    os.close(reading)
    assert held(covered) == ["event-1", "event-2", "event-3"]
    assert following.places() == [f"standard input line {number}" for number in (1, 4, 5)]
    [refused] = refusals(following.told)
    assert refused.startswith("standard input line 3 was refused: an envelope must be")


def test_a_long_stream_goes_in_several_transactions(follow: Callable[..., Following]) -> None:
    """Writes more lines than one call takes, bad ones so that it is quick."""
    reading, writing = os.pipe()
    following = follow(StandardInput(reading))
    with os.fdopen(writing, "wb") as stream:
        stream.write(b"{}\n" * (2 * ACCEPT_MAX + 5))
    following.end()
    os.close(reading)
    assert len(outcomes(following.told)) == 2 * ACCEPT_MAX + 5


def test_a_stream_without_end_is_left_when_told_to_stop(follow: Callable[..., Following]) -> None:
    """Stops while nothing comes."""
    reading, writing = os.pipe()
    follow(StandardInput(reading)).stop()
    os.close(writing)


# --- Directories -----------------------------------------------------------------------------------------------------


def test_files_that_appear_and_grow_are_taken_in(
    follow: Callable[..., Following], covered: Log, tmp_path: Path
) -> None:
    """Begins with one file, adds others (hidden, half-written, of another kind), and lets one grow."""
    (tmp_path / "b.jsonl").write_bytes(lines(1, 2))
    following = follow(DirectorySource(tmp_path))
    following.until(lambda: held(covered) == ["event-1", "event-2"])
    (tmp_path / "a.jsonl").write_bytes(lines(3) + envelope(payload(4)))
    for name in ("c.txt", ".hidden.jsonl", "d.jsonl.part"):
        (tmp_path / name).write_bytes(lines(99))
    (tmp_path / "folder.jsonl").mkdir()
    following.until(lambda: len(held(covered)) == 3)
    with (tmp_path / "a.jsonl").open("ab") as file:
        file.write(b"\n\n" + lines(5))
    following.until(lambda: len(held(covered)) == 5)
    (tmp_path / "d.jsonl.part").rename(tmp_path / "d.jsonl")
    following.until(lambda: held(covered)[-1] == "event-99")
    assert held(covered) == [f"event-{number}" for number in (1, 2, 3, 4, 5, 99)]
    names = [place.removeprefix(f"{tmp_path}/") for place in following.places()]
    expected = ["b.jsonl line 1", "b.jsonl line 2", "a.jsonl line 1", "a.jsonl line 2", "a.jsonl line 4"]
    assert names == [*expected, "d.jsonl line 1"]


def test_a_finished_file_is_known_by_its_content(
    follow: Callable[..., Following], covered: Log, tmp_path: Path
) -> None:
    """After a restart a known file lies there under another name and date, beside a new one; only that is read."""
    old = tmp_path / "old.jsonl"
    old.write_bytes(lines(1, 2) + b"bad\n")
    first = follow(DirectorySource(tmp_path))
    first.until(lambda: remembered(covered) == [old.stat().st_size])
    first.stop()
    os.utime(old.rename(tmp_path / "renamed.jsonl"), (1, 1))
    (tmp_path / "new.jsonl").write_bytes(lines(3))
    second = follow(DirectorySource(tmp_path))
    second.until(lambda: len(remembered(covered)) == 2)
    assert [place for place, _ in second.told] == [f"{tmp_path}/new.jsonl line 1"]
    with (tmp_path / "renamed.jsonl").open("ab") as file:
        file.write(lines(4))
    second.until(lambda: held(covered) == ["event-1", "event-2", "event-3", "event-4"])
    assert second.places()[-1] == f"{tmp_path}/renamed.jsonl line 4"


def test_another_file_in_the_same_place_is_read_from_its_start(
    follow: Callable[..., Following], covered: Log, tmp_path: Path
) -> None:
    """Writes over a file in place: with as many bytes and the date of old, with fewer, and with more."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(lines(1, 2))
    following = follow(DirectorySource(tmp_path))
    following.until(lambda: len(held(covered)) == 2)
    for numbers in ((3, 4), (5,), (6, 7, 8)):
        with path.open("r+b") as file:
            file.write(lines(*numbers))
            file.truncate()
        following.until(lambda numbers=numbers: held(covered)[-1] == f"event-{numbers[-1]}")  # type: ignore[misc]  # a lambda has no types
    assert held(covered) == [f"event-{number}" for number in range(1, 9)]


def test_a_file_that_grows_slowly_is_not_noted_at_every_line(
    follow: Callable[..., Following], covered: Log, tmp_path: Path
) -> None:
    """Adds a line at a time, with quiet between them: the notes are as few as the times that it doubled."""
    path = tmp_path / "slow.jsonl"
    following = follow(DirectorySource(tmp_path))
    for number in range(1, 10):
        with path.open("ab") as file:
            file.write(lines(number))
        following.until(lambda number=number: len(held(covered)) == number)  # type: ignore[misc]  # a lambda has no types
        time.sleep(0.1)
    following.until(lambda: len(remembered(covered)) >= 3)
    assert len(remembered(covered)) <= 4


def test_what_cannot_be_read_is_told_once(
    follow: Callable[..., Following], covered: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file refuses to be opened until it is mended; the others go on meanwhile."""
    bad = tmp_path / "a.jsonl"
    bad.write_bytes(lines(1))
    mended = threading.Event()
    open_file = Path.open

    def refusing(path: Path, mode: str) -> IO[Any]:
        if path == bad and not mended.is_set():
            raise PermissionError(13, "Permission denied")
        return open_file(path, mode)

    monkeypatch.setattr(Path, "open", refusing)
    following = follow(DirectorySource(tmp_path))
    (tmp_path / "b.jsonl").touch()
    with open_file(tmp_path / "b.jsonl", "ab") as file:
        file.write(lines(2))
    following.until(lambda: held(covered) == ["event-2"])
    time.sleep(0.1)
    assert refusals(following.told) == [f"{bad}: task events cannot be read: Permission denied"]
    assert outcomes(following.told) == [Accepted(1, duplicate=False)]
    mended.set()
    following.until(lambda: held(covered) == ["event-2", "event-1"])


def test_a_directory_waits_until_the_log_is_there(
    follow: Callable[..., Following], log: Log, covered: Log, tmp_path: Path, manifest: Manifest
) -> None:
    """The log is away at first, then comes back: nothing is skipped."""
    (tmp_path / "a.jsonl").write_bytes(lines(1))

    class Away(Log):
        away = True

        @override
        def accept(
            self, events: Sequence[TaskEvent], offsets: Mapping[tuple[str, int], int] | None = None
        ) -> list[Accepted | Conflict]:
            if self.away:
                raise TryAgain("away")
            return super().accept(events, offsets)

    away = Away(covered.datastore, covered.chain_id)
    following = follow(DirectorySource(tmp_path), log=away)
    time.sleep(0.3)
    assert (following.told, following.failure) == ([], None)
    away.away = False
    following.until(lambda: held(covered) == ["event-1"])


# --- Which source ----------------------------------------------------------------------------------------------------


def test_a_source_is_found_by_its_name(tmp_path: Path) -> None:
    """Names each kind."""
    assert isinstance(source_of("-"), StandardInput)
    assert isinstance(source_of(str(tmp_path)), DirectorySource)
    file = source_of(str(tmp_path / "events.jsonl"))
    assert isinstance(file, FileSource)
    assert file.name == f"{tmp_path}/events.jsonl"


def test_one_source_that_fails_ends_them_all(follow: Callable[..., Following], tmp_path: Path) -> None:
    """Follows a directory, and a file that is missing."""
    following = follow(DirectorySource(tmp_path), FileSource(tmp_path / "none.jsonl"))
    following.end()
    assert isinstance(following.failure, BadInput)
    assert "none.jsonl" in str(following.failure)


def test_a_directory_that_is_none_is_refused(log: Log, manifest: Manifest, tmp_path: Path) -> None:
    """Follows a folder that went away before the start."""
    with pytest.raises(BadInput, match="it is no directory"):
        next(DirectorySource(tmp_path / "none").follow(log, manifest, lambda: False))
