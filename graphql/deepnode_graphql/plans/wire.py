"""The wire: several prepared statements in one round trip, rows in PostgreSQL's binary format.

A small answer costs less in the database than the way there and back, so what a request reads goes out together:
BEGIN, the checkpoint, the statements, ROLLBACK. The driver's own functions send one statement a trip and look at each
row's types in Python; here its libpq and its loaders are used as they are.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer as DriverTransformer

from deepnode_graphql.database import STATEMENT_SECONDS_MAX
from deepnode_graphql.liveness import is_ready

PREPARED_MAX: Final = 64
"""Statements that one connection keeps prepared."""

SILENCE_SECONDS_MAX: Final = STATEMENT_SECONDS_MAX + 5
SILENCE: Final = f"the database said nothing for {SILENCE_SECONDS_MAX} seconds"
_BINARY: Final = 1
_KEY: Final = "deepnode_plans"

_ERRORS: Final = (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE)

Rows = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Ask:
    """A statement with $1, $2, … and its parameters in PostgreSQL's text format."""

    sql: bytes
    parameters: Sequence[bytes | None] = ()


BEGIN: Final = Ask(b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
ROLLBACK: Final = Ask(b"ROLLBACK")


class Wait(Enum):
    """What a round trip waits for: that something came, or that there is room for what goes out."""

    WORD = auto()
    ROOM = auto()


@dataclass(slots=True)
class _Kept:
    """What is kept with a connection: the names of its prepared statements, and what reads its rows."""

    rows: Any
    names: dict[bytes, bytes] = field(default_factory=dict)
    number: int = 0


def ask(connection: psycopg.Connection[Any], kept: dict[Any, Any], asks: Sequence[Ask]) -> list[Rows]:
    """Send statements together and return the rows of each; none for one that is no query.

    Args:
        connection: with no statement under way.
        kept: of the connection, for as long as it is the same one.
        asks: the statements, in order.

    Raises:
        psycopg.Error: what the first statement that failed says; those behind it were not run.
    """
    trip = round_trip(connection, kept, asks)
    try:
        while True:
            wait = next(trip)
            # Waiting inside of libpq would keep the interpreter's lock.
            if not is_ready(connection.pgconn.socket, SILENCE_SECONDS_MAX, for_room=wait is Wait.ROOM):
                raise psycopg.OperationalError(SILENCE)
    except StopIteration as end:
        rows: list[Rows] = end.value
        return rows


def round_trip(
    connection: psycopg.Connection[Any], kept: dict[Any, Any], asks: Sequence[Ask]
) -> Generator[Wait, None, list[Rows]]:
    """Do what ``ask`` does, but leave the waiting to the caller: yield what has to be waited for on the socket.

    Raises:
        psycopg.Error: as ``ask``.
    """
    own: _Kept = kept.get(_KEY) or kept.setdefault(_KEY, _Kept(DriverTransformer(connection)))
    if not has_room(kept, asks):
        forget(connection, kept)
    wire = connection.pgconn
    fresh: dict[bytes, bytes] = {}
    wire.enter_pipeline_mode()
    for each in asks:
        name = own.names.get(each.sql) or fresh.get(each.sql)
        if name is None:
            own.number += 1
            name = fresh[each.sql] = b"plan_%d" % own.number
            wire.send_prepare(name, each.sql)
        wire.send_query_prepared(name, each.parameters or None, result_format=_BINARY)
    wire.pipeline_sync()
    results, failed = yield from _results(wire)
    wire.exit_pipeline_mode()
    if failed is not None:
        raise psycopg.errors.error_from_result(failed)
    own.names.update(fresh)
    return _rows(own.rows, results, asks, fresh)


def has_room(kept: dict[Any, Any], asks: Sequence[Ask]) -> bool:
    """Say whether a connection can prepare these statements beside those that it has."""
    own: _Kept | None = kept.get(_KEY)
    return own is None or len(own.names) + len(asks) <= PREPARED_MAX


def forget(connection: psycopg.Connection[Any], kept: dict[Any, Any]) -> None:
    """End the transaction and drop the prepared statements: after a failure, or when there are too many.

    Raises:
        psycopg.Error: the connection is lost.
    """
    own: _Kept | None = kept.get(_KEY)
    if own is not None:
        own.names.clear()
    wire = connection.pgconn
    if wire.transaction_status == pq.TransactionStatus.INERROR:
        _run(wire, b"ROLLBACK")
    _run(wire, b"DEALLOCATE ALL")


def _run(wire: pq.abc.PGconn, command: bytes) -> None:
    result = wire.exec_(command)
    if result.status in _ERRORS:
        raise psycopg.errors.error_from_result(result)


def _results(wire: pq.abc.PGconn) -> Generator[Wait, None, tuple[list[pq.abc.PGresult], pq.abc.PGresult | None]]:
    found: list[pq.abc.PGresult] = []
    failed = None
    while wire.flush():
        yield Wait.ROOM
    while True:
        while wire.is_busy():
            yield Wait.WORD
            wire.consume_input()
        result = wire.get_result()
        if result is None:
            continue
        status = result.status
        if status == pq.ExecStatus.PIPELINE_SYNC:
            return found, failed
        if status in _ERRORS:
            failed = failed or result
        found.append(result)


def _rows(
    loader: Any, results: Sequence[pq.abc.PGresult], asks: Sequence[Ask], fresh: dict[bytes, bytes]
) -> list[Rows]:
    found: list[Rows] = []
    place, prepared = 0, set(fresh)
    for each in asks:
        if each.sql in prepared:
            prepared.discard(each.sql)
            place += 1
        result = results[place]
        place += 1
        if result.status == pq.ExecStatus.TUPLES_OK:
            loader.set_pgresult(result)
            found.append(loader.load_rows(0, result.ntuples, tuple))
        else:
            found.append([])
    return found
