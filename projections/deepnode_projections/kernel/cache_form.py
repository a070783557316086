"""The form of a decoded batch in a file: its arrays one behind the other, as they are in memory.

A header says what the file is and how long each section is; behind it stand the sections, each from a multiple of
``ALIGNED`` on. What is told row by row of places is written by runs, for entries of a block stand side by side. Reading
makes no copies and believes nothing: what is not exactly as written here is ``Damaged``.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Annotated, Final

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from deepnode_ledger.account import Account
from deepnode_ledger.batch_versions import SCHEMA
from deepnode_ledger.errors import Damaged
from deepnode_ledger.hexadecimal import ADDRESS_BYTES, WORD_BYTES
from deepnode_projections.books import Quarantined
from deepnode_projections.kernel import ops
from deepnode_projections.kernel.cache_check import checksum, starts_of
from deepnode_projections.kernel.decoded import BY_RUN, PLACES, PLACES_BY_RUN, Cells, DecodedBatch, Octets, by_run
from deepnode_projections.kernel.op_cells import Of

MAGIC: Final = b"deepnode-batch/2"
ALIGNED: Final = 64
_SECTIONS: Final = 10
_SUM_AT: Final = len(MAGIC)
_KEY_AT: Final = _SUM_AT + 8
_LENGTHS_AT: Final = _KEY_AT + 32
_HEADER: Final = 192
assert _LENGTHS_AT + 8 * _SECTIONS <= _HEADER


class _Pocket(msgspec.Struct, forbid_unknown_fields=True):
    owner: str
    pocket: str
    key: bytes
    holder: bytes | None


class _Told(msgspec.Struct, forbid_unknown_fields=True):
    """What is no array: the first position, names, pockets and the logs without a meaning."""

    first: Annotated[int, msgspec.Meta(ge=1, le=2**62)]
    names: list[str]
    pockets: list[_Pocket]
    quarantined: list[Quarantined]


_TOLD: Final = msgspec.json.Decoder(_Told)


def written(decoded: DecodedBatch, key: bytes) -> bytes:
    """Return a file's bytes."""
    return joined(list(sections_of(decoded)), key)


def joined(sections: Sequence[bytes], key: bytes) -> bytes:
    """Put a header before sections, and each of them in its place."""
    assert len(sections) == _SECTIONS, len(sections)
    parts = [key, np.array([len(each) for each in sections], "<i8").tobytes()]
    parts.append(bytes(_HEADER - _LENGTHS_AT - 8 * _SECTIONS))
    for section in sections:
        parts += [section, bytes(-len(section) % ALIGNED)]
    return signed(b"".join(parts))


def signed(content: bytes) -> bytes:
    """Put before the rest of a file what it is, and its sum."""
    return b"".join([MAGIC, _sum(np.frombuffer(content, np.uint8)), content])


def sections_of(decoded: DecodedBatch) -> Iterator[bytes]:
    """Yield the bytes of each section."""
    arrays = (decoded.ops, decoded.cells, decoded.ids, decoded.hashes, decoded.events, decoded.event_ends)
    yield from (each.tobytes() for each in (*arrays, decoded.holders))
    pockets = [_Pocket(each.owner, each.pocket, each.key, each.holder) for each in decoded.pockets]
    told = _Told(decoded.first, list(decoded.names), pockets, list(decoded.quarantined))
    yield msgspec.json.encode(told)
    yield by_run(decoded.told_places).serialize().to_pybytes()
    yield decoded.singles.serialize().to_pybytes()


def read(data: Octets, key: bytes) -> DecodedBatch:
    """Read a file's bytes; the batch's arrays are parts of them.

    Raises:
        Damaged: they are none that ``written`` makes for this key.
    """
    if len(data) < _HEADER or data[:_SUM_AT].tobytes() != MAGIC or data[_KEY_AT:_LENGTHS_AT].tobytes() != key:
        raise Damaged("no decoded batch of this key")
    if len(data) % ALIGNED or _sum(data[_KEY_AT:]) != data[_SUM_AT:_KEY_AT].tobytes():
        raise Damaged("the bytes of a decoded batch have changed")
    try:
        return _read(_cut(data))
    except (pa.ArrowException, msgspec.MsgspecError, ValueError, OSError, EOFError) as error:
        raise Damaged(f"a decoded batch cannot be read: {error}") from error


