"""Bulk: what the task events of a batch say, as columns. The twin of ``statement.read`` for the frequent types.

What is in the columns is exactly what ``statement.read`` gives for the event. Nothing is refused here: an event that is
not certain to be read, and alike, is left to ``statement.read``, which has the reasons.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Final, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from deepnode_ledger.column import Column, Fixed, Mask, Numbers, Wide, present
from deepnode_ledger.compiled import available
from deepnode_ledger.gathering import Rows
from deepnode_ledger.record import Kind
from deepnode_ledger.statement_data import (
    BAD_BEHAVIOUR_REPORTED,
    CONSENSUS_REACHED,
    OUTPUT_SUBMITTED,
    PAYMENT_PROCESSOR_SETTLED,
    TASK_ASSIGNED,
    TASK_CREATED,
    TASK_EXPIRED,
    TASK_REASSIGNED,
    TASK_REJECTED,
    USER_FEEDBACK,
    VALIDATION_SUBMITTED,
    VWU_ASSIGNED,
)
from deepnode_ledger.statement_form import SLOTS_MAX
from deepnode_ledger.statement_layout import Amount, Choice, Layout, Member, Octets, Shape, Slots, Whole, layout_of

FREQUENT: Final[tuple[str, ...]] = (
    TASK_CREATED,
    TASK_ASSIGNED,
    OUTPUT_SUBMITTED,
    VALIDATION_SUBMITTED,
    CONSENSUS_REACHED,
    VWU_ASSIGNED,
    USER_FEEDBACK,
    PAYMENT_PROCESSOR_SETTLED,
    BAD_BEHAVIOUR_REPORTED,
    TASK_REASSIGNED,
    TASK_REJECTED,
    TASK_EXPIRED,
)
"""The types that have columns: what tasks say on their way, and what is said of many of them."""


@dataclass(frozen=True, slots=True, eq=False)
class StatementColumns:
    """Statements of one ``type``: a column a member of their data, by its name, in which each has the same index.

    ``rows`` are the numbers of the batch's rows that they stand in. What a column is made of says ``statement_layout``;
    the members of an output's ``usage`` are columns of their own. ``given`` says of each member that may be left out,
    by its name, which statements have it: the others hold zeros.
    """

    type: str
    rows: Rows
    columns: dict[str, Column]
    given: dict[str, Mask]


Which = npt.NDArray[np.int64]
"""Of each of a batch's rows, which of some types it is of, or -1 if it is not to be read."""

Reader = Callable[[tuple[str, ...], pa.RecordBatch, Which], list[StatementColumns]]
"""Reads rows of types, whose producer, id and sequence are no nulls; leaves out what it is not certain of."""


def decode_statements(
    batch: pa.RecordBatch, types: Collection[str] = FREQUENT, *, reader: Reader | None = None
) -> tuple[list[StatementColumns], Rows]:
    """Read the task events of frequent types as columns, a set of columns for each type that is there.

    Args:
        batch: entries of the log, in the columns of ``batch_versions.SCHEMA``.
        types: which of ``FREQUENT`` to read.
        reader: the way to read; all give the same values, and may leave different rows. None: the fastest there is.

    Returns:
        The columns, and the rows of all other task events, which are left to ``statement.read`` one by one: those of
        other types, and those that are not certain to be read by it, and alike.
    """
    assert set(types) <= set(FREQUENT), types
    asked = tuple(event_type for event_type in FREQUENT if event_type in types)
    left: Mask = batch.column("kind").to_numpy() == int(Kind.TASK_EVENT)
    whole = left.copy()
    for name in ("producer", "event_id", "sequence"):
        whole &= present(batch.column(name))
    numbers = pc.fill_null(pc.index_in(batch.column("event_type"), pa.array(asked, pa.string())), -1)
    which = np.where(whole, numbers.to_numpy(), -1).astype(np.int64)
    found = (reader or fastest())(asked, batch, which) if which.max(initial=-1) >= 0 else []
    for read in found:
        left[read.rows] = False
    return [read for read in found if len(read.rows)], np.flatnonzero(left)


