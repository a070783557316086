"""From a run of log entries to a page of the books. Pure, but for the facts, which the caller looks up.

Transfers are taken out column by column; whatever else there is goes through ``folds.journal`` log by log.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from deepnode_ledger.batch import entries
from deepnode_ledger.decoding import ChainEvent, Unknown, decode
from deepnode_ledger.posting import Entry
from deepnode_ledger.record import BlockRef, ChainLog, Finality, Kind, LogEntry
from deepnode_ledger.roster import Roster
from deepnode_projections.books import Page
from deepnode_projections.folds import columns, journal, transfers

SINGLE_ENTRIES: Final = 10_000
"""Logs on one page that are no plain transfers: each of them becomes Python objects of some kilobytes."""

LookUp = Callable[[Sequence[journal.FactKey]], dict[journal.FactKey, bytes]]
"""Returns the newest values of facts from before the run, as far as they are known."""


def fold(run: pa.RecordBatch, roster: Roster, look_up: LookUp, *, by_definition: bool) -> tuple[Page, int]:
    """Fold entries from the first of a run on; return the page, and how many entries are on it.

    Args:
        run: entries with the columns of ``batch_versions.SCHEMA``, without a gap.
        roster: the contracts that are known before the run; what the page's entries announce is added.
        look_up: finds facts.
        by_definition: take no short cut for transfers.
    """
    uncertain = {child.contract.address for child in roster.learn(run)}
    page, done = _begin(run, roster, uncertain, by_definition)
    singles = np.flatnonzero(~done & (columns.integers(run, "kind") == int(Kind.CHAIN_LOG)))
    if len(singles) > SINGLE_ENTRIES:
        run = run.slice(0, int(singles[SINGLE_ENTRIES]))
        singles = singles[:SINGLE_ENTRIES]
        page, _ = _begin(run, roster, uncertain, by_definition)
    last = run.column("position")[run.num_rows - 1].as_py()
    roster.forget_behind(last)
    _blocks(page, run, roster.manifest.chain_id)
    if len(singles):
        _fold_singly(page, list(entries(run.take(pa.array(singles)), Finality.PENDING)), roster, look_up)
    return page, run.num_rows


def _begin(
    run: pa.RecordBatch, roster: Roster, uncertain: Collection[bytes], by_definition: bool
) -> tuple[Page, columns.Flags]:
    if by_definition:
        return Page(), np.zeros(run.num_rows, np.bool_)
    found, done = transfers.split(run, roster, uncertain)
    return Page(transfers=found), done


def _blocks(page: Page, run: pa.RecordBatch, home: int) -> None:
    rows = np.flatnonzero(columns.integers(run, "chain_id") == home)
    if not len(rows):
        return
    numbers = columns.integers(run, "block_number")[rows]
    lasts = rows[np.flatnonzero(np.append(numbers[1:] != numbers[:-1], True))]
    fields = [run.column(name).take(pa.array(lasts)).to_pylist() for name in _BLOCK_COLUMNS]
    for number, block_hash, time, position in zip(*fields, strict=True):
        page.blocks[number] = (BlockRef(number, block_hash, time), position)


_BLOCK_COLUMNS: Final = ("block_number", "block_hash", "block_time", "position")


def _fold_singly(page: Page, logged: list[LogEntry], roster: Roster, look_up: LookUp) -> None:
    decoded = [(each, decode(each, roster)) for each in logged]
    needed = [key for _, event in decoded if isinstance(event, ChainEvent) for key in journal.facts_needed(event)]
    facts = look_up(needed)
    for each, event in decoded:
        if isinstance(event, Unknown):
            page.quarantined.append((each, event.reason))
        elif isinstance(event, ChainEvent):
            _book(page, facts, each, event, roster)


def _book(page: Page, facts: dict[journal.FactKey, bytes], logged: LogEntry, event: ChainEvent, roster: Roster) -> None:
    assert isinstance(logged.record, ChainLog), logged.position
    place = (logged.block.number, logged.record.log_index)
    effect = journal.apply(event, facts, journal.Around(roster.manifest, roster, place))
    if isinstance(effect, journal.Refusal):
        page.refusals.append((logged, event.name, event.contract.name, effect))
        return
    for key, value in effect.facts.items():
        facts[key] = value
        page.facts.append((key, logged.position, value))
    if effect.postings:
        page.entries.append((logged, Entry(logged.position, event.name, event.contract.name, effect.postings)))
