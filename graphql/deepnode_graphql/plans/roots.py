"""Root fields of a plan: each reads by one statement, and writes its part of the answer from the columns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from graphql import GraphQLField
from graphql.execution.values import VariableValues, get_argument_values
from graphql.language import FieldNode

from deepnode_graphql.connections import FIRST_DEFAULT
from deepnode_graphql.cursors import Order
from deepnode_graphql.plans import cursors
from deepnode_graphql.plans.capturing import Resolver
from deepnode_graphql.plans.marks import Unsupported, take_apart
from deepnode_graphql.plans.output import Page, Writer
from deepnode_graphql.plans.templates import Template, make_template
from deepnode_graphql.plans.wire import Ask, Rows

TEMPLATES_MAX: Final = 16
"""Shapes of arguments for which one root field keeps a statement."""

MADE_MAX: Final = 2
"""Statements that are made for one request: each costs some milliseconds, and a later request makes the next ones."""

_CURSORS: Final = ("after", "before")
_SIZES: Final = ("first", "last")


@dataclass(frozen=True, slots=True)
class Given:
    """The arguments of one request, taken apart, and the template of their shape."""

    template: Template
    leaves: Sequence[Any]
    cursors: dict[str, Sequence[Any]]
    size: int
    from_end: bool

    def ask(self, position: int, asset_id: Callable[[str], int]) -> Ask:
        """Return the statement of the request, at a position; ``asset_id`` finds the assets that it names."""
        return Ask(self.template.sql, self.template.filled(self.leaves, self.cursors, position, asset_id))


Compose = Callable[[Given, Page, bool], Any]
"""Makes the field's value of a page; true if the list goes on behind it."""


@dataclass(slots=True)
class Allowance:
    """How many statements one request may still make."""

    statements: int = MADE_MAX

    def spend(self) -> None:
        """Make one more.

        Raises:
            Unsupported: there were enough.
        """
        if self.statements <= 0:
            raise Unsupported
        self.statements -= 1


@dataclass(slots=True)
class Root:
    """A root field of a document: what it selects is worked out, what it is given comes with each request."""

    resolver: Resolver
    definition: GraphQLField
    node: FieldNode
    columns: tuple[str, ...]
    known_by: frozenset[str]
    compose: Compose
    is_list: bool
    is_constant: bool
    """Whether no variable stands in its arguments."""
    _templates: dict[Any, Template | None] = field(default_factory=dict)
    _constant: dict[str, Any] | None = None

    def arguments(self, variables: VariableValues) -> dict[str, Any]:
        """Return the field's arguments as the library makes them of the document and the variables.

        Raises:
            GraphQLError: they do not fit.
        """
        if self._constant is not None:
            return dict(self._constant)
        found = get_argument_values(self.definition, self.node, variables)
        if self.is_constant:
            self._constant = dict(found)
        return found

    def given(self, arguments: dict[str, Any], allowance: Allowance, *, present: bool) -> Given:
        """Find the statement for arguments (without ``at``), or make it.

        Raises:
            BadInput: they break a rule.
            Unsupported: the plan has no statement for them.
        """
        rest = dict(arguments)
        shown = {name: rest.pop(name) for name in _CURSORS if rest.get(name) is not None}
        sizes = {name: value for name in _SIZES if (value := rest.pop(name, None)) is not None}
        leaves: list[Any] = []
        shape = (present, *shown, *sizes.items(), take_apart(rest, leaves))
        if "" in shown.values():
            raise Unsupported
        template = self._template(shape, arguments, allowance, present=present)
        keys: dict[str, Sequence[Any]] = {}
        for name, cursor in shown.items():
            assert template.order is not None
            keys[name] = template.order.decode(cursor)
        size = sizes.get("last", sizes.get("first", FIRST_DEFAULT))
        return Given(template, leaves, keys, size, "last" in sizes)

    def value(self, given: Given, rows: Rows, page: Callable[[Rows, Sequence[str]], Page]) -> Any:
        """Make the field's value of the statement's rows."""
        if not self.is_list:
            return self.compose(given, page(rows, given.template.columns), False) if rows else None
        more = len(rows) > given.size
        cut = rows[: given.size]
        if given.from_end:
            cut.reverse()
        return self.compose(given, page(cut, given.template.columns), more)

    def _template(self, shape: Any, arguments: dict[str, Any], allowance: Allowance, *, present: bool) -> Template:
        try:
            found = self._templates[shape]
        except KeyError:
            allowance.spend()
            found = self._make(arguments, present=present)
            if len(self._templates) >= TEMPLATES_MAX:
                self._templates.clear()
            self._templates[shape] = found
        if found is None:
            raise Unsupported
        return found

    def _make(self, arguments: dict[str, Any], *, present: bool) -> Template | None:
        try:
            return make_template(self.resolver, arguments, self.columns, self.known_by, present=present)
        except Unsupported:
            return None


def compose_one(writer: Writer) -> Compose:
    """Make the value of a field that finds one thing."""
    return lambda _given, page, _more: writer(page)[0]


@dataclass(frozen=True, slots=True)
class Edges:
    """What is selected of a list's edges: the keys in the answer, and what each holds."""

    parts: tuple[tuple[str, Writer | None], ...]
    """A key and the writer of its value; None is the cursor."""

    def write(self, order: Order, page: Page) -> list[dict[str, Any]]:
        """Write the edges of a page."""
        if not self.parts:
            return [{} for _ in range(page.count)]
        if len(self.parts) == 1:
            [(name, only)] = self.parts
            return [{name: each} for each in (cursors.cursors(order, page) if only is None else only(page))]
        columns = [cursors.cursors(order, page) if writer is None else writer(page) for _, writer in self.parts]
        names = [name for name, _ in self.parts]
        return [dict(zip(names, each, strict=True)) for each in zip(*columns, strict=True)]


@dataclass(frozen=True, slots=True)
class Info:
    """What is selected of a list's page: the keys in the answer, and which of its fields each is."""

    parts: tuple[tuple[str, str], ...]
    type_name: str

    def write(self, given: Given, page: Page, *, more: bool) -> dict[str, Any]:
        """Write where a page begins and ends."""
        shown, order = given.cursors, given.template.order
        assert order is not None
        said: dict[str, Any] = {
            "__typename": self.type_name,
            "hasNextPage": "before" in shown or (more and not given.from_end),
            "hasPreviousPage": "after" in shown or (more and given.from_end),
        }
        ends = [name for _, name in self.parts if name.endswith("Cursor")]
        if ends:
            found = cursors.of_rows(order, page, [0, page.count - 1]) if page.count else [None, None]
            said |= {"startCursor": found[0], "endCursor": found[1]}
        return {key: said[name] for key, name in self.parts}


def compose_list(parts: tuple[tuple[str, Edges | Info | str], ...]) -> Compose:
    """Make the value of a field that lists: its edges, its page info, and texts, by their keys in the answer."""

    def compose(given: Given, page: Page, more: bool) -> dict[str, Any]:
        order = given.template.order
        assert order is not None
        made: dict[str, Any] = {}
        for key, part in parts:
            match part:
                case Edges():
                    made[key] = part.write(order, page)
                case Info():
                    made[key] = part.write(given, page, more=more)
                case _:
                    made[key] = part
        return made

    return compose