def fastest() -> Reader:
    """Return the fastest way to read that there is: by a compiled loop where the compiler is there."""
    if not available():
        return parse
    from deepnode_ledger.bulk_scanning import scan

    return scan


def parse(types: tuple[str, ...], batch: pa.RecordBatch, which: Which) -> list[StatementColumns]:
    """Read rows (see ``Reader``) by a JSON parser that knows the members, and each member as a column."""
    rows = [np.flatnonzero(which == number) for number in range(len(types))]
    return [_parse(layout_of(each), batch, own) for each, own in zip(types, rows, strict=True) if len(own)]


def _parse(layout: Layout, batch: pa.RecordBatch, rows: Rows) -> StatementColumns:
    kept, said = _parsed(layout, batch, rows)
    columns: dict[str, Column] = {}
    given: dict[str, Mask] = {}
    good: Mask = np.ones(len(kept), np.bool_)
    names = _data_of(layout).__struct_fields__
    transposed = zip(*map(msgspec.structs.astuple, said), strict=True) if said else ((),) * len(names)
    values: dict[str, Sequence[Any]] = dict(zip(names, transposed, strict=True))
    for name in layout.objects:
        given[name] = _are_given(values[name])
    for member in layout.members:
        if member.within is None:
            own = values[member.name]
        else:
            own = [None if each is None else getattr(each, member.name) for each in values[member.within]]
        if member.may_be_left_out:
            given[member.name] = _are_given(own)
            own = [_zero(member.shape) if value is None else value for value in own]
        columns[member.name], is_good = _column(member, own)
        good &= is_good
    read = StatementColumns(layout.type, kept, columns, given)
    return read if good.all() else _chosen(read, good)


def _parsed(layout: Layout, batch: pa.RecordBatch, rows: Rows) -> tuple[Rows, list[msgspec.Struct]]:
    """Parse payloads; return what their data is where all is as the log has it and as each single value may be."""
    names = ["data", "producer", "event_id", "sequence"]
    taken = batch.select(names).take(pa.array(rows))
    decode = _decoder(layout.type).decode
    kept: list[int] = []
    said: list[msgspec.Struct] = []
    for row, payload, producer, event_id, sequence in zip(
        rows.tolist(), *(taken.column(name).to_pylist() for name in names), strict=True
    ):
        try:
            event = decode(payload)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            continue
        if event.id == event_id and event.source == producer and event.sequence == str(sequence):
            kept.append(row)
            said.append(event.data)
    return np.array(kept, np.int64), said


@cache
def _decoder(event_type: str) -> "msgspec.json.Decoder[Any]":
    """Make a parser of a type's events.

    It is as strict as ``statement.read`` in all that it checks, and stricter in one thing: data with members that
    nobody knows is left, for whether those could be read would not be found out here.
    """
    fields = [
        ("id", str),
        ("source", str),
        ("type", Literal[event_type]),
        ("sequence", str),
        ("time", Annotated[str, msgspec.Meta(pattern="^[!-~]{1,64}\\Z")]),
        ("data", _data_of(layout_of(event_type))),
    ]
    return msgspec.json.Decoder(msgspec.defstruct("Event", fields, gc=False))


@cache
def _data_of(layout: Layout) -> type[msgspec.Struct]:
    def struct(name: str, fields: list[tuple[str, Any] | tuple[str, Any, Any]]) -> type[msgspec.Struct]:
        return msgspec.defstruct(name, fields, forbid_unknown_fields=True, kw_only=True, gc=False)

    fields: dict[str | None, list[Any]] = {None: [], **{name: [] for name in layout.objects}}
    for member in layout.members:
        hint = _written(member.shape)
        field = (member.name, hint | None, None) if member.may_be_left_out else (member.name, hint)
        fields[member.within].append(field)
    for name in layout.objects:
        fields[None].append((name, struct(name, fields[name]) | None, None))
    return struct("Data", fields[None])


