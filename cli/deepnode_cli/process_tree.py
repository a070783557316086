"""The processes that `deepnode demo` and `deepnode up` run: started, watched and stopped as one.

Whatever ends the parent ends its children, and nothing else does or is done to anybody else:

- Each child has its own session, so a terminal's Ctrl-C reaches only the parent, which stops the children in order.
- Each child's stdin is a pipe whose other end only the parent holds. The kernel closes it when the parent dies, even by
  ``kill -9``; the child sees the end of the file (`die_with_parent`) and ends itself. This needs neither Linux's
  parent-death signal nor a watching process, and works on macOS.
- A signal goes to a child only through the handle that `subprocess` keeps: a child that has ended was reaped by that
  same handle, so that its process id, which the system may have given to a stranger since, is never signalled.

It refuses two children of one name, and to start anything once it is stopping.
"""

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

DIES_WITH_PARENT = "DEEPNODE_DIES_WITH_PARENT"
"""The environment variable by which a parent asks its child to watch stdin."""

Result = TypeVar("Result")

STDIN = 0
POLL_SECONDS = 0.05
KILL_SECONDS_MAX = 5.0
LAST_RESORT_SECONDS = 30.0
TAIL_LINES = 20
TAIL_BYTES_MAX = 64 * 1024


class ProcessTreeError(Exception):
    """The process tree could not do with the child ``name`` what was asked of it."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class NameRefused(ProcessTreeError):
    """A child's name is in use, or cannot also be the name of its log file."""


class UnknownChild(ProcessTreeError):
    """No child of this name was started."""


class Stopping(ProcessTreeError):
    """The tree is being stopped, so nothing starts or becomes ready any more."""

    def __init__(self, name: str) -> None:
        super().__init__(name, f"{name} is not wanted any more: everything is being stopped")


class CannotStart(ProcessTreeError):
    """The system did not start the child's program."""

    def __init__(self, name: str, program: str, cause: OSError) -> None:
        super().__init__(name, f"{name} could not be started: {program}: {cause.strerror or cause}")
        self.program = program


class ChildFailed(ProcessTreeError):
    """A child ended that should have gone on; ``log_tail`` is the end of what it wrote."""

    def __init__(self, name: str, exit_code: int, log_tail: str, log_path: Path) -> None:
        super().__init__(name, f"{name} ended with {_ending(exit_code)} {_evidence(log_tail, log_path)}")
        self.exit_code = exit_code
        self.log_tail = log_tail
        self.log_path = log_path


class NotReady(ProcessTreeError):
    """A child runs, but did not become ready in time."""

    def __init__(self, name: str, timeout_seconds: float, log_tail: str, log_path: Path) -> None:
        super().__init__(name, f"{name} was not ready after {timeout_seconds:g} s {_evidence(log_tail, log_path)}")
        self.timeout_seconds = timeout_seconds
        self.log_tail = log_tail
        self.log_path = log_path


