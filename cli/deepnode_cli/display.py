"""What a long command shows while it starts and while it runs: steps that are done, and where things stand now."""

import time
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner

SHOW_SECONDS: Final = 5.0
"""How often the standing is written where it cannot be written over: into a file or a pipe."""


class Display:
    """Shows progress on stderr: on a terminal with one living line at the bottom, else line by line."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, soft_wrap=True, highlight=False)
        self._spinner = Spinner("dots")
        self._live = Live(self._spinner, console=self._console, transient=True)
        self._began = time.monotonic()
        self._standing_at = 0.0

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._live.stop()

    def done(self, message: str) -> None:
        """Say that a step is done, and when."""
        self.write(f"{time.monotonic() - self._began:6.1f} s  {message}")

    def doing(self, message: str) -> None:
        """Say what is going on now, until the next word."""
        self._spinner.update(text=message)
        if not self._console.is_terminal:
            self.done(message)

    def standing(self, message: str) -> None:
        """Say where things stand: at once on a terminal, every few seconds elsewhere."""
        self._spinner.update(text=message)
        now = time.monotonic()
        if not self._console.is_terminal and now - self._standing_at >= SHOW_SECONDS:
            self._standing_at = now
            self.write(message)

    def write(self, text: str) -> None:
        """Write text that stays."""
        self._console.print(text, markup=False)
