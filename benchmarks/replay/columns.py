"""The history's entries as columns: logs and task events are gathered apart, and laid side by side as blocks have them.

Signatures are bytes by chance: a replay does not check them, and a million real ones take ten minutes.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from benchmarks.marketplace import CHAIN_ID, PRODUCER, block_ref, octets
from benchmarks.replay.deployment import LogRow

from deepnode_ledger.batch import ENTRIES_MAX
from deepnode_ledger.batch_versions import SCHEMA
from deepnode_ledger.record import Kind

Integers = npt.NDArray[np.int64]

ToldRow = tuple[int, str, str | None]
"""A task event: the number of its type, its payload, and the task that it is about."""

_LOG_TOPICS: Final = ("topic0", "topic1", "topic2", "topic3")


class Columns:
    """Blocks come in, batches come out: each of ``ENTRIES_MAX`` entries but the last."""

    def __init__(self, types: list[str]) -> None:
        """Begin an empty log; ``types`` are those of task events by their numbers."""
        self.position = 0
        self._types = pa.array(types, pa.string())
        self._chance = np.random.default_rng(7)
        self._sequence = 0
        self._rest: list[pa.RecordBatch] = []
        self._begin()

    def _begin(self) -> None:
        self._blocks: list[tuple[int, int, int]] = []
        self._logs: list[LogRow] = []
        self._transactions: list[int] = []
        self._told: list[ToldRow] = []

    def add(self, block: int, transactions: list[list[LogRow]], told: list[ToldRow]) -> None:
        """Put a block behind the others: the logs of its transactions, then what producers told behind it."""
        before = len(self._logs)
        for number, logs in enumerate(transactions):
            self._logs += logs
            self._transactions += [number] * len(logs)
        self._told += told
        self._blocks.append((block, len(self._logs) - before, len(told)))
        self.position += len(self._logs) - before + len(told)

    def full(self) -> Iterator[pa.RecordBatch]:
        """Yield the batches that are full, if enough has come since the last look that it is worth the while."""
        if len(self._logs) + len(self._told) >= ENTRIES_MAX:
            self._lay_out()
            whole = self._rest[0] if len(self._rest) == 1 else pa.concat_batches(self._rest)
            full = whole.num_rows // ENTRIES_MAX * ENTRIES_MAX
            for start in range(0, full, ENTRIES_MAX):
                yield whole.slice(start, ENTRIES_MAX)
            self._rest = [whole.slice(full)]

    def last(self, position: int) -> Iterator[pa.RecordBatch]:
        """Yield what is left, up to a position."""
        self._lay_out()
        whole = pa.concat_batches(self._rest)
        first = whole.column("position")[0].as_py() if whole.num_rows else position + 1
        whole = whole.slice(0, max(0, position - first + 1))
        for start in range(0, whole.num_rows, ENTRIES_MAX):
            yield whole.slice(start, ENTRIES_MAX)

    def _lay_out(self) -> None:
        if not self._blocks:
            return
        numbers, logs, told = (np.array(column, np.int64) for column in zip(*self._blocks, strict=True))
        count = int(logs.sum() + told.sum())
        is_told = np.repeat(np.tile([False, True], len(numbers)), np.stack([logs, told], axis=1).reshape(-1))
        block_of = np.repeat(np.arange(len(numbers)), logs + told)
        hashes = np.frombuffer(b"".join(block_ref(n).hash for n in numbers.tolist()), np.uint8).reshape(-1, 32)
        columns = {
            "position": pa.array(np.arange(self.position - count, self.position) + 1),
            "kind": pa.array(np.where(is_told, int(Kind.TASK_EVENT), int(Kind.CHAIN_LOG)).astype(np.uint8)),
            "chain_id": pa.array(np.full(count, CHAIN_ID)),
            "block_number": pa.array(numbers[block_of]),
            "block_hash": octets(hashes[block_of]),
            "block_time": pa.array(block_ref(0).time + 2 * numbers[block_of]),
        }
        of_log, of_told = _places(~is_told), _places(is_told)
        written, said = self._log_columns(logs), self._told_columns()
        datas = pa.concat_arrays([written.pop("data"), said.pop("data")])
        places = np.where(is_told, len(self._logs) + np.cumsum(is_told) - 1, np.cumsum(~is_told) - 1)
        columns["data"] = datas.take(pa.array(places))
        columns |= {name: column.take(of_log) for name, column in written.items()}
        columns |= {name: column.take(of_told) for name, column in said.items()}
        self._rest.append(pa.RecordBatch.from_arrays([columns[name] for name in SCHEMA.names], schema=SCHEMA))
        self._begin()

    def _log_columns(self, in_block: Integers) -> dict[str, pa.Array]:
        addresses, *topics, datas = zip(*self._logs, strict=True)
        transaction, begins = np.array(self._transactions), np.cumsum(in_block) - in_block
        # A transaction's logs stand side by side, and each block counts its transactions from 0.
        index = np.arange(len(transaction)) - np.repeat(begins, in_block)
        other = np.append(True, (np.diff(transaction) != 0) | (index[1:] == 0))
        hashes = self._chance.integers(0, 256, (int(other.sum()), 32), np.uint8)
        return {
            "transaction_hash": octets(hashes[np.cumsum(other) - 1]),
            "transaction_index": pa.array(transaction.astype(np.int32)),
            "log_index": pa.array(index.astype(np.int32)),
            "address": pa.array(addresses, pa.binary(20)),
            **{name: pa.array(topic, pa.binary(32)) for name, topic in zip(_LOG_TOPICS, topics, strict=True)},
            "data": pa.array(datas, pa.binary()),
        }

    def _told_columns(self) -> dict[str, pa.Array]:
        count = len(self._told)
        types, payloads, tasks = zip(*self._told, strict=True) if count else ((), (), ())
        numbers = range(self._sequence + 1, self._sequence + count + 1)
        self._sequence += count
        signatures = self._chance.integers(0, 256, (count, 65), np.uint8)
        signatures[:, 64] = 27
        return {
            "data": pa.array(payloads, pa.string()).cast(pa.binary()),
            "producer": pa.array([PRODUCER] * count, pa.string()),
            "event_id": pa.array([f"benchmark-{number}" for number in numbers], pa.string()),
            "sequence": pa.array(np.array(numbers, np.int64)),
            "event_type": self._types.take(pa.array(types, pa.int64())),
            "signature": octets(signatures),
            "task": pa.array(tasks, pa.string()),
        }


def _places(flags: npt.NDArray[np.bool_]) -> pa.Array:
    """Count the rows that are meant; the others have no place."""
    return pa.array(np.cumsum(flags) - 1, mask=~flags)
