"""Following the head: how long after a block is mined its last transfer can be queried."""

import math
import queue
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

from benchmarks.ingest.chain import Chain, Span, chain
from benchmarks.ingest.contender import Assignment, Contender, Watch, scratch
from benchmarks.ingest.processes import Children
from benchmarks.postgres import database

BLOCK_LOGS: Final = 200
BLOCK_SECONDS: Final = 2.0
START_BLOCKS: Final = 10
FINAL_AFTER: Final = 64
LOOK_SECONDS: Final = 0.003
START_SECONDS_MAX: Final = 120.0
LATE_SECONDS_MAX: Final = 60.0


def delays(contenders: Sequence[Contender], server: str, blocks: int) -> dict[str, list[float]]:
    """Let all of them follow one chain at once, and return each one's delays in milliseconds, one a block.

    Raises:
        ChildFailed: a process ended, or a block did not come.
    """
    with ExitStack() as stack:
        node = stack.enter_context(chain(FINAL_AFTER))
        start = [node.mine(BLOCK_LOGS) for _ in range(START_BLOCKS)]
        span = Span(node.logs, BLOCK_LOGS, start[-1])
        lookouts = [_Lookout(each, _started(each, node, server, stack), span) for each in contenders]
        # Blocks go on meanwhile: who is told of heads over WebSocket may wait for one before it looks at all.
        deadline = time.monotonic() + START_SECONDS_MAX
        while not all(lookout.ready() for lookout in lookouts) and time.monotonic() < deadline:
            node.mine(BLOCK_LOGS)
            time.sleep(BLOCK_SECONDS)
        due = time.perf_counter()
        for _ in range(blocks):
            due += BLOCK_SECONDS
            time.sleep(max(0.0, due - time.perf_counter()))
            span = Span(node.logs + BLOCK_LOGS, BLOCK_LOGS, node.mine(BLOCK_LOGS))
            for lookout in lookouts:
                lookout.mined.put((span, node.mined_at))
        return {lookout.contender.name: lookout.finish() for lookout in lookouts}


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least such a share of all values does not exceed."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


def _started(contender: Contender, node: Chain, server: str, stack: ExitStack) -> Watch:
    url = stack.enter_context(database(server))
    directory = stack.enter_context(scratch())
    children = stack.enter_context(Children(directory))
    for command in contender.commands(Assignment(node.url, node.genesis(), None, BLOCK_LOGS, url, directory)):
        children.start(command)
    return stack.enter_context(Watch(url, children))


class _Lookout:
    """Looks for one contender's rows, in a thread of its own."""

    def __init__(self, contender: Contender, watch: Watch, start: Span) -> None:
        self.contender = contender
        self.mined: queue.Queue[tuple[Span, float] | None] = queue.Queue()
        self._watch = watch
        self._found: list[float] = []
        self._error: Exception | None = None
        self._start = start
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._look, name=contender.name, daemon=True)
        self._thread.start()

    def ready(self) -> bool:
        """Whether the blocks from before the start are there, or never will be."""
        return self._ready.is_set() or not self._thread.is_alive()

    def finish(self) -> list[float]:
        """Wait for the last block and return the delays."""
        self.mined.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._found

    def _look(self) -> None:
        try:
            self._watch.wait(self.contender.seen(self._start), START_SECONDS_MAX)
            self._ready.set()
            while (told := self.mined.get()) is not None:
                span, mined_at = told
                self._watch.wait(self.contender.seen(span), LATE_SECONDS_MAX, LOOK_SECONDS)
                self._found.append(1_000 * (time.perf_counter() - mined_at))
        except Exception as error:  # noqa: BLE001 - passed on by `finish`
            self._error = error
