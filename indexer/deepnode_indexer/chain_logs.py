"""Chain logs as columns: from a node's JSON to an Arrow batch, with no Python object for a log's bytes.

A log costs a few strings while its answer is read; then all addresses, all topics and all data become bytes at once.
The checks are those of one log at a time, made on columns: lengths, digits, quantities, order, blocks and addresses. Of
an answer that breaks a rule nothing is used.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from deepnode_indexer.failures import BadAnswer
from deepnode_indexer.hex_columns import Quantities, data_array, fixed_array, words
from deepnode_ledger.batch import placed_behind
from deepnode_ledger.batch_versions import SCHEMA
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import from_hex, to_hex
from deepnode_ledger.record import TOPICS_MAX, BlockRef, ChainLog, Kind

INDEX_MAX: Final = 2**31 - 1
"""The largest index of a log or a transaction that the log's columns hold."""

_quantities: Final = Quantities()


class _WireLog(msgspec.Struct, rename="camel", gc=False):
    address: str
    topics: list[str]
    data: str
    block_number: str
    block_hash: str
    transaction_hash: str
    transaction_index: str
    log_index: str
    block_timestamp: str | None = None
    removed: bool = False


_DECODER: Final = msgspec.json.Decoder(list[_WireLog])


@dataclass(frozen=True, slots=True)
class Asked:
    """What a list of logs answers: blocks ``first`` to ``last``, or the one block with ``block_hash``."""

    first: int
    last: int
    block_hash: bytes | None = None


@dataclass(frozen=True, slots=True)
class Columns:
    """The logs of one or more answers, in the order of the chain. ``times`` is 0 where the node sent no time."""

    block_numbers: NDArray[np.int64]
    block_hashes: NDArray[np.uint8]
    times: NDArray[np.int64]
    transaction_hashes: NDArray[np.uint8]
    transaction_indexes: NDArray[np.int64]
    log_indexes: NDArray[np.int64]
    addresses: NDArray[np.uint8]
    topics: tuple[pa.Array, ...]
    data: pa.Array

    def untimed(self) -> list[int]:
        """The blocks whose logs came without their time, ascending."""
        found: list[int] = np.unique(self.block_numbers[self.times == 0]).tolist()
        return found

    def agree_with(self, blocks: Mapping[int, BlockRef], where: str) -> "Columns":
        """Check the logs against blocks that are known by number, and take missing times from them.

        Raises:
            BadAnswer: a log's block has another hash or another time than the one that is known.
        """
        times = self.times.copy()
        for number, block in blocks.items():
            first, end = np.searchsorted(self.block_numbers, [number, number + 1])
            if (self.block_hashes[first:end] != np.frombuffer(block.hash, np.uint8)).any():
                raise BadAnswer(f"{where}: block {number} has two hashes in two answers")
            told = self.times[first:end]
            if ((told != 0) & (told != block.time)).any():
                raise BadAnswer(f"{where}: block {number} has two times in two answers")
            times[first:end] = block.time
        return Columns(
            self.block_numbers,
            self.block_hashes,
            times,
            self.transaction_hashes,
            self.transaction_indexes,
            self.log_indexes,
            self.addresses,
            self.topics,
            self.data,
        )

    def batch(self, chain_id: int) -> pa.RecordBatch:
        """Make a batch of ``batch_versions.SCHEMA`` with positions from 1 on."""
        rows = len(self.block_numbers)
        made = {
            "position": pa.array(np.arange(1, rows + 1, dtype=np.int64)),
            "kind": pa.array(np.full(rows, int(Kind.CHAIN_LOG), np.uint8)),
            "chain_id": pa.array(np.full(rows, chain_id, np.int64)),
            "block_number": pa.array(self.block_numbers),
            "block_hash": fixed_array(self.block_hashes),
            "block_time": pa.array(self.times),
            "transaction_hash": fixed_array(self.transaction_hashes),
            "transaction_index": pa.array(self.transaction_indexes.astype(np.int32)),
            "log_index": pa.array(self.log_indexes.astype(np.int32)),
            "address": fixed_array(self.addresses),
            "data": self.data,
        } | {f"topic{place}": topic for place, topic in enumerate(self.topics)}
        columns = [made[f.name] if f.name in made else pa.nulls(rows, f.type) for f in SCHEMA]
        return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def parse(
    answers: Sequence[tuple[msgspec.Raw, Asked]], addresses: AbstractSet[bytes], where: str, *, filters: int = 1
) -> Columns:
    """Read answers of ``eth_getLogs`` as one run of logs in the order of the chain.

    Args:
        answers: each answer and what it was asked for, in the order of the chain.
        addresses: whose logs were asked for.
        where: the node, for messages.
        filters: into how many filters the addresses of one question were split; their answers follow one another in
            ``answers``, and their logs are put in order here.

    Raises:
        BadAnswer: an answer is no list of logs, or a log breaks a rule.
    """
    lists = [_decoded(raw, where) for raw, _ in answers]
    logs = list(chain.from_iterable(lists))
    if not logs:
        return _NO_LOGS
    counts = np.fromiter(map(len, lists), np.int64, len(lists))
    try:
        columns = _columns(logs)
    except BadInput as error:
        raise BadAnswer(f"{where}: a log of eth_getLogs: {error}") from error
    _check_places(columns, counts, where, within_answers_only=filters > 1)
    _check_asked(columns, counts, [asked for _, asked in answers], where)
    strangers = [text for text in {log.address for log in logs} if from_hex(text) not in addresses]
    if strangers:
        raise BadAnswer(f"{where}: a log of {strangers[0]} came, which was not asked for")
    if filters > 1:
        columns = _sorted(columns)
        _check_places(columns, np.array([len(logs)]), where, within_answers_only=False)
    _check_blocks(columns, where)
    return columns


def joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """Put batches behind one another as one batch with positions from 1 on."""
    return placed_behind(pa.concat_batches(batches), 0)


def chain_logs(batch: pa.RecordBatch) -> Iterator[ChainLog]:
    """Read a batch's rows as the logs that they are, one by one: for the tail, where logs are few."""
    names = ("transaction_hash", "transaction_index", "log_index", "address", "data")
    values = (batch.column(name).to_pylist() for name in names)
    topics = zip(*(batch.column(f"topic{place}").to_pylist() for place in range(TOPICS_MAX)), strict=True)
    for transaction, transaction_index, log_index, address, data, four in zip(*values, topics, strict=True):
        own = tuple(topic for topic in four if topic is not None)
        yield ChainLog(transaction, transaction_index, log_index, address, own, data)


def digest(batch: pa.RecordBatch) -> bytes:
    """Return the SHA-256 of what logs say, the same for the same logs from any node (32 bytes).

    Positions do not count, as they are ours, nor do block times, which not every node sends with a log and which the
    block's hash determines. Slices, and whatever Arrow keeps behind a null, make no difference.
    """
    rows = batch.num_rows
    hasher = hashlib.sha256(b"deepnode chain logs 1 %d\n" % rows)
    for name in ("kind", "chain_id", "block_number", "transaction_index", "log_index"):
        hasher.update(batch.column(name).to_numpy().astype("<i8").tobytes())
    for name in ("block_hash", "transaction_hash", "address", *(f"topic{place}" for place in range(TOPICS_MAX))):
        octets, valid = _octets(batch.column(name))
        hasher.update(valid.astype(np.uint8).tobytes())
        hasher.update(octets.tobytes())
    data = batch.column("data")
    if rows:
        offsets = np.frombuffer(data.buffers()[1], np.int32)[data.offset : data.offset + rows + 1]
        hasher.update(np.diff(offsets).astype("<i8").tobytes())
        hasher.update(memoryview(data.buffers()[2] or b"")[offsets[0] : offsets[-1]])
    return hasher.digest()


def _decoded(raw: msgspec.Raw, where: str) -> list[_WireLog]:
    try:
        return _DECODER.decode(raw)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BadAnswer(f"{where}: eth_getLogs: {error}") from error


def _columns(logs: list[_WireLog]) -> Columns:
    if True in [log.removed for log in logs]:
        raise BadInput("one is marked as removed")
    read = _quantities.__getitem__
    times = [log.block_timestamp for log in logs]
    return Columns(
        _integers(map(read, [log.block_number for log in logs]), len(logs)),
        words([log.block_hash for log in logs], 32),
        _integers((0 if text is None else read(text) for text in times), len(logs))
        if None in times
        else _integers(map(read, times), len(logs)),  # type: ignore[arg-type]  # no None is among them
        words([log.transaction_hash for log in logs], 32),
        _indexes(map(read, [log.transaction_index for log in logs]), len(logs)),
        _indexes(map(read, [log.log_index for log in logs]), len(logs)),
        words([log.address for log in logs], 20),
        _topics([log.topics for log in logs]),
        data_array([log.data for log in logs]),
    )


def _integers(values: Iterator[int], rows: int) -> NDArray[np.int64]:
    return np.fromiter(values, np.int64, rows)


def _indexes(values: Iterator[int], rows: int) -> NDArray[np.int64]:
    indexes = _integers(values, rows)
    if indexes.max() > INDEX_MAX:
        raise BadInput(f"its index is {indexes.max()}")
    return indexes


