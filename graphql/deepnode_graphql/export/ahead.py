"""Reading ahead: the next page is asked for while the rows of this one are written.

The database and this program then work at the same time. Only one thing is under way on a connection, so whoever has
something to ask asks before the next page is begun, or after it is there.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from psycopg import Connection

T = TypeVar("T")

CANCEL_SECONDS_MAX = 5


class Ahead(Generic[T]):
    """At most one page that is being read.

    Args:
        connection: that the pages are read by. What is under way when nobody wants it any more is stopped there.
    """

    def __init__(self, connection: Connection[Any]) -> None:
        self._connection = connection
        self._thread = ThreadPoolExecutor(1, "export-ahead")
        self._begun: Future[T] | None = None

    def __enter__(self) -> Self:
        return self

    def begin(self, read: Callable[[], T]) -> None:
        """Begin to read a page."""
        assert self._begun is None, "a page is being read"
        self._begun = self._thread.submit(read)

    def take(self) -> T | None:
        """Wait for the page that was begun; None if none was.

        Raises:
            What reading it raised.
        """
        begun, self._begun = self._begun, None
        return None if begun is None else begun.result()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._begun is not None and not self._begun.done():
            self._connection.cancel_safe(timeout=CANCEL_SECONDS_MAX)
        # Until it has ended the connection is not for anybody else.
        self._thread.shutdown(wait=True)
