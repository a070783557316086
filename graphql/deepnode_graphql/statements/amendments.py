"""Amendments: what a statement says otherwise than one that was made earlier.

Figures of a closed month can change: a price is corrected, an ABI is learned and an entry is read at last, a pending
block was replaced. Whoever has booked the earlier statement needs to know just that: which lines were added, which
removed, and what became of the others. A line is known by its log and account, not by its position, which a reorg of
pending blocks may change.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from deepnode_graphql.statements.data_file import as_data
from deepnode_graphql.statements.statement import Difference, Statement
from deepnode_ledger.errors import BadInput

_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "balances": ("account", "token"),
    "lines": ("transaction_hash", "log_index", "account", "token"),
    "rewards": ("token", "epoch", "claim_position"),
    "waiting": ("account", "token"),
    "accruals": ("token", "epoch", "domain", "role", "kind", "subject"),
}
"""By what a thing is known in each part; equal ones are counted."""

_OF_THE_WHOLE: Final = (
    "opening_position",
    "position",
    "known_position",
    "block_hash",
    "finality",
    "state_root",
    "manifest",
    "fiat",
    "price_source",
)
_SAME: Final = ("address", "chain_id", "from_time", "to_time")


def amend(statement: Statement, digest: str, earlier: Mapping[str, Any]) -> Statement:
    """Return the statement with what an earlier one said otherwise.

    Args:
        statement: the new one.
        digest: of the earlier one.
        earlier: its data, as ``data_file.read`` gives it.

    Raises:
        BadInput: the earlier one is of another address, chain or period, or not made as statements are.
    """
    now = as_data(statement)
    for name in _SAME:
        if earlier.get(name) != now[name]:
            raise BadInput(f"the earlier statement has {name} {earlier.get(name)!r:.80}, this one has {now[name]!r}")
    found = [
        Difference("changed", "statement", name, _text(earlier.get(name)), _text(now[name]))
        for name in _OF_THE_WHOLE
        if earlier.get(name) != now[name]
    ]
    for part in _KEYS:
        found += _of_part(part, _known(part, earlier.get(part)), _known(part, now[part]))
    return replace(statement, amends=digest, differences=tuple(found))


def _of_part(part: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    found = []
    for key in [*before, *(each for each in after if each not in before)]:
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        if old is None or new is None:
            change = "added" if old is None else "removed"
            found.append(Difference(change, part, key, _text(old), _text(new)))
            continue
        names = [name for name in new if old.get(name) != new[name]]
        told = [", ".join(f"{name} {_text(each.get(name))}" for name in names) for each in (old, new)]
        found.append(Difference("changed", part, key, *told))
    return found


def _known(part: str, things: Any) -> dict[str, Any]:
    if not isinstance(things, list) or not all(isinstance(each, dict) for each in things):
        raise BadInput(f"the earlier statement's {part} are not a list of things")
    known: dict[str, Any] = {}
    for thing in things:
        key = " ".join(_text(thing.get(name)) for name in _KEYS[part])
        number = 1
        while (name := key if number == 1 else f"{key} ({number})") in known:
            number += 1
        known[name] = thing
    return known


def _text(value: Any) -> str:
    """Write a value of the data for people, in one line."""
    if value is None:
        return ""
    if isinstance(value, dict):
        if set(value) == {"symbol", "address", "decimals"}:
            return f"{value['symbol']}@{value['address']}"
        return ", ".join(f"{name} {_text(each)}" for name, each in value.items())
    return str(value)