@dataclass(slots=True)
class Child:
    """One child process and how it was started."""

    name: str
    argv: tuple[str, ...]
    environment: dict[str, str]
    log_path: Path
    restartable: bool
    process: subprocess.Popen[bytes]
    restarts: int = 0

    @property
    def pid(self) -> int:
        """The process id, of use only while the child runs."""
        return self.process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code (a signal's number below zero), or None while the child ran when it was last looked at."""
        return self.process.returncode

    def log_tail(self, lines: int = TAIL_LINES) -> str:
        """The last lines that the child wrote."""
        try:
            with self.log_path.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - TAIL_BYTES_MAX))
                text = log.read().decode("utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])


class ProcessTree:
    """Child processes that live no longer than this one.

    For one thread's use; `stop` may also be called from a signal handler that interrupts it.

    Args:
        log_directory: where each child's output is appended to ``<name>.log``; made if missing.
        grace_seconds: how long all children together have between SIGTERM and SIGKILL.
    """

    def __init__(self, log_directory: Path, *, grace_seconds: float = 10.0) -> None:
        self.log_directory = log_directory
        self.grace_seconds = grace_seconds
        self._children: dict[str, Child] = {}
        self._stopping = False
        self._stop_deferred = False
        self._handle_in_use = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    @property
    def children(self) -> tuple[Child, ...]:
        """The children in order of start."""
        return tuple(self._children.values())

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called: the tree is over, and that is no failure."""
        return self._stopping

    def start(
        self,
        name: str,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        restartable: bool = False,
    ) -> Child:
        """Start ``argv`` as the child ``name``, with ``environment`` added to this process's own.

        A restartable child that ends is started again by `check` and `monitor` instead of failing the whole.

        Raises:
            NameRefused: the name is in use, or cannot name a log file.
            Stopping: `stop` was called.
            CannotStart: the system refused (no such program, no permission).
        """
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9._-]*", name):
            raise NameRefused(
                name, f"{name!r} does not name a process: use letters, digits, '-', '_', '.', a letter first"
            )
        if name in self._children:
            raise NameRefused(name, f"a process named {name!r} was started before")
        self.log_directory.mkdir(parents=True, exist_ok=True)
        log_path = self.log_directory / f"{name}.log"
        added = dict(environment or {})
        process = self._spawn(name, argv, added, log_path)
        child = self._children[name] = Child(name, tuple(argv), added, log_path, restartable, process)
        self._refuse_if_stopped_meanwhile(name)
        return child

    def wait_ready(self, name: str, probe: Callable[[], bool], timeout_seconds: float) -> None:
        """Wait until ``probe`` is true; it is asked again and again and should itself answer quickly.

        Raises:
            UnknownChild: nothing of this name was started.
            ChildFailed: the child ended before it was ready, restartable or not.
            NotReady: the time ran out.
            Stopping: `stop` was called meanwhile, by a signal handler.
        """
        if name not in self._children:
            raise UnknownChild(name, f"no process is named {name!r} (started: {', '.join(self._children) or 'none'})")
        child = self._children[name]
        deadline = time.monotonic() + timeout_seconds
        while True:
            # The child comes before the probe: a stranger that answers on the same port must not hide its end.
            if self._stopping:
                raise Stopping(name)
            if (exit_code := self._poll(child)) is not None:
                raise ChildFailed(name, exit_code, child.log_tail(), child.log_path)
            if probe():
                return
            if time.monotonic() >= deadline:
                raise NotReady(name, timeout_seconds, child.log_tail(), child.log_path)
            time.sleep(POLL_SECONDS)

    def check(self) -> None:
        """Look once at every child, and start the restartable ones again that ended.

        Raises:
            ChildFailed: a child that is not restartable ended.
            CannotStart: a child could not be started again.
        """
        for child in self.children:
            if self._stopping:
                return
            exit_code = self._poll(child)
            if exit_code is None:
                continue
            if not child.restartable:
                raise ChildFailed(child.name, exit_code, child.log_tail(), child.log_path)
            _close_stdin(child.process)
            child.process = self._spawn(child.name, child.argv, child.environment, child.log_path)
            child.restarts += 1
            self._refuse_if_stopped_meanwhile(child.name)

    def monitor(self, *, interval_seconds: float = 0.5) -> None:
        """Watch the children until a signal handler calls `stop` or raises.

        Raises:
            ChildFailed: a child that is not restartable ended.
            CannotStart: a child could not be started again.
        """
        # One look an interval is also what keeps a restartable child that crashes at once from being started in a spin.
        while not self._stopping:
            self.check()
            time.sleep(interval_seconds)

    def stop(self) -> None:
        """Stop every child, the last started first; none runs when this returns.

        It may be called any number of times. Called by a signal handler in the very moment in which a process handle
        is being looked at, it returns at once and is made up for as soon as the handle is free, microseconds later.
        """
        self._stopping = True
        if self._handle_in_use:
            self._stop_deferred = True
            return
        # All are asked before any is waited for: one that waits for another's end would else use up the time of all.
        for child in reversed(self.children):
            self._with_handle(child.process.terminate)
        self._wait_for_all(self.grace_seconds)
        for child in self.children:
            self._with_handle(child.process.kill)
        self._wait_for_all(KILL_SECONDS_MAX)
        for child in self.children:
            _close_stdin(child.process)

    def _wait_for_all(self, timeout_seconds: float) -> None:
        deadline = time.monotonic() + timeout_seconds
        while any(self._poll(child) is None for child in self.children) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS / 5)

    def _poll(self, child: Child) -> int | None:
        return self._with_handle(child.process.poll)

    def _with_handle(self, act: Callable[[], Result]) -> Result:
        # Between the system's word that a child has ended and the handle's note of it, the process id is already free
        # for a stranger, and the handle's lock is held. A signal handler that stops the tree just then could do neither
        # right: it would signal that id, and wait for a lock that its own thread holds. So it leaves the work to us.
        self._handle_in_use = True
        try:
            return act()
        finally:
            self._handle_in_use = False
            if self._stop_deferred:
                self._stop_deferred = False
                self.stop()

    def _spawn(
        self, name: str, argv: Sequence[str], environment: Mapping[str, str], log_path: Path
    ) -> subprocess.Popen[bytes]:
        if self._stopping:
            raise Stopping(name)
        with log_path.open("ab") as log:
            try:
                return subprocess.Popen(
                    list(argv),
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **environment, DIES_WITH_PARENT: "1"},
                    start_new_session=True,
                )
            except OSError as cause:
                raise CannotStart(name, argv[0], cause) from cause

    def _refuse_if_stopped_meanwhile(self, name: str) -> None:
        # A signal handler that stopped the tree while the child was being made did not know of it yet.
        if self._stopping:
            self.stop()
            raise Stopping(name)


def die_with_parent() -> None:
    """End this process when its parent dies, if it was started by a `ProcessTree`; else do nothing.

    A child calls this first of all. It ends itself by SIGTERM, so that it closes what it has open in its usual way, and
    by SIGKILL if that has not ended it after `LAST_RESORT_SECONDS`: nobody is left who could.
    """
    # Not for the grandchildren: their stdin is another.
    if os.environ.pop(DIES_WITH_PARENT, None) is None:
        return
    threading.Thread(target=_wait_for_parents_death, name="dies-with-parent", daemon=True).start()


def _wait_for_parents_death() -> None:
    # An error of the pipe says no less than its end that nobody holds the other side any more.
    with contextlib.suppress(OSError):
        while os.read(STDIN, 4096):
            pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(LAST_RESORT_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


def _close_stdin(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()


def _ending(exit_code: int) -> str:
    if exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        return f"signal {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"signal {-exit_code}"


def _evidence(log_tail: str, log_path: Path) -> str:
    return f"(log: {log_path})" + (f"; its last lines:\n{log_tail}" if log_tail else "; it wrote nothing")
