"""Bulk statements: what the columns hold is what `statement.read` gives, whatever a payload looks like."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
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
from deepnode_ledger.statement_data import DATA_OF, OUTPUT_SUBMITTED, TASK_ASSIGNED, TASK_CREATED
from deepnode_ledger.statement_layout import Amount, Choice, Octets, Shape, Slots, Whole, layout_of

BLOCK = BlockRef(7, b"\x07" * 32, 1_700_000_000)
LOG = ChainLog(bytes(32), 0, 0, bytes(20), (bytes(32),), b"\x01")
READERS: list[Reader] = [parse]
if available():
    from deepnode_ledger.bulk_scanning import scan

    READERS.append(scan)
BLANKS = ["", " ", "\r\n\t "]
WORD = '"0x' + "0123456789abcDEF" * 4 + '"'
ODD = [
    *("null", "true", "false", "1.0", "1e0", "1E2", "-0", "-1", "01", "1.5", "", "x", "nul", "1 2", "+1", "NaN"),
    *(str(n) for n in (0, 1, 2, 64, 65, 100, 101, 10**6, 10**6 + 1, 10**7, 10**7 + 1, 10**12, 10**12 + 1)),
    *(str(n) for n in (2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**18, 10**30)),
    *(
        f'"{n}"'
        for n in (0, 1, "00", "01", "-1", "-0", "1.0", "1_0", " 1", "1 ", "", "\u0661", "1e3", 2**64, 2**64 - 1)
    ),
    *(f'"{n}"' for n in (10**19 - 1, 10**19, 10**37, 10**38 - 1, 10**38, 10**39, 2**127, "9" * 5_000)),
    *(WORD, WORD.upper(), WORD[:-1], WORD[:-3] + '"', WORD[:-1] + '00"', WORD[:-2] + 'g"', WORD[:-2] + '\u0661"'),
    *('"' + WORD[3:], WORD.replace("x01", "x 01")[:-3] + '"', WORD[:43] + '"', WORD[:41] + '"', '"0X' + WORD[3:]),
    *(WORD[:5] + " " + WORD[6:], WORD[:5] + "0x" + WORD[7:], WORD[:5] + "\\u0030" + WORD[6:], '"\\u0030' + WORD[2:]),
    *(
        '"correct"',
        '"incorrect"',
        '"Correct"',
        '"approved"',
        '"rejected"',
        '"correct "',
        '"approve\\u0064"',
        '"\\ud800"',
    ),
    *(
        "[]",
        "[1]",
        "[1, 2]",
        "[2,1]",
        "[1,1]",
        "[true]",
        "[1.0]",
        "[0]",
        "[64]",
        "[65]",
        "[1,2,64]",
        '["1"]',
        "[1,]",
        "[,]",
    ),
    *("[1", "[[1]]", "[null]", str(list(range(1, 65))), str(list(range(1, 66))), "[" * 2_000, "[01]", "[-0]", "[1 2]"),
    *(
        "{}",
        "{ }",
        "{,}",
        '{"input_tokens":5}',
        '{"output_tokens":0,"input_tokens":null}',
        '{"seconds":3}',
        '{"seconds":1e999}',
    ),
    *(
        '{"input_tokens":1,"input_tokens":2}',
        '{"input_tokens":1,}',
        '{"output_tokens":9007199254740993}',
        "{1:1}",
        '{"a"}',
    ),
    *(
        '{"input_tokens":1.0}',
        '{"input_tokens":{"input_tokens":1}}',
        '{"a":{"b":[null,{"c":"\\u00e9"}]}}',
        '"\u00e9"',
        '"\\"',
    ),
]
"""What may stand in a value's place, good here and bad there."""


def word(number: int) -> str:
    return f"0x{number:064x}"


@dataclass(frozen=True)
class Told:
    """An event and its payload, of which ``members`` is the data as pairs of a name and JSON."""

    event: TaskEvent
    members: tuple[tuple[str, str], ...]
    blank: str = ""
    after: str = ""
    envelope: tuple[tuple[str, str], ...] = ()

    @property
    def payload(self) -> bytes:
        envelope = self.envelope or envelope_of(self.event)
        data = written(self.members, self.blank)
        return (written([*envelope, ("data", data)], self.blank) + self.after).encode("utf-8", "surrogatepass")

    def kept(self) -> TaskEvent:
        return replace(self.event, payload=self.payload)


def envelope_of(event: TaskEvent) -> tuple[tuple[str, str], ...]:
    return (
        ("specversion", '"1.0"'),
        ("type", f'"{event.type}"'),
        ("source", f'"{event.producer}"'),
        ("id", f'"{event.event_id}"'),
        ("time", '"2026-01-31T12:00:00Z"'),
        ("datacontenttype", '"application/json"'),
        ("sequence", f'"{event.sequence}"'),
    )


def written(members: Iterable[tuple[str, str]], blank: str) -> str:
    pairs = [f'{blank}"{name}"{blank}:{blank}{value}{blank}' for name, value in members]
    return "{" + ",".join(pairs) + "}"


