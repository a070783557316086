"""Whose amounts were altered: a search for what makes a tree of claims have another root.

A root commits to amounts and shows none of them, so a root that differs says only that something in its tree does. Two
kinds of alteration are few enough to try all of them: one earner's amount was changed, by what the totals differ; or
two earners have each other's amounts. What gives the submitted root to the bit is, beyond doubt, what was submitted.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from deepnode_projections.maths.claims import ClaimTree, Entitlement

HASHES_MAX: Final = 600_000
"""Hashes in one search, so that it ends in seconds however large the tree is."""

ENDS: Final = 200
"""Earners of the lowest amounts, and of the highest, that may have each other's."""


@dataclass(frozen=True, slots=True)
class Altered:
    """An earner (20 bytes) who has earned ``expected`` base units, and was given ``submitted`` (0: left out)."""

    earner: bytes
    expected: int
    submitted: int


def altered_earners(entitlements: Sequence[Entitlement], root: bytes, total: int) -> tuple[Altered, ...]:
    """Find whose amounts must have been others for a tree to have a root and a total.

    Args:
        entitlements: all that the tree should hold, of one asset.
        root: the root that was submitted (32 bytes).
        total: the total that was submitted with it (base units).

    Returns:
        One earner or two; empty if no such alteration gives the root, or if there were too many to try.
    """
    tries_left = HASHES_MAX // max(1, 2 * len(entitlements))
    difference = total - sum(each.cumulative for each in entitlements)
    for changed in _alterations(entitlements, difference):
        if tries_left == 0:
            break
        tries_left -= 1
        instead = {each.earner: each.submitted for each in changed}
        altered = (
            Entitlement(each.earner, each.asset, instead.get(each.earner, each.cumulative)) for each in entitlements
        )
        if ClaimTree(altered).root == root:
            return changed
    return ()


def _alterations(entitlements: Sequence[Entitlement], difference: int) -> Iterator[tuple[Altered, ...]]:
    if difference:
        for each in entitlements:
            submitted = each.cumulative + difference
            if 0 <= submitted < 2**256:
                yield (Altered(each.earner, each.cumulative, submitted),)
        return
    ranked = sorted(entitlements, key=lambda each: (each.cumulative, each.earner))
    # Who gains most by it comes first.
    for low, high in sorted(_pairs(ranked), key=lambda pair: pair[0].cumulative - pair[1].cumulative):
        yield (
            Altered(low.earner, low.cumulative, high.cumulative),
            Altered(high.earner, high.cumulative, low.cumulative),
        )


def _pairs(ranked: Sequence[Entitlement]) -> Iterable[tuple[Entitlement, Entitlement]]:
    # Those at the two ends; for more there is no time.
    ends = [*ranked[:ENDS], *ranked[-ENDS:]] if len(ranked) > 2 * ENDS else ranked
    return ((low, high) for low, high in combinations(ends, 2) if low.cumulative < high.cumulative)
