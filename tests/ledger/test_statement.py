"""Statements: every type is read exactly, and what cannot be read is a reason and never an error."""

import re
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_indexer.devnet.task_events import TYPE_NAMES
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.record import TaskEvent
from deepnode_ledger.statement import Statement, Unreadable, read, said
from deepnode_ledger.statement_data import DATA_OF, Correction, OutputSubmitted, PriceObserved, TaskCreated, Usage
from tests.projections.rules.spoken import ORDINARY, TYPES, data_of, event, statement
from tests.projections.rules.told import DN, word

PAGE = Path(__file__).resolve().parents[2] / "docs" / "task-events.md"
MAY_BE_LEFT_OUT = {
    "TaskAssigned": {"block_hash"},
    "OutputSubmitted": {"latency_ms", "usage"},
    "UserFeedback": {"comment_hash"},
    "PaymentProcessorSettled": {"reference_hash"},
    "Correction": {
        *("price_ppm", "rating", "amount"),
        *("vwu", "difficulty_ppm", "price", "task", "attempt", "slot"),
    },
}
REQUIRED = [
    (kind, name)
    for kind, struct in ((each.__name__, each) for each in DATA_OF.values())
    for name in struct.__struct_fields__
    if name not in MAY_BE_LEFT_OUT.get(kind, ())
]


def reason(kind: str, data: object, **envelope: Any) -> str:
    """Why such an event cannot be read."""
    found = read(event(kind, 1, data, **envelope))  # type: ignore[arg-type] # data of any shape, on purpose
    assert isinstance(found, Unreadable), found
    return found.reason


def test_the_types_are_those_that_the_devnet_speaks() -> None:
    """Compares both vocabularies, which no import connects: the devnet is in another room."""
    assert dict(TYPE_NAMES) == TYPES
    assert {each.__name__ for each in get_args(_data_types())} == set(TYPES)


def _data_types() -> Any:
    from deepnode_ledger import statement_data

    return statement_data.Data


@pytest.mark.parametrize("kind", ORDINARY)
def test_an_ordinary_statement_of_each_type_is_read(kind: str) -> None:
    """Reads one of each type; envelope and data come out as they went in."""
    found = statement(kind, 7, "urn:another")
    assert (found.producer, found.event_id, found.sequence, found.type) == ("urn:another", "e7", 7, TYPES[kind])
    assert found.time == "2026-01-31T12:00:00Z"
    assert type(found.data) is DATA_OF[found.type]


def test_ids_are_bytes_and_amounts_are_numbers() -> None:
    """Reads a task with the largest price, in digits of either case; every field is compared."""
    price = 10**38 - 1
    data = said(statement("TaskCreated", task="0x" + "AB" * 32, price=str(price), version=3), TaskCreated)
    assert data == TaskCreated(
        task=b"\xab" * 32,
        domain=word("d1"),
        model=word("m1"),
        version=3,
        consumer_hash=word("c"),
        price=price,
        asset=DN,
        difficulty_ppm=1_000_000,
        input_hash=word("in"),
    )


def test_what_may_be_left_out_is_none() -> None:
    """Reads an output without, with null and with its optional members, one of which is half there."""
    assert said(statement("OutputSubmitted"), OutputSubmitted).usage is None
    assert said(statement("OutputSubmitted", latency_ms=None, usage=None), OutputSubmitted).latency_ms is None
    found = said(statement("OutputSubmitted", latency_ms=0, usage={"output_tokens": 5}), OutputSubmitted)
    assert (found.latency_ms, found.usage) == (0, Usage(input_tokens=None, output_tokens=5))
    assert said(statement("Correction", price_ppm="7"), Correction).price_ppm == 7


@pytest.mark.parametrize(("kind", "name"), REQUIRED)
def test_each_other_member_must_be_there(kind: str, name: str) -> None:
    """Takes one member away, then lets it be null; the reason names it."""
    whole = data_of(kind)
    assert reason(kind, {each: value for each, value in whole.items() if each != name}).endswith(f"must have {name}")
    assert reason(kind, {**whole, name: None}).startswith(f"{name} must be ")


