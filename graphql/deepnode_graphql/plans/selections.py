"""What a query selects, with fragments and directives worked out: the library's own rules, applied once a document."""

from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    VariableNode,
    Visitor,
    get_named_type,
    visit,
)
from graphql.execution.collect_fields import FieldDetails, FragmentDetails, collect_fields, collect_subfields
from graphql.execution.values import VariableValues
from graphql.language import DirectiveNode

from deepnode_graphql.plans.marks import Unsupported
from deepnode_graphql.plans.nodes import Branch, Leaf, Node
from deepnode_graphql.plans.output import Writer, constant, objects

TYPE_NAME = "__typename"

FIELDS_MAX = 1_000
"""Fields that are worked out of one operation: fragments in fragments can stand for far more than they look."""

Fields = dict[str, list[FieldDetails]]
"""Selections by their keys in the answer; those of one key are of one field."""


@dataclass(frozen=True, slots=True)
class Selector:
    """Works out selections of one operation, with the values of its directives' variables."""

    schema: GraphQLSchema
    document: DocumentNode
    operation: OperationDefinitionNode
    variables: VariableValues
    met: list[int] = field(default_factory=lambda: [0])

    def of_root(self) -> Fields:
        """Return the root fields."""
        root = self.schema.query_type
        assert root is not None
        found = collect_fields(self.schema, self._fragments(), self.variables, root, self.operation)
        return self._taken(found)

    def below(self, of: GraphQLObjectType, details: list[FieldDetails]) -> Fields:
        """Return the fields that are selected of an object."""
        found = collect_subfields(self.schema, self._fragments(), self.variables, self.operation, of, details)
        return self._taken(found)

    def type_of(self, parent: GraphQLObjectType, name: str) -> GraphQLObjectType:
        """Return the type of the objects that a field leads to."""
        found = get_named_type(parent.fields[name].type)
        if not isinstance(found, GraphQLObjectType):
            raise Unsupported
        return found

    def object(self, of: GraphQLObjectType, node: Node, details: list[FieldDetails]) -> tuple[Writer, set[str]]:
        """Return what writes an object of a row, and the columns that it needs.

        Raises:
            Unsupported: a field is asked for that the row does not hold.
        """
        writers: dict[str, Writer] = {}
        columns: set[str] = set()
        for key, fields in self.below(of, details).items():
            name = name_of(fields)
            if name == TYPE_NAME:
                writers[key] = constant(of.name)
                continue
            found = node.get(name)
            if isinstance(found, Leaf):
                writers[key] = found.writer
                columns |= {*found.columns}
            elif isinstance(found, Branch):
                writers[key], needed = self.object(self.type_of(of, name), found.fields, fields)
                columns |= needed
            else:
                raise Unsupported
        if not writers:
            return lambda page: [{} for _ in range(page.count)], columns
        return objects(writers), columns

    def _taken(self, found: Any) -> Fields:
        if found.new_defer_usages or found.forbidden_directive_instances:
            raise Unsupported
        self.met[0] += len(found.grouped_field_set)
        if self.met[0] > FIELDS_MAX:
            raise Unsupported
        return dict(found.grouped_field_set)

    def _fragments(self) -> dict[str, FragmentDetails]:
        return {
            each.name.value: FragmentDetails(each)
            for each in self.document.definitions
            if isinstance(each, FragmentDefinitionNode)
        }


def name_of(fields: list[FieldDetails]) -> str:
    """Return the name of the field that selections of one key are of."""
    return fields[0].node.name.value


class _Variables(Visitor):
    """Gathers the names of variables by where they stand."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.found.add(node.name.value)


def variables_in(*nodes: Any) -> set[str]:
    """Return the names of the variables that stand anywhere in some nodes."""
    visitor = _Variables()
    for node in nodes:
        visit(node, visitor)
    return visitor.found


class _Directives(Visitor):
    """Gathers the variables of directives."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def enter_directive(self, node: DirectiveNode, *_: Any) -> None:
        self.found |= variables_in(node)


def deciding_variables(document: DocumentNode) -> tuple[str, ...]:
    """Return the names of the variables that decide what is selected, in their order."""
    visitor = _Directives()
    visit(document, visitor)
    return tuple(sorted(visitor.found))
