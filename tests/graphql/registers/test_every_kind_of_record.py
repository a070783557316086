"""Every kind of record that the books keep is written once more and asked for in every way that the schema offers."""

from collections.abc import Iterator
from typing import Any

import pytest
from graphql import GraphQLEnumType

from deepnode_graphql.registers.names import field_name
from deepnode_graphql.registers.register import Register, registers_of
from deepnode_graphql.schema import KINDS, make_schema, taken_names
from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.registers.record import Field, Record
from tests.conftest import fresh_database
from tests.graphql.conftest import Api
from tests.graphql.registers.thing_books import thing_api, thing_books
from tests.graphql.small_books import scribe

REGISTERS = registers_of(KINDS, *taken_names())


def value_of(field: Field, number: int) -> Any:
    """Some value of a field, another for each of three numbers in a row; the last is unknown where it may be."""
    if field.may_be_unknown and number == 2:
        return None
    if field.type is bool:
        return number % 2 == 1
    if field.is_amount:
        return 10**37 + number
    return {bytes: bytes([number]) * 32, str: f"text {number}", int: 2**53 - 3 + number}[field.type]


def shown(value: Any, field: Field) -> Any:
    """A value as the API writes it."""
    if isinstance(value, bytes):
        return to_hex(value)
    return str(value) if field.is_amount and value is not None else value


def record_of(register: Register, key: int, number: int) -> Record:
    """A record of one of two things, in one of three forms."""
    rest = register.fields[register.kind.KEY :]
    values = *(value_of(each, key) for each in register.key), *(value_of(each, number) for each in rest)
    return register.kind(*values)


@pytest.fixture(scope="module")
def api(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API over books with two things of each kind; one of them was of three forms, at positions 1 to 3."""
    with (
        fresh_database(postgres_url) as url,
        scribe(url, tmp_path_factory.mktemp("manifest")) as books,
        thing_books(books, KINDS) as made,
    ):
        for number in range(3):
            others = [record_of(register, 1, 1) for register in REGISTERS] if number == 0 else []
            made.put(*(record_of(register, 0, number) for register in REGISTERS), *others)
        with thing_api(books, KINDS) as api:
            yield api


@pytest.mark.parametrize("register", REGISTERS, ids=lambda register: register.kind.TABLE)
def test_a_kind_is_listed_found_and_told_what_it_was(api: Api, register: Register) -> None:
    """Lists it in every order, finds both by key, and reads the first form in the past and in the history."""
    names = register.names
    fields = " ".join(field_name(each) for each in register.fields)
    expected = [
        {
            field_name(each): shown(value_of(each, thing if each in register.key else number), each)
            for each in register.fields
        }
        for thing, number in ((0, 2), (1, 1), (0, 1), (0, 0))
    ]
    only_key = len(register.fields) == len(register.key)
    orders = make_schema().core.get_type(f"{names.type}Order")
    assert isinstance(orders, GraphQLEnumType)
    for order in orders.values:
        listed = api.ask(f"{{ {names.many}(orderBy: {order}) {{ edges {{ node {{ {fields} }} }} }} }}")[names.many]
        nodes = [edge["node"] for edge in listed["edges"]]
        assert len(nodes) == 2
        assert all(node in nodes for node in expected[:2]), order
    types = {each.name: argument(register, each) for each in register.key}
    declared = ", ".join(f"${name}: {of}!" for name, of in types.items())
    passed = ", ".join(f"{field_name(each)}: ${each.name}" for each in register.key)
    query = (
        f"query ({declared}, $at: At) {{ {names.one}({passed}, at: $at) {{ {fields} position"
        f" history {{ edges {{ node {{ {fields} until }} }} }} }} }}"
    )
    key = {each.name: expected[0][field_name(each)] for each in register.key}
    found = api.ask(query, **key)[names.one]
    history = [edge["node"] for edge in found.pop("history")["edges"]]
    if only_key:
        assert (found.pop("position"), history) == (1, [])
    else:
        assert found.pop("position") == 3
        assert history[-1] == {**expected[3], "until": 2}
        past = api.ask(query, **key, at={"position": 1})[names.one]
        assert past == {**expected[3], "position": 1, "history": {"edges": []}}
    assert found == expected[0]
    assert api.ask(query, **key, at={"position": 0})[names.one] is None


def argument(register: Register, field: Field) -> str:
    """The scalar of a field of the key."""
    query = make_schema().core.query_type
    assert query is not None
    return str(query.fields[register.names.one].args[field_name(field)].type).removesuffix("!")
