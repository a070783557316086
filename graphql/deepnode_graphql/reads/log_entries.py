"""Reading the log itself: the bytes as they came in, and what the manifest makes of them."""

import json
from collections.abc import Iterator, Sequence
from enum import Enum
from functools import partial
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import strawberry
from sqlalchemy import ColumnElement
from strawberry.scalars import JSON

from deepnode_graphql.connections import Connection, check_first, connection_of
from deepnode_graphql.cursors import Order
from deepnode_graphql.filters import given
from deepnode_graphql.moments import Moment
from deepnode_graphql.nodes import Block, Entry, Finality
from deepnode_graphql.reading import Reading
from deepnode_graphql.reads.entries import entries_at
from deepnode_graphql.reads.log_conditions import LogEntryKind, LogEntryWhere, bounds_of, selection_of
from deepnode_graphql.scalars import Address, Hex, Long
from deepnode_graphql.together import Together
from deepnode_ledger import batch as batches
from deepnode_ledger import record
from deepnode_ledger.contract import Contracts
from deepnode_ledger.decoding import ChainEvent, Unknown, decode
from deepnode_ledger.finding import Selection
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.record import ChainLog, TaskEvent
from deepnode_ledger.snapshot import Found
from deepnode_projections.tables import posting as posting_table

LOOKS_MAX: Final = 32
"""Looks that a page may take for its conditions, each at a batch or less; the cursor goes on behind the last."""

NEAR: Final = 256
"""Entries between two that are wanted, up to which reading them too costs less than to begin again."""


@strawberry.enum
class LogEntryOrder(Enum):
    """How log entries are sorted.

    Attributes:
        POSITION_ASC: as the log grew.
        POSITION_DESC: newest first.
    """

    POSITION_ASC = "POSITION_ASC"
    POSITION_DESC = "POSITION_DESC"


@strawberry.type
class LogEntry:
    """One entry of the log: the bytes as they came in, and what the manifest makes of them.

    Attributes:
        position: its place in the log, from 1 without a gap.
        kind: which door it came in by.
        finality: whether it can still be taken back.
        chain_id: the chain of its block.
        block: the block of the log; for a task event, the head block when it was accepted.
        transaction_hash: of a contract log, its transaction (32 bytes).
        transaction_index: of a contract log, the number of its transaction in the block.
        log_index: of a contract log, its number in the block.
        address: of a contract log, the contract.
        topics: of a contract log, its topics (32 bytes each).
        data: of a contract log, its data.
        producer: of a task event, who sent it.
        event_id: of a task event, the producer's id for it.
        sequence: of a task event, its number among the producer's.
        payload: of a task event, the exact text that was signed.
        signature: of a task event, the producer's signature (65 bytes).
        contract: the manifest's name of the contract that emitted it.
        event: the name of the event or the type of the task event; null if it cannot be read.
        args: what it says, by argument. Whole numbers are strings of digits, bytes are 0x and hexadecimal digits.
        undecoded: why it cannot be read, if so.
    """

    position: Long
    kind: LogEntryKind
    finality: Finality
    chain_id: Long
    block: Block
    transaction_hash: Hex | None = None
    transaction_index: int | None = None
    log_index: int | None = None
    address: Address | None = None
    topics: list[Hex] | None = None
    data: Hex | None = None
    producer: str | None = None
    event_id: str | None = None
    sequence: Long | None = None
    payload: str | None = None
    signature: Hex | None = None
    contract: str | None = None
    event: str | None = None
    args: JSON | None = None
    undecoded: str | None = None
    entries_together: strawberry.Private[Together[int, Entry] | None] = None

    @strawberry.field
    def entry(self) -> Entry | None:
        """What it did to the accounts; null if it moved nothing."""
        return None if self.entries_together is None else self.entries_together.get(self.position, None)


def find_log_entry(reading: Reading, position: int, moment: Moment) -> LogEntry | None:
    """Return the log entry at a position, or None if it came later than the moment or never."""
    if not 1 <= position <= min(moment.position, reading.snapshot.head.last_position):
        return None
    return _log_entries_of(reading, list(reading.snapshot.entries(position, position)), moment)[0]


def log_entries_at(reading: Reading, positions: Sequence[int], moment: Moment) -> dict[int, LogEntry]:
    """Return the entries of the log at some positions; those that stand near one another are read at once."""
    found: list[record.LogEntry] = []
    for run in _runs(sorted({each for each in positions if 1 <= each <= reading.snapshot.head.last_position})):
        wanted = pa.array(run, pa.int64())
        for batch in reading.snapshot.read(run[0], run[-1]):
            meant = batch.filter(pc.is_in(batch.column("position"), wanted))
            found += batches.entries(meant, reading.snapshot.finality(batch))
    return {node.position: node for node in _log_entries_of(reading, found, moment)}


def _runs(positions: Sequence[int]) -> Iterator[list[int]]:
    run: list[int] = []
    for position in positions:
        if run and position - run[-1] > NEAR:
            yield run
            run = []
        run.append(position)
    if run:
        yield run


