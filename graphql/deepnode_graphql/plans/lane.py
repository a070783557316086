"""The lane: plans that one round trip answers, run on the event loop itself.

A small question costs a thread more than the database: the way there and back, and the interpreter's lock, which the
thread and the event loop take from each other at each wait. So the event loop sends such a question itself, over a few
connections that are opened ahead by threads, and goes on with others until the answer is there. What it cannot have
at once (no connection is free, or the answer may be large) and what goes wrong is left to a thread, which says so.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor, Future
from typing import Any, Final

import psycopg
from sqlalchemy import PoolProxiedConnection

from deepnode_graphql.database import TookTooLong, known_error
from deepnode_graphql.liveness import is_ready
from deepnode_graphql.plans import wire
from deepnode_graphql.plans.wire import Ask, Rows, Wait

CONNECTIONS: Final = 8
"""Connections that a lane has at most."""

OPENING_MAX: Final = 2
PAUSE_SECONDS: Final = 1.0
"""So many are opened at once, and none so shortly after one that could not be: requests need the threads."""

HELD_SECONDS_MAX: Final = 60
"""After this time a connection goes back to the pool, which looks whether its login is still what it should be."""

COST_MAX: Final = 4_000
"""Values of an answer that is made on the event loop: a millisecond of it."""

BODY_BYTES_MAX: Final = 16_384
"""Bytes of a request that is looked at on the event loop."""


class Lane:
    """Connections for the event loop, on which alone it is used. ``taken`` counts what it has answered."""

    def __init__(self, connect: Callable[[], PoolProxiedConnection], threads: Executor) -> None:
        """Make a lane without connections.

        Args:
            connect: takes a connection out of the pool; it may wait.
            threads: in which it does so.
        """
        self.taken = 0
        self._connect = connect
        self._threads = threads
        self._idle: list[tuple[PoolProxiedConnection, float]] = []
        self._open = 0
        self._opening: set[asyncio.Task[None]] = set()
        self._failed_at = -PAUSE_SECONDS
        self._is_closed = False

    async def ask(self, asks: Sequence[Ask]) -> list[Rows] | None:
        """Send statements in one round trip and return their rows; None if a thread has to.

        Raises:
            TookTooLong: a statement ran into the time limit.
        """
        held = self._take()
        if held is None:
            return None
        pooled, since = held
        if not wire.has_room(pooled.info, asks):
            # Whoever makes room waits for the server.
            self._give_back(pooled)
            return None
        is_whole = False
        try:
            connection = pooled.driver_connection
            assert isinstance(connection, psycopg.Connection), connection
            answers = await _ask(connection, pooled.info, asks)
            is_whole = True
        except psycopg.Error as error:
            known = known_error(error)
            if isinstance(known, TookTooLong):
                raise known from error
            return None
        finally:
            if is_whole and not self._is_closed:
                self._idle.append((pooled, since))
            else:
                self._drop(pooled)
        self.taken += 1
        return answers

    def close(self) -> None:
        """Let all connections go; those in use go when their answer is there."""
        self._is_closed = True
        for task in self._opening:
            task.cancel()
        while self._idle:
            self._drop(self._idle.pop()[0])

    def _take(self) -> tuple[PoolProxiedConnection, float] | None:
        now = asyncio.get_running_loop().time()
        while self._idle:
            pooled, since = self._idle.pop()
            driver: Any = pooled.driver_connection
            if driver.closed or is_ready(driver.pgconn.socket, 0):
                # The server has closed its end.
                self._drop(pooled)
            elif now - since > HELD_SECONDS_MAX:
                self._give_back(pooled)
            else:
                return pooled, since
        may_open = len(self._opening) < OPENING_MAX and now - self._failed_at >= PAUSE_SECONDS
        if may_open and self._open < CONNECTIONS and not self._is_closed:
            self._open += 1
            task = asyncio.create_task(self._fill())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
        return None

    async def _fill(self) -> None:
        loop = asyncio.get_running_loop()
        opening = self._threads.submit(self._connect)
        try:
            pooled = await asyncio.wrap_future(opening)
        except asyncio.CancelledError:
            # A thread cannot be stopped, and the pool may be gone when it is done: what it still opens is closed.
            opening.add_done_callback(_let_go)
            raise
        except Exception:  # noqa: BLE001 - whatever it is, the thread that asks instead meets it and says it
            self._open -= 1
            self._failed_at = loop.time()
            return
        if self._is_closed:
            self._drop(pooled)
        else:
            self._idle.append((pooled, loop.time()))

    def _give_back(self, pooled: PoolProxiedConnection) -> None:
        self._open -= 1
        pooled.close()

    def _drop(self, pooled: PoolProxiedConnection) -> None:
        pooled.invalidate()
        self._give_back(pooled)


def _let_go(opening: Future[PoolProxiedConnection]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        late = opening.result()
        late.invalidate()
        late.close()


async def _ask(connection: psycopg.Connection[Any], kept: dict[Any, Any], asks: Sequence[Ask]) -> list[Rows]:
    trip = wire.round_trip(connection, kept, asks)
    socket = connection.pgconn.socket
    try:
        async with asyncio.timeout(wire.SILENCE_SECONDS_MAX):
            while True:
                await _ready(socket, next(trip))
    except TimeoutError:
        raise psycopg.OperationalError(wire.SILENCE) from None
    except StopIteration as end:
        rows: list[Rows] = end.value
        return rows


def _ready(socket: int, wait: Wait) -> Awaitable[None]:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def came() -> None:
        if not ready.done():
            ready.set_result(None)

    def forget(_: object) -> None:
        loop.remove_reader(socket)
        if wait is Wait.ROOM:
            loop.remove_writer(socket)

    loop.add_reader(socket, came)
    if wait is Wait.ROOM:
        loop.add_writer(socket, came)
    ready.add_done_callback(forget)
    return ready
