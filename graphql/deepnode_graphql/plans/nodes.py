"""Which fields of the schema's nodes can be read off a statement's columns, and how they are written.

What is not here (relations, histories, counts, sums) needs more than the row, and the library's executor.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from deepnode_graphql.plans import output
from deepnode_graphql.plans.output import Writer
from deepnode_graphql.registers.names import field_name
from deepnode_graphql.registers.register import Register


@dataclass(frozen=True, slots=True)
class Leaf:
    """A field with a value: its writer, and the columns that this looks at."""

    writer: Writer
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Branch:
    """A field with fields of its own, out of the same row."""

    type: str
    fields: "Node"


Node = Mapping[str, Leaf | Branch]
"""The fields of a type, by their names in the schema."""


def _plain(name: str) -> Leaf:
    return Leaf(output.plain(name), (name,))


def _small(name: str) -> Leaf:
    return Leaf(output.small(name), (name,))


def _bytes(name: str) -> Leaf:
    return Leaf(output.hexadecimal(name), (name,))


def _token(attribute: str) -> Leaf:
    return Leaf(output.of_token(attribute), ("asset_id",))


def _formatted(name: str) -> Leaf:
    return Leaf(output.formatted(name), (name, "asset_id"))


_FINALITY: Final = Leaf(output.finality("position"), ("position",))

_ASSET: Final[Node] = {name: _token(name) for name in ("symbol", "address", "decimals")}

_ACCOUNT: Final[Node] = {
    "name": _plain("name"),
    "owner": _plain("owner"),
    "pocket": _plain("pocket"),
    "key": Leaf(output.hexadecimal_if_any("key"), ("key",)),
    "holder": Leaf(output.hexadecimal_or_null("holder"), ("holder",)),
    "firstPosition": _plain("first_position"),
}

_BLOCK: Final[Node] = {"number": _plain("block_number"), "hash": _bytes("block_hash"), "time": _plain("block_time")}

_EVENT: Final[Node] = {
    "position": _plain("position"),
    "kind": _plain("kind"),
    "contract": _plain("contract"),
    "block": Branch("Block", _BLOCK),
    "transactionHash": _bytes("transaction_hash"),
    "logIndex": _small("log_index"),
    "finality": _FINALITY,
}

NODES: Final[Mapping[str, Node]] = {
    "Account": _ACCOUNT,
    "Balance": {
        "account": Branch("Account", _ACCOUNT),
        "asset": Branch("Asset", _ASSET),
        "amount": _plain("balance"),
        "amountFormatted": _formatted("balance"),
        "position": _plain("position"),
        "finality": _FINALITY,
    },
    "Entry": _EVENT,
    "Posting": {
        **_EVENT,
        "leg": _small("leg"),
        "account": Branch("Account", _ACCOUNT),
        "asset": Branch("Asset", _ASSET),
        "amount": _plain("amount"),
        "amountFormatted": _formatted("amount"),
        "balance": _plain("balance"),
        "balanceFormatted": _formatted("balance"),
    },
}
"""The nodes of the accounts' part of the books."""

KEYS: Final[Mapping[str, frozenset[str]]] = {
    "Account": frozenset({"account_id"}),
    "Balance": frozenset({"account_id", "asset_id"}),
    "Entry": frozenset({"position", "log_index"}),
    "Posting": frozenset({"position", "leg"}),
}
"""Columns by which a statement is known to be that of the node, and not one that is asked before it."""


def nodes_of(registers: Iterable[Register]) -> dict[str, Node]:
    """Return all nodes by the names of their types: the accounts' part, and the records."""
    return {**NODES, **{register.names.type: _record(register) for register in registers}}


def _record(register: Register) -> Node:
    fields: dict[str, Leaf | Branch] = {
        "position": _plain("position"),
        # A state is what has no end yet.
        "until": Leaf(output.constant(None), ()),
        "finality": _FINALITY,
    }
    for each in register.fields:
        write = output.plain
        if each.type is bytes:
            write = output.hexadecimal_or_null if each.may_be_unknown else output.hexadecimal
        fields[field_name(each)] = Leaf(write(each.name), (each.name,))
    return fields
