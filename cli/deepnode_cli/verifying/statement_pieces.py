"""The task events of one log file: each must be what the intake would take in today, signature and all.

The columns beside a payload are a help to find it by. They are compared with what the signed text says, so that nobody
can file a genuine statement under another producer, number or type.
"""

import hashlib
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from deepnode_cli.verifying.entry_pieces import Wrong
from deepnode_ledger.bundle import Bundle, LogFile
from deepnode_ledger.errors import BadInput, Damaged
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import Producer
from deepnode_ledger.record import Kind
from deepnode_ledger.task_event import open_event

WRONG_MAX: Final = 1_000
"""Faults that are told of one file."""

KEY_BYTES: Final = 8

COLUMNS: Final = ("position", "chain_id", "data", "producer", "event_id", "sequence", "event_type", "signature")


class Statements(msgspec.Struct, frozen=True):
    """A log file, and the producers (id and key) and the home chain that its task events are measured by."""

    path: str
    first: int
    last: int
    chain_id: int
    producers: tuple[tuple[str, bytes], ...]


class Heard(msgspec.Struct, frozen=True):
    """What became of a log file's task events.

    Attributes:
        signatures: how many were verified.
        wrong: faults, at most ``WRONG_MAX``.
        keys: eight bytes of the hash of each event's producer and id, and of its producer and sequence number.
        runs: by producer, its sequence numbers as ranges, both ends included.
    """

    signatures: int
    wrong: tuple[Wrong, ...]
    keys: bytes
    runs: dict[str, list[tuple[int, int]]]


class Sought(msgspec.Struct, frozen=True):
    """A log file, and keys of which more than one event may have one."""

    path: str
    first: int
    last: int
    keys: frozenset[bytes]


class Named(msgspec.Struct, frozen=True):
    """A task event by what no other may have."""

    position: int
    producer: str
    event_id: str
    sequence: int


def hear(bundle: Bundle, piece: Statements) -> Heard:
    """Check the task events of one log file."""
    producers = {name: Producer(name, key) for name, key in piece.producers}
    wrong: list[Wrong] = []
    keys: list[bytes] = []
    sequences: dict[str, list[int]] = {}
    signatures = 0
    for row in _events(bundle, piece.path, piece.first, piece.last):
        position, chain_id, payload, producer, event_id, sequence, event_type, signature = row
        sequences.setdefault(producer, []).append(sequence)
        keys += [id_key(producer, event_id), sequence_key(producer, sequence)]
        signatures += 1
        said = _fault(
            payload, signature, (producer, event_id, sequence, event_type), producers, (chain_id, piece.chain_id)
        )
        if said is not None and len(wrong) < WRONG_MAX:
            wrong.append(Wrong(f"position {position}", f"{piece.path}: {said}", (position,)))
    runs = {producer: _runs(numbers) for producer, numbers in sequences.items()}
    return Heard(signatures, tuple(wrong), b"".join(keys), runs)


def seek(bundle: Bundle, piece: Sought) -> list[Named]:
    """Find the task events that have one of these keys."""
    found = []
    for row in _events(bundle, piece.path, piece.first, piece.last):
        named = Named(row[0], row[3], row[4], row[5])
        if {id_key(named.producer, named.event_id), sequence_key(named.producer, named.sequence)} & piece.keys:
            found.append(named)
    return found


def id_key(producer: str, event_id: str) -> bytes:
    """Return eight bytes that are the same for the same producer and id, and else hardly ever."""
    return _key("id", producer, event_id)


def sequence_key(producer: str, sequence: int) -> bytes:
    """Return eight bytes that are the same for the same producer and number, and else hardly ever."""
    return _key("sequence", producer, str(sequence))


def _key(*parts: str) -> bytes:
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=KEY_BYTES).digest()


def _events(bundle: Bundle, path: str, first: int, last: int) -> Iterator[tuple[Any, ...]]:
    try:
        for batch in bundle.batches_of(LogFile(path, first, last), first, last):
            yield from _rows(batch)
    except (Damaged, OSError):
        # The stage of the entries says what is wrong with the file; what could be read of it was looked at.
        return


def _rows(batch: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
    events = batch.filter(pc.equal(batch.column("kind"), int(Kind.TASK_EVENT))).select(COLUMNS)
    for row in zip(*(column.to_pylist() for column in events.columns), strict=True):
        if None not in row:
            yield row


def _fault(
    payload: bytes,
    signature: bytes,
    filed: tuple[str, str, int, str],
    producers: dict[str, Producer],
    chains: tuple[int, int],
) -> str | None:
    """Say what is wrong with a task event, or None."""
    if chains[0] != chains[1]:
        return f"a task event stands under the home chain {chains[1]}, not under {chains[0]}"
    try:
        event = open_event(payload, to_hex(signature), producers, chains[1])
    except BadInput as error:
        return str(error)
    signed = (event.producer, event.event_id, event.sequence, event.type)
    if signed != filed:
        return f"the signed text says (producer, id, sequence, type) = {signed}, the columns say {filed}"
    return None


def _runs(numbers: list[int]) -> list[tuple[int, int]]:
    """Join numbers to ranges, in their order; a number that comes twice counts once."""
    runs: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs
