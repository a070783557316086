"""Introspection: what a question about the schema itself weighs.

Every tool asks the same question first, and it asks for tens of thousands of values. Who asks for no more than that is
answered; other questions are weighed as all queries are, each list by its length in this schema. Without that a few
levels of types in types would be an answer without end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias

from graphql import (
    BooleanValueNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_introspection_query,
    get_named_type,
    parse,
)

ROOTS: Final[Mapping[str, str]] = {"__schema": "__Schema", "__type": "__Type"}

Tree: TypeAlias = dict[str, "Tree"]
"""Fields by their name, each with the fields below it."""


@dataclass(frozen=True, slots=True)
class Introspection:
    """How large the lists are that describe a schema, and what the usual question asks for."""

    schema: GraphQLSchema
    lengths: Mapping[tuple[str, str], int]
    usual: Tree

    def root(self, name: str) -> Any:
        """Return the type of the root field ``__schema`` or ``__type``; None for another name."""
        return self.schema.get_type(ROOTS.get(name, ""))

    def rows(self, parent: str, name: str) -> int:
        """Return for how many rows a field counts, in the type that is called ``parent``."""
        return self.lengths.get(("" if name in ROOTS else parent, name), 1)

    def is_usual(self, selections: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode]) -> bool:
        """Say whether a query asks the schema for no more than the usual question does, and nothing else."""
        return _Comparison(fragments).within(selections, self.usual)


@lru_cache(maxsize=8)
def introspection_of(schema: GraphQLSchema) -> Introspection:
    """Measure a schema, once."""
    types = list(schema.type_map.values())
    fields = [field for named in types for field in _fields(named).values()]
    inputs = [each for named in types for each in _input_fields(named).values()]
    inputs += [each for field in fields for each in field.args.values()]
    of_fields, of_inputs = ([get_named_type(each.type) for each in named] for named in (fields, inputs))
    lengths = {
        ("__Schema", "types"): len(types),
        ("__Schema", "directives"): len(schema.directives),
        ("__Directive", "args"): 2,
        ("__Directive", "locations"): 8,
        ("__Field", "args"): _mean([field.args for field in fields]),
        ("__Type", "possibleTypes"): 2,
    }
    for name, members, met in (
        ("fields", _fields, of_fields),
        ("inputFields", _input_fields, of_inputs),
        ("enumValues", _enum_values, of_inputs),
    ):
        # A type may be met in the list of all, or as the type of something.
        lengths["__Type", name] = max(_mean([members(each) for each in types]), _mean([members(each) for each in met]))
    # A type that is asked for by its name may be the largest one: it counts for as many as it is larger than the mean.
    largest = max(len(_fields(each)) for each in types)
    lengths["", "__type"] = 1 + largest // lengths["__Type", "fields"]
    return Introspection(schema, lengths, _usual())


def _mean(lists: Sequence[Mapping[str, Any]]) -> int:
    return 1 + sum(map(len, lists)) // max(1, len(lists))


def _fields(named: GraphQLNamedType) -> Mapping[str, Any]:
    return named.fields if isinstance(named, GraphQLObjectType) else {}


def _input_fields(named: GraphQLNamedType) -> Mapping[str, Any]:
    return named.fields if isinstance(named, GraphQLInputObjectType) else {}


def _enum_values(named: GraphQLNamedType) -> Mapping[str, Any]:
    return named.values if isinstance(named, GraphQLEnumType) else {}


def _usual() -> Tree:
    document = parse(
        get_introspection_query(
            descriptions=True,
            specified_by_url=True,
            directive_is_repeatable=True,
            schema_description=True,
            input_value_deprecation=True,
            experimental_directive_deprecation=True,
            one_of=True,
            type_depth=12,
        )
    )
    fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
    [operation] = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    return {"__typename": {}, **_tree(operation.selection_set, fragments)}


def _tree(selections: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode]) -> Tree:
    tree: Tree = {}
    for each in selections.selections:
        if isinstance(each, FieldNode):
            below = _tree(each.selection_set, fragments) if each.selection_set else {}
            tree[each.name.value] = {**below, "__typename": {}} if below else {}
        elif isinstance(each, FragmentSpreadNode):
            tree |= _tree(fragments[each.name.value].selection_set, fragments)
    return tree


class _Comparison:
    """Compares selections with a tree; a fragment once at each place of the tree."""

    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        self._fragments = fragments
        self._known: dict[tuple[str, int], bool] = {}

    def within(self, selections: SelectionSetNode, tree: Tree) -> bool:
        return all(self._one(each, tree) for each in selections.selections)

    def _one(self, selection: Any, tree: Tree) -> bool:
        if selection.directives:
            return False
        if isinstance(selection, FieldNode):
            below = tree.get(selection.name.value)
            # An alias would ask for the same thing more than once.
            if below is None or selection.alias is not None:
                return False
            if any(not isinstance(each.value, BooleanValueNode) for each in selection.arguments or ()):
                return False
            return selection.selection_set is None or self.within(selection.selection_set, below)
        if isinstance(selection, InlineFragmentNode):
            return self.within(selection.selection_set, tree)
        assert isinstance(selection, FragmentSpreadNode), selection
        name = selection.name.value
        key = (name, id(tree))
        if key not in self._known:
            # A fragment that spreads itself is refused by validation.
            self._known[key] = False
            fragment = self._fragments.get(name)
            self._known[key] = fragment is not None and self.within(fragment.selection_set, tree)
        return self._known[key]


def is_introspection_alone(selections: SelectionSetNode) -> bool:
    """Say whether an operation names nothing but fields of introspection at its root, without a fragment."""
    fields = selections.selections
    return all(isinstance(each, FieldNode) and each.name.value.startswith("__") for each in fields)
