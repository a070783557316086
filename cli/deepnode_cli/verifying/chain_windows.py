"""The entries of one chain in windows: ranges of blocks, each with all of its logs, as a node is asked for them.

A window ends between blocks, after so many blocks or logs. Memory is one window and one batch of the log, whatever the
bundle's length.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from deepnode_ledger.batch import EMPTY

BLOCKS: Final = 2_000
"""Blocks of a window, however few logs they have."""

ROWS: Final = 16_384
"""A window ends with the block that makes it so large."""


@dataclass(frozen=True, slots=True)
class Window:
    """Blocks ``first`` to ``last`` and the entries of them, in the order of the log."""

    first: int
    last: int
    entries: pa.RecordBatch


def windows(batches: Iterable[pa.RecordBatch], chain_id: int, first: int, last: int) -> Iterator[Window]:
    """Cut the entries of a chain's blocks ``first`` to ``last`` into windows that follow one another without a gap.

    Args:
        batches: all entries of the log, in order.
        chain_id: of the chain; others' entries are left out.
        first: number of the first block.
        last: number of the last one.
    """
    assert first <= last, (first, last)
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        own = _within(batch, chain_id, first, last)
        if not own.num_rows:
            continue
        held.append(own)
        rows += own.num_rows
        newest = pc.max(own.column("block_number")).as_py()
        # The newest block may go on in the next batch.
        while first < newest and (rows >= ROWS or newest - first >= BLOCKS):
            end = min(newest - 1, first + BLOCKS - 1)
            made, rest = _split(held, end)
            yield Window(first, end, made)
            held, rows, first = [rest], rest.num_rows, end + 1
    while first <= last:
        end = min(last, first + BLOCKS - 1)
        made, rest = _split(held, end)
        yield Window(first, end, made)
        held, first = [rest], end + 1


def _within(batch: pa.RecordBatch, chain_id: int, first: int, last: int) -> pa.RecordBatch:
    blocks = batch.column("block_number")
    inside = pc.and_(pc.greater_equal(blocks, first), pc.less_equal(blocks, last))
    return batch.filter(pc.and_(inside, pc.equal(batch.column("chain_id"), chain_id)))


def _split(held: list[pa.RecordBatch], end: int) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """Part entries at the end of a block; what is empty has the columns all the same."""
    whole = pa.concat_batches(held) if held else EMPTY
    before = pc.less_equal(whole.column("block_number"), end)
    return whole.filter(before), whole.filter(pc.invert(before))