def test_a_producer_may_say_more() -> None:
    """Adds members that nobody knows, also within one that is known: they change nothing."""
    extra = {"mood": ["good", {"deep": None}], "ratio": "0.5"}
    more = read(event("TaskCreated", 1, {**data_of("TaskCreated"), **extra}))
    assert more == statement("TaskCreated")
    assert said(statement("OutputSubmitted", usage={"seconds": 3}), OutputSubmitted).usage == Usage()


@pytest.mark.parametrize(
    ("kind", "name", "value", "rule"),
    [
        ("TaskCreated", "task", "0x" + "ab" * 31, "0x and 64 hexadecimal digits"),
        ("TaskCreated", "task", "ab" * 32, "0x and 64 hexadecimal digits"),
        ("TaskCreated", "task", 5, "0x and 64 hexadecimal digits"),
        ("TaskCreated", "asset", "0x" + "ab" * 32, "0x and 40 hexadecimal digits"),
        ("TaskCreated", "price", "-1", "decimal text"),
        ("TaskCreated", "price", "01", "decimal text"),
        ("TaskCreated", "price", "1\n", "decimal text"),
        ("TaskCreated", "price", "\u0661", "decimal text"),
        ("TaskCreated", "price", 1000, "decimal text"),
        ("TaskCreated", "price", "1" + "0" * 38, "decimal text of a whole number from 0 to 10**38 - 1"),
        ("TaskCreated", "difficulty_ppm", 0, "a whole number from 1 to 10000000"),
        ("TaskCreated", "difficulty_ppm", 10_000_001, "a whole number from 1 to 10000000"),
        ("TaskCreated", "version", True, "a whole number from 0 to 4294967295"),
        ("TaskAssigned", "trust_ppm", 1_000_001, "a whole number from 0 to 1000000"),
        ("TaskAssigned", "slot", 0, "a whole number from 1 to 64"),
        ("TaskAssigned", "slot", "1", "a whole number from 1 to 64"),
        ("ValidationSubmitted", "score", 101, "a whole number from 0 to 100"),
        ("ValidationSubmitted", "verdict", "Correct", "'correct' or 'incorrect'"),
        ("ConsensusReached", "verdict", "maybe", "'approved' or 'rejected'"),
        ("ConsensusReached", "accepted", [2, 1], "an ascending list of slots"),
        ("ConsensusReached", "accepted", [1, 1], "an ascending list of slots"),
        ("ConsensusReached", "accepted", [True], "an ascending list of slots"),
        ("ConsensusReached", "accepted", 1, "an ascending list of slots"),
        ("OutputSubmitted", "usage", [1], "a JSON object"),
        ("OutputSubmitted", "usage", {"input_tokens": -1}, "a whole number from 0"),
        ("OutputSubmitted", "latency_ms", 1.5, "a whole number from 0"),
        ("UserFeedback", "rating", 6, "a whole number from 1 to 5"),
        ("PriceObserved", "price_ppm", "0", "decimal text of a whole number from 1"),
        ("PriceObserved", "fiat", "usd", "three capital letters"),
        ("PriceObserved", "source", "", "text of 1 to 256 characters"),
        ("PriceObserved", "source", "a\0b", "text of 1 to 256 characters without control characters"),
        ("Correction", "corrects", "two words", "printable ASCII characters without blanks"),
        ("BadBehaviourReported", "severity", 4, "a whole number from 1 to 3"),
    ],
)
def test_a_value_of_another_form_is_refused_with_the_rule(kind: str, name: str, value: object, rule: str) -> None:
    """Replaces one value; the reason names the member, the rule and the value."""
    found = reason(kind, {**data_of(kind), name: value})
    assert rule in found, found
    member = "input_tokens" if isinstance(value, dict) else name
    shown = -1 if isinstance(value, dict) else value
    assert found.startswith(f"{member} must be "), found
    assert found.endswith(f"not {shown!a:.80}"), found