def _topics(lists: list[list[str]]) -> tuple[pa.Array, ...]:
    rows = len(lists)
    counts = np.fromiter(map(len, lists), np.int64, rows)
    if counts.max() > TOPICS_MAX:
        raise BadInput(f"it has {counts.max()} topics")
    flat = words(list(chain.from_iterable(lists)), 32)
    starts = np.cumsum(counts) - counts
    columns = []
    for place in range(TOPICS_MAX):
        present = counts > place
        if present.all():
            columns.append(fixed_array(flat[starts + place]))
        elif not present.any():
            columns.append(pa.nulls(rows, pa.binary(32)))
        else:
            held = np.zeros((rows, 32), np.uint8)
            held[present] = flat[starts[present] + place]
            columns.append(fixed_array(held, present))
    return tuple(columns)


def _octets(column: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A fixed-width column's bytes, zeros where it is null, and where it is not."""
    rows, width = len(column), column.type.byte_width
    valid: NDArray[np.bool_] = column.is_valid().to_numpy(zero_copy_only=False)
    octets = np.zeros((rows, width), np.uint8)
    if valid.any():
        held = np.frombuffer(column.buffers()[1], np.uint8)[column.offset * width : (column.offset + rows) * width]
        octets[valid] = held.reshape(rows, width)[valid]
    return octets, valid


def _check_places(columns: Columns, counts: NDArray[np.int64], where: str, *, within_answers_only: bool) -> None:
    """Check that the logs come in the order of the chain: everywhere, or only within each answer."""
    blocks, logs = columns.block_numbers, columns.log_indexes
    further, deeper = np.diff(blocks), np.diff(logs)
    wrong = ~((further > 0) | ((further == 0) & (deeper > 0)))
    if within_answers_only:
        borders = np.cumsum(counts) - 1
        wrong[borders[(borders >= 0) & (borders < len(wrong))]] = False
    if wrong.any():
        at = int(np.argmax(wrong))
        before, behind = [(int(blocks[row]), int(logs[row])) for row in (at, at + 1)]
        raise BadAnswer(f"{where}: log {behind} came behind log {before}")


def _check_asked(columns: Columns, counts: NDArray[np.int64], asked: list[Asked], where: str) -> None:
    """Check that each log is of the blocks that its answer was asked for."""
    first = np.repeat(np.array([each.first for each in asked], np.int64), counts)
    last = np.repeat(np.array([each.last for each in asked], np.int64), counts)
    outside = (columns.block_numbers < first) | (columns.block_numbers > last)
    if outside.any():
        row = int(np.argmax(outside))
        raise BadAnswer(f"{where}: a log of block {columns.block_numbers[row]} came for {first[row]} to {last[row]}")
    if asked[0].block_hash is not None:
        wanted = np.frombuffer(b"".join([each.block_hash or b"" for each in asked]), np.uint8).reshape(-1, 32)
        other = (columns.block_hashes != np.repeat(wanted, counts, axis=0)).any(axis=1)
        if other.any():
            row = int(np.argmax(other))
            raise BadAnswer(
                f"{where}: asked for the logs of another block than {columns.block_numbers[row]} "
                f"{to_hex(columns.block_hashes[row].tobytes())}"
            )


def _check_blocks(columns: Columns, where: str) -> None:
    """Check that a block has one hash and one time within the logs, which are in order."""
    same = np.diff(columns.block_numbers) == 0
    two_hashes = same & (columns.block_hashes[1:] != columns.block_hashes[:-1]).any(axis=1)
    two_times = same & (columns.times[1:] != columns.times[:-1])
    for wrong, what in ((two_hashes, "hashes"), (two_times, "times")):
        if wrong.any():
            number = columns.block_numbers[int(np.argmax(wrong))]
            raise BadAnswer(f"{where}: block {number} has two {what} in one answer")


def _sorted(columns: Columns) -> Columns:
    order = np.lexsort((columns.log_indexes, columns.block_numbers))
    indices = pa.array(order)
    return Columns(
        columns.block_numbers[order],
        columns.block_hashes[order],
        columns.times[order],
        columns.transaction_hashes[order],
        columns.transaction_indexes[order],
        columns.log_indexes[order],
        columns.addresses[order],
        tuple(topic.take(indices) for topic in columns.topics),
        columns.data.take(indices),
    )


def _empty(dtype: Any, *shape: int) -> NDArray[Any]:
    return np.zeros((0, *shape), dtype)


_NO_LOGS: Final = Columns(
    _empty(np.int64),
    _empty(np.uint8, 32),
    _empty(np.int64),
    _empty(np.uint8, 32),
    _empty(np.int64),
    _empty(np.int64),
    _empty(np.uint8, 20),
    (pa.nulls(0, pa.binary(32)),) * TOPICS_MAX,
    pa.array([], pa.binary()),
)
