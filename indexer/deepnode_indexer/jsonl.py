"""Task events from a JSON Lines file that may still be growing.

Every line is an envelope as in ``intake``. The file is read from its start each time: what is in the log already is
accepted again and adds nothing, so no place in the file has to be remembered.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from deepnode_indexer.intake import Outcome, take_in
from deepnode_ledger.errors import BadInput, TryAgain
from deepnode_ledger.log import ACCEPT_MAX, Log
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.task_event import ENVELOPE_BYTES_MAX

POLL_SECONDS: Final = 0.2
"""How often a file is looked at for more lines."""


def follow_file(
    path: Path, log: Log, manifest: Manifest, stopped: Callable[[], bool]
) -> Iterator[list[tuple[int, Outcome]]]:
    """Take in a file's lines as they are written; yield what became of each run of (line number, outcome).

    A line counts once its line feed is there. While the log is away the same lines are tried again.

    Raises:
        BadInput: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            for numbered in _runs(file.readline, stopped):
                lines = [line for _, line in numbered]
                outcomes = _insist(log, manifest, lines, stopped)
                yield list(zip((number for number, _ in numbered), outcomes, strict=False))
    except OSError as error:
        raise BadInput(f"task events cannot be read from {path}: {error.strerror}") from error


def _runs(readline: Callable[[int], bytes], stopped: Callable[[], bool]) -> Iterator[list[tuple[int, bytes]]]:
    run: list[tuple[int, bytes]] = []
    number, half, too_long = 1, b"", False
    while not stopped():
        piece = readline(ENVELOPE_BYTES_MAX + 2)
        half += piece
        ended = half.endswith(b"\n")
        if ended or len(half) > ENVELOPE_BYTES_MAX:
            # The beginning of too long a line is passed on, to be refused; the rest of it is no line of its own.
            if half.strip() and not too_long:
                run.append((number, half.rstrip(b"\r\n")))
            too_long = not ended
            number += ended
            half = b""
        if run and (not piece or len(run) == ACCEPT_MAX):
            yield run
            run = []
        if not piece:
            time.sleep(POLL_SECONDS)


def _insist(log: Log, manifest: Manifest, lines: Sequence[bytes], stopped: Callable[[], bool]) -> list[Outcome]:
    while not stopped():
        try:
            return take_in(log, manifest, lines)
        except TryAgain:
            time.sleep(POLL_SECONDS)
    return []
