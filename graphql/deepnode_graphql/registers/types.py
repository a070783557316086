"""The schema's part of the registers: a type for each kind of record, and two root fields that read it.

Everything is made of the declaration: types by ``strawberry.type`` of classes that are put together here, and resolvers
whose arguments are those of the kind.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import strawberry

from deepnode_graphql.connections import Connection
from deepnode_graphql.moments import At
from deepnode_graphql.nodes import Finality
from deepnode_graphql.registers.arguments import AFTER, FIRST, argument, field, page_arguments
from deepnode_graphql.registers.explained import explanation_link
from deepnode_graphql.registers.filters import where_type
from deepnode_graphql.registers.links import Catalogue, Link
from deepnode_graphql.registers.names import OWN_FIELDS, description, field_description, field_name, summary
from deepnode_graphql.registers.network import NETWORK, network_field
from deepnode_graphql.registers.orders import default_order, order_type
from deepnode_graphql.registers.places import places_of
from deepnode_graphql.registers.reads import Records, find_record, list_records
from deepnode_graphql.registers.register import Register, registers_of, scalar_of
from deepnode_graphql.registers.searching import search_field
from deepnode_graphql.registers.sums import sums_fields
from deepnode_graphql.registers.windows import window
from deepnode_graphql.scalars import Long
from deepnode_projections.registers.record import Record

_POSITION: Final = "The log entry from which on it is so."
_UNTIL: Final = "The log entry that changed it, in a history; null in a state, of which it is a part."
_FINALITY: Final = "Whether a reorg can still take back that it is so."

_AT: Final = "The moment to read; the books' end if left out."


@dataclass(frozen=True)
class Made:
    """What the schema has of records: root fields by name, and what a holder has beside its own fields."""

    root_fields: Mapping[str, Any]
    links_of_holder: Sequence[Link]
    nodes: Mapping[type[Record], Any]


def made_of(
    kinds: Iterable[type[Record]],
    taken_types: Iterable[str],
    taken_fields: Iterable[str],
    taken_by_holder: Iterable[str],
) -> Made:
    """Make the types of kinds of records and their root fields: for each, one finds a record and one lists them.

    Args:
        kinds: the records' classes.
        taken_types: the names of the schema's other types.
        taken_fields: the names of the other root fields.
        taken_by_holder: the names of the fields that a holder has without records.
    """
    catalogue = Catalogue(registers_of(kinds, taken_types, taken_fields))
    links: dict[type[Record], Sequence[Link]] = {}
    for kind, register in catalogue.registers.items():
        links[kind] = _links(catalogue, register)
        catalogue.nodes[kind] = _node_type(register, links[kind])
    fields: dict[str, Any] = {}
    for kind, register in catalogue.registers.items():
        node = catalogue.nodes[kind]
        # The types name one another, so this waits until all are there.
        resolve(node, links[kind], catalogue.nodes)
        fields[register.names.one] = _finds_one(register, node)
        fields[register.names.many] = _lists_many(register, node)
    registers = catalogue.registers.values()
    own = {"search": search_field(registers), **sums_fields(registers)}
    if {*NETWORK} <= catalogue.registers.keys():
        own["network"] = network_field()
    assert not own.keys() & fields.keys(), "a kind of record has the name of another field"
    fields |= own
    return Made(fields, catalogue.links_of_holder(taken_by_holder), catalogue.nodes)


def resolve(made: Any, links: Iterable[Link], nodes: Mapping[type[Record], Any]) -> None:
    """Give the fields of links their types, once these are made."""
    for link in links:
        found = made.__strawberry_definition__.get_field(python_name(link))
        assert found is not None, link.name
        found.type = link.type(nodes)


def python_name(link: Link) -> str:
    """Return what a link is called in the class: no field of a record can be called so."""
    return f"{link.name}__"


def _links(catalogue: Catalogue, register: Register) -> Sequence[Link]:
    own = [*(field_name(each) for each in register.fields), *OWN_FIELDS]
    places = [*places_of(own), *explanation_link(register.kind)]
    return [*places, *catalogue.links(register, [*own, *(each.name for each in places)])]


def _node_type(register: Register, links: Sequence[Link]) -> type:
    kind = register.kind
    members: dict[str, Any] = {
        each.name: strawberry.field(name=field_name(each), description=field_description(kind, each))
        for each in register.fields
    }
    annotations: dict[str, Any] = {
        each.name: scalar_of(each) | None if each.may_be_unknown else scalar_of(each) for each in register.fields
    }
    for name, of, said in (
        ("position", Long, _POSITION), ("until", Long | None, _UNTIL), ("finality", Finality, _FINALITY),
    ):  # fmt: skip
        members[name] = strawberry.field(name=name, description=said)
        annotations[name] = of
    annotations["records_"] = strawberry.Private[Records]
    said = f"What it was before, newest first: the earlier versions of this record of `{register.names.many}`."
    members["history"] = strawberry.field(resolver=_history, graphql_type=str, name="history", description=said)
    members |= {python_name(link): link.made for link in links}
    bases = {"__annotations__": annotations, "__module__": __name__, **members}
    made: Any = strawberry.type(
        type(register.names.type, (), bases), name=register.names.type, description=description(kind)
    )
    # The type names itself, so this waits until it is there.
    made.__strawberry_definition__.get_field("history").type = Connection[made]
    return made  # type: ignore[no-any-return] # a class that was made here


def _history(
    root: Any,
    first: Annotated[int | None, strawberry.argument(description=FIRST.partition(";")[0] + "; 50 if left out.")] = (
        strawberry.UNSET
    ),
    after: Annotated[str | None, strawberry.argument(description=AFTER)] = strawberry.UNSET,
) -> Any:
    return root.records_.history(root, window(first, after))


def _finds_one(register: Register, node: type) -> Any:
    def find(info: Any, at: Any = strawberry.UNSET, **key: Any) -> Any:
        return find_record(info.context, register, node, key, info.context.moment(at))

    arguments = [
        argument(each.name, scalar_of(each), field_name(each), field_description(register.kind, each))
        for each in register.key
    ]
    arguments.append(argument("at", At | None, "at", _AT, strawberry.UNSET))
    said = f"{summary(register.kind)} Null if there was none."
    return field(find, arguments, node | None, register.names.one, said, of_root=True)


def _lists_many(register: Register, node: type) -> Any:
    orders, unset = order_type(register), strawberry.UNSET
    by_key = orders[default_order(register)]

    def find_all(info: Any, where: Any = unset, order_by: Any = by_key, at: Any = unset, **given: Any) -> Any:
        moment = info.context.moment(at)
        return list_records(info.context, register, node, where, order_by.name, moment, window(**given))

    arguments = page_arguments(where_type(register), orders, by_key)
    arguments.append(argument("at", At | None, "at", _AT, unset))
    generic: Any = Connection
    said = f"The records of `{register.names.one}` at a moment. {summary(register.kind)}"
    return field(find_all, arguments, generic[node], register.names.many, said, of_root=True)
