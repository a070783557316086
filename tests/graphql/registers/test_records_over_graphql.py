"""Records asked for through GraphQL are those that a state in memory held, at every position and in every order."""

from typing import Any

import pytest

from deepnode_ledger.hexadecimal import to_hex
from tests.graphql.conftest import Api
from tests.graphql.registers.thing_books import FIELDS, POSITIONS, Thing, ThingBooks, shown, thing_api

PAGE = f"edges {{ cursor node {{ {FIELDS} position until finality }} }}"
PAGE_INFO = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
LIST = (
    "query ($first: Int, $after: String, $last: Int, $before: String, $where: OddThingWhere, $order: OddThingOrder!,"
    " $at: At) { oddThings(first: $first, after: $after, last: $last, before: $before, where: $where, orderBy: $order,"
    f" at: $at) {{ {PAGE} {PAGE_INFO} }} }}"
)
ORDERED = ["group", "name", "number", "amount", "limit", "note", "mark", "yield_", "level", "is_over", "is_known"]
ORDERS = [f"{name.strip('_').upper()}_{way}" for name in [*ORDERED, "position"] for way in ("ASC", "DESC")]


def own(node: dict[str, Any]) -> dict[str, Any]:
    """The record's own fields of a node."""
    return {name: value for name, value in node.items() if name not in ("position", "until", "finality", "history")}


def page(api: Api, **variables: Any) -> Any:
    """A page of things."""
    return api.ask(LIST, **{"order": "GROUP_ASC", **variables})["oddThings"]


def whole(api: Api, **variables: Any) -> list[dict[str, Any]]:
    """All things on one page."""
    found = page(api, first=1000, **variables)
    assert not found["pageInfo"]["hasNextPage"]
    return [edge["node"] for edge in found["edges"]]


def put_at(things: ThingBooks, thing: Thing, moment: int) -> int:
    """Where a thing came to be as it was at a moment."""
    return max(position for position, version in things.versions if version == thing and position <= moment)


def sorting(name: str, things: ThingBooks, moment: int) -> Any:
    """What an order sorts by: null last, long values by their first 64, then the key."""

    def by(thing: Thing) -> Any:
        key = (thing.group, thing.name.encode(), thing.number)
        if name == "position":
            return (put_at(things, thing, moment), *key)
        value = getattr(thing, name)
        if name == "name":
            return (value.encode(), *key)
        if isinstance(value, str):
            value = value[:64].encode()
        elif isinstance(value, bytes) and name != "group":
            value = value[:64]
        return (value is None, *([value] if value is not None else []), *key)

    return by


