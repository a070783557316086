"""The tailer: the one reader in the process that watches how far the books are, and wakes whoever waits for more.

The log's notifications are a hint that the books are about to change: the projections write a moment after them. What
counts is the checkpoint, which is read over and over: often right behind a hint, and otherwise as the log is followed
everywhere. Nobody's place is known here; each subscriber reads by itself from where it stands, so that one who is slow
keeps nobody waiting.
"""

import asyncio
import logging
from contextlib import suppress
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection, sql

from deepnode_ledger.log import CHANNEL
from deepnode_ledger.polled_subscription import POLL_SECONDS
from deepnode_ledger.reader import BECOME_READER, reader_of
from deepnode_projections.checkpoint import NAME

CONNECT_SECONDS_MAX: Final = 5
RECONNECT_SECONDS: Final = 1.0

HINTED_SECONDS: Final = 1.0
"""How long after a hint the books are looked at often."""

HINTED_POLL_SECONDS: Final = 0.02

logger = logging.getLogger(__name__)


class Tailer:
    """Watches the books of one schema. It runs while somebody holds it, and connects only then."""

    def __init__(self, database_url: str, schema: str) -> None:
        """Describe a tailer; nothing connects yet.

        Args:
            database_url: what libpq takes.
            schema: the PostgreSQL schema that holds the books.
        """
        self.version = 0
        """Grows with each change of the books that was seen."""
        self._url = database_url
        self._schema = schema
        self._seen: tuple[Any, ...] | None = None
        self._changed = asyncio.Event()
        self._holders = 0
        self._task: asyncio.Task[None] | None = None

    def hold(self) -> None:
        """Let it run, until ``release`` is called as often."""
        self._holders += 1
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    def release(self) -> None:
        """Let it end if nobody else holds it."""
        self._holders -= 1
        assert self._holders >= 0, "released more often than held"
        if self._holders == 0 and self._task is not None:
            self._task.cancel()
            self._task = None

    async def behind(self, version: int, seconds_max: float) -> bool:
        """Wait until the books have changed since ``version``, at most so long. Say whether they have."""
        if self.version == version:
            with suppress(TimeoutError):
                # Not wait_for, which in Python 3.11 can swallow that its caller is cancelled.
                async with asyncio.timeout(seconds_max):
                    await self._changed.wait()
        return self.version != version

    async def _run(self) -> None:
        while True:
            try:
                await self._watch()
            except (psycopg.Error, OSError) as error:
                logger.info("the tailer lost the database: %s", error)
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _watch(self) -> None:
        clock = asyncio.get_running_loop().time
        connection = await AsyncConnection.connect(
            self._url, autocommit=True, connect_timeout=CONNECT_SECONDS_MAX, application_name="deepnode-api tailer"
        )
        async with connection:
            await connection.execute(BECOME_READER, reader_of(self._schema))
            # Whoever listens first and then looks misses nothing.
            await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
            hinted_until = 0.0
            while True:
                self._note(await self._look(connection))
                wait_seconds = HINTED_POLL_SECONDS if clock() < hinted_until else POLL_SECONDS
                async for _ in connection.notifies(timeout=wait_seconds, stop_after=1):
                    hinted_until = clock() + HINTED_SECONDS
                    # Hints may come by the hundred: the books are looked at no more often than this.
                    await asyncio.sleep(HINTED_POLL_SECONDS)

    async def _look(self, connection: AsyncConnection[Any]) -> tuple[Any, ...] | None:
        statement = sql.SQL("SELECT position, reorg_number, manifest_digest FROM {} WHERE name = %s")
        cursor = await connection.execute(statement.format(sql.Identifier(self._schema, "checkpoint")), (NAME,))
        return await cursor.fetchone()

    def _note(self, found: tuple[Any, ...] | None) -> None:
        if self.version and found == self._seen:
            return
        self._seen = found
        self.wake()

    def wake(self) -> None:
        """Let everybody who waits look whether there is more."""
        self.version += 1
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
