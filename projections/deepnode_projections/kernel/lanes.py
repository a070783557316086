"""Lanes: connections that write tables of their own at the same time, each in one transaction and one thread.

A server works on a connection's rows with one core. So the tables are divided among a few connections. Each makes its
tables, fills them, and gives them their keys and indexes behind the last row; nobody else sees anything of it before.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from queue import Queue
from typing import Final

import psycopg
from psycopg import Cursor
from psycopg.rows import DictRow, dict_row

from deepnode_ledger.database import database_errors
from deepnode_projections.schema import complete, create_bare

Task = Callable[[Cursor[DictRow]], None]
"""What is to be written."""

TASKS_MAX: Final = 24
"""Tasks that wait in a lane, so that memory has a bound: who fills it faster than the server takes it waits."""

SORTING: Final = "128MB"
"""Memory in which the server sorts an index; the default makes it sort on disk."""


class Lane:
    """A connection, a transaction in it, and the thread that works in it. Closed without ``finish``, nothing is left.

    Args:
        url: of the database.
        schema: in which the tables are made.
        names: of the tables, none of which is there yet.
    """

    def __init__(self, url: str, schema: str, names: Sequence[str]) -> None:
        self._url = url
        self._names = names
        with database_errors(url):
            self._connection = psycopg.connect(url, row_factory=dict_row, options=f"-c search_path={schema}")
            with self._connection.cursor() as cursor:
                cursor.execute("SELECT set_config('maintenance_work_mem', %s, true)", (SORTING,))
            create_bare(self._connection, names)
        self._tasks: Queue[Task | None] = Queue(TASKS_MAX)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name=f"lane of {names[0]}", daemon=True)
        self._thread.start()

    def put(self, task: Task) -> None:
        """Have something written behind what was put before; wait while there is much to do.

        Raises:
            TryAgain: the database is away.
        """
        self._check()
        self._tasks.put(task)

    def finish(self) -> None:
        """Have the tables completed behind all that was put."""
        for name in self._names:
            self.put(partial(_complete, name))

    def commit(self) -> None:
        """Wait until all is done, and commit.

        Raises:
            TryAgain: the database is away.
        """
        self._tasks.put(None)
        self._thread.join()
        self._check()
        with database_errors(self._url):
            self._connection.commit()

    def close(self) -> None:
        """Disconnect; what is not committed is gone."""
        if self._thread.is_alive():
            self._failure = self._failure or InterruptedError("the lane was closed")
            with suppress(psycopg.Error):
                self._connection.cancel_safe()  # An index may take the server minutes.
            self._tasks.put(None)
            self._thread.join()
        self._connection.close()

    def _check(self) -> None:
        if self._failure is not None:
            with database_errors(self._url):
                raise self._failure

    def _work(self) -> None:
        with self._connection.cursor() as cursor:
            while (task := self._tasks.get()) is not None:
                if self._failure is not None:
                    continue  # Whoever puts tasks must not wait for room.
                try:
                    task(cursor)
                except BaseException as error:  # noqa: BLE001  # it is raised where tasks are put
                    self._failure = error


def _complete(name: str, cursor: Cursor[DictRow]) -> None:
    complete(cursor.connection, name)


def divided(weights: dict[str, int], count: int) -> list[list[str]]:
    """Divide tables among lanes: the heaviest first, each to the lane that has least."""
    lanes: list[list[str]] = [[] for _ in range(count)]
    sums = [0] * count
    for name in sorted(weights, key=lambda each: (-weights[each], each)):
        least = sums.index(min(sums))
        lanes[least].append(name)
        sums[least] += weights[name]
    return lanes
