"""Bulk: the values of many logs of one event at once, as columns over the very bytes of the batch.

A fixed-width argument is a 32-byte word at a known place, so all of its words are one array, and their padding is
checked by one mask. Arguments of other types go log by log through ``EventAbi.decode``, and so does every log that a
mask finds wrong, which gives the reason in the same words. So both ways read the same values and refuse the same logs.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from deepnode_ledger.abi import EventAbi, Input, Undecodable, head_words, is_hashed
from deepnode_ledger.column import Column, Mask, Values, Words, clean, column_of, present
from deepnode_ledger.gathering import Rows
from deepnode_ledger.hexadecimal import WORD_BYTES
from deepnode_ledger.record import TOPICS_MAX
from deepnode_ledger.word import is_word


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """Logs of one event: a column an argument, by its name, in which each log has the same index.

    ``good`` says which logs could be read. The others hold zeros (None among ``Values``), and ``reasons`` says why, by
    their index.
    """

    event: EventAbi
    columns: dict[str, Column]
    good: Mask
    reasons: dict[int, str]


def decode_rows(event: EventAbi, batch: pa.RecordBatch, rows: Rows | None = None) -> Decoded:
    """Read all logs of an event.

    Args:
        event: what they are logs of: their first topic and the number of their topics are its own.
        batch: entries of the log, in the columns of ``batch_versions.SCHEMA``.
        rows: the numbers of those of its rows that are meant (see ``gathering``); None: all of them.
    """
    topics, data = _taken(event, batch, rows)
    plain = [each for each in event.inputs if not each.indexed]
    heads, good = _heads(data, sum(head_words(each.type) for each in plain))
    words = dict(zip(_indexed(event), topics, strict=True))
    place = 0
    for each in plain:
        if is_word(each.type):
            words[each] = heads[:, place]
        place += head_words(each.type)
    for each, column in words.items():
        if is_word(each.type):
            good &= clean(each.type, column)
    read, reasons = _one_by_one(event, topics, data, good)
    good[list(reasons)] = False
    columns: dict[str, Column] = {}
    for each in event.inputs:
        if _is_irregular(each):
            columns[each.name] = Values([None if values is None else values[each.name] for values in read])
        else:
            columns[each.name] = column_of(
                each.type if is_word(each.type) else f"bytes{WORD_BYTES}", _zeroed(words[each], good)
            )
    return Decoded(event, columns, good, reasons)


def _one_by_one(
    event: EventAbi, topics: list[Words], data: pa.Array, good: Mask
) -> tuple[list[dict[str, Any] | None], dict[int, str]]:
    """Read what no column serves: every log if the event has an argument of such a type, else those that are not good.

    Returns the values by name, None for logs that were not read, and the reasons of those that cannot be.
    """
    irregular = any(map(_is_irregular, event.inputs))
    read: list[dict[str, Any] | None] = [None] * len(good)
    reasons: dict[int, str] = {}
    for index in range(len(good)) if irregular else np.flatnonzero(~good).tolist():
        try:
            own = [event.topic0, *(topic[index].tobytes() for topic in topics)]
            read[index] = event.decode(own, data[index].as_py())
        except Undecodable as error:
            reasons[index] = str(error)
        # The masks are as strict as the ABI: they may leave a log to it, but never refuse what it reads.
        assert good[index] or index in reasons, (event.signature, index)
    return read, reasons


def _is_irregular(argument: Input) -> bool:
    return not is_word(argument.type) and not (argument.indexed and is_hashed(argument.type))


def _indexed(event: EventAbi) -> list[Input]:
    return [each for each in event.inputs if each.indexed]


def _taken(event: EventAbi, batch: pa.RecordBatch, rows: Rows | None) -> tuple[list[Words], pa.Array]:
    """Pick the topics behind the first and the data of the rows that are meant, which are logs of the event."""
    picked = None if rows is None or len(rows) == batch.num_rows else rows
    topics, data = [batch.column(f"topic{number}") for number in range(TOPICS_MAX)], batch.column("data")
    for number, topic in enumerate(topics):
        is_there = present(topic) if picked is None else present(topic)[picked]
        assert bool(np.all(is_there == (number < event.topics_count))), (event.signature, f"topic{number}")
    first, *others = [_words(topic, picked) for topic in topics[: event.topics_count]]
    assert bool(np.all(first.view(np.uint64) == np.frombuffer(event.topic0, np.uint64))), event.signature
    return others, data if picked is None else data.take(pa.array(picked, pa.int64()))


def _words(topic: pa.Array, rows: Rows | None) -> Words:
    """View a column of topics as words, or take some of them."""
    if not len(topic):
        return np.zeros((0, WORD_BYTES), np.uint8)
    octets = np.frombuffer(topic.buffers()[1], np.uint8, len(topic) * WORD_BYTES, topic.offset * WORD_BYTES)
    words = octets.reshape(-1, WORD_BYTES)
    return words if rows is None else np.take(words.view(np.uint64), rows, axis=0).view(np.uint8)


def _heads(data: pa.Array, words: int) -> tuple[npt.NDArray[np.uint8], Mask]:
    """View the first words of each log's data, in the shape (rows, words, 32), and say which logs have that many.

    What lies behind them is for the dynamic arguments to judge; where there is none, the ABI reads no further.
    """
    size = words * WORD_BYTES
    lengths = np.diff(_starts(data))
    long_enough: Mask = lengths >= size
    if not len(data) or not size:
        return np.zeros((len(data), words, WORD_BYTES), np.uint8), long_enough
    if not bool(np.all(lengths == size)):
        data = pc.if_else(pa.array(long_enough), pc.binary_slice(data, 0, size), pa.scalar(bytes(size), pa.binary()))
    octets = np.frombuffer(data.buffers()[2], np.uint8, len(data) * size, int(_starts(data)[0]))
    return octets.reshape(len(data), words, WORD_BYTES), long_enough


def _starts(data: pa.Array) -> npt.NDArray[np.int32]:
    """View where each log's data begins, and where the last one's ends."""
    if not len(data):
        return np.zeros(1, np.int32)
    return np.frombuffer(data.buffers()[1], np.int32, len(data) + 1, data.offset * np.dtype(np.int32).itemsize)


def _zeroed(words: Words, good: Mask) -> Words:
    """Put zeros where a log is not good, so that nobody takes half of what it says for a value."""
    return words if good.all() else np.where(good[:, np.newaxis], words, np.uint8(0))
