"""What stands in the log at the positions that an explanation rests on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from deepnode_ledger.contract import Contracts
from deepnode_ledger.decoding import ChainEvent, decode
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.record import LogEntry, TaskEvent
from deepnode_ledger.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class LogPlace:
    """An entry of the log: where it stands, what it says it is, and how to find it at its origin.

    ``block_time`` is in seconds since 1970. ``what`` is the contract's name and the event's, or the statement's type.
    ``origin`` is the transaction and the log's index, or the producer and its event's id.
    """

    position: int
    block_number: int
    block_time: int
    what: str
    origin: str


def log_places(snapshot: Snapshot, known: Contracts, positions: Iterable[int]) -> Sequence[LogPlace]:
    """Read the entries at some positions of the log, oldest first; those behind its end are left out."""
    found = []
    for position in sorted(set(positions)):
        found += [_place(entry, known) for entry in snapshot.entries(position, position)]
    return found


def _place(entry: LogEntry, known: Contracts) -> LogPlace:
    block = entry.block
    if isinstance(entry.record, TaskEvent):
        origin = f"{entry.record.producer} {entry.record.event_id}"
        return LogPlace(entry.position, block.number, block.time, entry.record.type, origin)
    said = decode(entry, known)
    what = f"{said.contract.name} {said.name}" if isinstance(said, ChainEvent) else "an event without a meaning"
    origin = f"{to_hex(entry.record.transaction_hash)} log {entry.record.log_index}"
    return LogPlace(entry.position, block.number, block.time, what, origin)
