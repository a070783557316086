"""Sums over the records that are sums themselves, by any part of their key.

Only kinds that the rules keep as running sums have them, so one adds up as many rows as there are things (a model
in an epoch, a source of burns), and never a history: of the past, the newest row of each thing is looked up by the
primary key. Amounts of different tokens are never added up: where a key has a token, each has sums of its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import strawberry
from sqlalchemy import func, select
from strawberry.utils.str_converters import capitalize_first

from deepnode_graphql.connections import FIRST_DEFAULT, check_first
from deepnode_graphql.filters import given
from deepnode_graphql.moments import At, Moment
from deepnode_graphql.nodes import Asset
from deepnode_graphql.reading import Reading
from deepnode_graphql.registers.arguments import argument, field
from deepnode_graphql.registers.filters import Conditions, where_type
from deepnode_graphql.registers.names import field_description, field_name, summary
from deepnode_graphql.registers.register import Register, scalar_of
from deepnode_graphql.registers.states import state_at
from deepnode_graphql.scalars import BigInt, Long
from deepnode_projections.registers.record import Field, Record
from deepnode_projections.rules.burns import Burned, BuybackTotal
from deepnode_projections.rules.comparisons import Checked
from deepnode_projections.rules.economics import Economics, Revenue
from deepnode_projections.rules.emission import Allocation, ClaimedTotal, EmissionMint, RootInForce
from deepnode_projections.rules.governance import VotingPower
from deepnode_projections.rules.pools import Earned
from deepnode_projections.rules.revenue import ReleasedTotal
from deepnode_projections.rules.splits import SplitTotal
from deepnode_projections.rules.staking import StakeTotal
from deepnode_projections.rules.work import ModelSales, ModelUse, ValidatorWork, Work

SUMMED: Final[Mapping[type[Record], tuple[str, ...]]] = {
    Allocation: ("miners", "stakers", "validators", "owner", "models", "foundation", "undistributed"),
    Burned: ("amount",),
    BuybackTotal: ("amount_in", "dn_out"),
    Checked: ("comparisons", "differing"),
    ClaimedTotal: ("amount",),
    Earned: ("amount",),
    Economics: ("emitted", "sold", "needed", "created", "unpriced"),
    EmissionMint: ("amount", "from_revenue"),
    ModelSales: ("tasks", "amount"),
    ModelUse: ("tasks", "vwu", "weighted", "judged", "correct", "ratings", "stars"),
    ReleasedTotal: ("amount",),
    Revenue: ("gross", "receipts"),
    RootInForce: ("total", "claimed"),
    SplitTotal: (
        "gross", "creator", "backers", "fees", "buyback", "foundation", "domain", "variable_burn", "yield_", "emission",
    ),
    StakeTotal: ("amount",),
    ValidatorWork: ("validations", "in_line", "weighted"),
    VotingPower: ("amount",),
    Work: ("vwu", "weighted", "tasks"),
}  # fmt: skip
"""The kinds that are running sums, and their fields that may be added up."""

_TOKENS: Final = ("asset", "asset_in")


@dataclass(frozen=True, slots=True)
class _Made:
    register: Register
    node: Any
    by: type[Enum]

    @property
    def summed(self) -> Sequence[Field]:
        names = SUMMED[self.register.kind]
        return [each for each in self.register.fields if each.name in names]

    @property
    def always(self) -> Sequence[str]:
        return [each.name for each in self.register.key if each.name in _TOKENS]


def sums_fields(registers: Iterable[Register]) -> dict[str, Any]:
    """Make the root fields ``sumsOf…`` of those kinds that are running sums."""
    fields = {}
    for register in registers:
        if (name := sums_name(register)) is not None:
            fields[name] = _field(_Made(register, _node_type(register), _by_type(register)), name)
    return fields


def sums_name(register: Register) -> str | None:
    """Return what the field that adds up a kind's records is called, or None if they are no running sums."""
    return f"sumsOf{capitalize_first(register.names.many)}" if register.kind in SUMMED else None


