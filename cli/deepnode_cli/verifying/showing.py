"""How far a verification is: a bar a stage on a terminal, a line every few seconds elsewhere; both with the time left.

All of it goes to stderr. Stages may report from several threads.
"""

import threading
import time
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

LINE_SECONDS: Final = 5.0


class Showing:
    """Shows the stages of a verification."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, soft_wrap=True, highlight=False)
        self._bars = Progress(
            TextColumn("{task.description:>12}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._lock = threading.Lock()
        self._tasks: dict[str, TaskID] = {}
        self._progress: dict[str, list[float]] = {}
        self._units: dict[str, str] = {}
        self._said_at = time.monotonic()

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._bars.stop()

    def say(self, text: str) -> None:
        """Write a line that stays."""
        self._console.print(text, markup=False)

    def total(self, stage: str, units: int, unit: str) -> None:
        """Say how much work a stage has."""
        with self._lock:
            self._units[stage] = unit
            self._progress[stage] = [time.monotonic(), 0, units]
            self._tasks[stage] = self._bars.add_task(stage, total=units, unit=unit)

    def done(self, stage: str, units: int) -> None:
        """Say that so much of it is done."""
        with self._lock:
            standing = self._progress.get(stage)
            if standing is None:
                return
            standing[1] += units
            self._bars.advance(self._tasks[stage], units)
            now = time.monotonic()
            if not self._console.is_terminal and now - self._said_at >= LINE_SECONDS:
                self._said_at = now
                self._console.print(self._line(stage, now), markup=False)

    def finished(self, stage: str) -> None:
        """Take a stage's bar away."""
        with self._lock:
            task = self._tasks.pop(stage, None)
            if task is not None:
                self._bars.remove_task(task)

    def _line(self, stage: str, now: float) -> str:
        began, done, total = self._progress[stage]
        text = f"{stage}: {done:,.0f} of {total:,.0f} {self._units[stage]}".replace(",", " ")
        if not done or done >= total:
            return text
        return f"{text}, about {max(1, round((now - began) * (total - done) / done))} s left"
