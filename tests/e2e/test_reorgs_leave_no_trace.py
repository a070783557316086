"""A reorg on the real node leaves the books as if the orphaned blocks had never been."""

import pytest

from deepnode_ledger.log import Log
from deepnode_ledger.record import TaskEvent
from deepnode_ledger.snapshot import Reorg, snapshot
from tests.e2e.real_parts import Devnet, Ledger, open_ledger, payload_of


@pytest.mark.parametrize("depth", [1, 5, 40])
def test_a_reorg_leaves_the_root_of_a_fresh_index(
    devnet: Devnet, ledger: Ledger, second_database_url: str, depth: int
) -> None:
    """After a reorg of any depth that is not final, the money is where a fresh index of the new chain has it, and the
    state is that of books made anew from the log.
    """
    ledger.take_in(devnet.play(60))
    ledger.sync()
    before = ledger.root()
    devnet.economy.reorg(depth)
    ledger.take_in(devnet.play(1))
    ledger.sync()
    assert [reorg.old_tip[0] - reorg.kept_block for reorg in reorgs(ledger.log)] == [depth]
    assert ledger.money_root() == fresh_money_root(devnet, second_database_url)
    assert ledger.root() == ledger.rebuilt_root()
    ledger.take_in(devnet.play(30))
    ledger.sync()
    assert ledger.root() != before
    assert ledger.money_root() == fresh_money_root(devnet, second_database_url)
    assert ledger.root() == ledger.rebuilt_root()


def test_two_reorgs_between_two_looks_leave_no_trace(devnet: Devnet, ledger: Ledger, second_database_url: str) -> None:
    """Reorgs that nobody saw happen are followed like one."""
    ledger.take_in(devnet.play(80))
    ledger.sync()
    devnet.economy.reorg(7)
    events = devnet.play(3)
    devnet.economy.reorg(9)
    ledger.take_in(events + devnet.play(5))
    ledger.sync()
    assert ledger.money_root() == fresh_money_root(devnet, second_database_url)
    assert ledger.root() == ledger.rebuilt_root()


def test_without_task_events_all_state_is_that_of_a_fresh_index(
    devnet: Devnet, ledger: Ledger, second_database_url: str
) -> None:
    """Reorganises a chain whose task events nobody sends: then the chain decides everything."""
    devnet.play(60)
    ledger.sync()
    devnet.economy.reorg(20)
    devnet.play(30)
    ledger.sync()
    other = open_ledger(second_database_url, devnet.node.url, devnet.manifest, step_entries=73)
    try:
        other.sync()
        assert ledger.root() == other.root()
    finally:
        other.close()


def test_a_reorg_takes_no_task_event_back(devnet: Devnet, ledger: Ledger) -> None:
    """Acknowledged task events survive a reorg with their bytes, in the order of their acceptance, each once."""
    acknowledged: list[bytes] = []
    for _ in range(8):
        envelopes = devnet.play(10)
        ledger.sync()
        ledger.take_in(envelopes)
        acknowledged += envelopes
    devnet.economy.reorg(40)
    ledger.take_in(devnet.play(1))
    ledger.sync()
    kept = [event.payload for event in task_events(ledger.log)]
    assert kept[: len(acknowledged)] == [payload_of(envelope) for envelope in acknowledged]
    assert len(set(kept)) == len(kept)


def reorgs(log: Log) -> list[Reorg]:
    """The reorgs that the log went through."""
    with snapshot(log.datastore) as view:
        return list(view.reorgs())


def task_events(log: Log) -> list[TaskEvent]:
    """The log's task events in order."""
    with snapshot(log.datastore) as view:
        return [entry.record for entry in view.entries(1) if isinstance(entry.record, TaskEvent)]


def fresh_money_root(devnet: Devnet, url: str) -> str:
    """The root of the balances of a new index of the chain as it is now, in other runs of entries."""
    other = open_ledger(url, devnet.node.url, devnet.manifest, seal_entries=1_000, step_entries=73)
    try:
        other.sync()
        return other.money_root()
    finally:
        other.close()
