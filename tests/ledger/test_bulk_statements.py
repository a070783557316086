"""Bulk statements: what the columns hold is what `statement.read` gives, whatever a payload looks like."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepnode_ledger.batch import from_rows, row_of
from deepnode_ledger.bulk_statements import FREQUENT, Reader, StatementColumns, decode_statements, parse
from deepnode_ledger.compiled import available
from deepnode_ledger.record import BlockRef, ChainLog, TaskEvent
from deepnode_ledger.statement import Statement, read
from deepnode_ledger.statement_data import DATA_OF, OUTPUT_SUBMITTED, TASK_ASSIGNED
from deepnode_ledger.statement_layout import Amount, Choice, Octets, Slots, Whole, layout_of
from tests.ledger.statement_payloads import ODD, Told, envelope_of, odd, ordinary, plain

BLOCK = BlockRef(7, b"\x07" * 32, 1_700_000_000)
LOG = ChainLog(bytes(32), 0, 0, bytes(20), (bytes(32),), b"\x01")
READERS: list[Reader] = [parse]
if available():
    from deepnode_ledger.bulk_scanning import scan

    READERS.append(scan)


def batch_of(events: Sequence[TaskEvent | ChainLog]) -> pa.RecordBatch:
    return from_rows([row_of(position, 1, BLOCK, event) for position, event in enumerate(events, 1)])


def expected(event: TaskEvent) -> dict[str, Any] | None:
    """What the columns must say of an event, by `statement.read`; None where it is not for them."""
    found = read(event)
    if not isinstance(found, Statement):
        return None
    said: dict[str, Any] = {}
    for member in layout_of(event.type).members:
        holder = found.data if member.within is None else getattr(found.data, member.within)
        value = None if holder is None else getattr(holder, member.name)
        if value is not None and isinstance(member.shape, Choice):
            value = int(value == member.shape.yes)
        if isinstance(member.shape, Slots):
            value = sum(1 << slot - 1 for slot in value or ())
        said[member.name] = value
    for name in layout_of(event.type).objects:
        said[name] = getattr(found.data, name) is not None
    return said


def zero(value: Any) -> bool:
    return not any(value) if isinstance(value, bytes) else value == 0


def said(columns: StatementColumns) -> dict[int, dict[str, Any]]:
    """What the columns say, by row, as `expected` has it."""
    layout = layout_of(columns.type)
    assert set(columns.columns) == {member.name for member in layout.members}
    optional = {member.name for member in layout.members if member.may_be_left_out}
    assert set(columns.given) == optional | set(layout.objects)
    by_row: dict[int, dict[str, Any]] = {row: {} for row in columns.rows.tolist()}
    for name, column in columns.columns.items():
        there = columns.given[name].tolist() if name in optional else [True] * len(by_row)
        for own, value, is_there in zip(by_row.values(), column.values(), there, strict=True):
            assert is_there or zero(value), (name, value)
            own[name] = value if is_there else None
    for name in layout.objects:
        for own, is_there in zip(by_row.values(), columns.given[name].tolist(), strict=True):
            own[name] = is_there
    return by_row


def check(reader: Reader, events: Sequence[TaskEvent], never_left: Sequence[bool]) -> None:
    """Decode a batch; each row is in the columns as `read` has it, or left."""
    found, left = decode_statements(batch_of(events), reader=reader)
    rows = [row for each in found for row in each.rows.tolist()]
    assert sorted([*rows, *left.tolist()]) == list(range(len(events)))
    for each in found:
        assert each.type in FREQUENT
        assert each.rows.dtype == left.dtype == np.int64
        assert bool(np.all(np.diff(each.rows) > 0))
        for row, values in said(each).items():
            assert events[row].type == each.type
            assert values == expected(events[row]), events[row].payload
    assert not [events[row].payload for row in left.tolist() if never_left[row]]


EVENTS = st.sampled_from(FREQUENT).flatmap(plain)


@settings(max_examples=25)
@given(events=st.lists(EVENTS, min_size=1, max_size=4))
def test_what_producers_write_is_read_in_columns(events: list[Told]) -> None:
    """Writes good events of the frequent types; none is left by any reader, and each value is compared."""
    kept = [each.kept() for each in events]
    assert all(isinstance(read(each), Statement) for each in kept)
    for reader in READERS:
        check(reader, kept, [True] * len(kept))


@given(events=st.lists(EVENTS.flatmap(odd), min_size=1, max_size=4), first=EVENTS)
def test_whatever_is_written_is_read_alike_or_left(events: list[Told], first: Told) -> None:
    """Changes events behind a good one in all ways that JSON and forms have; that one is not left for their sake."""
    kept = [each.kept() for each in (first, *events)]
    for reader in READERS:
        check(reader, kept, [True, *(False for _ in events)])


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("event_type", FREQUENT)
def test_no_single_byte_makes_a_difference(reader: Reader, event_type: str) -> None:
    """Puts bytes in each place of a payload, instead of what is there and before it, and takes one away."""
    payload = ordinary(event_type).payload
    event = ordinary(event_type).kept()
    changed = [payload[:place] + payload[place + 1 :] for place in range(len(payload))]
    for byte in b'"\\,:{}[] 0\x1fx':
        changed += [payload[:place] + bytes([byte]) + payload[place + 1 :] for place in range(len(payload))]
    for byte in b'" 01-.\x80':
        changed += [payload[:place] + bytes([byte]) + payload[place:] for place in range(len(payload) + 1)]
    changed += [payload[:length] for length in range(len(payload))]
    events = [event, *(replace(event, payload=each) for each in dict.fromkeys(changed))]
    check(reader, events, [True, *(False for _ in events[1:])])


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("event_type", FREQUENT)
def test_the_order_of_members_and_blanks_between_do_not_matter(reader: Reader, event_type: str) -> None:
    """Writes an event with its members sorted, and indented; both are read in columns."""
    event = ordinary(event_type).kept()
    members = json.loads(event.payload)
    texts = [json.dumps(members, sort_keys=True, separators=(",", ":")), json.dumps(members, sort_keys=True, indent=2)]
    check(reader, [replace(event, payload=text.encode()) for text in texts], [True, True])


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("event_type", FREQUENT)
def test_every_odd_value_is_read_alike_or_left_in_every_place(reader: Reader, event_type: str) -> None:
    """Puts each odd value in the place of each member of the data and of the envelope."""
    told = ordinary(event_type)
    payload = told.payload.decode()
    parts = [f'"{name}":{value}' for name, value in (*told.members, *envelope_of(told.event), ("input_tokens", "7"))]
    changed = [
        payload.replace(part, part[: part.index(":") + 1] + value) for part in parts for value in ODD if part in payload
    ]
    events = [replace(told.event, payload=each.encode("utf-8", "surrogatepass")) for each in (payload, *changed)]
    check(reader, events, [True, *(False for _ in changed)])


@pytest.mark.parametrize(
    ("part", "instead"),
    [
        ('"latency_ms":7', '"latency_ms":7,"latency_ms":null'),
        ('"latency_ms":7', '"latency_ms":null,"latency_ms":7'),
        ('"latency_ms":7', '"latency_ms":null'),
        ('"input_tokens":7', '"input_tokens":7,"input_tokens":null'),
        ('"input_tokens":7', '"input_tokens":null'),
        ('"usage":{', '"usage":{"output_tokens":9},"usage":{'),
        ('"usage":{', '"usage":null,"usage":{'),
        ('"output_tokens":7}', '"output_tokens":7},"usage":null'),
        ('"output_tokens":7}', '"output_tokens":7},"usage":{"input_tokens":1}'),
        ('"output_tokens":7}', '"output_tokens":null}'),
        ('"data":{', '"data":{"task":"no"},"data":{'),
        ('"slot":7', '"slot":8,"slot":7'),
        ('"slot":7', '"slot":7,"slot":9.5,"slot":7'),
        ('"slot":7', '"slot":null'),
        ('"slot":7', '"slot":7,"input_tokens":"in the wrong place"'),
        ('"slot":7', '"slot":7,"more":"a","more":"b"'),
        *(('"2026-01-31T12:00:00Z"', f'"{time}"') for time in ("", "!", "~" * 64, "x" * 65, "a b", "a\x7f", "\u00e9")),
        ('"id":"e"', '"id":"e","x":"y"'),
        ('"id":"e"', '"id":"\u00e9"'),
    ],
)
@pytest.mark.parametrize("event_id", ["e", 'e","x":"y', "\u00e9"])
def test_members_that_are_said_twice_or_are_at_a_bound_are_read_alike(event_id: str, part: str, instead: str) -> None:
    """Replaces a part of an output's payload; also where the log's id looks like two members."""
    told = ordinary(OUTPUT_SUBMITTED).kept()
    payload = told.payload.decode()
    assert part in payload
    for reader in READERS:
        check(reader, [replace(told, event_id=event_id, payload=payload.replace(part, instead).encode())], [False])


@pytest.mark.parametrize("reader", READERS)
def test_an_event_is_read_alike_whichever_was_before_it(reader: Reader) -> None:
    """Writes an output in all ways of leaving members out, each behind each, and behind one that cannot be read."""
    told = ordinary(OUTPUT_SUBMITTED).kept()
    payload = told.payload.decode()
    latency, usage = '"latency_ms":7', payload[payload.index(',"usage"') : payload.index("}") + 1]
    ways = [
        payload.replace(latency, one).replace(usage, other)
        for one in (latency, '"latency_ms":123456', '"latency_ms":null', '"latency_ms":-1')
        for other in (
            usage,
            usage.replace("7", "89"),
            usage.replace("7", "null", 1),
            ',"usage":null',
            "",
        )
    ]
    events = [replace(told, payload=each.encode()) for one in ways for other in ways for each in (one, other)]
    check(reader, events, [isinstance(read(each), Statement) for each in events])


@pytest.mark.parametrize("event_type", FREQUENT)
def test_a_shape_allows_what_its_form_allows(event_type: str) -> None:
    """Puts numbers at the bounds and beyond, and words, to the form that the shape was made for."""
    for member in layout_of(event_type).members:
        match member.shape:
            case Whole(low, high):
                assert [member.form.read(n) for n in (low - 1, low, high, high + 1)] == [None, low, high, None]
            case Octets(size):
                assert member.form.read("0x" + "0F" * size) == b"\x0f" * size
                assert member.form.read("0x" + "0F" * (size + 1)) is None
            case Choice(no, yes):
                assert [member.form.read(word) for word in (no, yes, no + yes)] == [no, yes, None]
            case Slots():
                assert member.form.read([*range(1, 65)]) == (*range(1, 65),)
                assert member.form.read([65]) is None
            case Amount():
                assert [member.form.read(str(n)) for n in (0, 10**38 - 1, 10**38)] == [0, 10**38 - 1, None]


@pytest.mark.parametrize("reader", READERS)
def test_only_task_events_of_the_types_that_were_asked_for_are_read(reader: Reader) -> None:
    """Asks for two types of a slice of a batch with logs and other types between; the rest of the events are left."""
    others = [TaskEvent("p", "e", 1, name, b"{}", bytes(65)) for name in (*DATA_OF, "unknown") if name not in FREQUENT]
    events: list[TaskEvent | ChainLog]
    events = [LOG, *(ordinary(name).kept() for name in FREQUENT), LOG, *others, ordinary(TASK_ASSIGNED).kept(), LOG]
    batch = batch_of([*events, *events]).slice(len(events), len(events))
    found, left = decode_statements(batch, [OUTPUT_SUBMITTED, TASK_ASSIGNED], reader=reader)
    rows = {each.type: [events[row] for row in each.rows.tolist()] for each in found}
    assert rows == {
        name: [event for event in events if kind_of(event) == name] for name in (TASK_ASSIGNED, OUTPUT_SUBMITTED)
    }
    expected_left = [n for n, event in enumerate(events) if event is not LOG and kind_of(event) not in rows]
    assert left.tolist() == expected_left
    assert left.dtype == np.int64


def kind_of(event: TaskEvent | ChainLog) -> str:
    return event.type if isinstance(event, TaskEvent) else ""


@pytest.mark.parametrize("reader", READERS)
def test_a_batch_without_task_events_has_no_columns(reader: Reader) -> None:
    """Decodes logs alone, and no rows at all."""
    for batch in (batch_of([LOG, LOG]), batch_of([LOG]).slice(0, 0)):
        found, left = decode_statements(batch, reader=reader)
        assert found == []
        assert left.tolist() == []


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("column", ["producer", "event_id", "sequence", "event_type"])
def test_an_event_without_a_column_is_left(reader: Reader, column: str) -> None:
    """Takes away a value that the log keeps beside the text, which then says that it is empty."""
    told = ordinary(TASK_ASSIGNED)
    texts = {"producer": "source", "event_id": "id", "sequence": "sequence", "event_type": "type"}
    empty = tuple((name, '""' if name == texts[column] else value) for name, value in envelope_of(told.event))
    batch = batch_of([told.kept(), replace(told, envelope=empty).kept()])
    place = batch.schema.get_field_index(column)
    values = pa.array([batch.column(column)[0].as_py(), None], batch.schema.field(column).type)
    found, left = decode_statements(batch.set_column(place, batch.schema.field(column), values), reader=reader)
    assert [each.rows.tolist() for each in found] == [[0]]
    assert left.tolist() == [1]
