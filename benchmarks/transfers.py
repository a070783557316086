"""Token transfers as Base delivers them, made up from a seed: the load of the benchmarks.

A transfer has three topics and 32 bytes of data; a transaction writes three logs on average; there are a few thousand
accounts. Hashes are random, so they do not compress better than real ones.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from deepnode_ledger.batch_versions import SCHEMA
from deepnode_ledger.record import BlockRef, Header

CHAIN_ID: Final = 8453
FIRST_BLOCK: Final = 5
GENESIS: Final = b"\x07" * 32
BLOCKS: Final = 100
LOGS: Final = 650
ACCOUNTS: Final = 4_000
RANGE_ENTRIES: Final = BLOCKS * LOGS

_Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Range:
    """The logs of 100 blocks, as a backfill hands them over."""

    first: int
    last: Header
    logs: pa.RecordBatch


def ranges(entries: int) -> Iterator[Range]:
    """Make ranges with at least so many entries in all, one after another."""
    for number in range(-(-entries // RANGE_ENTRIES)):
        yield make_range(number)


def make_range(number: int) -> Range:
    """Make the range with this number, counted from 0: the same for the same number."""
    chance = np.random.default_rng(number)
    first = FIRST_BLOCK + number * BLOCKS
    hashes = np.concatenate([_block_hash(block) for block in range(first, first + BLOCKS)])
    blocks = np.repeat(np.arange(first, first + BLOCKS), LOGS)
    count = len(blocks)
    transactions = np.cumsum(chance.random(count) < 1 / 3)
    in_block = np.tile(np.arange(LOGS, dtype=np.int32), BLOCKS)
    accounts = np.zeros((ACCOUNTS, 32), np.uint8)
    accounts[:, 12:] = np.random.default_rng(0).integers(0, 256, (ACCOUNTS, 20), np.uint8)
    amounts = np.zeros((count, 32), np.uint8)
    amounts[:, 20:28] = (chance.integers(1, 10**7, count) * 10**9).astype(">u8").view(np.uint8).reshape(-1, 8)
    columns = {
        "position": pa.array(np.arange(1, count + 1)),
        "kind": pa.array(np.full(count, 1, np.uint8)),
        "chain_id": pa.array(np.full(count, CHAIN_ID)),
        "block_number": pa.array(blocks),
        "block_hash": _words(np.repeat(hashes, LOGS, axis=0)),
        "block_time": pa.array(1_700_000_000 + 2 * blocks),
        "transaction_hash": _words(chance.integers(0, 256, (count + 1, 32), np.uint8)[transactions]),
        "transaction_index": pa.array((in_block // 3).astype(np.int32)),
        "log_index": pa.array(in_block),
        "address": _words(np.tile(np.full(20, 0xAA, np.uint8), (count, 1))),
        "topic0": _words(np.tile(_word(1), (count, 1))),
        "topic1": _words(accounts[chance.integers(0, ACCOUNTS, count)]),
        "topic2": _words(accounts[chance.integers(0, ACCOUNTS, count)]),
        "data": pa.array([row.tobytes() for row in amounts], pa.binary()),
    }
    filled = [columns.get(field.name, pa.nulls(count, field.type)) for field in SCHEMA]
    end = first + BLOCKS - 1
    header = Header(_ref(end), _block_hash(end - 1).tobytes())
    return Range(first, header, pa.RecordBatch.from_arrays(filled, schema=SCHEMA))


def _ref(number: int) -> BlockRef:
    return BlockRef(number, _block_hash(number).tobytes(), 1_700_000_000 + 2 * number)


def _block_hash(number: int) -> _Bytes:
    return _word(1_000_000 + number).reshape(1, 32)


def _word(seed: int) -> _Bytes:
    return np.random.default_rng(seed).integers(0, 256, 32, np.uint8)


def _words(rows: _Bytes) -> pa.Array:
    width = rows.shape[1]
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(rows), [None, pa.py_buffer(rows.tobytes())])