def _sum(content: Octets) -> bytes:
    return checksum(content).to_bytes(8, "little")


def _cut(data: Octets) -> list[Octets]:
    lengths: list[int] = data[_LENGTHS_AT : _LENGTHS_AT + 8 * _SECTIONS].view(np.int64).tolist()
    _require(all(0 <= length <= len(data) for length in lengths), "the lengths of sections")
    ends = list(accumulate((length + -length % ALIGNED for length in lengths), initial=_HEADER))
    _require(ends[-1] == len(data), "the length of all")
    return [data[start : start + length] for start, length in zip(ends[:-1], lengths, strict=True)]


def _read(sections: list[Octets]) -> DecodedBatch:
    operations, cells, ids, hashes = sections[0].view(np.int8), sections[1].view(np.int64), *map(_words, sections[2:4])
    events, event_ends, holders = sections[4], sections[5].view(np.int64), sections[6].view(np.int64)
    told = _TOLD.decode(sections[7].data)
    pockets = [_account(each) for each in told.pockets]
    _require(len(operations) > 0, "the number of rows")
    _require(len(set(told.names)) == len(told.names), "names, each once")
    _check_events(events, event_ends)
    _require(bool(np.all((holders >= -len(pockets)) & (holders < len(ids)))), "whose the holders are")
    counts = {
        Of.ID: len(ids),
        Of.HASH: len(hashes),
        Of.NAME: len(told.names),
        Of.EVENT: len(event_ends) - 1,
        Of.HOLDER: len(holders),
    }
    starts = starts_of(operations, cells, {of: (0, count - 1) for of, count in counts.items()})
    singles = _batch(sections[9], SCHEMA)
    left = told.first + np.flatnonzero(operations == ops.RULES)
    _require(
        bool(np.array_equal(singles.column("position").to_numpy(), left)), "the entries that are left to the rules"
    )
    return DecodedBatch(
        first=told.first,
        ops=operations,
        starts=starts,
        cells=cells,
        ids=ids,
        hashes=hashes,
        names=told.names,
        events=events,
        event_ends=event_ends,
        holders=holders,
        pockets=pockets,
        quarantined=_quarantined(told, operations),
        told_places=_places(sections[8], len(operations)),
        singles=singles,
    )


def _words(octets: Octets) -> Octets:
    return octets.reshape(-1, WORD_BYTES)


def _account(pocket: _Pocket) -> Account:
    _require(pocket.holder is None or len(pocket.holder) == ADDRESS_BYTES, "a pocket's holder")
    return Account(pocket.owner, pocket.pocket, pocket.key, pocket.holder)


def _check_events(events: Octets, ends: Cells) -> None:
    _require(len(ends) > 0 and ends[0] == 0 and ends[-1] == len(events), "where events end")
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(events)]
    pa.Array.from_buffers(pa.large_string(), len(ends) - 1, buffers).validate(full=True)


def _quarantined(told: _Told, operations: npt.NDArray[np.int8]) -> list[Quarantined]:
    rows = [each.position - told.first for each in told.quarantined]
    _require(all(one < other for one, other in pairwise([-1, *rows, len(operations)])), "the positions of logs")
    _require(all(operations[row] == ops.NOTHING for row in rows), "logs without a meaning")
    for each in told.quarantined:
        _require(len(each.address) == ADDRESS_BYTES, "a log's address")
        _require(each.topic0 is None or len(each.topic0) == WORD_BYTES, "a log's first topic")
    return told.quarantined


def _places(octets: Octets, rows: int) -> pa.RecordBatch:
    batch = _batch(octets, PLACES_BY_RUN)
    _require(batch.num_rows == rows, "the number of places")
    for name in PLACES:
        column = batch.column(name)
        values = column.values if name in BY_RUN else column
        _require(SCHEMA.field(name).nullable or values.null_count == 0, name)
    return batch


def _batch(octets: Octets, schema: pa.Schema) -> pa.RecordBatch:
    message = pa.BufferReader(pa.py_buffer(octets))
    batch = pa.ipc.read_record_batch(pa.ipc.read_message(message), schema)
    batch.validate(full=True)
    return batch


def _require(is_so: bool, what: str) -> None:
    if not is_so:
        raise Damaged(f"a decoded batch is not as it must be: {what}")
