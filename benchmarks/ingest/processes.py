"""Child processes that are measured: their CPU time and peak memory, with all that they started. Linux only.

What is read is /proc, and only at the moments that matter: somebody who looks ten times a second takes CPU from those
he looks at.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

STOP_SECONDS_MAX: Final = 10.0
TAIL_CHARACTERS: Final = 1_500

_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Command:
    """What to run: its arguments, what is added to the environment, and where."""

    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: Path | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU time of whole process trees, and the sum of what each living process of them held at most."""

    cpu_seconds: float
    peak_mib: float


class ChildFailed(Exception):
    """A process ended that should not have, or with an error; the message has the end of what it wrote."""


class Children:
    """Processes that are started together and end together."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._started: list[_Child] = []

    def start(self, command: Command) -> None:
        """Start a process; what it writes goes to a file."""
        output = self._directory / f"output-{len(self._started)}.txt"
        with output.open("wb") as file:
            process = subprocess.Popen(
                list(command.arguments),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=command.directory,
                env={**os.environ, **command.environment},
                start_new_session=True,
            )
        self._started.append(_Child(process, output))

    def check(self) -> None:
        """Make sure that nobody ended with an error.

        Raises:
            ChildFailed: somebody did.
        """
        for child in self._started:
            if child.ended() and child.process.returncode:
                code = child.process.returncode
                raise ChildFailed(f"{child.process.args!r} ended with code {code}: {child.tail()}")

    def done(self) -> bool:
        """Whether all have ended, none with an error."""
        self.check()
        return all(child.ended() for child in self._started)

    def told(self) -> str:
        """Return the end of what they wrote."""
        return "\n".join(child.tail() for child in self._started)

    def cost(self) -> Cost:
        """Return what they have taken until now."""
        costs = [child.cost() for child in self._started]
        return Cost(sum(each.cpu_seconds for each in costs), sum(each.peak_mib for each in costs))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in self._started:
            child.signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS_MAX
        while not all(child.ended() for child in self._started) and time.monotonic() < deadline:
            time.sleep(0.02)
        for child in self._started:
            # Also where it has ended: its session may hold processes that outlive it.
            child.signal(signal.SIGKILL)
            child.process.wait()


class _Child:
    """A process, the file that it writes to, and what it took if it has ended."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process = process
        self._output = output
        self._spent: Cost | None = None

    def ended(self) -> bool:
        """Whether it has; then it is reaped here, which tells what it took."""
        if self._spent is None and self.process.returncode is None:
            pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
            if pid:
                self.process.returncode = os.waitstatus_to_exitcode(status)
                # The memory is that of the process that started it, where that is more; ours is small.
                self._spent = Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
        return self._spent is not None

    def cost(self) -> Cost:
        """Return what it and all that it started have taken."""
        while not self.ended():
            cost = cost_of(self.process.pid)
            # A process that is about to end has no memory any more: then it will be told at its end.
            if cost.peak_mib:
                return cost
        assert self._spent is not None
        return self._spent

    def tail(self) -> str:
        """Return the end of what it wrote."""
        return self._output.read_text(encoding="utf-8", errors="replace").strip()[-TAIL_CHARACTERS:]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and its session."""
        # The group keeps the number of its first process until its last one is gone.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


def cost_of(pid: int) -> Cost:
    """Return what a process and all its descendants have taken; those that ended count by who waited for them."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    ticks: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                # The name, in parentheses, may hold anything.
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                children[int(fields[1])].append(int(entry.name))
                ticks[int(entry.name)] = sum(map(int, fields[11:15]))
    tree, unseen = [], [pid]
    while unseen:
        tree.append(unseen.pop())
        unseen += children[tree[-1]]
    return Cost(sum(ticks.get(each, 0) for each in tree) / _TICKS, sum(map(_peak_mib, tree)))


def _peak_mib(pid: int) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return 0.0