def test_an_unknown_type_is_named() -> None:
    """Reads a later version of a known type."""
    of_tomorrow = TaskEvent("urn:p", "e1", 1, "ai.deepnode.task.created.v2", b"{}", bytes(65))
    assert read(of_tomorrow) == Unreadable(
        "type 'ai.deepnode.task.created.v2' is none of the 14 types that the books know"
    )


@pytest.mark.parametrize(
    ("member", "value"),
    [("id", "e2"), ("source", "urn:other"), ("sequence", "2"), ("type", "ai.deepnode.user.feedback.v1")],
)
def test_what_the_log_keeps_beside_the_text_must_be_what_it_says(member: str, value: str) -> None:
    """Lets the payload say another id, source, sequence number or type than the log's columns."""
    found = reason("TaskExpired", data_of("TaskExpired"), **{member: value})
    assert found.startswith("the log has it as "), found
    assert repr(value) in found


@pytest.mark.parametrize("time", ["", "to day", "2026\0", "\u0661", "x" * 65])
def test_a_time_is_a_short_word(time: str) -> None:
    """Writes times that the door would not have let in, and that a table could not hold or a page not show."""
    assert reason("TaskExpired", data_of("TaskExpired"), time=time).startswith("the payload is no CloudEvent: ")


@pytest.mark.parametrize("payload", [b"", b"{}", b"\xff", b"[" * 100_000, b'{"id": "\\ud800"}', b"null"])
def test_a_payload_that_is_no_cloud_event_is_unreadable(payload: bytes) -> None:
    """Reads what the door would never have let in."""
    found = read(TaskEvent("urn:p", "e1", 1, TYPES["TaskExpired"], payload, bytes(65)))
    assert isinstance(found, Unreadable)
    assert found.reason.startswith("the payload is no CloudEvent: ")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=70),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(kind=st.sampled_from(sorted(ORDINARY)), change=st.data())
def test_reading_never_fails(kind: str, change: st.DataObject) -> None:
    """Replaces members of a good statement by any JSON: it is read, or there is a reason on one printable line."""
    data = data_of(kind)
    names = st.sampled_from([*DATA_OF[TYPES[kind]].__struct_fields__, "anything"])
    data.update(change.draw(st.dictionaries(names, JSON, max_size=3)))
    found = read(event(kind, 1, data))
    if isinstance(found, Unreadable):
        assert re.fullmatch(r"[\x20-\x7e]+", found.reason), found.reason
    else:
        assert isinstance(found, Statement)


SOURCES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=256)


@given(
    price=st.integers(1, 10**38 - 1),
    source=SOURCES,
)
def test_reading_gives_back_what_was_written(price: int, source: str) -> None:
    """Writes any price and any name of a source, and compares what is read."""
    found = said(statement("PriceObserved", price_ppm=str(price), source=source), PriceObserved)
    assert found == PriceObserved(asset=DN, fiat="USD", price_ppm=price, source=source)


def test_the_page_has_every_type_and_every_member() -> None:
    """Reads the table of docs/task-events.md: a row a type, its members in order, in brackets what may be missing."""
    rows = re.findall(r"^\| `(ai\.deepnode\.[a-z0-9.]+)` \| (.+?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    written = {name: re.findall(r"(\[?)`([a-z_]+)`", members) for name, members in rows}
    expected = {
        name: [("[" if each in MAY_BE_LEFT_OUT.get(kind.__name__, ()) else "", each) for each in kind.__struct_fields__]
        for name, kind in DATA_OF.items()
    }
    assert written == expected


def test_structs_hold_only_what_cannot_change() -> None:
    """Asks msgspec for each kind: frozen, and equal by value."""
    for kind in (*DATA_OF.values(), Usage):
        assert msgspec.structs.fields(kind), kind
        assert kind.__struct_config__.frozen, kind
    assert to_hex(DN) == ORDINARY["TaskCreated"]["asset"]
