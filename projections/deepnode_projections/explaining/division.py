"""A division of base units by weights, as a step: the floor, the remainder, and who got the units that were left."""

import re
from collections.abc import Mapping
from typing import Final

from deepnode_projections.explaining.explanation import Asset, Step, counted
from deepnode_projections.maths.apportion import Share, largest_remainder
from deepnode_projections.rulesets import FieldValue

_DIVISION: Final = re.compile(r"(\d+) \* (\d+) / (\d+) \+ ([01])")

SEEDS: Final = ("000 step 4", "DESIGN section 6, Epoch pools")
"""Where the largest remainder is asked for."""


def divisions(path: str) -> tuple[Share, ...]:
    """Read the divisions of ``rules.pools.Reward.path``; the shares have no key."""
    found = tuple(Share(b"", *(int(number) for number in each)) for each in _DIVISION.findall(path))
    assert "; ".join(f"{s.of} * {s.weight} / {s.total_weight} + {s.extra}" for s in found) == path, path
    return found


def by_largest_remainder(
    title: str, asset: Asset, share: Share, weights: Mapping[bytes, int], key: bytes, unit: str
) -> Step:
    """Explain a share of a division by largest remainder.

    Args:
        title: of the step.
        asset: what is divided.
        share: what the books say, one division of a path.
        weights: of everybody, as found again in the records. Equal remainders go by these keys.
        key: of who is explained.
        unit: what the weights are, such as "weighted work".
    """
    again = largest_remainder(share.of, weights)
    same = any(
        each.key == key and (each.weight, each.total_weight, each.extra) == _told(share) for each in again.shares
    )
    said = [
        f"{asset.amount(share.of)} are divided over {counted(len(again.shares), 'earner')} by {unit}.",
        f"The part is rounded down to {share.floor}; the division leaves a remainder of {share.remainder}.",
    ]
    if same:
        left = share.of - sum(each.floor for each in again.shares)
        by_remainder = sorted(again.shares, key=lambda each: (-each.remainder, each.key))
        place = 1 + [each.key for each in by_remainder].index(key)
        said.append(_extra(left, place, len(by_remainder), share.extra))
    else:
        said.append("The weights found again in the records do not give this division: it is as the books keep it.")
    return Step(title, tuple(said), arithmetic(share), seeds=SEEDS, holds=same)


def in_two(title: str, asset: Asset, share: Share, said: str, fields: tuple[FieldValue, ...], seed: str) -> Step:
    """Explain a share of a division in two."""
    words = [said, f"{asset.amount(share.of)} are divided; the part is rounded down to {share.floor}."]
    if share.extra:
        words.append("It gets the base unit that rounding both parts down leaves.")
    return Step(title, tuple(words), arithmetic(share), seeds=(seed,), fields=fields)


def arithmetic(share: Share) -> tuple[str, ...]:
    """Write a share with its integers put in, so that it can be done again by hand."""
    return (
        f"{share.of} * {share.weight} / {share.total_weight} = {share.floor}, remainder {share.remainder}",
        f"{share.floor} + {share.extra} = {share.amount}",
    )


def _told(share: Share) -> tuple[int, int, int]:
    return share.weight, share.total_weight, share.extra


def _extra(left: int, place: int, of: int, extra: int) -> str:
    if not left:
        return "Nothing is left over: every part is whole."
    leaves = f"Rounding all parts down leaves {counted(left, 'base unit')}; the largest remainders get one each."
    return f"{leaves} This remainder is number {place} of {of}, so it gets {'one' if extra else 'none'}."
