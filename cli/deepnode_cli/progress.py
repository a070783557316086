"""Progress of a command that takes a while: a line for people on stderr, once a second at most."""

import time
from typing import Final

import typer

LINE_SECONDS: Final = 1.0


class Progress:
    """Writes a line where a second has passed since the last one, or since the beginning."""

    def __init__(self) -> None:
        self._shown_at = time.monotonic()

    def __call__(self, line: str) -> None:
        """Write a line, if it is time."""
        if time.monotonic() - self._shown_at >= LINE_SECONDS:
            self._shown_at = time.monotonic()
            typer.echo(line, err=True)
