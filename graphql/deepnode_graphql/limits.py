"""Limits: what a query may ask for, decided before anything is read.

A query's cost is how many values its answer may hold: a field counts once for each row that it is in, and the rows of
a list are the ``first`` or ``last`` that was asked for. Cost and depth are made in one pass over the document in which
each fragment is looked at once, so that fragments which spread fragments cannot make the check itself expensive. What
the pass finds is kept with the document: only what depends on variables is computed for each request.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
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
from deepnode_graphql.introspection import Introspection, introspection_of
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

INTROSPECTION_MAX: Final = 20_000
"""What a question about the schema may cost that asks for more than tools do."""

MISTAKES_MAX: Final = 20
"""So many mistakes of a document are looked for; more help nobody."""

VARIABLE_VALUES_MAX: Final = 10_000
VARIABLE_DEPTH_MAX: Final = 60
"""Each value in the variables is checked against its type, a level of the check for a level of nesting."""

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
    ("Query", "search"): 1_000,
    ("Network", "nodes"): 500,
    ("Network", "models"): 500,
    ("Network", "stakers"): 500,
    ("Network", "staked"): 500,
    ("*", "totalCount"): 50,
    ("*", "logEntry"): 100,
    ("*", "explanation"): 3_000,
}
"""By type and field; under ``*`` of every type that has such a field."""

ROOT_FIELD_WEIGHT: Final = 100
"""Each root field is at least a statement for the database."""


class LimitExceeded(BadInput):
    """A query asks for more than one request may."""


def check(schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode, variables: Any) -> int:
    """Check a parsed query, which need not be valid yet, and return its cost.

    Raises:
        LimitExceeded: too deep, too costly, or too many aliases or variables; the message names figure and limit.
    """
    return weigh(schema, document, operation).check(variables)


def weigh(schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode) -> "Weight":
    """Look once at an operation, as far as it does not depend on variables.

    Raises:
        LimitExceeded: too deep, or too many aliases, fragments or selections; the message names figure and limit.
    """
    fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
    if len(fragments) > FRAGMENTS_MAX:
        raise LimitExceeded(f"the query has {len(fragments)} fragments, {FRAGMENTS_MAX} are allowed")
    introspection = introspection_of(schema)
    weigher = _Weigher(schema, introspection, fragments)
    amount = weigher.selections(operation.selection_set, schema.get_root_type(operation.operation), 0)
    if weigher.aliases > ALIASES_MAX:
        raise LimitExceeded(f"the query has {weigher.aliases} aliases, {ALIASES_MAX} are allowed")
    if amount.depth > DEPTH_MAX:
        raise LimitExceeded(f"the query is {amount.depth} fields deep, {DEPTH_MAX} are allowed")
    if introspection.is_usual(operation.selection_set, fragments):
        # What every tool asks first is answered whatever it costs.
        return Weight(_Amount(min(amount.fixed, COST_MAX), amount.depth), usual_introspection=True)
    if weigher.introspection > INTROSPECTION_MAX:
        raise LimitExceeded(
            f"the query may answer with {weigher.introspection} values of the schema, {INTROSPECTION_MAX} are allowed "
            "but for what tools ask: there is /schema.graphql"
        )
    return Weight(amount, _defaults(operation))


@dataclass(frozen=True, slots=True)
class _Amount:
    """A cost: the sum of ``fixed`` and of rows times a cost, for each of ``parts``; at ``depth`` fields.

    ``once`` is what stands in a list beside its rows, such as their count: it costs that much for any number of rows.
    """

    fixed: int
    depth: int
    parts: tuple[tuple[tuple[int | str, ...], "_Amount"], ...] = ()
    """What depends on a variable: the sizes asked for (numbers, or names of variables), and the cost of a row."""

    once: int = 0

    def times(self, rows: tuple[int | str, ...], own: int) -> "_Amount":
        """The cost of a field that costs ``own`` and has so many rows of this."""
        depth = self.depth + 1
        if self.parts or any(isinstance(each, str) for each in rows):
            return _Amount(own + self.once, depth, ((rows, self),))
        return _Amount(own + self.once + _largest(rows, {}) * self.fixed, depth)

    def beside_rows(self) -> "_Amount":
        """The same, of a field that stands in a list beside its rows."""
        return self if self.parts else _Amount(0, self.depth, once=self.fixed)

    def worth(self, values: Mapping[str, Any], known: dict[int, int]) -> int:
        """The cost with these variables. ``known`` is what was computed before: fragments share their parts."""
        worth = known.get(id(self))
        if worth is None:
            parts = (_largest(rows, values) * each.worth(values, known) for rows, each in self.parts)
            worth = known[id(self)] = self.fixed + sum(parts)
        return worth


_NOTHING: Final = _Amount(0, 0)
_ONE_ROW: Final = (1,)


@dataclass(frozen=True, slots=True)
class Weight:
    """What an operation asks for. ``usual_introspection`` if it asks for no more than tools do of any schema."""

    amount: _Amount
    defaults: Mapping[str, int] = field(default_factory=dict)
    usual_introspection: bool = False

    def check(self, variables: Any) -> int:
        """Return the cost with these variables.

        Raises:
            LimitExceeded: too costly, or too many variables; the message names figure and limit.
        """
        given = variables if isinstance(variables, Mapping) else {}
        check_size(given)
        cost = self.amount.worth({**self.defaults, **given}, {}) if self.amount.parts else self.amount.fixed
        if cost > COST_MAX:
            raise LimitExceeded(
                f"the query may answer with {cost} values, {COST_MAX} are allowed: ask for fewer rows with `first`"
            )
        return cost


def check_size(variables: Mapping[str, Any]) -> None:
    """Check how much the variables hold, before each value of them is checked against its type.

    Raises:
        LimitExceeded: too many values, or nested too deep.
    """
    values, level, depth = 0, list(variables.values()), 0
    while level:
        values, depth = values + len(level), depth + 1
        if values > VARIABLE_VALUES_MAX:
            raise LimitExceeded(f"the variables have more than {VARIABLE_VALUES_MAX} values")
        if depth > VARIABLE_DEPTH_MAX:
            raise LimitExceeded(f"the variables are nested more than {VARIABLE_DEPTH_MAX} deep")
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below += value.values()
            elif isinstance(value, list):
                below += value
        level = below


class _Weigher:
    def __init__(
        self, schema: GraphQLSchema, introspection: Introspection, fragments: Mapping[str, FragmentDefinitionNode]
    ) -> None:
        self.aliases = 0
        self.introspection = 0
        self._schema = schema
        self._introspection = introspection
        self._fragments = fragments
        self._known: dict[str, _Amount] = {}

    def selections(self, selections: SelectionSetNode, parent: Any, nesting: int) -> _Amount:
        # Spreads do not deepen the answer, but they do deepen this walk and every later one.
        if nesting > 4 * DEPTH_MAX:
            raise LimitExceeded(f"the query nests more than {4 * DEPTH_MAX} selections and fragments")
        if len(selections.selections) > SELECTIONS_MAX:
            raise LimitExceeded(
                f"{len(selections.selections)} selections stand side by side, {SELECTIONS_MAX} are allowed"
            )
        depth, fixed, once, parts = 0, 0, 0, []
        for selection in selections.selections:
            amount = _NOTHING
            if isinstance(selection, FieldNode):
                amount = self._field(selection, parent, nesting)
            elif isinstance(selection, InlineFragmentNode):
                condition = selection.type_condition
                inner = parent if condition is None else self._schema.get_type(condition.name.value)
                amount = self.selections(selection.selection_set, inner, nesting + 1)
            elif isinstance(selection, FragmentSpreadNode):
                amount = self._fragment(selection.name.value, nesting)
            depth, fixed, once = max(depth, amount.depth), fixed + amount.fixed, once + amount.once
            if amount.parts:
                # As one part, which a fragment shares among all its spreads.
                parts.append((_ONE_ROW, _Amount(0, 0, amount.parts)) if len(amount.parts) > 1 else amount.parts[0])
        return _Amount(fixed, depth, tuple(parts), once)

    def _fragment(self, name: str, nesting: int) -> _Amount:
        known = self._known.get(name)
        fragment = self._fragments.get(name)
        if known is None and fragment is not None:
            # A fragment that spreads itself finds nothing here; validation reports it.
            self._known[name] = _NOTHING
            inner = self._schema.get_type(fragment.type_condition.name.value)
            made = self.selections(fragment.selection_set, inner, nesting + 1)
            # Its parts are one, so that who spreads it many times shares what is computed for it.
            shared = ((_ONE_ROW, _Amount(0, 0, made.parts)),) if made.parts else ()
            known = self._known[name] = _Amount(made.fixed, made.depth, shared, made.once)
        return known or _NOTHING

    def _field(self, node: FieldNode, parent: Any, nesting: int) -> _Amount:
        self.aliases += node.alias is not None
        name = node.name.value
        known = isinstance(parent, GraphQLObjectType | GraphQLInterfaceType)
        found: GraphQLField | None = parent.fields.get(name) if known else None
        parent_name = parent.name if known else ""
        cost = WEIGHTS.get((parent_name, name)) or WEIGHTS.get(("*", name), 1)
        if parent is self._schema.query_type and not name.startswith("__"):
            cost += ROOT_FIELD_WEIGHT
        beside_rows = parent_name.endswith("Connection") and name != "edges"
        if node.selection_set is None:
            amount = _Amount(cost, 1)
            return amount.beside_rows() if beside_rows else amount
        inner = get_named_type(found.type) if found is not None else self._introspection.root(name)
        below = self.selections(node.selection_set, inner, nesting + 1)
        amount = below.times(self._rows(node, found, parent_name), cost)
        if found is None and inner is not None:
            # Asked for again under the same name it is answered once, so each place in the document counts once.
            self.introspection += amount.fixed
        return amount.beside_rows() if beside_rows else amount

    def _rows(self, node: FieldNode, found: GraphQLField | None, parent_name: str) -> tuple[int | str, ...]:
        if found is not None and "first" in found.args:
            return _sizes(node)
        name = node.name.value
        if name.startswith("__") or parent_name.startswith("__"):
            return (self._introspection.rows(parent_name, name),)
        # A connection's edges are counted at the connection.
        if found is None or parent_name.endswith("Connection"):
            return _ONE_ROW
        kind = found.type.of_type if isinstance(found.type, GraphQLNonNull) else found.type
        return (ROWS_OF_A_PLAIN_LIST,) if isinstance(kind, GraphQLList) else _ONE_ROW


def _sizes(node: FieldNode) -> tuple[int | str, ...]:
    sizes: list[int | str] = []
    for argument in node.arguments or ():
        if argument.name.value in ("first", "last"):
            if isinstance(argument.value, IntValueNode):
                sizes.append(int(argument.value.value[:9]))
            elif isinstance(argument.value, VariableNode):
                sizes.append(argument.value.name.value)
    return tuple(sizes) or (FIRST_DEFAULT,)


def _largest(rows: tuple[int | str, ...], values: Mapping[str, Any]) -> int:
    given = [values.get(each) if isinstance(each, str) else each for each in rows]
    # What is no number is refused by validation; what is negative, by the list itself.
    return max((max(each, 0) for each in given if type(each) is int), default=FIRST_DEFAULT)


def _defaults(operation: OperationDefinitionNode) -> dict[str, int]:
    return {
        each.variable.name.value: int(each.default_value.value[:9])
        for each in operation.variable_definitions or ()
        if isinstance(each.default_value, IntValueNode)
    }
