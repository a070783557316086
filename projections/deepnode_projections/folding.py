"""From a run of log entries to a page of the books, and to what the registers hold behind it.

Logs are gathered by their event. Transfers are folded as columns; those of an event that has no rule are read and
left; every other log, and every task event, is put to ``rules.book``, one by one and in order.
"""

from typing import Final

import numpy as np
import pyarrow as pa

from deepnode_ledger.batch import entries
from deepnode_ledger.bulk import decode_rows
from deepnode_ledger.decoding import ChainEvent, Unknown, decode
from deepnode_ledger.gathering import Rows, gather
from deepnode_ledger.posting import Entry
from deepnode_ledger.record import BlockRef, Finality, Kind, LogEntry, TaskEvent
from deepnode_ledger.roster import Roster
from deepnode_projections.books import Page, Quarantined
from deepnode_projections.folds import transfers
from deepnode_projections.registers.state import State
from deepnode_projections.rules import book
from deepnode_projections.rules.scene import Scene

SINGLE_ENTRIES: Final = 10_000
"""Entries on one page that are put to the rules one by one: each becomes Python objects of some kilobytes."""


def fold(run: pa.RecordBatch, roster: Roster, state: State, *, by_definition: bool) -> tuple[Page, int]:
    """Fold entries from the first of a run on; return the page, and how many entries are on it.

    Args:
        run: entries with the columns of ``batch_versions.SCHEMA``, without a gap.
        roster: the contracts that are known before the run; what the page's entries announce is added.
        state: what is known before the run; what the page's entries put is added.
        by_definition: put every log to the rules.
    """
    uncertain = {child.contract.address for child in roster.learn(run)}
    divide = _all_singly if by_definition else _divide
    page, singles = divide(run, roster, uncertain)
    if len(singles) > SINGLE_ENTRIES:
        run = run.slice(0, int(singles[SINGLE_ENTRIES]))
        page, singles = divide(run, roster, uncertain)
    roster.forget_behind(run.column("position")[run.num_rows - 1].as_py())
    _add_blocks(page, run, roster.manifest.chain_id)
    if len(singles):
        for each in entries(run.take(pa.array(singles)), Finality.PENDING):
            put(page, each, roster, state)
    return page, run.num_rows


def _all_singly(run: pa.RecordBatch, _roster: Roster, _uncertain: set[bytes]) -> tuple[Page, Rows]:
    return Page(), np.arange(run.num_rows)


def _divide(run: pa.RecordBatch, roster: Roster, uncertain: set[bytes]) -> tuple[Page, Rows]:
    """Begin a page with what can be told for many logs at once; return it, and the rows that are left, in order."""
    page, left = Page(), [np.flatnonzero(run.column("kind").to_numpy() == int(Kind.TASK_EVENT))]
    gathered = gather(run, roster)
    for stranger in gathered.strangers:
        # Why a log has no meaning depends on nothing but what these have in common.
        [first] = entries(run.slice(int(stranger.rows[0]), 1), Finality.PENDING)
        unknown = decode(first, roster)
        assert isinstance(unknown, Unknown), first.position
        positions = run.column("position").take(pa.array(stranger.rows)).to_pylist()
        page.quarantined += [Quarantined(p, stranger.address, stranger.topic0, unknown.reason) for p in positions]
    for group in gathered.groups:
        if book.has_rule(group.contract.kind, group.name) and not transfers.is_transfer(group):
            left.append(group.rows)
            continue
        decoded = decode_rows(group.event, run, group.rows)
        for index, reason in decoded.reasons.items():
            position = run.column("position")[int(group.rows[index])].as_py()
            page.quarantined.append(Quarantined(position, group.contract.address, group.event.topic0, reason))
        if transfers.is_transfer(group):
            found, rest = transfers.fold(run, group, decoded, roster, uncertain)
            left.append(rest)
            if len(found.position):
                page.transfers.append(found)
    return page, np.sort(np.concatenate(left))


def _add_blocks(page: Page, run: pa.RecordBatch, home: int) -> None:
    rows = np.flatnonzero(run.column("chain_id").to_numpy() == home)
    numbers = run.column("block_number").to_numpy()[rows]
    lasts = run.take(pa.array(rows[np.diff(numbers, append=-1) != 0]))
    fields = [lasts.column(name).to_pylist() for name in ("block_number", "block_hash", "block_time", "position")]
    for number, block_hash, time, position in zip(*fields, strict=True):
        page.blocks[number] = (BlockRef(number, block_hash, time), position)


def put(page: Page, logged: LogEntry, roster: Roster, state: State) -> None:
    """Put an entry to the rules; its postings and its refusal come on the page."""
    block, record = logged.block, logged.record
    where = (state, roster.manifest, logged.position, logged.chain_id, block.number, block.time, roster)
    if isinstance(record, TaskEvent):
        refused = book.hear(record, Scene(*where, block_hash=block.hash))
        if refused is not None:
            page.refusals.append((logged, record.type, record.producer, refused))
        return
    event = decode(logged, roster)
    if isinstance(event, Unknown):
        topic0 = record.topics[0] if record.topics else None
        page.quarantined.append(Quarantined(logged.position, record.address, topic0, event.reason))
        return
    assert isinstance(event, ChainEvent), logged.position
    moved = book.apply(event, Scene(*where, place=(block.number, record.log_index)))
    if isinstance(moved, book.Refusal):
        page.refusals.append((logged, event.name, event.contract.name, moved))
    elif moved:
        page.entries.append((logged, Entry(logged.position, event.name, event.contract.name, tuple(moved))))
