"""From a run of log entries to a page of the books. Pure, but for the facts, which the caller looks up.

Logs are gathered by their event. Transfers are folded as columns; those of an event that moves nothing are read and
left; every other log goes through ``folds.journal``, one by one and in order.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from deepnode_ledger.batch import entries
from deepnode_ledger.bulk import decode_rows
from deepnode_ledger.decoding import ChainEvent, Unknown, decode
from deepnode_ledger.gathering import Rows, gather
from deepnode_ledger.posting import Entry
from deepnode_ledger.record import BlockRef, ChainLog, Finality, Kind, LogEntry
from deepnode_ledger.roster import Roster
from deepnode_projections.books import Page, Quarantined
from deepnode_projections.folds import journal, transfers

SINGLE_ENTRIES: Final = 10_000
"""Logs on one page that go through the journal one by one: each becomes Python objects of some kilobytes."""

LookUp = Callable[[Sequence[journal.FactKey]], dict[journal.FactKey, bytes]]
"""Returns the newest values of facts from before the run, as far as they are known."""


def fold(run: pa.RecordBatch, roster: Roster, look_up: LookUp, *, by_definition: bool) -> tuple[Page, int]:
    """Fold entries from the first of a run on; return the page, and how many entries are on it.

    Args:
        run: entries with the columns of ``batch_versions.SCHEMA``, without a gap.
        roster: the contracts that are known before the run; what the page's entries announce is added.
        look_up: finds facts.
        by_definition: let every log go through the journal.
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
        _fold_singly(page, list(entries(run.take(pa.array(singles)), Finality.PENDING)), roster, look_up)
    return page, run.num_rows


def _all_singly(run: pa.RecordBatch, _roster: Roster, _uncertain: set[bytes]) -> tuple[Page, Rows]:
    return Page(), np.flatnonzero(run.column("kind").to_numpy() == int(Kind.CHAIN_LOG))


def _divide(run: pa.RecordBatch, roster: Roster, uncertain: set[bytes]) -> tuple[Page, Rows]:
    """Begin a page with what can be told for many logs at once; return it, and the rows that are left, in order."""
    page, left = Page(), [np.empty(0, np.int64)]
    gathered = gather(run, roster)
    for stranger in gathered.strangers:
        # Why a log has no meaning depends on nothing but what these have in common.
        [first] = entries(run.slice(int(stranger.rows[0]), 1), Finality.PENDING)
        unknown = decode(first, roster)
        assert isinstance(unknown, Unknown), first.position
        positions = run.column("position").take(pa.array(stranger.rows)).to_pylist()
        page.quarantined += [Quarantined(p, stranger.address, stranger.topic0, unknown.reason) for p in positions]
    for group in gathered.groups:
        if journal.has_rule(group.contract.kind, group.name) and not transfers.is_transfer(group):
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


def _fold_singly(page: Page, logged: list[LogEntry], roster: Roster, look_up: LookUp) -> None:
    decoded = [(each, decode(each, roster)) for each in logged]
    needed = [key for _, event in decoded if isinstance(event, ChainEvent) for key in journal.facts_needed(event)]
    facts = look_up(needed)
    for each, event in decoded:
        assert isinstance(each.record, ChainLog), each.position
        if isinstance(event, Unknown):
            topic0 = each.record.topics[0] if each.record.topics else None
            page.quarantined.append(Quarantined(each.position, each.record.address, topic0, event.reason))
        elif isinstance(event, ChainEvent):
            around = journal.Around(roster.manifest, roster, (each.block.number, each.record.log_index))
            _book(page, facts, each, event, around)


def _book(
    page: Page, facts: dict[journal.FactKey, bytes], logged: LogEntry, event: ChainEvent, around: journal.Around
) -> None:
    effect = journal.apply(event, facts, around)
    if isinstance(effect, journal.Refusal):
        page.refusals.append((logged, event.name, event.contract.name, effect))
        return
    for key, value in effect.facts.items():
        facts[key] = value
        page.facts.append((key, logged.position, value))
    if effect.postings:
        page.entries.append((logged, Entry(logged.position, event.name, event.contract.name, effect.postings)))
