"""The cores: other processes that look at pieces of a bundle, and the pieces that are in flight.

A worker opens the bundle for itself, once. It reads what others wrote, so it may be ended by the system (memory) or by
a fault in a library: that ends the stage, never the verification. It ends itself when the program is gone.
"""

import gc
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import pyarrow as pa

from deepnode_ledger.bundle import Bundle, open_bundle
from deepnode_ledger.errors import Damaged

AHEAD: Final = 2
"""Pieces in flight a worker: one at work, and one that waits for it."""

PIECES: Final = ("entry_pieces", "statement_pieces", "block_evidence")
"""The modules whose functions look at pieces: loaded once, in the process that all workers are forked from."""

GARBAGE_OBJECTS: Final = 50_000
RECURSION_MAX: Final = 1_000

Piece = TypeVar("Piece")
Result = TypeVar("Result")

_opened: dict[Path, Bundle] = {}


class Workers:
    """Runs functions over pieces: in this process with one job, else in as many others.

    Several threads may use it. The pieces and results of one call are in its order.
    """

    def __init__(self, bundle: Bundle, path: Path, jobs: int) -> None:
        assert jobs >= 1, jobs
        self._bundle = bundle
        self._path = path
        self.jobs = jobs
        self._lock = threading.Lock()
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=error is None, cancel_futures=True)

    def each(self, work: Callable[[Bundle, Piece], Result], pieces: Iterable[Piece]) -> Iterator[Result]:
        """Yield the result of every piece, in order.

        Raises:
            Damaged: a worker was ended while it looked at one of the pieces that were in flight.
            What ``work`` raises comes out at its piece's turn.
        """
        if self.jobs == 1:
            for piece in pieces:
                yield work(self._bundle, piece)
            return
        waiting: deque[Future[Result]] = deque()
        pool = self._started()
        try:
            for piece in pieces:
                waiting.append(pool.submit(_run, self._path, work, piece))
                if len(waiting) >= AHEAD * self.jobs:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            self._drop(pool)
            raise Damaged(
                "a process that looked at the bundle was ended: by the system, which may have no memory left, or by "
                "what it read"
            ) from error
        finally:
            for future in waiting:
                future.cancel()

    def _started(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._pool is None:
                context = multiprocessing.get_context("forkserver")
                context.set_forkserver_preload([f"{__package__}.{name}" for name in PIECES])
                self._pool = ProcessPoolExecutor(self.jobs, mp_context=context, initializer=_begin)
            return self._pool

    def _drop(self, pool: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._pool is pool:
                self._pool = None
        pool.shutdown(wait=False, cancel_futures=True)


def _run(path: Path, work: Callable[[Bundle, Any], Result], piece: Any) -> Result:
    if path not in _opened:
        _opened[path] = open_bundle(path)
    return work(_opened[path], piece)


def _begin() -> None:
    """Make a process a worker: Ctrl-C is the program's affair, and a worker does not outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.set_threshold(GARBAGE_OBJECTS)
    # As in ``main``: a library raises the limit, and then a text that nests without end would end the process.
    sys.setrecursionlimit(RECURSION_MAX)
    # The cores are shared out already.
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    threading.Thread(target=_end_with_program, name="ends-with-program", daemon=True).start()


def _end_with_program() -> None:
    program = multiprocessing.parent_process()
    assert program is not None, "a worker was started by the program"
    program.join()
    os._exit(1)
