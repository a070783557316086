"""Reading an entry of the log from its leaf's bytes (``deepnode_ledger.leaf`` has the layout), strictly."""

import struct
from typing import Final

from deepnode_ledger.errors import BadInput
from deepnode_ledger.leaf import ENTRY_BYTES_MAX
from deepnode_ledger.record import TOPICS_MAX, BlockRef, ChainLog, Finality, Kind, LogEntry, TaskEvent

_HEAD: Final = struct.Struct(">BQQQQ32s")
_CHAIN_LOG: Final = struct.Struct(">32sII20sB")
_TASK_EVENT: Final = struct.Struct(">65sQ")
_DATA: Final = struct.Struct(">BI")
_INLINE: Final = 0


def entry_of(leaf: bytes) -> LogEntry:
    """Return the entry whose leaf has these bytes; it is taken for sealed.

    Raises:
        BadInput: they are no entry, or its data are so large that the leaf has only their hash.
    """
    if len(leaf) > ENTRY_BYTES_MAX:
        raise BadInput(f"an entry has at most {ENTRY_BYTES_MAX} bytes, not {len(leaf)}")
    try:
        return _read(leaf)
    except (struct.error, UnicodeDecodeError, IndexError) as error:
        raise BadInput(f"the bytes are no entry of the log: {error}") from error


def _read(leaf: bytes) -> LogEntry:
    kind, position, chain_id, number, time, hash_ = _HEAD.unpack_from(leaf)
    at = _HEAD.size
    if kind == Kind.CHAIN_LOG:
        transaction, index, log_index, address, topics_count = _CHAIN_LOG.unpack_from(leaf, at)
        if topics_count > TOPICS_MAX:
            raise BadInput(f"a log has at most {TOPICS_MAX} topics, not {topics_count}")
        at += _CHAIN_LOG.size
        topics = tuple(leaf[at + 32 * n : at + 32 * (n + 1)] for n in range(topics_count))
        data = _data(leaf, at + 32 * topics_count)
        record: ChainLog | TaskEvent = ChainLog(transaction, index, log_index, address, topics, data)
    elif kind == Kind.TASK_EVENT:
        signature, sequence = _TASK_EVENT.unpack_from(leaf, at)
        at += _TASK_EVENT.size
        texts = []
        for _ in range(3):
            (length,) = struct.unpack_from(">H", leaf, at)
            texts.append(leaf[at + 2 : at + 2 + length].decode())
            at += 2 + length
        producer, event_id, type_ = texts
        record = TaskEvent(producer, event_id, sequence, type_, _data(leaf, at), signature)
    else:
        raise BadInput(f"an entry is of kind 1 or 2, not {kind}")
    return LogEntry(position, Finality.SEALED, chain_id, BlockRef(number, hash_, time), record)


def _data(leaf: bytes, at: int) -> bytes:
    form, length = _DATA.unpack_from(leaf, at)
    data = leaf[at + _DATA.size :]
    if form != _INLINE or len(data) != length:
        raise BadInput(f"an entry's data are not in it: form {form}, {len(data)} of {length} bytes")
    return data
