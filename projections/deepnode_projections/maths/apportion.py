"""Apportionment: dividing a whole number by weights, so that the parts sum to it exactly.

Everybody gets the floor of their share. The units that are left, fewer than there are shares with a remainder, go one
each to the largest remainders; among equal ones to the lower key. Keys are bytes, an address first of all, so the order
in which weights come changes nothing. A larger weight never gets less.

Source: DESIGN section 6, "Epoch pools": largest remainder, ties by ascending address.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Share:
    """What ``key`` gets of ``of`` base units: the ``floor`` of its weight's part, and ``extra``, 0 or 1."""

    key: bytes
    of: int
    weight: int
    total_weight: int
    extra: int

    def __post_init__(self) -> None:
        assert self.of >= 0, self
        assert 0 <= self.weight <= self.total_weight > 0, self
        assert self.extra == 0 or (self.extra == 1 and self.remainder > 0), self

    @property
    def floor(self) -> int:
        """The whole units that the weight gives by itself."""
        return self.of * self.weight // self.total_weight

    @property
    def remainder(self) -> int:
        """What the floor leaves, in parts of a unit: ``of * weight % total_weight`` out of ``total_weight``."""
        return self.of * self.weight % self.total_weight

    @property
    def amount(self) -> int:
        """What the share comes to, in base units."""
        return self.floor + self.extra


@dataclass(frozen=True, slots=True)
class Apportionment:
    """The shares in the order of their keys, and what nobody had a weight for: everything or nothing."""

    shares: tuple[Share, ...]
    undistributed: int


def largest_remainder(total: int, weights: Mapping[bytes, int] | Iterable[tuple[bytes, int]]) -> Apportionment:
    """Divide ``total`` base units by weights.

    A weight of zero gets nothing and has no share. Without any weight everything is undistributed. A key comes once.

    Source: DESIGN section 6, "Epoch pools"; seeds/000 step 4.
    """
    assert total >= 0, total
    pairs = sorted(weights.items() if isinstance(weights, Mapping) else weights)
    assert len({key for key, _ in pairs}) == len(pairs), "a key comes once"
    assert all(weight >= 0 for _, weight in pairs), "no weight is negative"
    weighted = [(key, weight) for key, weight in pairs if weight]
    if not weighted:
        return Apportionment((), total)
    total_weight = sum(weight for _, weight in weighted)
    # The sort is stable, so that equal remainders stay in the order of their keys.
    by_remainder = sorted(weighted, key=lambda pair: total * pair[1] % total_weight, reverse=True)
    left = total - sum(total * weight // total_weight for _, weight in weighted)
    assert 0 <= left < len(weighted), (total, left)
    lucky = {key for key, _ in by_remainder[:left]}
    shares = tuple(Share(key, total, weight, total_weight, int(key in lucky)) for key, weight in weighted)
    assert sum(share.amount for share in shares) == total, (total, shares)
    return Apportionment(shares, 0)