def list_log_entries(
    reading: Reading, where: LogEntryWhere | None, order: LogEntryOrder, moment: Moment, first: int, after: str | None
) -> Connection[LogEntry]:
    """Return a page of the log up to a moment.

    A page may be shorter than ``first`` and still have a next one: see ``LOOKS_MAX``.

    Raises:
        BadInput: ``first``, ``after`` or a condition breaks a rule.
    """
    check_first(first)
    where = given(where) or LogEntryWhere()
    start, stop = bounds_of(where, min(moment.position, reading.snapshot.head.last_position))
    newest_first = order is LogEntryOrder.POSITION_DESC
    by_position = _ORDERS[order]
    if after is not None:
        passed = by_position.decode(after)[0]
        start, stop = (start, min(stop, passed - 1)) if newest_first else (max(start, passed + 1), stop)
    page: list[record.LogEntry] = []
    through = None
    more = False
    selection = selection_of(where, reading.manifest)
    for looks, found in enumerate(_look(reading, selection, start, stop, first, newest_first), 1):
        room = first - len(page)
        if room < found.entries.num_rows:
            page += batches.entries(found.entries.slice(0, room), reading.snapshot.finality(found.entries))
            through, more = page[-1].position, True
            break
        if found.entries.num_rows:
            page += batches.entries(found.entries, reading.snapshot.finality(found.entries))
        through = found.through
        more = (through > start if newest_first else through < stop) and (len(page) == first or looks == LOOKS_MAX)
        if more:
            break
    cursors = [by_position.encode([entry.position]) for entry in page]
    nodes = _log_entries_of(reading, page, moment)
    counted = partial(_count, reading, selection, where, moment)
    made = connection_of(nodes, cursors, more=more, continued=after is not None, counted=counted)
    if through is not None:
        made.page_info.end_cursor = by_position.encode([through])
    return made


def _count(reading: Reading, selection: Selection | None, where: LogEntryWhere, moment: Moment) -> int | None:
    start, stop = bounds_of(where, min(moment.position, reading.snapshot.head.last_position))
    if selection is None or start > stop:
        return max(0, stop - start + 1)
    count = 0
    for looks, found in enumerate(reading.snapshot.find(selection, start, stop), 1):
        count += found.entries.num_rows
        if looks == LOOKS_MAX and found.through < stop:
            return None
    return count


def _log_entries_of(reading: Reading, entries: Sequence[record.LogEntry], moment: Moment) -> list[LogEntry]:
    together = Together((each.position for each in entries), lambda positions: entries_at(reading, positions, moment))
    nodes = [_log_entry(each, reading.contracts) for each in entries]
    for node in nodes:
        node.entries_together = together
    return nodes


def _look(
    reading: Reading, selection: Selection | None, start: int, stop: int, first: int, newest_first: bool
) -> Iterator[Found]:
    if start > stop:
        return
    if selection is not None:
        yield from reading.snapshot.find(selection, start, stop, newest_first=newest_first, page_entries=first + 1)
        return
    # Without a condition the page is a run of positions.
    low, high = (max(start, stop - first + 1), stop) if newest_first else (start, min(stop, start + first - 1))
    runs = list(reading.snapshot.read(low, high))
    for batch in reversed(runs) if newest_first else runs:
        backwards = pa.array(range(batch.num_rows - 1, -1, -1), pa.int64())
        entries = batch.take(backwards) if newest_first else batch
        yield Found(entries, entries.column("position")[batch.num_rows - 1].as_py())


_POSITION: ColumnElement[Any] = posting_table.c.position
_ORDERS: Final = {
    LogEntryOrder.POSITION_ASC: Order("logEntries", (_POSITION,)),
    LogEntryOrder.POSITION_DESC: Order("logEntries desc", (_POSITION,)),
}


def _log_entry(entry: record.LogEntry, known: Contracts) -> LogEntry:
    block = Block(number=Long(entry.block.number), hash=Hex(entry.block.hash), time=Long(entry.block.time))
    node = LogEntry(
        position=Long(entry.position),
        kind=LogEntryKind[("CHAIN_LOG" if isinstance(entry.record, ChainLog) else "TASK_EVENT")],
        finality=Finality[entry.finality.value],
        chain_id=Long(entry.chain_id),
        block=block,
    )
    if isinstance(entry.record, ChainLog):
        _fill_chain_log(node, entry, entry.record, known)
    else:
        _fill_task_event(node, entry.record)
    return node


def _fill_chain_log(node: LogEntry, entry: record.LogEntry, log: ChainLog, known: Contracts) -> None:
    node.transaction_hash = Hex(log.transaction_hash)
    node.transaction_index = log.transaction_index
    node.log_index = log.log_index
    node.address = Address(log.address)
    node.topics = [Hex(topic) for topic in log.topics]
    node.data = Hex(log.data)
    contract = known.get(log.address, entry.chain_id, (entry.block.number, log.log_index))
    node.contract = None if contract is None else contract.name
    event = decode(entry, known)
    if isinstance(event, ChainEvent):
        node.event = event.name
        node.args = _plain(dict(event.args))
    elif isinstance(event, Unknown):
        node.undecoded = event.reason


def _fill_task_event(node: LogEntry, task: TaskEvent) -> None:
    node.producer = task.producer
    node.event_id = task.event_id
    node.sequence = Long(task.sequence)
    node.payload = task.payload.decode("utf-8", errors="replace")
    node.signature = Hex(task.signature)
    try:
        node.args = _plain(json.loads(task.payload)["data"])
        node.event = task.type
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        node.undecoded = f"the payload is no CloudEvents JSON object with data: {error!r:.200}"


def _plain(value: Any) -> Any:
    """Write a decoded value so that no JSON reader rounds it."""
    match value:
        case bool() | str() | None:
            return value
        case int():
            return str(value)
        case bytes():
            return to_hex(value)
        case dict():
            return {str(name): _plain(each) for name, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
    return str(value)
