"""What a hand that may do anything in the database does to a log, and what a check says then."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa

from deepnode_ledger import batch as batches
from deepnode_ledger import segment
from deepnode_ledger.batch_versions import SCHEMA, TOPIC
from deepnode_ledger.database import url_of
from deepnode_ledger.fsck import Difference, fsck
from deepnode_ledger.log import Log
from tests.ledger import signed_log

IMMUTABLE = (
    "sealed", "batch", "batch_block", "sealing", "sealing_block", "reorg", "checkpoint", "cosignature", "evidence",
    "contract",
)  # fmt: skip


@contextmanager
def superuser(log: Log) -> Iterator[psycopg.Connection[Any]]:
    """A connection that switches the triggers off, changes, and puts them back."""
    with psycopg.connect(url_of(log.datastore)) as connection:
        for table in IMMUTABLE:
            connection.execute(f"ALTER TABLE log.{table} DISABLE TRIGGER ALL".encode())
        yield connection
        for table in IMMUTABLE:
            connection.execute(f"ALTER TABLE log.{table} ENABLE ALWAYS TRIGGER immutable".encode())


def differences(log: Log, directory: Path | None = None) -> list[Difference]:
    return list(fsck(url_of(log.datastore), directory=directory, verifier=signed_log.SIGNER.verifier))


def with_state(connection: psycopg.Connection[Any], number: int, change: Callable[[bytes], bytes]) -> None:
    """Change the bytes of a stored batch."""
    row = connection.execute("SELECT state FROM log.sealed WHERE originator_version = %s", (number,)).fetchone()
    assert row is not None
    connection.execute(
        "UPDATE log.sealed SET state = %s WHERE originator_version = %s", (change(bytes(row[0])), number)
    )


def flipped(state: bytes) -> bytes:
    middle = len(state) // 2
    return state[:middle] + bytes([state[middle] ^ 1]) + state[middle + 1 :]


def other_data(state: bytes) -> bytes:
    """A batch whose second entry, or only one, has other data: one byte of what a contract logged."""
    batch = batches.decode(TOPIC, state)
    data = batch.column("data").to_pylist()
    row = min(1, len(data) - 1)
    data[row] = bytes([data[row][0] ^ 1]) + data[row][1:]
    place = SCHEMA.get_field_index("data")
    return batches.encode(batch.set_column(place, SCHEMA.field(place), pa.array(data, pa.binary())))


def other_topic(state: bytes) -> bytes:
    """A batch whose second entry has another first topic."""
    batch = batches.decode(TOPIC, state)
    topics = batch.column("topic0").to_pylist()
    topics[1] = b"\xee" * 32
    place = SCHEMA.get_field_index("topic0")
    return batches.encode(batch.set_column(place, SCHEMA.field(place), pa.array(topics, pa.binary(32))))


def adapt_sha256(connection: psycopg.Connection[Any], number: int) -> None:
    connection.execute(
        "UPDATE log.batch SET sha256 = sha256(state) FROM log.sealed WHERE number = originator_version AND number = %s",
        (number,),
    )


def adapt_segments(connection: psycopg.Connection[Any]) -> None:
    """Make every segment anew from the batches as they are now."""
    rows = connection.execute("SELECT first_batch, last_batch FROM log.segment").fetchall()
    for first, last in rows:
        states = connection.execute(
            "SELECT originator_version, topic, state FROM log.sealed WHERE originator_version BETWEEN %s AND %s"
            " ORDER BY 1",
            (first, last),
        ).fetchall()
        made = segment.merge(
            [segment.of_batch(number, batches.decode(topic, state)) for number, topic, state in states]
        )
        connection.execute(
            "UPDATE log.segment SET postings = %s, terms = %s, batches = %s WHERE first_batch = %s",
            (len(made.terms), made.terms.astype(">u8").tobytes(), made.batches.astype(">u4").tobytes(), first),
        )
