"""The schema of the records: names by a rule, descriptions out of docstrings, and the limits of every list."""

import re
from dataclasses import make_dataclass
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLObjectType, GraphQLSchema, OperationDefinitionNode, parse, validate

from deepnode_graphql import limits
from deepnode_graphql.registers.filters import CONDITIONS_MAX
from deepnode_graphql.registers.names import plural
from deepnode_graphql.registers.page import renewed, table
from deepnode_graphql.schema import KINDS as SERVED
from deepnode_graphql.schema import make_schema, taken_names
from deepnode_projections.registers.record import Record
from tests.graphql.conftest import Api
from tests.graphql.registers.thing_books import DECLARED, KINDS

PAGE = Path(__file__).resolve().parents[3] / "docs" / "api.md"


def kind_of(table: str) -> type[Record]:
    """A kind of record in a table of that name."""
    return make_dataclass(
        "Made",
        [("key", bytes)],
        frozen=True,
        slots=True,
        namespace={"TABLE": table, "KEY": 1, "__doc__": "A made one."},
    )


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    """The schema with the tests' kinds."""
    return make_schema(kinds=DECLARED).core


def type_of(schema: GraphQLSchema, name: str) -> GraphQLObjectType:
    """An object type of the schema."""
    found = schema.get_type(name)
    assert isinstance(found, GraphQLObjectType), name
    return found


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("task", "tasks"), ("carry", "carries"), ("buyback", "buybacks"), ("task_slot", "task_slots"),
        ("round_of_model", "rounds_of_model"), ("root_in_force", "roots_in_force"), ("stake_at", "stakes_at"),
        ("alloy", "alloys"), ("batch", "batches"), ("checked", "checked_parts"), ("epoch", "epochs"),
    ],
)  # fmt: skip
def test_the_plural_is_that_of_the_last_word_or_of_the_one_before_a_link(table: str, expected: str) -> None:
    """Takes tables of every form."""
    assert plural(kind_of(table)) == expected


def test_a_kind_whose_names_are_taken_is_called_a_record(schema: GraphQLSchema) -> None:
    """Puts a kind beside accounting entries, and kinds beside one another that would share a type."""
    query = type_of(schema, "Query")
    assert {"entry", "entries", "entryRecord", "entryRecords"} <= set(query.fields)
    assert "contract" in type_of(schema, "Entry").fields
    assert "madePosition" in type_of(schema, "EntryRecord").fields
    two = make_schema(kinds=(kind_of("lot"), kind_of("lot_order"))).core
    assert {"Lot", "LotOrder", "LotOrderRecord"} <= set(two.type_map)
    assert {"lot", "lots", "lotOrderRecord", "lotOrderRecords"} <= set(type_of(two, "Query").fields)


def test_the_rest_of_the_schema_is_as_without_records() -> None:
    """Builds the schema with and without kinds and compares what both have."""
    without, with_kinds = make_schema(kinds=()).core, make_schema(kinds=DECLARED).core
    assert set(without.type_map) < set(with_kinds.type_map)
    for name, field in type_of(without, "Query").fields.items():
        assert (field.description, list(field.args)) == (
            type_of(with_kinds, "Query").fields[name].description, list(type_of(with_kinds, "Query").fields[name].args),
        )  # fmt: skip
    assert type_of(without, "Query").description == type_of(with_kinds, "Query").description


def test_the_docstring_describes_the_type_and_the_fields_that_it_names(schema: GraphQLSchema) -> None:
    """Looks at a kind whose docstring names some of its fields."""
    thing = type_of(schema, "OddThing")
    first = "A thing of a `group`, of every sort of field."
    limit = "`limit` is what `amount` should stay below, if anything is."
    note = "`note` is null, or `null`, if nothing is noted."
    assert thing.description == f"{first} {limit} It is a second paragraph. {note} None is at its beginning."
    said = {name: field.description for name, field in thing.fields.items()}
    assert (said["group"], said["amount"]) == (first, limit)
    assert (said["limit"], said["note"]) == (f"{limit} Null if there is none.", f"{note} Null if there is none.")
    assert said["number"] == "Part of the key: a whole number."
    assert type_of(schema, "Query").fields["oddThing"].description == f"{first} Null if there was none."


def test_a_fields_scalar_is_that_of_its_type(schema: GraphQLSchema) -> None:
    """Looks at a kind with every type: an Amount is a BigInt, any other int a Long, bytes are Hex."""
    assert {name: str(field.type) for name, field in type_of(schema, "OddThing").fields.items()} == {
        "group": "Hex!", "name": "String!", "number": "Long!", "amount": "BigInt!", "limit": "BigInt",
        "note": "String", "mark": "Hex", "yield": "Long!", "level": "Long", "isOver": "Boolean!", "isKnown": "Boolean",
        "position": "Long!", "until": "Long", "finality": "Finality!", "history": "OddThingConnection!",
        "logEntry": "LogEntry", "entry": "Entry",
    }  # fmt: skip


