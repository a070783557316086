"""The leaves of the tree are a function of an entry's stored columns alone."""

import dataclasses
import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_ledger import batch as batches
from deepnode_ledger import leaf
from deepnode_ledger.batch import from_rows, row_of
from deepnode_ledger.record import BlockRef, ChainLog, Finality, LogEntry, TaskEvent
from tests.ledger.histories import CHAIN_ID, chain_log, ref, task
from tests.ledger.test_batch import histories, rows_of


@given(st.integers(1, 2**62), histories, st.integers(0, 5))
def test_column_by_column_gives_the_leaves_that_the_definition_gives(
    first: int, placed: list[tuple[BlockRef, ChainLog | TaskEvent]], cut: int
) -> None:
    """Lays out a history repeated, so that shapes are met often and seldom; once from a slice of a batch."""
    batch = from_rows(rows_of(first, placed * 9))
    batch = batch.slice(min(cut, batch.num_rows - 1))
    stored = batches.decode("deepnode.log.batch/2", batches.encode(batch))
    for each in (batch, stored):
        assert leaf.entries(each) == [leaf.entry_bytes(entry) for entry in batches.entries(each, Finality.SEALED)]


def test_a_chain_logs_leaf_is_laid_out_as_documented() -> None:
    """Builds the bytes of one by hand from the table in the module's text."""
    block = ref(9)
    log = chain_log(block, 3, b"data", topics=2)
    expected = (
        b"\x01" + (7).to_bytes(8) + CHAIN_ID.to_bytes(8) + (9).to_bytes(8) + block.time.to_bytes(8) + block.hash
        + log.transaction_hash + (3).to_bytes(4) + (3).to_bytes(4) + log.address + b"\x02" + b"".join(log.topics)
        + b"\x00" + (4).to_bytes(4) + b"data"
    )  # fmt: skip
    assert leaf.entries(from_rows([row_of(7, CHAIN_ID, block, log)])) == [expected]


def test_a_task_events_leaf_is_laid_out_as_documented() -> None:
    """Builds the bytes of one by hand; what it is about is no part of it."""
    block, event = ref(9), task(5, payload=b'{"data":{"task":"t"}}')
    expected = (
        b"\x02" + (7).to_bytes(8) + CHAIN_ID.to_bytes(8) + (9).to_bytes(8) + block.time.to_bytes(8) + block.hash
        + event.signature + (5).to_bytes(8) + b"\x00\x05urn:p" + b"\x00\x02e5" + b"\x00\x0bTaskCreated"
        + b"\x00" + len(event.payload).to_bytes(4) + event.payload
    )  # fmt: skip
    assert leaf.entries(from_rows([row_of(7, CHAIN_ID, block, event)])) == [expected]


@pytest.mark.parametrize("over", [0, 1])
def test_data_too_long_for_a_bundle_enter_as_their_hash(over: int) -> None:
    """Logs as many bytes as go in whole, and one more; the leaf still has room in a bundle."""
    data = bytes(leaf.INLINE_BYTES_MAX + over)
    [entry] = leaf.entries(from_rows([row_of(1, CHAIN_ID, ref(9), chain_log(ref(9), 0, data, topics=4))]))
    tail = b"\x01" + len(data).to_bytes(4) + hashlib.sha256(data).digest() if over else data
    assert entry.endswith(tail)
    assert len(entry) <= leaf.ENTRY_BYTES_MAX


def test_any_change_to_what_is_kept_changes_the_leaf() -> None:
    """Changes each field of an entry in turn."""
    block = ref(9)
    log, event = chain_log(block, 3, b"data"), task(5)
    entries = [
        LogEntry(7, Finality.SEALED, CHAIN_ID, block, log),
        LogEntry(8, Finality.SEALED, CHAIN_ID, block, log),
        LogEntry(7, Finality.SEALED, CHAIN_ID + 1, block, log),
        *(LogEntry(7, Finality.SEALED, CHAIN_ID, each, log) for each in _changed(block)),
        *(LogEntry(7, Finality.SEALED, CHAIN_ID, block, each) for each in _changed(log)),
        LogEntry(7, Finality.SEALED, CHAIN_ID, block, event),
        *(LogEntry(7, Finality.SEALED, CHAIN_ID, block, each) for each in _changed(event)),
    ]
    leaves = [leaf.entry_bytes(entry) for entry in entries]
    assert len(set(leaves)) == len(leaves)


def _changed(record: BlockRef | ChainLog | TaskEvent) -> Iterator[Any]:
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        other: Any
        match value:
            case int():
                other = value + 1
            case bytes():
                other = bytes([value[0] ^ 1]) + value[1:]
            case str():
                other = value + "x"
            case _:
                other = value[:-1]
        yield dataclasses.replace(record, **{field.name: other})