def test_the_state_at_every_position_is_what_memory_held(asked: Api, things: ThingBooks) -> None:
    """Lists the things at each position, in the order of keys, with where they came about, and without at."""
    for position in range(POSITIONS + 1):
        nodes = whole(asked, at={"position": position})
        assert [own(node) for node in nodes] == [shown(thing) for thing in things.held[position]]
        assert [node["position"] for node in nodes] == [
            put_at(things, thing, position) for thing in things.held[position]
        ]
        assert {node["until"] for node in nodes} <= {None}
        for node in nodes:
            assert node["finality"] == ("SEALED" if node["position"] <= POSITIONS // 2 else "PENDING")
    assert whole(asked) == whole(asked, at={"position": POSITIONS}) == whole(asked, at={"block": POSITIONS})
    assert len(whole(asked)) > 10


@pytest.mark.parametrize("moment", [POSITIONS, POSITIONS // 2])
@pytest.mark.parametrize("order", ORDERS)
def test_a_list_is_sorted_by_any_field_and_then_by_the_key(
    asked: Api, things: ThingBooks, order: str, moment: int
) -> None:
    """Sorts the state in memory by the same field and compares, now and in the past."""
    name, _, way = order.rpartition("_")
    [field] = [each for each in [*ORDERED, "position"] if each.strip("_").upper() == name]
    expected = sorted(things.held[moment], key=sorting(field, things, moment), reverse=way == "DESC")
    assert [own(node) for node in whole(asked, order=order, at={"position": moment})] == list(map(shown, expected))


@pytest.mark.parametrize("order", ORDERS)
def test_a_walk_meets_every_record_once_forward_and_backward(asked: Api, order: str) -> None:
    """Walks in pages of 2 and 5 rows from either end, in the past and now, and compares with one page of all."""
    for at, size in (({"position": 13}, 2), (None, 5)):
        expected = whole(asked, order=order, at=at)
        forward: list[Any] = []
        after = None
        while True:
            found = page(asked, order=order, at=at, first=size, after=after)
            assert found["pageInfo"]["hasPreviousPage"] == (after is not None)
            forward += [edge["node"] for edge in found["edges"]]
            after = found["pageInfo"]["endCursor"]
            if not found["pageInfo"]["hasNextPage"]:
                break
        backward: list[Any] = []
        before = None
        while True:
            found = page(asked, order=order, at=at, last=size, before=before)
            assert found["pageInfo"]["hasNextPage"] == (before is not None)
            backward = [edge["node"] for edge in found["edges"]] + backward
            before = found["pageInfo"]["startCursor"]
            if not found["pageInfo"]["hasPreviousPage"]:
                break
        assert forward == backward == expected


def test_a_window_between_two_cursors_is_what_stands_between_them(asked: Api) -> None:
    """Takes every pair of cursors as after and before, and both ends of what is between."""
    edges = page(asked, first=1000)["edges"]
    for left in range(0, len(edges), 3):
        for right in range(left + 1, len(edges), 2):
            bounds = {"after": edges[left]["cursor"], "before": edges[right]["cursor"]}
            between = edges[left + 1 : right]
            assert page(asked, first=1000, **bounds)["edges"] == between
            assert page(asked, first=1, **bounds)["edges"] == between[:1]
            assert page(asked, last=1, **bounds)["edges"] == between[-1:]
            assert page(asked, last=1, **bounds)["pageInfo"]["hasNextPage"]


def test_one_record_is_found_by_its_key_at_any_moment(asked: Api, things: ThingBooks) -> None:
    """Asks for each key that there ever was, at each third position."""
    query = (
        f"query ($g: Hex!, $n: String!, $i: Long!, $at: At) {{ oddThing(group: $g, name: $n, number: $i, at: $at)"
        f" {{ {FIELDS} until }} }}"
    )
    for position in range(0, POSITIONS + 1, 3):
        held = {(thing.group, thing.name, thing.number): shown(thing) for thing in things.held[position]}
        for last in things.held[-1]:
            found = asked.ask(query, g=to_hex(last.group), n=last.name, i=last.number, at={"position": position})[
                "oddThing"
            ]
            expected = held.get((last.group, last.name, last.number))
            assert found == (None if expected is None else {**expected, "until": None})


def test_a_key_of_true_and_false_and_a_plural_of_its_own_are_asked_like_any_other(asked: Api) -> None:
    """Asks for the record that was put at position 3, before and behind it."""
    both = "{ lone(lone: true) { count position } lonelyOnes(orderBy: COUNT_ASC) { edges { node { lone } } } }"
    assert asked.ask(both) == {
        "lone": {"count": 3, "position": 3}, "lonelyOnes": {"edges": [{"node": {"lone": True}}]},
    }  # fmt: skip
    assert asked.ask("{ lone(lone: true, at: { position: 2 }) { count } none: lone(lone: false) { count } }") == {
        "lone": None, "none": None,
    }  # fmt: skip


def test_blocks_that_arrive_do_not_disturb_a_walk_by_key(own_things: ThingBooks) -> None:
    """Changes things, and puts new ones, between any two pages: those of the start come once, as they are by then."""

    def thing(name: int, amount: int) -> Thing:
        return Thing(b"g", f"{name:03}", 0, amount, None, None, None, 0, None, is_over=False, is_known=None)

    for name in range(0, 40, 4):
        own_things.put(thing(name, 0))
    with thing_api(own_things.books) as api:
        names: list[str] = []
        after = None
        for step in range(1, 100):
            found = page(api, first=2, after=after)
            names += [edge["node"]["name"] for edge in found["edges"]]
            if not found["pageInfo"]["hasNextPage"]:
                break
            after = found["pageInfo"]["endCursor"]
            own_things.put(thing(4 * (step % 10), step), thing(41 - 3 * step % 41, step))
        assert len(set(names)) == len(names)
        assert {f"{name:03}" for name in range(0, 40, 4)} <= set(names)


def test_what_a_reorg_took_back_is_gone_and_what_it_closed_is_open_again(own_things: ThingBooks) -> None:
    """Changes a thing twice and takes the second change back."""
    first = Thing(b"g", "a", 0, 1, None, None, None, 0, None, is_over=False, is_known=None)
    second = Thing(b"g", "a", 0, 2, None, None, None, 0, None, is_over=False, is_known=None)
    own_things.put(first)
    own_things.put(second)
    query = "{ oddThings { edges { node { amount until history { edges { node { amount until } } } } } } }"
    with thing_api(own_things.books) as api:
        [edge] = api.ask(query)["oddThings"]["edges"]
        assert edge["node"] == {
            "amount": "2", "until": None, "history": {"edges": [{"node": {"amount": "1", "until": 2}}]},
        }  # fmt: skip
        own_things.take_back(1)
        [edge] = api.ask(query)["oddThings"]["edges"]
        assert edge["node"] == {"amount": "1", "until": None, "history": {"edges": []}}
