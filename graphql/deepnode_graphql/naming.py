"""What the schema takes from the code: names by one rule, and descriptions out of the docstrings.

A docstring's first paragraph describes a type or a field, and its ``Attributes:`` describe the plain fields and the
values of an enum, so that what is said of a thing is said in one place.
"""

import inspect
import re
from typing import Any, Final

from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLNamedType, GraphQLObjectType, GraphQLSchema
from strawberry.schema.name_converter import NameConverter
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.utils.str_converters import to_camel_case
from typing_extensions import override

BACK_REFERENCE: Final = GraphQLCoreConverter.DEFINITION_BACKREF

_COMPARISON = re.compile(r"^(?P<name>\w+?)(?P<comparison>_(?:in|gt|gte|lt|lte))$")
_ATTRIBUTE = re.compile(r"^ {4}(?P<name>\w+): (?P<text>.*)$")


class Names(NameConverter):
    """``transaction_hash`` is transactionHash; the comparison behind a filter's name stays: position_gte."""

    @override
    def apply_naming_config(self, name: str) -> str:
        found = _COMPARISON.match(name)
        if found is None:
            return super().apply_naming_config(name)
        return to_camel_case(found["name"]) + found["comparison"]


def describe(schema: GraphQLSchema) -> None:
    """Put the docstrings into a schema as its descriptions."""
    for named in schema.type_map.values():
        definition = named.extensions.get(BACK_REFERENCE)
        origin = getattr(definition, "origin", None) or getattr(definition, "wrapped_cls", None)
        if origin is None or isinstance(definition, type):
            continue
        if isinstance(named, GraphQLObjectType | GraphQLInputObjectType | GraphQLEnumType):
            _describe_type(named, inspect.getdoc(origin) or "")


def _describe_type(named: GraphQLNamedType, docstring: str) -> None:
    named.description = named.description or _first_paragraph(docstring)
    attributes = _attributes(docstring)
    if isinstance(named, GraphQLEnumType):
        for name, value in named.values.items():
            value.description = value.description or attributes.get(name)
        return
    assert isinstance(named, GraphQLObjectType | GraphQLInputObjectType), named
    for field in named.fields.values():
        definition: Any = field.extensions.get(BACK_REFERENCE)
        resolver = getattr(definition, "base_resolver", None)
        of_code = _first_paragraph(inspect.getdoc(resolver.wrapped_func) or "") if resolver is not None else None
        field.description = field.description or of_code or attributes.get(getattr(definition, "python_name", ""))


def _first_paragraph(docstring: str) -> str | None:
    return " ".join(docstring.partition("\n\n")[0].split()) or None


def _attributes(docstring: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in docstring.partition("Attributes:\n")[2].splitlines():
        if match := _ATTRIBUTE.match(line):
            found[match["name"]] = match["text"][:1].upper() + match["text"][1:]
    return found
