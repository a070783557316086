"""Walking: an operation's resolvers, called in the library's order without its executor's work on each value.

What no statement of a plan answers (relations, histories, counts, the log) is still worked out once a document: which
field is an attribute, which has a resolver and with what arguments, how a value is written. Whatever is not as usual
(an error, a null where there is none) ends the walk, and the library's executor goes the same way again.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Final

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLLeafType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    Undefined,
    is_leaf_type,
)
from graphql.execution.collect_fields import FieldDetails
from graphql.execution.values import VariableValues, get_argument_values
from strawberry.types.arguments import convert_arguments
from strawberry.types.field import StrawberryField

from deepnode_graphql.naming import BACK_REFERENCE
from deepnode_graphql.plans.marks import Unsupported
from deepnode_graphql.plans.selections import TYPE_NAME, Selector, name_of
from deepnode_graphql.reading import Reading
from deepnode_graphql.schema import LedgerSchema

DEPTH_MAX: Final = 40


@dataclass(frozen=True, slots=True)
class _Info:
    """What resolvers look at of the library's object of that name."""

    context: Reading


@dataclass(slots=True)
class Walk:
    """One request on its way: its variables, and the arguments of the fields that were met."""

    variables: VariableValues
    info: Any
    arguments: dict[int, dict[str, Any]] = field(default_factory=dict)


Read = Callable[[Any, Walk], Any]
"""Takes an object and returns the value of one of its fields, written for the answer."""

Write = Callable[[Any, Walk], Any]
"""Takes a value and returns how it is written; None is null."""


@dataclass(frozen=True, slots=True)
class Path:
    """The way through an operation."""

    write: Write

    def data(self, variables: VariableValues, reading: Reading) -> dict[str, Any]:
        """Return the data of the answer.

        Raises:
            Unsupported: something is not as usual.
            Exception: what a resolver raises.
        """
        found: dict[str, Any] = self.write(None, Walk(variables, _Info(reading)))
        return found


def find_path(schema: LedgerSchema, selector: Selector) -> Path:
    """Work out an operation.

    Raises:
        Unsupported: it has fields that are not resolved in the usual way.
    """
    query = schema.core.query_type
    assert query is not None
    return Path(_Finder(schema, selector).object(query, selector.of_root(), 0, of_root=True))


@dataclass(slots=True)
class _Finder:
    schema: LedgerSchema
    selector: Selector
    number: int = 0

    def object(self, of: GraphQLObjectType, fields: Any, depth: int, *, of_root: bool = False) -> Write:
        if depth > DEPTH_MAX:
            raise Unsupported
        parts = tuple((key, self._field(of, details, depth)) for key, details in fields.items())

        def write(source: Any, walk: Walk) -> Any:
            return {key: read(source, walk) for key, read in parts}

        if of_root:
            return write
        return lambda source, walk: None if source is None else write(source, walk)

    def _field(self, of: GraphQLObjectType, details: list[FieldDetails], depth: int) -> Read:
        name = name_of(details)
        if name == TYPE_NAME:
            return lambda _source, _walk: of.name
        definition = of.fields.get(name)
        own = None if definition is None else definition.extensions.get(BACK_REFERENCE)
        if definition is None or not isinstance(own, StrawberryField) or own.extensions or own.is_async:
            raise Unsupported
        write = self._value(definition.type, details, depth)
        if own.base_resolver is not None:
            return self._resolved(own, definition, details, write)
        attribute = own.python_name
        return lambda source, walk: write(getattr(source, attribute), walk)

    def _resolved(
        self, own: StrawberryField, definition: GraphQLField, details: list[FieldDetails], write: Write
    ) -> Read:
        resolver = own.base_resolver
        assert resolver is not None
        call: Any = resolver.wrapped_func
        number = self.number = self.number + 1
        registry, config = self.schema.schema_converter.scalar_registry, self.schema.config
        of_source = [each.name for each in (resolver.parent_parameter, resolver.root_parameter) if each]
        of_info = [each.name for each in (resolver.info_parameter,) if each]
        positional = bool(resolver.self_parameter)

        def read(source: Any, walk: Walk) -> Any:
            given = walk.arguments.get(number)
            if given is None:
                coerced = get_argument_values(definition, details[0].node, walk.variables, None, hide_suggestions=True)
                given = convert_arguments(coerced, own.arguments, registry, config)
                given |= dict.fromkeys(of_info, walk.info)
                walk.arguments[number] = given
            if of_source:
                given = {**given, **dict.fromkeys(of_source, source)}
            return write(call(source, **given) if positional else call(**given), walk)

        return read

    def _value(self, of: Any, details: list[FieldDetails], depth: int) -> Write:
        if isinstance(of, GraphQLNonNull):
            return _never_null(self._value(of.of_type, details, depth))
        if isinstance(of, GraphQLList):
            return _list(self._value(of.of_type, details, depth + 1))
        if is_leaf_type(of):
            return _leaf(of)
        if not isinstance(of, GraphQLObjectType):
            raise Unsupported
        return self.object(of, self.selector.below(of, details), depth + 1)


def _never_null(write: Write) -> Write:
    def written(value: Any, walk: Walk) -> Any:
        found = write(value, walk)
        if found is None:
            raise Unsupported
        return found

    return written


def _list(write: Write) -> Write:
    def written(values: Any, walk: Walk) -> Any:
        if values is None:
            return None
        if not isinstance(values, list | tuple):
            raise Unsupported
        return [write(each, walk) for each in values]

    return written


def _leaf(of: GraphQLLeafType) -> Write:
    coerce = of.coerce_output_value

    def written(value: Any, _walk: Walk) -> Any:
        if value is None:
            return None
        found = coerce(value)
        if found is None or found is Undefined:
            raise Unsupported
        return found

    if not isinstance(of, GraphQLEnumType):
        return written
    known: dict[Hashable, Any] = {}

    def remembered(value: Any, walk: Walk) -> Any:
        try:
            return known[value]
        except KeyError:
            found = known[value] = written(value, walk)
            return found

    return remembered
