"""Descriptions: objects that are made of the moment and the checkpoint alone, without a statement (``_meta``)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLField, GraphQLLeafType, GraphQLObjectType, get_named_type, is_leaf_type
from graphql.execution.collect_fields import FieldDetails
from graphql.execution.values import VariableValues, get_argument_values
from graphql.language import FieldNode

from deepnode_graphql.moments import Moment
from deepnode_graphql.naming import BACK_REFERENCE
from deepnode_graphql.plans.marks import Unsupported
from deepnode_graphql.plans.selections import TYPE_NAME, Selector, name_of
from deepnode_graphql.reading import Reading
from deepnode_graphql.reads.meta import read_meta

Write = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Described:
    """A root field that describes a moment."""

    definition: GraphQLField
    node: FieldNode
    write: Write

    def arguments(self, variables: VariableValues) -> dict[str, Any]:
        """Return the field's arguments.

        Raises:
            GraphQLError: they do not fit.
        """
        return get_argument_values(self.definition, self.node, variables)

    def value(self, reading: Reading, moment: Moment) -> Any:
        """Make the field's value."""
        return self.write(read_meta(reading, moment))


def describe(
    selector: Selector, of: GraphQLObjectType, definition: GraphQLField, details: list[FieldDetails]
) -> Described:
    """Work out what is selected.

    Raises:
        Unsupported: a field is asked for that needs a resolver.
    """
    return Described(definition, details[0].node, _object(selector, of, details))


def _object(selector: Selector, of: GraphQLObjectType, details: list[FieldDetails]) -> Write:
    parts: list[tuple[str, str | None, Write]] = []
    for key, fields in selector.below(of, details).items():
        name = name_of(fields)
        if name == TYPE_NAME:
            parts.append((key, None, _always(of.name)))
            continue
        definition = of.fields[name]
        own = definition.extensions.get(BACK_REFERENCE)
        if own is None or own.base_resolver is not None or own.extensions:
            raise Unsupported
        kind = get_named_type(definition.type)
        parts.append((key, own.python_name, _leaf(kind) if is_leaf_type(kind) else _branch(selector, kind, fields)))

    def write(value: Any) -> Any:
        if value is None:
            return None
        return {key: of_field(value if name is None else getattr(value, name)) for key, name, of_field in parts}

    return write


def _always(name: str) -> Write:
    return lambda _value: name


def _leaf(kind: GraphQLLeafType) -> Write:
    return lambda value: None if value is None else kind.serialize(value)


def _branch(selector: Selector, kind: Any, details: list[FieldDetails]) -> Write:
    if not isinstance(kind, GraphQLObjectType):
        raise Unsupported
    return _object(selector, kind, details)
