"""Group commit: requests that come while a transaction is under way share the next one.

A transaction costs the same wait for the disk whether it holds one event or a thousand. So at most one is under way;
whoever comes meanwhile waits for its end and then goes in with all the others that came. Each gets its answer after the
commit, never before it.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from functools import partial

from anyio import CapacityLimiter, to_thread

from deepnode_ledger.errors import Conflict, TryAgain
from deepnode_ledger.log import ACCEPT_MAX, Log
from deepnode_ledger.record import TaskEvent
from deepnode_ledger.tail import Accepted

Answers = list[Accepted | Conflict]


class GroupCommit:
    """Puts task events into a log for many waiting requests. It belongs to one event loop.

    ``commits`` counts its transactions; ``events`` are those that wait for one, or are in the one under way.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._waiting: deque[tuple[Sequence[TaskEvent], asyncio.Future[Answers]]] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._limiter: CapacityLimiter | None = None
        self.commits = 0
        self.events = 0

    async def accept(self, events: Sequence[TaskEvent]) -> Answers:
        """Make events durable, perhaps together with others'; return an answer for each.

        Whoever stops waiting for the answer takes nothing back: the events may be durable all the same.

        Raises:
            TryAgain: the log is away; nothing was taken in.
        """
        assert len(events) <= ACCEPT_MAX, len(events)
        if not events:
            return []
        answer: asyncio.Future[Answers] = asyncio.get_running_loop().create_future()
        self._waiting.append((events, answer))
        self.events += len(events)
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        return await answer

    async def _work(self) -> None:
        try:
            while self._waiting:
                group = self._next_group()
                try:
                    await self._commit(group)
                finally:
                    self.events -= sum(len(events) for events, _ in group)
        finally:
            self._worker = None

    def _next_group(self) -> list[tuple[Sequence[TaskEvent], asyncio.Future[Answers]]]:
        group = [self._waiting.popleft()]
        size = len(group[0][0])
        while self._waiting and size + len(self._waiting[0][0]) <= ACCEPT_MAX:
            group.append(self._waiting.popleft())
            size += len(group[-1][0])
        return group

    async def _commit(self, group: Sequence[tuple[Sequence[TaskEvent], asyncio.Future[Answers]]]) -> None:
        # A thread of its own: those that check signatures are often all taken.
        self._limiter = self._limiter or CapacityLimiter(1)
        together = [event for events, _ in group for event in events]
        try:
            found = await to_thread.run_sync(partial(self._log.accept, together), limiter=self._limiter)
        except BaseException as error:
            for _, answer in group:
                if not answer.done():
                    # One exception raised in several places would carry all of their tracebacks.
                    answer.set_exception(TryAgain(str(error)) if isinstance(error, TryAgain) else error)
            if not isinstance(error, Exception):
                raise
            return
        self.commits += 1
        start = 0
        for events, answer in group:
            if not answer.done():
                answer.set_result(found[start : start + len(events)])
            start += len(events)
