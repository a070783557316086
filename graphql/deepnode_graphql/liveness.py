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


def _refuse_dead(driver: Any, _record: Any, _proxy: Any) -> None:
    poll = select.poll()
    if not driver.closed:
        poll.register(driver.pgconn.socket, select.POLLIN)
    if driver.closed or poll.poll(0):
        raise DisconnectionError("the server has closed the connection")