def test_a_field_that_every_record_has_is_no_records_own() -> None:
    """Declares a field called history."""
    kind = make_dataclass("Bad", [("history", int)], frozen=True, slots=True, namespace={"TABLE": "bad", "KEY": 1})
    with pytest.raises(AssertionError, match="history"):
        make_schema(kinds=(kind,))


def test_every_type_and_field_of_records_is_described(schema: GraphQLSchema) -> None:
    """Walks the types that the kinds add."""
    silent = []
    for name, each in schema.type_map.items():
        fields: dict[str, Any] = getattr(each, "fields", {})
        if not name.startswith("__"):
            silent += [name] * (not each.description)
            silent += [f"{name} {field}" for field, value in fields.items() if not value.description]
    assert silent == []


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("{ oddThings(first: 1, last: 1) { edges { cursor } } }", "give first or last, not both"),
        ("{ oddThings(first: 0) { edges { cursor } } }", "first must be between 1 and 1000, not 0"),
        ("{ oddThings(last: 1001) { edges { cursor } } }", "last must be between 1 and 1000, not 1001"),
        ('{ oddThings(before: "nonsense!") { edges { cursor } } }', "is not a cursor"),
        ("{ oddThings { edges { node { history(first: 0) { edges { cursor } } } } } }", "first must be between"),
        ("{ oddThings(at: { position: 25 }) { edges { cursor } } }", "at.position 25 is above"),
        ("{ oddThings(orderBy: WEIGHT_ASC) { edges { cursor } } }", "Value 'WEIGHT_ASC' does not exist"),
        ("{ oddThings { edges { node { weight } } } }", "Cannot query field 'weight' on type 'OddThing'"),
        ('{ oddThing(group: "0x") { name } }', "of type 'String!' is required"),
        ('{ oddThing(group: "0x", name: "a\\u0000", number: 1) { name } }', "name must not hold the character 0"),
    ],
)
def test_a_malformed_question_is_named_with_its_rule(asked: Api, query: str, message: str) -> None:
    """Sends one mistake at a time."""
    code, said = asked.refusal(query)
    assert message in said
    assert code in ("BAD_INPUT", "GRAPHQL_VALIDATION_FAILED")


def test_a_cursor_of_another_order_is_refused(asked: Api) -> None:
    """Gives the cursor of a list by key to the same list the other way round."""
    cursor = asked.ask("{ oddThings(first: 1) { edges { cursor } } }")["oddThings"]["edges"][0]["cursor"]
    code, said = asked.refusal(f'{{ oddThings(orderBy: GROUP_DESC, after: "{cursor}") {{ edges {{ cursor }} }} }}')
    assert (code, said) == (
        "BAD_INPUT", "the cursor belongs to oddThings GROUP_ASC, this list is oddThings GROUP_DESC",
    )  # fmt: skip


def test_rows_that_are_asked_for_from_the_end_and_in_histories_count(asked: Api) -> None:
    """Asks for 60 versions of a thousand things, by number and by variable."""
    below = "edges { node { history(first: 60) { edges { node { amount } } } } }"
    for query, variables in (
        (f"{{ oddThings(last: 1000) {{ {below} }} }}", {}),
        (f"query ($n: Int) {{ oddThings(last: $n) {{ {below} }} }}", {"n": 1000}),
        (f"query ($n: Int = 1000) {{ oddThings(last: $n) {{ {below} }} }}", {}),
    ):
        code, said = asked.refusal(query, **variables)
        assert code == "LIMIT_EXCEEDED"
        assert f"{limits.COST_MAX} are allowed" in said
    assert asked.ask(f"{{ oddThings(last: 10) {{ {below} }} }}")


def test_the_page_has_the_table_of_records_and_its_query_is_valid() -> None:
    """Makes the table again (`python -m deepnode_graphql.registers.page docs/api.md`), and validates the examples."""
    text = PAGE.read_text("utf-8")
    assert renewed(text, table(SERVED, *taken_names())) == text
    queries = re.findall(r"```gql\n(.*?)```", text, re.DOTALL)
    assert queries
    for query in queries:
        document = parse(query)
        assert validate(make_schema().core, document) == []
        for operation in document.definitions:
            assert isinstance(operation, OperationDefinitionNode)
            limits.check(make_schema().core, document, operation, {})
    assert f"| conditions in one `where` on records | {CONDITIONS_MAX} |" in text


def test_every_kind_of_the_books_is_served() -> None:
    """Builds the schema that is served; each kind has a type whose key is asked for by name."""
    fields = type_of(make_schema().core, "Query").fields
    plain = type_of(make_schema(kinds=()).core, "Query").fields
    others = {name for name in fields if name.startswith("sumsOf")} | {"network"}
    assert len(fields) - len(plain) - len(others) == 2 * len(SERVED)
    assert KINDS[0].TABLE not in {kind.TABLE for kind in SERVED}
