"""Filters on records keep what a predicate in Python keeps, however conditions are put together."""

import operator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepnode_graphql.registers.filters import CONDITIONS_MAX
from deepnode_ledger.hexadecimal import to_hex
from tests.graphql.conftest import Api
from tests.graphql.registers.test_records_over_graphql import own, put_at, whole
from tests.graphql.registers.thing_books import POSITIONS, ThingBooks, shown
from tests.ledger.histories import WITHOUT_SHRINKING

_BYTES = st.sampled_from([b"", b"\x00", b"\xff\x00", b"\xff" * 32, b"\x01"])
_TEXTS = st.sampled_from(["", "a", "A", "b", "é\u2028\n", "x" * 70 + "1"])
_NUMBERS = st.sampled_from([-(2**53) + 1, -5, -1, 0, 1, 2, 7, 2**53 - 1])
_AMOUNTS = st.sampled_from([0, -1, 5, 10**38 - 1, -(10**38) + 1, 2**63, 10**77])
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "group": _BYTES, "name": _TEXTS, "number": _NUMBERS, "amount": _AMOUNTS, "limit": _AMOUNTS, "note": _TEXTS,
    "mark": _BYTES, "yield": _NUMBERS, "level": _NUMBERS, "isOver": st.booleans(), "isKnown": st.booleans(),
    "position": st.integers(0, POSITIONS),
}  # fmt: skip
NULLABLE = ("limit", "note", "mark", "level", "isKnown")
ORDERED = {"_gt": operator.gt, "_gte": operator.ge, "_lt": operator.lt, "_lte": operator.le}


def _comparisons(name: str) -> st.SearchStrategy[dict[str, Any]]:
    one, several = VALUES[name], st.lists(VALUES[name], max_size=3)
    choices = {"_eq": one, "_neq": one, "_in": several, "_notIn": several}
    if name not in ("isOver", "isKnown"):
        choices |= dict.fromkeys(ORDERED, one)
    if name in NULLABLE:
        choices["_isNull"] = st.booleans()
    return st.sampled_from(sorted(choices)).flatmap(lambda op: st.fixed_dictionaries({op: choices[op]}))


_leaves = st.sampled_from(sorted(VALUES)).flatmap(lambda name: st.fixed_dictionaries({name: _comparisons(name)}))
_wheres = st.recursive(
    _leaves | st.just({}),
    lambda below: (
        st.fixed_dictionaries({"_and": st.lists(below, max_size=2)})
        | st.fixed_dictionaries({"_or": st.lists(below, max_size=3)})
        | st.fixed_dictionaries({"_not": below})
        | st.tuples(_leaves, st.fixed_dictionaries({"_not": below})).map(lambda both: {**both[0], **both[1]})
    ),
    max_leaves=6,
)


def compare(op: str, held: Any, asked: Any) -> bool:
    """What a comparison means: null equals nothing and stands in no order."""
    match op:
        case "_eq":
            return bool(held is not None and held == asked)
        case "_neq":
            return bool(held is None or held != asked)
        case "_in":
            return bool(held is not None and held in asked)
        case "_notIn":
            return bool(held is None or held not in asked)
        case "_isNull":
            return bool((held is None) == asked)
    if isinstance(held, str):
        held, asked = held.encode(), asked.encode()
    return held is not None and bool(ORDERED[op](held, asked))


def holds(where: dict[str, Any], thing: dict[str, Any]) -> bool:
    """Whether a filter keeps a thing."""
    return all(
        all(holds(each, thing) for each in value) if name == "_and"
        else any(holds(each, thing) for each in value) if name == "_or"
        else not holds(value, thing) if name == "_not"
        else all(compare(op, thing[name], asked) for op, asked in value.items())
        for name, value in where.items()
    )  # fmt: skip


def sent(value: Any) -> Any:
    """A filter as a client sends it."""
    match value:
        case dict():
            return {name: sent(each) for name, each in value.items()}
        case list():
            return [sent(each) for each in value]
        case bytes():
            return to_hex(value)
        case int() if not isinstance(value, bool) and abs(value) >= 2**53:
            return str(value)
    return value


