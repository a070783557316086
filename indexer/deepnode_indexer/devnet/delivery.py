"""Delivery: how the devnet's producer hands over its task events, in order and until they are taken.

A producer that was told nothing tries again: an event is forgotten here only when the intake has answered for its line,
or when the line stands in the file.
"""

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

import msgspec
import urllib3

from deepnode_ledger.errors import BadInput

LINES_MAX: Final = 500
TIMEOUT_SECONDS: Final = 10.0


class Sink(Protocol):
    """Where task events go."""

    def deliver(self, envelopes: Sequence[bytes]) -> None:
        """Take over the envelopes; those that cannot be handed on yet are handed on with the next."""


class FileSink:
    """Appends one envelope a line to a JSON Lines file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path

    def deliver(self, envelopes: Sequence[bytes]) -> None:
        """Append the envelopes."""
        with self._path.open("ab") as file:
            file.writelines(envelope + b"\n" for envelope in envelopes)


class _Outcome(msgspec.Struct):
    accepted: bool
    message: str = ""


class _Answer(msgspec.Struct):
    outcomes: list[_Outcome]


class HttpSink:
    """Posts envelopes to an intake; keeps them while it is away."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._waiting: deque[bytes] = deque()
        self._pool = urllib3.PoolManager(retries=False, timeout=TIMEOUT_SECONDS)

    def deliver(self, envelopes: Sequence[bytes]) -> None:
        """Post what waits, oldest first, as far as the intake takes it.

        Raises:
            BadInput: the intake refused an event for good.
        """
        self._waiting.extend(envelopes)
        while self._waiting:
            run = [self._waiting[i] for i in range(min(LINES_MAX, len(self._waiting)))]
            try:
                response = self._pool.request("POST", self._url, body=b"\n".join(run))
            except urllib3.exceptions.HTTPError:
                return
            if response.status in (429, 503):
                return
            self._check(response.data, run)
            for _ in run:
                self._waiting.popleft()

    def _check(self, body: bytes, run: Sequence[bytes]) -> None:
        try:
            answer = msgspec.json.decode(body, type=_Answer)
        except msgspec.MsgspecError as error:
            raise BadInput(f"{self._url} does not answer as a task intake: {body!r:.200}") from error
        for line, outcome in zip(run, answer.outcomes, strict=True):
            if not outcome.accepted:
                raise BadInput(f"the intake refused {line!r:.120}: {outcome.message}")


def open_sink(where: str) -> Sink:
    """Make the sink that a URL or a file name asks for."""
    return HttpSink(where) if where.startswith(("http://", "https://")) else FileSink(Path(where))
