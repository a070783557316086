"""Histories of more than a thousand events come to the same state in runs of any length."""

from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from deepnode_ledger.batch import from_rows, row_of
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.roster import Roster
from deepnode_projections.folding import fold
from deepnode_projections.registers.record import Record
from deepnode_projections.registers.state import MemoryState
from deepnode_projections.rules.book import RECORDS
from tests.ledger.histories import CHAIN_ID, WITHOUT_SHRINKING, ref, task
from tests.ledger.paper_deployment import event_log
from tests.projections import stories as s

EVENTS = 1_000


@settings(max_examples=3, phases=WITHOUT_SHRINKING, deadline=None)
@given(st.randoms(use_true_random=False), st.data())
def test_a_thousand_events_in_runs_of_any_length(manifest: Manifest, rng: Random, data: st.DataObject) -> None:
    """Tells a long story out of a drawn one, told over and over in another order, in runs of 1, of 64 and of all."""
    drawn = data.draw(st.lists(s.anything, min_size=40, max_size=60))
    story: list[s.Said] = []
    while len(story) < EVENTS:
        rng.shuffle(drawn)
        story += drawn
    rows: list[tuple[Any, ...]] = []
    for index, (contract, event, args) in enumerate(story):
        block = ref(5 + index // 10)
        rows.append(row_of(len(rows) + 1, CHAIN_ID, block, event_log(manifest, contract, event, block, index, **args)))
        if index % 7 == 0:
            rows.append(row_of(len(rows) + 1, CHAIN_ID, block, task(index)))
    states = [folded(manifest, rows, length) for length in (1, 64, len(rows))]
    assert states[0] == states[1] == states[2]


def folded(manifest: Manifest, rows: list[tuple[Any, ...]], length: int) -> tuple[list[list[Record]], list[str]]:
    """All records after folding rows in runs of a length, and the reasons of all refusals."""
    roster, state, reasons = Roster(manifest), MemoryState(), list[str]()
    for start in range(0, len(rows), length):
        run = from_rows(rows[start : start + length])
        page, taken = fold(run, roster, state, by_definition=length == 1)
        assert taken == run.num_rows
        reasons += [refusal.reason for _, _, _, refusal in page.refusals]
    return [list(state.every(kind)) for kind in RECORDS], reasons
