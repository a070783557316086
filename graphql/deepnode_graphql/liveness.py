"""Whether a pooled connection is still alive, without asking the server.

A server that went away has closed its end, and an idle connection on which something can be read has nothing else to
say: this API listens to no notifications. Looking at the socket takes microseconds, where the pool's own ping is three
trips to the server; a connection that was cut without a word would let the ping hang as well.
"""

import select
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import DisconnectionError


def check_liveness(engine: Engine) -> Engine:
    """Let an engine's pool look at each connection that it gives out, and replace one that is dead."""
    event.listen(engine, "checkout", _refuse_dead)
    return engine


def is_ready(socket: int, seconds: float, *, for_room: bool = False) -> bool:
    """Wait until something can be read from a socket, or, ``for_room``, written to it; false if nothing happened."""
    if not hasattr(select, "poll"):
        # Windows, where a program has few sockets.
        return any(select.select([socket], [socket] if for_room else [], [], seconds))
    poll = select.poll()
    poll.register(socket, select.POLLOUT | select.POLLIN if for_room else select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _refuse_dead(driver: Any, _record: Any, _proxy: Any) -> None:
    if driver.closed or is_ready(driver.pgconn.socket, 0):
        raise DisconnectionError("the server has closed the connection")
