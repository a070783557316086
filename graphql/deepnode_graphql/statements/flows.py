"""Flows: from whom to whom money went in a transaction.

An entry's postings sum to zero, so what left some accounts went into others: they are paired in their order. A token
that goes to a contract passes its ``Unattributed`` pocket, where a ``Transfer`` ends and the contract's own event
begins, or the other way round. There the two are joined: what came in is paired with what went out, equal amounts
first, then in order. So a flow is from a wallet to a named pocket, and knows all events that it came about by.

Everything is told apart by account, so for each account and entry the flows add up to its postings exactly, whatever
was paired with what.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Moved:
    """A posting: ``amount`` base units (signed) of the token ``asset`` came into ``account``, by the entry's event."""

    position: int
    account: str
    asset: int
    amount: int
    event: str


@dataclass(frozen=True, slots=True)
class Flow:
    """``amount`` (above 0) left ``source`` by the entry at ``source_position`` and came into ``target`` by another.

    ``events`` are those of all entries on the way, the source's first.
    """

    source: str
    target: str
    asset: int
    amount: int
    source_position: int
    target_position: int
    events: tuple[str, ...]


def flows_of(postings: Sequence[Moved], passes: Callable[[str], bool]) -> list[Flow]:
    """Return the flows of one transaction, by the position at which they end.

    Args:
        postings: all of the transaction, in the order of the log.
        passes: says of an account that money only passes it.
    """
    flows = []
    by_entry: dict[tuple[int, int], list[Moved]] = {}
    for each in postings:
        by_entry.setdefault((each.position, each.asset), []).append(each)
    for (position, asset), moved in by_entry.items():
        assert not sum(each.amount for each in moved), (position, moved)
        left = [(each.account, -each.amount) for each in moved if each.amount < 0]
        came = [(each.account, each.amount) for each in moved if each.amount > 0]
        event = moved[0].event
        flows += [
            Flow(left[s][0], came[t][0], asset, amount, position, position, (event,))
            for s, t, amount in _paired([a for _, a in left], [a for _, a in came])
        ]
    passed = dict.fromkeys(name for each in flows for name in (each.source, each.target) if passes(name))
    for name in passed:
        for asset in dict.fromkeys(each.asset for each in flows):
            flows = _joined(flows, name, asset)
    return sorted(flows, key=lambda each: (max(each.source_position, each.target_position), each.source_position))


def _joined(flows: list[Flow], name: str, asset: int) -> list[Flow]:
    """Join what came into an account with what left it; what has no other half stays as it is."""
    ends, begins, rest = [], [], []
    for each in flows:
        if each.asset != asset or each.source == each.target:
            rest.append(each)
        elif each.target == name:
            ends.append(each)
        elif each.source == name:
            begins.append(each)
        else:
            rest.append(each)
    made = []
    left_of_ends, left_of_begins = [each.amount for each in ends], [each.amount for each in begins]
    for e, b, amount in _paired(left_of_ends, left_of_begins):
        left_of_ends[e] -= amount
        left_of_begins[b] -= amount
        one, two = ends[e], begins[b]
        made.append(
            Flow(
                one.source,
                two.target,
                asset,
                amount,
                one.source_position,
                two.target_position,
                tuple(dict.fromkeys((*one.events, *two.events))),
            )
        )
    for some, amounts in ((ends, left_of_ends), (begins, left_of_begins)):
        made += [replace(each, amount=amount) for each, amount in zip(some, amounts, strict=True) if amount]
    return [*rest, *made]


def _paired(left: Sequence[int], right: Sequence[int]) -> Iterable[tuple[int, int, int]]:
    """Pair amounts: equal ones first, then what is left of them in order. Yield the places and the amount of each."""
    lefts, rights = list(left), list(right)
    where: dict[int, list[int]] = {}
    for place in range(len(rights) - 1, -1, -1):
        where.setdefault(rights[place], []).append(place)
    for place, amount in enumerate(lefts):
        if amount and where.get(amount):
            found = where[amount].pop()
            yield place, found, amount
            lefts[place] = rights[found] = 0
    at = 0
    for place in range(len(lefts)):
        while lefts[place] and at < len(rights):
            both = min(lefts[place], rights[at])
            if both:
                yield place, at, both
            lefts[place] -= both
            rights[at] -= both
            if not rights[at]:
                at += 1
