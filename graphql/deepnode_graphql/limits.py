"""Limits: what a query may ask for, decided before anything is read.

A query's cost is how many values its answer may hold: a field counts once for each row that it is in, and the rows of
a list are the ``first`` or ``last`` that was asked for. Cost and depth are made in one pass over the document in which
each fragment is looked at once, so that fragments which spread fragments cannot make the check itself expensive.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
)

from deepnode_graphql.connections import FIRST_DEFAULT
from deepnode_ledger.errors import BadInput

TOKENS_MAX: Final = 2_000
COMMENTS_MAX: Final = 500
CHARACTERS_MAX: Final = 100_000
DEPTH_MAX: Final = 20
COST_MAX: Final = 100_000
ALIASES_MAX: Final = 60
SELECTIONS_MAX: Final = 60
FRAGMENTS_MAX: Final = 20
"""Validation compares selections that stand side by side, and fragments, each with each."""

ROWS_OF_A_PLAIN_LIST: Final = 4
"""Rows that a list without ``first`` counts for, such as the postings of an entry."""

WEIGHTS: Final[Mapping[tuple[str, str], int]] = {
    # These read more than a row.
    ("Meta", "stateRoot"): 2_000,
    ("Asset", "totalSupply"): 20,
    ("Asset", "totalSupplyFormatted"): 20,
    ("Holder", "balances"): 100,
    ("Holder", "accounts"): 100,
    ("Query", "logEntry"): 500,
    ("Query", "logEntries"): 500,
}

ROOT_FIELD_WEIGHT: Final = 100
"""Each root field is at least a statement for the database."""


class LimitExceeded(BadInput):
    """A query asks for more than one request may."""


@dataclass(frozen=True, slots=True)
class _Weight:
    depth: int
    cost: int


_NOTHING: Final = _Weight(0, 0)


def check(schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode, variables: Any) -> int:
    """Check a parsed query, which need not be valid yet, and return its cost.

    Raises:
        LimitExceeded: too deep, too costly, or too many aliases; the message names the figure and the limit.
    """
    fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
    if len(fragments) > FRAGMENTS_MAX:
        raise LimitExceeded(f"the query has {len(fragments)} fragments, {FRAGMENTS_MAX} are allowed")
    given = variables if isinstance(variables, Mapping) else {}
    weigher = _Weigher(schema, fragments, given, _defaults(operation))
    weight = weigher.selections(operation.selection_set, schema.get_root_type(operation.operation), 0)
    if weight.depth > DEPTH_MAX:
        raise LimitExceeded(f"the query is {weight.depth} fields deep, {DEPTH_MAX} are allowed")
    if weigher.aliases > ALIASES_MAX:
        raise LimitExceeded(f"the query has {weigher.aliases} aliases, {ALIASES_MAX} are allowed")
    if weight.cost > COST_MAX:
        raise LimitExceeded(
            f"the query may answer with {weight.cost} values, {COST_MAX} are allowed: ask for fewer rows with `first`"
        )
    return weight.cost


class _Weigher:
    def __init__(
        self,
        schema: GraphQLSchema,
        fragments: Mapping[str, FragmentDefinitionNode],
        variables: Mapping[str, Any],
        defaults: Mapping[str, Any],
    ) -> None:
        self.aliases = 0
        self._schema = schema
        self._fragments = fragments
        self._variables = variables
        self._defaults = defaults
        self._known: dict[str, _Weight] = {}

    def selections(self, selections: SelectionSetNode, parent: Any, nesting: int) -> _Weight:
        # Spreads do not deepen the answer, but they do deepen this walk and every later one.
        if nesting > 4 * DEPTH_MAX:
            raise LimitExceeded(f"the query nests more than {4 * DEPTH_MAX} selections and fragments")
        if len(selections.selections) > SELECTIONS_MAX:
            raise LimitExceeded(
                f"{len(selections.selections)} selections stand side by side, {SELECTIONS_MAX} are allowed"
            )
        depth, cost = 0, 0
        for selection in selections.selections:
            weight = _NOTHING
            if isinstance(selection, FieldNode):
                weight = self._field(selection, parent, nesting)
            elif isinstance(selection, InlineFragmentNode):
                condition = selection.type_condition
                inner = parent if condition is None else self._schema.get_type(condition.name.value)
                weight = self.selections(selection.selection_set, inner, nesting + 1)
            elif isinstance(selection, FragmentSpreadNode):
                weight = self._fragment(selection.name.value, nesting)
            depth, cost = max(depth, weight.depth), cost + weight.cost
        return _Weight(depth, cost)

    def _fragment(self, name: str, nesting: int) -> _Weight:
        known = self._known.get(name)
        fragment = self._fragments.get(name)
        if known is None and fragment is not None:
            # A fragment that spreads itself finds nothing here; validation reports it.
            self._known[name] = _NOTHING
            inner = self._schema.get_type(fragment.type_condition.name.value)
            known = self._known[name] = self.selections(fragment.selection_set, inner, nesting + 1)
        return known or _NOTHING

    def _field(self, node: FieldNode, parent: Any, nesting: int) -> _Weight:
        self.aliases += node.alias is not None
        name = node.name.value
        known = isinstance(parent, GraphQLObjectType | GraphQLInterfaceType)
        field: GraphQLField | None = parent.fields.get(name) if known else None
        parent_name = parent.name if known else ""
        cost = WEIGHTS.get((parent_name, name), 1)
        if parent is self._schema.query_type and not name.startswith("__"):
            cost += ROOT_FIELD_WEIGHT
        if node.selection_set is None:
            return _Weight(1, cost)
        inner = get_named_type(field.type) if field is not None else self._introspection(name)
        below = self.selections(node.selection_set, inner, nesting + 1)
        return _Weight(1 + below.depth, cost + self._rows(node, field, parent_name) * below.cost)

    def _introspection(self, name: str) -> Any:
        # Its fields are weighed by name alone; how deep it may go is a rule of the validation.
        return self._schema.get_type(name)

    def _rows(self, node: FieldNode, field: GraphQLField | None, parent_name: str) -> int:
        if field is not None and "first" in field.args:
            return self._first(node)
        # A connection's edges are counted at the connection, and a list of the schema's own description is short.
        if field is None or parent_name.endswith("Connection") or parent_name.startswith("__"):
            return 1
        kind = field.type.of_type if isinstance(field.type, GraphQLNonNull) else field.type
        return ROWS_OF_A_PLAIN_LIST if isinstance(kind, GraphQLList) else 1

    def _first(self, node: FieldNode) -> int:
        sizes = []
        for argument in node.arguments or ():
            if argument.name.value in ("first", "last"):
                value: Any = None
                if isinstance(argument.value, IntValueNode):
                    value = int(argument.value.value[:9])
                elif isinstance(argument.value, VariableNode):
                    name = argument.value.name.value
                    value = self._variables.get(name, self._defaults.get(name))
                # What is no number is refused by validation; what is negative, by the list itself.
                if type(value) is int:
                    sizes.append(max(value, 0))
        return max(sizes, default=FIRST_DEFAULT)


def _defaults(operation: OperationDefinitionNode) -> dict[str, Any]:
    return {
        each.variable.name.value: int(each.default_value.value[:9])
        for each in operation.variable_definitions or ()
        if isinstance(each.default_value, IntValueNode)
    }
