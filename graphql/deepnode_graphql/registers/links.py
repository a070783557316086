"""The schema's part of relations: fields that lead from a record to other records, and from a holder to its own.

A field ``x`` that names a thing has ``xRecord`` beside it, the thing itself (``subjectNode`` and so on, where it may be
of several kinds); where several fields together name a thing, the field is called by the thing. A thing has a list of
each kind that refers to it, called as the list of all of them, or a single field where there can be only one. Where the
name is taken already, ``By…`` or ``Record`` stands behind it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from strawberry.utils.str_converters import capitalize_first, to_camel_case

from deepnode_graphql.connections import Connection
from deepnode_graphql.nodes import Asset
from deepnode_graphql.reading import Reading
from deepnode_graphql.registers.arguments import argument, field, page_arguments, window_arguments
from deepnode_graphql.registers.filters import where_type
from deepnode_graphql.registers.names import field_name
from deepnode_graphql.registers.orders import default_order, order_type
from deepnode_graphql.registers.reads import Records
from deepnode_graphql.registers.references import (
    Reference,
    Way,
    key_names,
    references_of,
    way_back,
    ways_to_addresses,
)
from deepnode_graphql.registers.register import Register, scalar_of
from deepnode_graphql.registers.related import Page, Wanted, newest_rows, pages_of
from deepnode_graphql.registers.windows import window
from deepnode_projections.registers.record import Key, Record, fields_of

ASSETS: Final = ("asset", "asset_in")
"""Fields that hold the address of a token."""

MOMENT: Final = "at the moment of the answer"


@dataclass(frozen=True, slots=True)
class Link:
    """A field of a type that leads to other things: its name, the field as it is made, and where it leads.

    ``to`` is a kind of record or another type of the schema; ``many`` says that it is a list.
    """

    name: str
    made: Any
    to: Any
    many: bool

    def type(self, nodes: Mapping["type[Record]", Any]) -> Any:
        """Return the field's type, of the nodes' types that are there by now."""
        node: Any = nodes.get(self.to, self.to)
        return _connection(node) if self.many else node | None


class Catalogue:
    """The kinds of a schema: their registers and, once they are made, the types of their nodes."""

    def __init__(self, registers: Iterable[Register]) -> None:
        self.registers = {each.kind: each for each in registers}
        self.nodes: dict[type[Record], Any] = {}
        self._back: dict[type[Record], list[tuple[Reference, Way]]] = {}
        for kind in self.registers:
            for reference in references_of(kind, self.registers):
                way = way_back(reference)
                if way is not None:
                    self._back.setdefault(reference.target, []).append((reference, way))

    def links(self, register: Register, taken: Iterable[str]) -> Sequence[Link]:
        """Return the fields that lead from records of a kind to others; ``taken`` are the names of its other fields."""
        names = {*taken}
        found: list[Link] = []
        for name, make in [*self._forward(register), *self._backward(register)]:
            free = name if name not in names else f"{name}Record"
            assert free not in names, (register.kind.TABLE, name)
            names.add(free)
            found.append(make(free))
        return found

    def links_of_holder(self, taken: Iterable[str]) -> Sequence[Link]:
        """Return the fields that lead from an address to the records that name it."""
        names = {*taken}
        found = []
        for way in ways_to_addresses(self.registers):
            said = f"whose `{to_camel_case(way.fields[0])}` this address is"
            name = _name_back(self.registers[way.source], way, way.fields[0], names)
            names.add(name)
            found.append(self._list(name, way, said, _of_holder))
        return found

    def records_of(self, kind: type[Record], rows: Sequence[Any], page: Page) -> Sequence[Any]:
        """Make nodes of a kind of rows that were read together."""
        return Records(page.reading, self.registers[kind], self.nodes[kind], rows, page.moment).nodes

    def _forward(self, register: Register) -> Iterable[tuple[str, Callable[[str], Link]]]:
        for each in register.fields:
            if each.name in ASSETS and each.type is bytes:
                yield f"{field_name(each)}Record", partial(_to_asset, each.name)
        references = references_of(register.kind, self.registers)
        words = [each.word for each in references if each.when is None]
        assert len(set(words)) == len(words), words
        for reference in references:
            word = to_camel_case(reference.word)
            end = "Record" if reference.when is None else capitalize_first(self.registers[reference.target].names.type)
            yield f"{word}{end}", partial(self._to_thing, reference)

    def _backward(self, register: Register) -> Iterable[tuple[str, Callable[[str], Link]]]:
        names: set[str] = set()
        # The plain ones first: they get the plain names.
        found = sorted(self._back.get(register.kind, []), key=lambda each: not each[0].is_plain)
        for reference, way in found:
            name = _name_back(self.registers[way.source], way, reference.word, names)
            names.add(name)
            words = " and ".join(f"`{to_camel_case(each)}`" for each in reference.fields)
            said = f"whose {words} {'names' if len(reference.fields) == 1 else 'name'} it"
            key_of = partial(_own_key, key_names(register.kind))
            yield name, partial(self._list, way=way, said=said, page_of=partial(_of_page, key_of))

    def _to_thing(self, reference: Reference, name: str) -> Link:
        def find(root: Any) -> Any:
            page: Records = root.records_
            key = _key_in(reference, root)
            if key is None:
                return None
            return page.together(
                reference,
                lambda: [each for node in page.nodes if (each := _key_in(reference, node)) is not None],
                partial(self._fetch_newest, page, reference.target),
            ).get(key, None)

        words = " and ".join(f"`{to_camel_case(each)}`" for each in reference.fields)
        one = self.registers[reference.target].names.one
        names = "names" if len(reference.fields) == 1 else "name"
        unless = "" if reference.when is None else f" or `{to_camel_case(reference.when[0])}` says that it is no {one}"
        said = f"The `{one}` that {words} {names}, {MOMENT}. Null if there was none{unless}."
        return Link(name, field(find, [], str, name, said, of_root=False), reference.target, many=False)

    def _fetch_newest(self, page: Page, kind: type[Record], keys: Sequence[Key]) -> Mapping[Key, Any]:
        rows = newest_rows(page.reading, self.registers[kind], keys, page.moment)
        known = [(key, row) for key, row in zip(keys, rows, strict=True) if row is not None]
        nodes = self.records_of(kind, [row for _, row in known], page)
        return {key: node for (key, _), node in zip(known, nodes, strict=True)}

    def _list(self, name: str, way: Way, said: str, page_of: Callable[[Any], tuple[Page, Key, Any]]) -> Link:
        register = self.registers[way.source]
        arguments = []
        if way.argument is not None:
            [before] = [each for each in fields_of(way.source) if each.name == way.argument]
            shown = field_name(before)
            arguments.append(argument(shown, scalar_of(before), shown, f"Of which `{shown}`."))
        source = register.names
        if way.is_one:

            def find(root: Any, **given: Any) -> Any:
                wanted = self._wanted(register, way, None, default_order(register), given)
                edges = self._page(wanted, *page_of(root)).edges
                return edges[0].node if edges else None

            text = f"The `{source.one}` {said}, {MOMENT}. Null if there was none."
            return Link(name, field(find, arguments, str, name, text, of_root=False), way.source, many=False)
        orders = order_type(register)
        by_key = orders[default_order(register)]

        def find_all(root: Any, where: Any = None, order_by: Any = by_key, **given: Any) -> Any:
            wanted = self._wanted(register, way, where, order_by.name, given)
            return self._page(wanted, *page_of(root))

        arguments += page_arguments(where_type(register), orders, by_key)
        text = f"The `{source.many}` {said}, {MOMENT}."
        return Link(name, field(find_all, arguments, str, name, text, of_root=False), way.source, many=True)

    def _wanted(self, register: Register, way: Way, where: Any, order: str, given: Mapping[str, Any]) -> Wanted:
        value = given.get(way.argument) if way.argument is not None else None
        return Wanted(register, way, value, where, order, window(**window_arguments(given)))

    def _page(self, wanted: Wanted, page: Page, key: Key, keys: Callable[[], Iterable[Key]]) -> Connection[Any]:
        def fetch(keys: Sequence[Key]) -> Mapping[Key, Connection[Any]]:
            return pages_of(page, wanted, keys, lambda rows: self.records_of(wanted.way.source, rows, page))

        return page.together(wanted.name, keys, fetch).get(key, wanted.window.connect([], [], more=False))


def _to_asset(of: str, name: str) -> Link:
    def find(root: Any) -> Asset | None:
        reading: Reading = root.records_.reading
        return reading.asset_at(getattr(root, of))

    said = f"The token that `{to_camel_case(of)}` names. Null if the books keep no such token."
    return Link(name, field(find, [], str, name, said, of_root=False), Asset, many=False)


def _connection(node: Any) -> Any:
    generic: Any = Connection
    return generic[node]


def _name_back(source: Register, way: Way, word: str, names: Iterable[str]) -> str:
    name = source.names.one if way.is_one else source.names.many
    return name if name not in names else f"{name}By{capitalize_first(to_camel_case(word))}"


def _key_in(reference: Reference, node: Any) -> Key | None:
    if reference.when is not None and getattr(node, reference.when[0]) not in reference.when[1]:
        return None
    key = tuple(getattr(node, name) for name in reference.fields)
    return None if None in key else key


def _own_key(names: Sequence[str], node: Any) -> Key:
    return tuple(getattr(node, name) for name in names)


def _of_page(key_of: Callable[[Any], Key], root: Any) -> tuple[Page, Key, Callable[[], Iterable[Key]]]:
    return root.records_, key_of(root), lambda: [key_of(node) for node in root.records_.nodes]


def _of_holder(root: Any) -> tuple[Page, Key, Callable[[], Iterable[Key]]]:
    key = (root.address,)
    return root.page, key, lambda: [key]