def _field(made: _Made, name: str) -> Any:
    register, unset = made.register, strawberry.UNSET

    def find(info: Any, by: Any = unset, where: Any = unset, first: Any = FIRST_DEFAULT, at: Any = unset) -> Any:
        groups = [each.name.lower() for each in given(by) or ()]
        return _sums(info.context, made, groups, where, info.context.moment(at), check_first(first))

    by: Any = made.by
    node: Any = made.node
    arguments = [
        argument("by", list[by] | None, "by", "Of which parts of the key each sum is; if left out, of all.", unset),
        argument("where", where_type(register) | None, "where", "Which records are added up.", unset),
        argument("first", int, "first", "How many sums, 1 to 1000, in the order of what they are of.", FIRST_DEFAULT),
        argument("at", At | None, "at", "The moment to read; the books' end if left out.", unset),
    ]
    said = f"Sums over `{register.names.many}`. {summary(register.kind)}"
    return field(find, arguments, list[node], name, said, of_root=True)


def _sums(reading: Reading, made: _Made, groups: Sequence[str], where: Any, moment: Moment, first: int) -> list[Any]:
    register = made.register
    state = state_at(register, moment, by_key=True)
    of = [state.c[each.name] for each in register.key if each.name in groups or each.name in made.always]
    sums = [func.coalesce(func.sum(state.c[each.name]), 0).label(f"sum_{each.name}") for each in made.summed]
    statement = (
        select(*of, func.count().label("rows"), *sums)
        .where(Conditions(register, state).of(where))
        .group_by(*of)
        .order_by(*of)
        .limit(first)
    )
    return [_node(reading, made, row._mapping) for row in reading.database.execute(statement)]


def _node(reading: Reading, made: _Made, row: Mapping[Any, Any]) -> Any:
    values: dict[str, Any] = {each.name: row.get(each.name) for each in made.register.key}
    values |= {f"sum_{each.name}": BigInt(int(row[f"sum_{each.name}"])) for each in made.summed}
    for name in made.always:
        values[f"{name}_record"] = reading.asset_at(row[name])
    return made.node(rows=Long(row["rows"]), **values)


def _node_type(register: Register) -> Any:
    kind, name = register.kind, f"{register.names.type}Sum"
    members: dict[str, Any] = {}
    annotations: dict[str, Any] = {}

    taken: set[str] = set()

    def add(attribute: str, of: Any, shown: str, said: str) -> None:
        assert shown not in taken, (name, shown)
        taken.add(shown)
        annotations[attribute] = of
        members[attribute] = strawberry.field(name=shown, description=said)

    for each in register.key:
        is_token = each.name in _TOKENS
        said = "Of which token." if is_token else f"Of which `{field_name(each)}`; null if the sum is not by it."
        add(each.name, scalar_of(each) if is_token else scalar_of(each) | None, field_name(each), said)
        if is_token:
            add(f"{each.name}_record", Asset | None, f"{field_name(each)}Record", "The token itself.")
    add("rows", Long, "count", "How many records are added up.")
    for each in register.fields:
        if each.name in SUMMED[kind]:
            add(f"sum_{each.name}", BigInt, field_name(each), f"The sum. {field_description(kind, each)}")
    made = type(name, (), {"__annotations__": annotations, "__module__": __name__, **members})
    return strawberry.type(made, name=name, description=f"A sum over `{register.names.many}`.")


def _by_type(register: Register) -> type[Enum]:
    name = f"{register.names.type}Key"
    members = {
        each.name.upper(): strawberry.enum_value(each.name.upper(), description=f"By `{field_name(each)}`.")
        for each in register.key
    }
    made = Enum(name, members)  # type: ignore[misc] # made of the declaration
    said = f"Parts of the key of `{register.names.one}`, by which sums are taken."
    return strawberry.enum(made, name=name, description=said)
