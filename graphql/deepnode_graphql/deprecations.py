"""What of the schema will go, and what may go: names that were released stay, or are deprecated in a release first.

``DEPRECATED`` marks what will go; the schema shows it with ``@deprecated`` and the reason, which says what to ask for
instead. At a release ``graphql/schema.graphql`` is copied to ``graphql/schema.released.graphql``; from then on the next
schema is held against that copy, and may only lack what is deprecated in it.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    find_breaking_changes,
)

RELEASED: Final = "schema.released.graphql"
"""The file beside the golden schema that holds the last released one; there is none before the first release."""

DEPRECATED: Final[Mapping[str, str]] = {}
"""What will go (``Type.field``, ``Type.field(argument)``, ``Input.field``, ``Enum.VALUE``), and what to use instead."""


def deprecate(schema: GraphQLSchema, reasons: Mapping[str, str] = DEPRECATED) -> None:
    """Mark what will go in a schema.

    Raises:
        AssertionError: the schema has nothing of that name, or an argument or input field that must be given would go.
    """
    for name, reason in reasons.items():
        assert reason, f"{name}: say what to use instead"
        found = _named(schema, name)
        assert found is not None, f"{name} is not in the schema"
        found.deprecation_reason = reason


def broken(released: GraphQLSchema, now: GraphQLSchema) -> list[str]:
    """Say which questions the released schema answers and this one does not, without what was deprecated in it."""
    kept = _without_deprecated(released)
    return sorted(change.description for change in find_breaking_changes(kept, now))


def _named(schema: GraphQLSchema, name: str) -> Any:
    of, _, rest = name.partition(".")
    member, _, argument = rest.removesuffix(")").partition("(")
    found = schema.get_type(of)
    members: Mapping[str, Any] = found.values if isinstance(found, GraphQLEnumType) else getattr(found, "fields", {})
    held = members.get(member)
    return held.args.get(argument) if held is not None and argument else held


def _without_deprecated(schema: GraphQLSchema) -> GraphQLSchema:
    for each in schema.type_map.values():
        if isinstance(each, GraphQLEnumType):
            _drop(each.values)
        elif isinstance(each, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            _drop(each.fields)
            for field in each.fields.values():
                _drop(getattr(field, "args", {}))
    # Made anew of its roots: types that only something deprecated led to may go with it.
    return GraphQLSchema(schema.query_type, schema.mutation_type, schema.subscription_type)


def _drop(members: dict[str, Any]) -> None:
    for name in [name for name, each in members.items() if each.deprecation_reason is not None]:
        del members[name]


if __name__ == "__main__":
    # python -m deepnode_graphql.deprecations graphql
    folder = Path(sys.argv[1])
    if (folder / RELEASED).exists():
        texts = [(folder / name).read_text("utf-8") for name in (RELEASED, "schema.graphql")]
        lost = broken(*map(build_schema, texts))
        sys.exit("\n".join(lost) or None)
