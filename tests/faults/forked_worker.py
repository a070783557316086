"""Processes of ours that a test may kill: forked from one that has everything loaded, so that each costs milliseconds.

``serve`` is the process that they are forked from. A worker opens the log, makes the calls
that prepare the scene, says which backend serves it and waits for a byte: that is when strace is put on it or on the
backend. Then it makes the calls that count, and acknowledges each. Its own writes and reads may be faulted too: it
leaves at once, and what it did not say is unacknowledged.
"""

import faulthandler
import gc
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg_pool.base import AttemptWithBackoff

from deepnode_ledger import segment
from deepnode_ledger.batch import encode, from_rows, row_of
from deepnode_ledger.errors import BadInput, DeepNodeError, TryAgain
from tests.faults.log_calls import Call, Desk, Place
from tests.ledger.histories import CHAIN_ID, chain_log, ref, task

ROOT = Path(__file__).resolve().parents[2]

SILENT_SECONDS = 60
"""A worker that says nothing for so long hangs, which is a finding. The longest wait of ours is a connection's."""

AGAIN_SECONDS = 20
RECONNECT_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker does: ``prepare`` before it is faulted, ``calls`` after.

    ``persistent``: after ``TryAgain`` it makes the same call again, as our services do; otherwise it ends.
    ``publisher_is_open``: before it is faulted, so that ``Ready`` names the backend of the publisher's connection.
    """

    place: Place
    prepare: tuple[Call, ...]
    calls: tuple[Call, ...]
    persistent: bool = False
    publisher_is_open: bool = False


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker waits for its go; ``backend`` is the server's process at the other end of its connection."""

    backend: int


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Call ``number`` (from 0, preparing calls first) has returned ``answer`` at the given attempt (from 1)."""

    number: int
    answer: object
    attempt: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Call ``number`` raised: ``family`` is one of ours, OSError, or empty; ``text`` holds the whole traceback."""

    number: int
    family: str
    message: str
    text: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Done:
    """The worker has made all of its calls and ends."""


Message = Ready | Acknowledged | Refused | Done


class Worker:
    """A forked process, seen from the test."""

    def __init__(self, pid: int, channel: socket.socket, job: Job) -> None:
        self.pid = pid
        self._channel = channel
        self._channel.settimeout(SILENT_SECONDS)
        self._frames = channel.makefile("rb")
        _send(channel, job)

    def go(self) -> None:
        """Let it make the calls that count. That it has died already is for the next message to say."""
        with suppress(ConnectionError):
            self._channel.sendall(b"g")

    def messages(self) -> Iterator[Message]:
        """Yield what it says until it ends or dies; its channel closes with it."""
        while True:
            try:
                yield pickle.load(self._frames)
            except (EOFError, ConnectionError, pickle.UnpicklingError):
                # The last message may be cut where the kill struck.
                return
            except TimeoutError:
                # Its stack goes to the standard error of the tests.
                self.signal(signal.SIGUSR1)
                raise AssertionError(f"worker {self.pid} hangs: silent for {SILENT_SECONDS} s") from None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; that it is gone already is no error."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def close(self) -> None:
        """Kill it, if it still lives, and wait until its files and locks are free."""
        self.signal(signal.SIGKILL)
        self._frames.close()
        self._channel.close()
        deadline = time.monotonic() + SILENT_SECONDS
        while Path(f"/proc/{self.pid}").exists():
            assert time.monotonic() < deadline, f"worker {self.pid} does not die"
            time.sleep(0.0005)


class Workers:
    """The process that workers are forked from."""

    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair()
        # Not as a script: what it says must be of this module's types, not of those of a __main__.
        start = f"from {__name__} import serve; serve({theirs.fileno()})"
        command = [sys.executable, "-W", "ignore", "-c", start]
        self._process = subprocess.Popen(command, cwd=ROOT, pass_fds=[theirs.fileno()])
        theirs.close()

    @contextmanager
    def worker(self, job: Job) -> Iterator[Worker]:
        """Fork a worker, which begins at once and is dead when the block ends."""
        ours, theirs = socket.socketpair()
        socket.send_fds(self._channel, [b"f"], [theirs.fileno()])
        theirs.close()
        pid = int.from_bytes(self._channel.recv(8), "big")
        assert pid, "the process that workers are forked from has died"
        worker = Worker(pid, ours, job)
        try:
            yield worker
        finally:
            worker.close()

    def close(self) -> None:
        """End the process that workers are forked from."""
        self._channel.close()
        self._process.wait()


def _send(channel: socket.socket, message: object) -> None:
    channel.sendall(pickle.dumps(message))


def serve(descriptor: int) -> None:
    """Be the process that workers are forked from: one for every channel that comes, until the test has gone."""
    channel = socket.socket(fileno=descriptor)
    # What is imported at the first conversion is not to be faulted: a broken installation is another matter.
    block = ref(1)
    batch = from_rows([row_of(1, CHAIN_ID, block, chain_log(block, 1)), row_of(2, CHAIN_ID, block, task(1))])
    encode(batch)
    segment.of_batch(1, batch)
    # A recovery takes some 30 ms here; the pool would wait for a second before it connects again.
    AttemptWithBackoff.INITIAL_DELAY = RECONNECT_SECONDS
    # Nobody waits for a worker by its id: its channel tells of its end.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.freeze()
    while True:
        _, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
        if not descriptors:
            return
        pid = os.fork()
        if pid == 0:
            channel.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _live(socket.socket(fileno=descriptors[0]))
        os.close(descriptors[0])
        channel.sendall(pid.to_bytes(8, "big"))


def _live(channel: socket.socket) -> None:
    """Be a worker: leave without cleaning up, whatever happens."""
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    try:
        _work(channel, pickle.load(channel.makefile("rb")))
    except OSError:
        # The fault hit what the worker says or hears.
        os._exit(3)
    except BaseException:  # noqa: BLE001 (a forked process must not go on where its parent was)
        traceback.print_exc()
        os._exit(4)
    os._exit(0)


def _work(channel: socket.socket, job: Job) -> None:
    desk = Desk(job.place)
    for number, call in enumerate(job.prepare):
        _send(channel, Acknowledged(number, call.make(desk), 1))
    datastore = desk.publisher._datastore if job.publisher_is_open else desk.log.datastore
    with datastore.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid() AS pid")
        row: Any = cursor.fetchone()
    _send(channel, Ready(row["pid"]))
    if channel.recv(1) != b"g":
        return
    for number, call in enumerate(job.calls, len(job.prepare)):
        if not _make(channel, desk, number, call, job.persistent):
            return
    _send(channel, Done())


def _make(channel: socket.socket, desk: Desk, number: int, call: Call, persistent: bool) -> bool:
    """Make a call, again and again if the job says so; return whether the next one may follow."""
    deadline = time.monotonic() + AGAIN_SECONDS
    attempt = 1
    while True:
        try:
            answer = call.make(desk)
        except Exception as error:  # noqa: BLE001 (whatever it is, the test judges it)
            _send(channel, Refused(number, _family(error), str(error), traceback.format_exc(), attempt))
            if isinstance(error, TryAgain) and persistent and time.monotonic() < deadline:
                attempt += 1
                continue
            # A call that is repeated after all is refused when the first attempt was carried out: then go on.
            return isinstance(error, BadInput) and attempt > 1
        _send(channel, Acknowledged(number, answer, attempt))
        return True


def _family(error: Exception) -> str:
    families: Sequence[type[Exception]] = (TryAgain, BadInput, DeepNodeError, OSError)
    return next((family.__name__ for family in families if isinstance(error, family)), "")
