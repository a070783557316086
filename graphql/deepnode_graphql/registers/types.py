"""The schema's part of the registers: a type for each kind of record, and two root fields that read it.

Everything is made of the declaration: types by ``strawberry.type`` of classes that are put together here, and resolvers
whose arguments are those of the kind.
"""

from collections.abc import Iterable
from inspect import Parameter, Signature
from typing import Annotated, Any, Final

import strawberry

from deepnode_graphql.connections import Connection
from deepnode_graphql.moments import At
from deepnode_graphql.nodes import Finality
from deepnode_graphql.registers.filters import where_type
from deepnode_graphql.registers.names import description, field_description, field_name, summary
from deepnode_graphql.registers.orders import default_order, order_type
from deepnode_graphql.registers.reads import Records, find_record, list_records
from deepnode_graphql.registers.register import Register, registers_of, scalar_of
from deepnode_graphql.registers.windows import window
from deepnode_graphql.scalars import Long
from deepnode_projections.registers.record import Record

_POSITION: Final = "The log entry from which on it is so."
_UNTIL: Final = "The log entry that changed it, in a history; null in a state, of which it is a part."
_FINALITY: Final = "Whether a reorg can still take back that it is so."

_FIRST: Final = "How many rows, 1 to 1000; 50 if neither `first` nor `last` is given."
_AFTER: Final = "The cursor behind which to go on."
_LAST: Final = "How many rows from the end, 1 to 1000, instead of `first`."
_BEFORE: Final = "The cursor before which to end."
_AT: Final = "The moment to read; the books' end if left out."


def root_fields(
    kinds: Iterable[type[Record]], taken_types: Iterable[str], taken_fields: Iterable[str]
) -> dict[str, Any]:
    """Make the root fields of kinds of records: for each one that finds a record and one that lists them.

    Args:
        kinds: the records' classes.
        taken_types: the names of the schema's other types.
        taken_fields: the names of the other root fields.
    """
    fields: dict[str, Any] = {}
    for register in registers_of(kinds, taken_types, taken_fields):
        node = _node_type(register)
        fields[register.names.one] = _finds_one(register, node)
        fields[register.names.many] = _lists_many(register, node)
    return fields


def _node_type(register: Register) -> type:
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
    bases = {"__annotations__": annotations, "__module__": __name__, **members}
    made: Any = strawberry.type(
        type(register.names.type, (), bases), name=register.names.type, description=description(kind)
    )
    # The type names itself, so this waits until it is there.
    made.__strawberry_definition__.get_field("history").type = Connection[made]
    return made  # type: ignore[no-any-return] # a class that was made here


def _history(
    root: Any,
    first: Annotated[int | None, strawberry.argument(description=_FIRST.partition(";")[0] + "; 50 if left out.")] = (
        strawberry.UNSET
    ),
    after: Annotated[str | None, strawberry.argument(description=_AFTER)] = strawberry.UNSET,
) -> Any:
    return root.records_.history(root, window(first, after))


def _finds_one(register: Register, node: type) -> Any:
    def find(info: Any, at: Any = strawberry.UNSET, **key: Any) -> Any:
        return find_record(info.context, register, node, key, info.context.moment(at))

    arguments = [
        _argument(each.name, scalar_of(each), field_name(each), field_description(register.kind, each))
        for each in register.key
    ]
    arguments.append(_argument("at", At | None, "at", _AT, strawberry.UNSET))
    said = f"{summary(register.kind)} Null if there was none."
    return _field(find, arguments, node | None, register.names.one, said)


def _lists_many(register: Register, node: type) -> Any:
    orders, unset = order_type(register), strawberry.UNSET
    by_key = orders[default_order(register)]

    def find_all(info: Any, where: Any = unset, order_by: Any = by_key, at: Any = unset, **given: Any) -> Any:
        moment = info.context.moment(at)
        return list_records(info.context, register, node, where, order_by.name, moment, window(**given))

    arguments = [
        _argument("first", int | None, "first", _FIRST, unset),
        _argument("after", str | None, "after", _AFTER, unset),
        _argument("last", int | None, "last", _LAST, unset),
        _argument("before", str | None, "before", _BEFORE, unset),
        _argument("where", where_type(register) | None, "where", "Which of them.", unset),
        _argument("order_by", orders, "orderBy", "How they are sorted; by their key if left out.", by_key),
        _argument("at", At | None, "at", _AT, unset),
    ]
    generic: Any = Connection
    said = f"The records of `{register.names.one}` at a moment. {summary(register.kind)}"
    return _field(find_all, arguments, generic[node], register.names.many, said)


def _argument(name: str, of: Any, shown: str, said: str, default: Any = Parameter.empty) -> Parameter:
    annotation = Annotated[of, strawberry.argument(name=shown, description=said)]
    return Parameter(name, Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _field(resolver: Any, arguments: list[Parameter], answers: Any, name: str, said: str) -> Any:
    info = Parameter("info", Parameter.POSITIONAL_OR_KEYWORD, annotation=strawberry.Info)
    resolver.__signature__ = Signature([info, *arguments])
    return strawberry.field(resolver=resolver, graphql_type=answers, name=name, description=said)
