"""The records that can be explained: lines of a reward, payments, and what differs from the rules."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from deepnode_graphql.explanations import Explanation, explanation_of
from deepnode_graphql.reading import Reading, driver_connection
from deepnode_graphql.registers.arguments import field
from deepnode_graphql.registers.links import Link
from deepnode_graphql.registers.related import Page
from deepnode_projections import explaining
from deepnode_projections.registers.at import StateAt
from deepnode_projections.registers.record import Record, fields_of
from deepnode_projections.rules import splits
from deepnode_projections.rules.comparisons import Difference
from deepnode_projections.rules.pools import Reward
from deepnode_projections.rules.revenue import Receipt

Explain = Callable[[Reading, StateAt, Any], explaining.Explanation | None]


def explanation_link(kind: type[Record]) -> Sequence[Link]:
    """Return the field `explanation` of a kind, if there is one."""
    explain = _EXPLAINED.get(kind)
    if explain is None:
        return ()

    def find(root: Any) -> Explanation | None:
        page: Page = root.records_
        record = kind(*(getattr(root, each.name) for each in fields_of(kind)))
        past = StateAt(driver_connection(page.reading.database), page.moment.position)
        explained = explain(page.reading, past, record)
        return None if explained is None else explanation_of(page.reading, page.moment, explained)

    said = "How it came about: events, ruleset, formulas and integers. Null if the books keep no such token."
    name = "explanation"
    return (Link(name, field(find, [], Explanation | None, name, said, of_root=False), Explanation, many=False),)


def _reward(reading: Reading, past: StateAt, line: Reward) -> explaining.Explanation | None:
    asset = _asset(reading, line.asset)
    return None if asset is None else explaining.line_of(past, asset, line)


def _receipt(reading: Reading, past: StateAt, receipt: Receipt) -> explaining.Explanation | None:
    asset = _asset(reading, receipt.asset)
    return None if asset is None else explaining.explain_split(past, asset, receipt)


def _difference(reading: Reading, past: StateAt, difference: Difference) -> explaining.Explanation:
    told = explaining.explain_difference(past, difference)
    if difference.subject != splits.SUBJECT:
        return told
    # A leg of a payment: how it was split tells the rest.
    of = [each for each in past.every(Receipt, difference.key) if each.closed_position == difference.reported_position]
    split = _receipt(reading, past, of[0]) if of else None
    steps = () if split is None else split.steps
    return explaining.Explanation(told.title, told.position, None, None, (*told.steps, *steps))


def _asset(reading: Reading, address: bytes) -> explaining.Asset | None:
    found = reading.asset_at(address)
    return None if found is None else explaining.Asset(address, found.symbol, found.decimals)


_EXPLAINED: Final[Mapping[type[Record], Explain]] = {Reward: _reward, Receipt: _receipt, Difference: _difference}
