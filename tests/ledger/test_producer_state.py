"""A producer's missing sequence numbers are visible, and a source is read on from where its events were kept."""

from deepnode_ledger.log import Log
from deepnode_ledger.producer_state import Gap, ProducerState
from tests.ledger.histories import run, task


def test_missing_sequence_numbers_are_gaps_until_they_come(log: Log) -> None:
    """Two producers: one leaves out 1, 4 and 5, the other nothing; then 4 comes late."""
    log.extend(None, run(5, 5))
    log.accept([task(2), task(3), task(6), task(1, producer="urn:q"), task(2, producer="urn:q")])
    assert log.gaps(10) == [Gap("urn:p", 1, 1), Gap("urn:p", 4, 5)]
    assert log.gaps(1) == [Gap("urn:p", 1, 1)]
    assert log.producers() == [ProducerState("urn:p", 6, 3), ProducerState("urn:q", 2, 2)]
    assert [each.missing for each in log.producers()] == [3, 0]
    log.accept([task(4)])
    assert log.gaps(10) == [Gap("urn:p", 1, 1), Gap("urn:p", 5, 5)]


def test_offsets_move_with_the_events_and_never_back(log: Log) -> None:
    """Accepts events of two partitions; an older delivery leaves the offset where it is."""
    log.extend(None, run(5, 5))
    log.accept([task(1)], {("topic", 0): 5, ("topic", 1): 2})
    log.accept([task(1)], {("topic", 0): 3, ("other", 0): 1})
    assert log.offsets("topic") == {0: 5, 1: 2}
    assert log.offsets("other") == {0: 1}
    assert log.offsets("none") == {}
