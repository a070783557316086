"""Sealed batches are known by what binds their content, and read back one by one; what was changed is not believed."""

import hashlib
from dataclasses import replace

import pyarrow as pa
import pytest

from deepnode_ledger.errors import Damaged
from deepnode_ledger.log import Log
from deepnode_ledger.sealed_batches import read_sealed, read_sealed_run, sealed_batches
from deepnode_ledger.snapshot import snapshot
from tests.ledger.histories import ref, run
from tests.ledger.tampering import flipped, superuser, with_state


def seal_two(log: Log) -> None:
    """Two sealed batches, and entries that are pending behind them."""
    log.extend(None, run(5, 9, logs=2))
    log.seal(ref(6))
    log.seal(ref(8))


def test_there_is_none_in_a_log_without_sealed_entries(log: Log) -> None:
    """Has pending entries alone."""
    log.extend(None, run(5, 6))
    with snapshot(log.datastore) as view:
        assert sealed_batches(view) == []


def test_each_is_named_by_the_digest_of_its_bytes(log: Log) -> None:
    """Seals twice, and compares what is read batch by batch with the log as it is read at once."""
    seal_two(log)
    with snapshot(log.datastore) as view:
        found = sealed_batches(view)
        assert [(each.number, each.first_position, each.last_position) for each in found] == [(1, 1, 4), (2, 5, 8)]
        assert [read_sealed(view, each) for each in found] == list(view.read(1, 8))
        assert read_sealed_run(view, found) == pa.concat_batches(view.read(1, 8))
        assert read_sealed_run(view, found[1:]) == read_sealed(view, found[1])
    with log.datastore.cursor() as cursor:
        cursor.execute("SELECT state FROM log.sealed ORDER BY originator_version")
        states = [bytes(row["state"]) for row in cursor.fetchall()]
    assert [each.sha256 for each in found] == [hashlib.sha256(state).digest() for state in states]


def test_bytes_that_were_changed_are_not_read(log: Log) -> None:
    """Changes a byte of the second batch: the first can be read, the second cannot."""
    seal_two(log)
    with superuser(log) as connection:
        with_state(connection, 2, flipped)
    with snapshot(log.datastore) as view:
        first, second = sealed_batches(view)
        assert read_sealed(view, first).num_rows == 4
        with pytest.raises(Damaged, match=r"batch 2 is not the one that was sealed"):
            read_sealed(view, second)
        with pytest.raises(Damaged, match=r"batch 2 is not the one that was sealed"):
            read_sealed_run(view, [first, second])


def test_a_batch_that_is_not_there_is_not_read(log: Log) -> None:
    """Asks for a third one, by itself and together with the two that there are."""
    seal_two(log)
    with snapshot(log.datastore) as view:
        found = sealed_batches(view)
        third = replace(found[1], number=3)
        with pytest.raises(Damaged, match="batch 3"):
            read_sealed_run(view, [third])
        with pytest.raises(Damaged, match=r"of batches 1 to 3 one is not in the log"):
            read_sealed_run(view, [*found, third])


@pytest.mark.parametrize("missing", [1, 2])
def test_an_index_with_a_hole_is_not_believed(log: Log, missing: int) -> None:
    """Deletes the index's row of one batch or the other."""
    seal_two(log)
    with superuser(log) as connection:
        connection.execute("DELETE FROM log.batch_block WHERE number = %s", (missing,))
        connection.execute("DELETE FROM log.batch WHERE number = %s", (missing,))
    with snapshot(log.datastore) as view, pytest.raises(Damaged, match="fsck"):
        sealed_batches(view)
