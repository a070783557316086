"""Compiling: from a validated document to a plan, or to the word that there is none."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from graphql import (
    DocumentNode,
    GraphQLObjectType,
    OperationDefinitionNode,
    OperationType,
    get_named_type,
    is_list_type,
)
from graphql.execution.collect_fields import FieldDetails
from graphql.execution.values import VariableValues
from graphql.type import GraphQLNonNull

from deepnode_graphql.naming import BACK_REFERENCE
from deepnode_graphql.plans.capturing import Resolver
from deepnode_graphql.plans.described import Described, describe
from deepnode_graphql.plans.marks import Unsupported
from deepnode_graphql.plans.nodes import KEYS, Node
from deepnode_graphql.plans.output import Writer, constant
from deepnode_graphql.plans.roots import Compose, Edges, Info, Root, compose_list, compose_one
from deepnode_graphql.plans.selections import TYPE_NAME, Fields, Selector, name_of, variables_in
from deepnode_graphql.plans.templates import KEY
from deepnode_graphql.schema import LedgerSchema

META: Final = "_meta"
_RECORD: Final = frozenset({"position"})
_INFO: Final = frozenset({"hasNextPage", "hasPreviousPage", "startCursor", "endCursor", TYPE_NAME})


@dataclass(frozen=True, slots=True)
class Plan:
    """What an operation asks for, by the keys of its answer: statements, descriptions of the moment, and texts."""

    keys: tuple[str, ...]
    parts: tuple[Root | Described | str, ...]
    needs_tokens: bool
    """Whether something is said of assets."""


def compile_plan(
    schema: LedgerSchema,
    nodes: Mapping[str, Node],
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: VariableValues,
) -> Plan:
    """Work out what an operation selects, for these values of its directives' variables.

    Raises:
        Unsupported: something is asked for that no statement of a plan answers.
    """
    query = schema.core.query_type
    assert query is not None
    if operation.operation is not OperationType.QUERY:
        raise Unsupported
    selector = Selector(schema.core, document, operation, variables)
    compiler = _Compiler(schema, nodes, selector, query)
    parts = {key: compiler.root(fields) for key, fields in selector.of_root().items()}
    needs_tokens = any(isinstance(part, Root) and "asset_id" in part.columns for part in parts.values())
    return Plan(tuple(parts), tuple(parts.values()), needs_tokens)


@dataclass(frozen=True, slots=True)
class _Compiler:
    schema: LedgerSchema
    nodes: Mapping[str, Node]
    selector: Selector
    query: GraphQLObjectType

    def root(self, details: list[FieldDetails]) -> Root | Described | str:
        name = name_of(details)
        if name == TYPE_NAME:
            return self.query.name
        definition = self.query.fields.get(name)
        if definition is None:
            raise Unsupported
        of = self.selector.type_of(self.query, name)
        strawberry_field = definition.extensions.get(BACK_REFERENCE)
        if strawberry_field is None or strawberry_field.extensions or not strawberry_field.base_resolver:
            raise Unsupported
        if name == META:
            return describe(self.selector, of, definition, details)
        if is_list_type(definition.type.of_type if isinstance(definition.type, GraphQLNonNull) else definition.type):
            raise Unsupported
        edge = get_named_type(of.fields["edges"].type) if "edges" in of.fields else None
        node = get_named_type(edge.fields["node"].type) if isinstance(edge, GraphQLObjectType) else of
        known = self.nodes.get(node.name)
        if known is None or not isinstance(node, GraphQLObjectType):
            raise Unsupported
        columns: set[str] = set()
        if isinstance(edge, GraphQLObjectType):
            compose = self._list(of, edge, known, details, columns)
        else:
            writer, needed = self.selector.object(node, known, details)
            columns |= needed
            compose = compose_one(writer)
        return Root(
            resolver=Resolver(self.schema, strawberry_field),
            definition=definition,
            node=details[0].node,
            columns=tuple(sorted(columns)) or tuple(sorted(KEYS.get(node.name, _RECORD))),
            known_by=KEYS.get(node.name, _RECORD),
            compose=compose,
            is_list=edge is not None,
            is_constant=not variables_in(*(details[0].node.arguments or ())),
        )

    def _list(
        self,
        of: GraphQLObjectType,
        edge: GraphQLObjectType,
        node: Node,
        details: list[FieldDetails],
        columns: set[str],
    ) -> Compose:
        parts: list[tuple[str, Edges | Info | str]] = []
        for key, fields in self.selector.below(of, details).items():
            match name_of(fields):
                case "edges":
                    parts.append((key, self._edges(edge, node, fields, columns)))
                case "pageInfo":
                    parts.append((key, self._info(self.selector.type_of(of, "pageInfo"), fields, columns)))
                case "__typename":
                    parts.append((key, of.name))
                case _:
                    raise Unsupported
        return compose_list(tuple(parts))

    def _edges(self, edge: GraphQLObjectType, node: Node, details: list[FieldDetails], columns: set[str]) -> Edges:
        parts: list[tuple[str, Writer | None]] = []
        for key, fields in self.selector.below(edge, details).items():
            match name_of(fields):
                case "node":
                    writer, needed = self.selector.object(self.selector.type_of(edge, "node"), node, fields)
                    columns |= needed
                    parts.append((key, writer))
                case "cursor":
                    columns.add(KEY)
                    parts.append((key, None))
                case "__typename":
                    parts.append((key, constant(edge.name)))
                case _:
                    raise Unsupported
        return Edges(tuple(parts))

    def _info(self, of: GraphQLObjectType, details: list[FieldDetails], columns: set[str]) -> Info:
        found: Fields = self.selector.below(of, details)
        parts = tuple((key, name_of(fields)) for key, fields in found.items())
        if not _INFO.issuperset(name for _, name in parts):
            raise Unsupported
        if any(name in ("startCursor", "endCursor") for _, name in parts):
            columns.add(KEY)
        return Info(parts, of.name)