def good(shape: Shape) -> st.SearchStrategy[str]:
    """JSON that has the form; bounds come often."""
    match shape:
        case Octets(size):
            digits = st.integers(0, 2 ** (8 * size) - 1).map(lambda number: f"{number:0{2 * size}x}")
            return st.builds(lambda text, upper: f'"0x{text.upper() if upper else text}"', digits, st.booleans())
        case Whole(low, high):
            return (st.sampled_from([low, low + 1, high - 1, high]) | st.integers(low, high)).map(str)
        case Amount():
            near = st.sampled_from([0, 9, 10, 2**64 - 1, 2**64, 10**18, 10**19 - 1, 10**19, 2**126, 10**38 - 1])
            return (near | st.integers(0, 10**38 - 1)).map(lambda number: f'"{number}"')
        case Choice(no, yes):
            return st.sampled_from([f'"{no}"', f'"{yes}"'])
        case Slots():
            return st.sets(st.integers(1, 64)).map(lambda slots: str(sorted(slots)).replace(" ", ""))


@st.composite
def plain(draw: st.DrawFn, event_type: str) -> Told:
    """An event as producers write them: members in order, optional ones there or not."""
    layout, inner = layout_of(event_type), list[tuple[str, str]]()
    members: list[tuple[str, str]] = []
    for member in layout.members:
        if not member.may_be_left_out or draw(st.booleans()):
            (members if member.within is None else inner).append((member.name, draw(good(member.shape))))
    if inner:
        members.append((layout.objects[0], written(inner, "")))
    sequence = draw(st.sampled_from([1, 9, 10, 2**53]) | st.integers(1, 10**6))
    event = TaskEvent("urn:deepnode:producer:p", f"e{sequence}", sequence, event_type, b"", bytes(65))
    return Told(event, tuple(members), draw(st.sampled_from(["", " "])))


@st.composite
def odd(draw: st.DrawFn, told: Told) -> Told:
    """The event, changed once, in any way."""
    envelope = list(told.envelope or envelope_of(told.event))
    members = list(draw(st.permutations(told.members)))
    names, pairs = [name for name, _ in told.members], draw(st.sampled_from([envelope, members, members, members]))
    place, value = draw(st.integers(0, len(pairs) - 1)) if pairs else 0, draw(st.sampled_from(ODD))
    name, own = pairs[place] if pairs else ("task", WORD)
    anything = draw(
        st.sampled_from([*names, *layout_of(told.event.type).objects, "anything", "Task", "usage", "ta\\u0073k"])
    )
    match draw(
        st.sampled_from(["order", "value", "twice", "name", "gone", "more", "escape", "blank", "column", "behind"])
    ):
        case "value":
            pairs[place : place + 1] = [(name, value)]
        case "twice":
            pairs.insert(draw(st.integers(0, len(pairs))), (name, draw(st.sampled_from([value, own]))))
        case "name":
            pairs[place : place + 1] = [(anything, own)]
        case "gone":
            del pairs[place : place + 1]
        case "more":
            pairs.insert(place, (anything, value))
        case "escape":
            pairs[place : place + 1] = [(name, "".join(f"\\u{ord(c):04x}" if c.isalnum() else c for c in own))]
        case "blank":
            told = replace(told, blank=draw(st.sampled_from([*BLANKS, "\x0b", "\x00", "\u00a0"])))
        case "column":
            event = told.event
            others = [replace(event, producer="urn:other"), replace(event, event_id="\u00e9")]
            others += [replace(event, sequence=-1), replace(event, type=TASK_CREATED)]
            told = replace(told, event=draw(st.sampled_from(others)))
        case "behind":
            told = replace(told, after=draw(st.sampled_from([*BLANKS, "{}", "\x00", ",", "}"])))
    return replace(told, members=tuple(members), envelope=tuple(envelope))


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


@settings(max_examples=40)
@given(events=st.lists(EVENTS, min_size=1, max_size=8))
def test_what_producers_write_is_read_in_columns(events: list[Told]) -> None:
    """Writes good events of the frequent types; none is left by any reader, and each value is compared."""
    kept = [each.kept() for each in events]
    assert all(isinstance(read(each), Statement) for each in kept)
    for reader in READERS:
        check(reader, kept, [True] * len(kept))


@given(events=st.lists(EVENTS.flatmap(odd), min_size=1, max_size=8), first=EVENTS)
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
    for byte in b'" 1-.\x80':
        changed += [payload[:place] + bytes([byte]) + payload[place:] for place in range(len(payload) + 1)]
    changed += [payload[:length] for length in range(len(payload))]
    events = [event, *(replace(event, payload=each) for each in dict.fromkeys(changed))]
    check(reader, events, [True, *(False for _ in events[1:])])


def ordinary(event_type: str) -> Told:
    """A short event with all that its type may have."""
    samples: dict[type[Shape], str] = {Whole: "7", Amount: '"10"', Slots: "[1,2]"}
    members: list[tuple[str, str]] = []
    inner: list[tuple[str, str]] = []
    for member in layout_of(event_type).members:
        match member.shape:
            case Octets(size):
                value = f'"0x{"0aF" * 2 * size:.{2 * size}}"'
            case Choice(_, yes):
                value = f'"{yes}"'
            case shape:
                value = samples[type(shape)]
        (members if member.within is None else inner).append((member.name, value))
    members += [(name, written(inner, "")) for name in layout_of(event_type).objects]
    return Told(TaskEvent("p", "e", 1, event_type, b"", bytes(65)), tuple(members))


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
