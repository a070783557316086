"""Apportioning: which of what was earned a claim pays.

Claims are cumulative: the chain pays what somebody is entitled to altogether, less what was paid before, and does not
say for which epochs. So the first base unit that was claimed pays the first that was earned, and so on: both are laid
end to end, and each stretch that they share is a part. Nothing is rounded, and what is earned or claimed later changes
no part that is complete.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Earning:
    """``amount`` base units were earned for an epoch, by the allocation at ``position``."""

    position: int
    epoch: int
    amount: int


@dataclass(frozen=True, slots=True)
class Claim:
    """``amount`` base units were claimed by the entry at ``position``."""

    position: int
    amount: int


@dataclass(frozen=True, slots=True)
class Paid:
    """A part: of what was earned for ``epoch`` (None: nothing that is known), by which claim (None: by none yet)."""

    epoch: int | None
    claim: int | None
    amount: int


def apportion(earnings: Sequence[Earning], claims: Sequence[Claim]) -> list[Paid]:
    """Return the parts in their order: those that claims pay, then what is beyond claims, or claimed beyond earnings.

    Args:
        earnings: in the order of the log.
        claims: in the order of the log.
    """
    parts: list[Paid] = []
    due = [(each.epoch, each.amount) for each in reversed(earnings)]
    for claim in claims:
        rest = claim.amount
        while rest and due:
            epoch, amount = due.pop()
            both = min(rest, amount)
            _add(parts, Paid(epoch, claim.position, both))
            rest -= both
            if amount > both:
                due.append((epoch, amount - both))
        if rest:
            _add(parts, Paid(None, claim.position, rest))
    for epoch, amount in reversed(due):
        _add(parts, Paid(epoch, None, amount))
    return parts


def _add(parts: list[Paid], part: Paid) -> None:
    """Add a part, to the one before if it is of the same epoch and claim."""
    if parts and (parts[-1].epoch, parts[-1].claim) == (part.epoch, part.claim):
        part = Paid(part.epoch, part.claim, parts.pop().amount + part.amount)
    if part.amount:
        parts.append(part)
