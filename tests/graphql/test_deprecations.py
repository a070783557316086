"""Nothing that was released goes without having been deprecated."""

import re
from pathlib import Path
from typing import Any

import pytest
from graphql import build_schema

from deepnode_graphql.deprecations import DEPRECATED, RELEASED, broken, deprecate
from deepnode_graphql.schema import make_schema, schema_text

ROOT = Path(__file__).resolve().parents[2]
FOLDER, CHANGELOG = ROOT / "graphql", ROOT / "CHANGELOG.md"

OLD = """
enum Order { UP DOWN SIDEWAYS @deprecated(reason: "use UP") }
input Where { a: Int b: Int @deprecated(reason: "use a") }
type Extra { x: Int }
type Thing { name: String old: Int @deprecated(reason: "use name") extra: Extra @deprecated(reason: "gone") }
type Query {
  thing(id: ID! by: String @deprecated(reason: "use id")): Thing
  things(where: Where order: Order): [Thing!]!
}
"""
NEW = """
enum Order { UP DOWN }
input Where { a: Int c: Int }
type Thing { name: String! more: Int }
type Query { thing(id: ID! quick: Boolean): Thing things(where: Where order: Order): [Thing!]! new: Int }
"""


def test_what_was_released_is_still_answered() -> None:
    """Holds the schema against the copy of the last release, which must be there once the changelog has one."""
    copy = FOLDER / RELEASED
    versions = re.findall(r"^## (.+)$", CHANGELOG.read_text("utf-8"), re.MULTILINE)
    assert copy.exists() == any("unreleased" not in version for version in versions)
    if copy.exists():
        assert broken(build_schema(copy.read_text("utf-8")), build_schema(schema_text())) == []


def test_only_what_was_deprecated_may_go() -> None:
    """Takes what is deprecated away, adds something, and makes a field non-null: nothing is broken."""
    assert broken(build_schema(OLD), build_schema(NEW)) == []


@pytest.mark.parametrize(
    ("cut", "put", "said"),
    [
        ("name: String!", "", "Thing.name was removed."),
        ("name: String!", "name: Int", "Thing.name changed type from String to Int."),
        (" DOWN", "", "Order.DOWN was removed."),
        ("input Where { a: Int", "input Where {", "Where.a was removed."),
        (" order: Order", "", "Query.things(order:) was removed."),
        ("quick: Boolean", "quick: Boolean!", "A required argument Query.thing(quick:) was added."),
        ("c: Int", "c: Int!", "A required field Where.c was added."),
        (": [Thing!]!", ": [Thing!]", "Query.things changed type from [Thing!]! to [Thing!]."),
    ],
)
def test_whatever_else_goes_or_changes_is_named(cut: str, put: str, said: str) -> None:
    """Breaks one thing at a time."""
    assert cut in NEW
    [found] = broken(build_schema(OLD), build_schema(NEW.replace(cut, put)))
    assert said in found


def test_the_schema_keeps_its_own_promise_against_itself() -> None:
    """Takes a root field away from the schema without records: it is named; of the schema as it is, nothing is."""
    text = make_schema(kinds=()).as_str()
    lost = text.replace("\n  reorgs(", "\n  lostReorgs(")
    assert broken(build_schema(text), build_schema(text)) == []
    assert "Field Query.reorgs was removed." in broken(build_schema(text), build_schema(lost))


def test_what_is_deprecated_is_marked_with_what_to_use_instead() -> None:
    """Deprecates a field of a record, an argument, a condition and an order; a name that is not there is refused."""
    core = build_schema(make_schema(kinds=()).as_str())
    names = ["Posting.kind", "Query.entries(where)", "PostingWhere.holder", "PostingOrder.POSITION_DESC"]
    deprecate(core, dict.fromkeys(names, "Use another."))
    types: dict[str, Any] = core.type_map
    assert types["Posting"].fields["kind"].deprecation_reason == "Use another."
    assert types["Query"].fields["entries"].args["where"].deprecation_reason == "Use another."
    assert types["PostingWhere"].fields["holder"].deprecation_reason == "Use another."
    assert types["PostingOrder"].values["POSITION_DESC"].deprecation_reason == "Use another."
    for name in ("Posting.nothing", "Nothing.x", "Query.entries(nothing)"):
        with pytest.raises(AssertionError, match="is not in the schema"):
            deprecate(core, {name: "Use another."})


def test_a_deprecated_field_is_printed_and_told_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """Marks a field in a schema of its own, prints it, and asks the introspection."""
    schema = make_schema(kinds=())
    assert schema.core.query_type is not None
    field = schema.core.query_type.fields["reorgs"]
    monkeypatch.setattr(field, "deprecation_reason", "Use logEntries.")
    assert '): ReorgConnection! @deprecated(reason: "Use logEntries.")' in schema.as_str()
    query = '{ __type(name: "Query") { fields(includeDeprecated: true) { name deprecationReason } } }'
    told = schema.execute_sync(query).data
    assert told is not None
    assert {"name": "reorgs", "deprecationReason": "Use logEntries."} in told["__type"]["fields"]


def test_every_reason_says_what_to_use_instead() -> None:
    """Looks at what is deprecated now."""
    assert all(reason.endswith(".") and len(reason) > 10 for reason in DEPRECATED.values())