def _written(shape: Shape) -> Any:
    """Return how a value is written, as a type for the parser. What it cannot check is checked by the column."""
    match shape:
        case Whole(low, high):
            return Annotated[int, msgspec.Meta(ge=low, le=high)]
        case Choice(no, yes):
            return Literal[no, yes]
        case Slots():
            return Annotated[list[int], msgspec.Meta(max_length=SLOTS_MAX)]
        case Octets() | Amount():
            return str


def _zero(shape: Shape) -> Any:
    """Return what stands for a value that was left out, as it would be written."""
    match shape:
        case Octets(size):
            return "0x" + "00" * size
        case Whole():
            return 0
        case Amount() | Choice() | Slots():
            raise AssertionError(shape)


def _are_given(values: Sequence[object]) -> Mask:
    return np.fromiter((value is not None for value in values), np.bool_, len(values))


def _column(member: Member, values: Sequence[Any]) -> tuple[Column, Mask]:
    """Make a column, and say which of the values have their form; the others are zeros."""
    good: Mask = np.ones(len(values), np.bool_)
    match member.shape:
        case Whole():
            return Numbers(np.array(values, np.int64)), good
        case Choice(_, yes):
            return Numbers(np.fromiter((value == yes for value in values), np.int64, len(values))), good
        case Octets(size):
            octets = _octets(values, size)
            if octets is None:
                read, good = _one_by_one(member, values, bytes(size))
                octets = bytearray().join(read)
            return Fixed(np.frombuffer(octets, np.uint8).reshape(-1, size)), good
        case Amount():
            amounts = _amounts(values)
            if amounts is None:
                amounts, good = _one_by_one(member, values, 0)
            return _wide(amounts), good
        case Slots():
            lists, good = _one_by_one(member, values, ())
            masks = (sum(1 << (slot - 1) for slot in slots) for slots in lists)
            return Numbers(np.fromiter(masks, np.uint64, len(lists))), good


def _one_by_one(member: Member, values: Sequence[object], zero: Any) -> tuple[list[Any], Mask]:
    read = [member.form.read(value) for value in values]
    return [zero if value is None else value for value in read], _are_given(read)


def _octets(written: Sequence[str], size: int) -> bytearray | None:
    """Read hexadecimal digits all at once; None if not all of them are ``0x`` and so many bytes."""
    length, count = 2 + 2 * size, len(written)
    joined = "".join(written)
    if any(len(each) != length for each in written):
        return None
    if joined[::length] != "0" * count or joined[1::length] != "x" * count:
        return None
    try:
        # No x is a digit, so if all is well those of the prefixes are the only ones.
        octets = bytearray.fromhex(joined.replace("0x", ""))
    except ValueError:
        return None
    # White space between pairs, or a prefix too many, makes it shorter.
    return octets if len(octets) == count * size else None


def _amounts(written: Sequence[str]) -> list[int] | None:
    """Read decimal text all at once; None if not all of it is as its form asks."""
    try:
        amounts = [int(each) for each in written]
    except ValueError:
        return None
    # What is written back alike has ASCII digits alone, and no zeros, signs, blanks or underscores before or in them.
    is_good = list(map(str, amounts)) == list(written) and all(0 <= amount < 10**38 for amount in amounts)
    return amounts if is_good else None


def _wide(amounts: Sequence[int]) -> Wide:
    limbs = np.zeros((len(amounts), 4), np.uint64)
    limbs[:, 3] = np.fromiter((amount & 0xFFFF_FFFF_FFFF_FFFF for amount in amounts), np.uint64, len(amounts))
    limbs[:, 2] = np.fromiter((amount >> 64 for amount in amounts), np.uint64, len(amounts))
    return Wide(limbs, signed=False)


def _chosen(read: StatementColumns, good: Mask) -> StatementColumns:
    """Take the statements that are good."""

    def taken(column: Column) -> Column:
        match column:
            case Numbers(numbers):
                return Numbers(numbers[good])
            case Fixed(octets):
                return Fixed(octets[good])
            case Wide(limbs, signed):
                return Wide(limbs[good], signed)
        raise AssertionError(column)

    columns = {name: taken(column) for name, column in read.columns.items()}
    given = {name: mask[good] for name, mask in read.given.items()}
    return StatementColumns(read.type, read.rows[good], columns, given)
