"""Delivery: how the devnet's producer hands over its task events, in order, block by block and until they are taken.

A producer that was told nothing tries again: an event is forgotten here only when the intake has answered for its line,
or when the line stands in the file.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol, TypeVar

import msgspec
import urllib3

from deepnode_ledger.errors import BadInput

A = TypeVar("A", bound=msgspec.Struct)

LINES_MAX: Final = 500
TIMEOUT_SECONDS: Final = 10.0
TIP_SECONDS: Final = 0.02
"""How long after one look at the log's tip the next one is taken."""

RETRY_SECONDS: Final = 0.5
TOLD_SECONDS: Final = 5.0
"""Whoever watches is told what is waited for after so long."""


class Sink(Protocol):
    """Where task events go."""

    def deliver(self, envelopes: Sequence[bytes], block_hash: str) -> None:
        """Take over the envelopes that belong to the newest block, whose hash is given as 0x-prefixed text."""


class FileSink:
    """Appends one envelope a line to a JSON Lines file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path

    def deliver(self, envelopes: Sequence[bytes], block_hash: str) -> None:
        """Append the envelopes, which say by their time which block they belong to."""
        with self._path.open("ab") as file:
            file.writelines(envelope + b"\n" for envelope in envelopes)


class _Outcome(msgspec.Struct):
    accepted: bool
    message: str = ""


class _Answer(msgspec.Struct):
    outcomes: list[_Outcome]


class _Block(msgspec.Struct):
    hash: str


class _Tip(msgspec.Struct):
    block: _Block | None


class HttpSink:
    """Posts envelopes to an intake, each behind the block that they belong to, and waits for as long as that takes.

    So the log has every statement where the producer made it, and what the chain's contracts count is what the books
    count. Real producers do not hold up their chain: what they say late counts later.

    Args:
        url: where to post, with ``/task-events`` at its end.
        stopped: when set, nothing is waited for any more.
        tell: says once what is waited for.
    """

    def __init__(self, url: str, stopped: threading.Event, tell: Callable[[str], None]) -> None:
        self._url = url
        self._tip_url = url.rstrip("/").rpartition("/")[0] + "/tip"
        self._stopped = stopped
        self._tell = tell
        self._told = False
        self._pool = urllib3.PoolManager(retries=False, timeout=TIMEOUT_SECONDS)

    def deliver(self, envelopes: Sequence[bytes], block_hash: str) -> None:
        """Wait until the intake's log has the block, then post until all are taken, oldest first.

        Raises:
            BadInput: the intake refused an event for good, or is none.
        """
        began = time.monotonic()
        while self._waits(began) and self._tip() != block_hash:
            self._stopped.wait(TIP_SECONDS)
        waiting = deque(envelopes)
        while waiting and self._waits(began):
            run = [waiting[i] for i in range(min(LINES_MAX, len(waiting)))]
            body = self._ask("POST", self._url, b"\n".join(run))
            if body is None:
                self._stopped.wait(RETRY_SECONDS)
                continue
            self._check(body, run)
            for _ in run:
                waiting.popleft()

    def _waits(self, began: float) -> bool:
        if not self._told and time.monotonic() - began > TOLD_SECONDS:
            self._told = True
            self._tell(f"waiting for the ledger at {self._url} to come up with the chain")
        return not self._stopped.is_set()

    def _tip(self) -> str | None:
        body = self._ask("GET", self._tip_url)
        tip = None if body is None else self._read(body, _Tip)
        return None if tip is None or tip.block is None else tip.block.hash

    def _ask(self, method: str, url: str, body: bytes | None = None) -> bytes | None:
        """Return the answer's body, or None if the same is to be asked again."""
        try:
            response = self._pool.request(method, url, body=body)
        except urllib3.exceptions.HTTPError:
            return None
        return None if response.status in (429, 503) else response.data

    def _check(self, body: bytes, run: Sequence[bytes]) -> None:
        for line, outcome in zip(run, self._read(body, _Answer).outcomes, strict=True):
            if not outcome.accepted:
                raise BadInput(f"the intake refused {line!r:.120}: {outcome.message}")

    def _read(self, body: bytes, kind: type[A]) -> A:
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.MsgspecError as error:
            raise BadInput(f"{self._url} does not answer as a task intake: {body!r:.200}") from error


def open_sink(where: str, stopped: threading.Event, tell: Callable[[str], None]) -> Sink:
    """Make the sink that a URL or a file name asks for."""
    if where.startswith(("http://", "https://")):
        return HttpSink(where, stopped, tell)
    return FileSink(Path(where))