def held_at(things: ThingBooks, moment: int) -> list[dict[str, Any]]:
    """The things of a moment by the names of the schema, as they are."""
    names = {name: name for name in VALUES} | {"yield": "yield_", "isOver": "is_over", "isKnown": "is_known"}
    return [
        {name: put_at(things, thing, moment) if name == "position" else getattr(thing, names[name]) for name in VALUES}
        for thing in things.held[moment]
    ]


@settings(max_examples=150, phases=WITHOUT_SHRINKING)
@given(_wheres, st.sampled_from([POSITIONS, 13, 6]), st.sampled_from(["GROUP_ASC", "GROUP_DESC", "LEVEL_ASC"]))
def test_a_filter_keeps_what_it_means(
    asked: Api, things: ThingBooks, where: dict[str, Any], moment: int, order: str
) -> None:
    """Makes any filter, asks it at the end and in the past by two ways of sorting, and filters in Python as well."""
    kept = [
        shown(thing)
        for thing, values in zip(things.held[moment], held_at(things, moment), strict=True)
        if holds(where, values)
    ]
    nodes = [own(node) for node in whole(asked, where=sent(where), order=order, at={"position": moment})]
    if order == "GROUP_ASC":
        assert nodes == kept
    assert sorted(map(str, nodes)) == sorted(map(str, kept))


def test_null_and_an_empty_filter_are_no_condition(asked: Api) -> None:
    """Gives null at every level."""
    everything = whole(asked)
    nothing: list[dict[str, Any] | None] = [
        None, {}, {"level": None}, {"level": {}}, {"level": {"_eq": None}}, {"_and": None}, {"_not": None},
    ]  # fmt: skip
    for where in nothing:
        assert whole(asked, where=where) == everything
    assert whole(asked, where={"_or": []}) == []


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"weight": {"_eq": 1}}, "type 'OddThingWhere' not to include unknown field 'weight'"),
        ({"level": {"eq": 1}}, "type 'OptionalLongComparison' not to include unknown field 'eq'"),
        ({"isOver": {"_gt": False}}, "type 'BooleanComparison' not to include unknown field '_gt'"),
        ({"amount": {"_isNull": True}}, "type 'BigIntComparison' not to include unknown field '_isNull'"),
        ({"amount": {"_eq": "1.5"}}, "a BigInt must be a string of decimal digits"),
        ({"group": {"_eq": "12"}}, "a Hex must be a string that starts with 0x"),
        ({"level": {"_gt": 2**53}}, "a Long must be between"),
        ({"note": {"_in": ["a", "b\0c"]}}, "note must not hold the character 0"),
        ({"level": {"_in": [1] * 1_001}}, "level: _in takes at most 1000 values, not 1001"),
        ({"_and": [{}] * CONDITIONS_MAX}, f"where takes at most {CONDITIONS_MAX} conditions"),
    ],
)
def test_a_filter_that_cannot_be_is_refused_by_its_rule(asked: Api, where: dict[str, Any], message: str) -> None:
    """Sends one mistake at a time."""
    query = "query ($where: OddThingWhere) { oddThings(where: $where) { edges { cursor } } }"
    code, said = asked.refusal(query, where=where)
    assert code == "BAD_INPUT"
    assert message in said


def test_half_a_surrogate_pair_is_refused_as_no_text(asked: Api) -> None:
    """Sends one by GET, where the variables' JSON may hold it."""
    parameters = {
        "query": "query ($where: OddThingWhere) { oddThings(where: $where) { edges { cursor } } }",
        "variables": '{"where": {"note": {"_eq": "\\ud800"}}}',
    }
    [error] = asked.http.get("/graphql", params=parameters).json()["errors"]
    assert error["extensions"]["code"] == "BAD_INPUT"
    assert "surrogate" in error["message"]
