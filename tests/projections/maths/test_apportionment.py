"""Largest remainder: parts that sum exactly, do not depend on an order, and never favour the smaller weight."""

from collections import Counter
from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from deepnode_projections.maths import largest_remainder

keys = st.binary(min_size=20, max_size=20)
weightings = st.dictionaries(keys, st.integers(0, 10**24), max_size=30)
small = st.dictionaries(st.binary(min_size=1, max_size=1), st.integers(0, 6), min_size=2, max_size=8)
totals = st.one_of(st.integers(0, 40), st.integers(0, 10**38 - 1))


def amounts(total: int, weights: dict[bytes, int]) -> Counter[bytes]:
    return Counter({share.key: share.amount for share in largest_remainder(total, weights).shares})


def test_a_division_by_hand() -> None:
    """Divides 10 by 1 : 1 : 1 and by 6 : 3 : 2, where the remainders decide and then the lower key."""
    assert amounts(10, {b"c": 1, b"a": 1, b"b": 1}) == {b"a": 4, b"b": 3, b"c": 3}
    # 60/11 = 5 + 5/11, 30/11 = 2 + 8/11, 20/11 = 1 + 9/11.
    shares = largest_remainder(10, {b"a": 6, b"b": 3, b"c": 2}).shares
    assert [(share.floor, share.remainder, share.extra, share.amount) for share in shares] == [
        (5, 5, 0, 5),
        (2, 8, 1, 3),
        (1, 9, 1, 2),
    ]


def test_without_a_weight_everything_is_undistributed() -> None:
    """Divides by no weights and by zeros alone."""
    for weights in ({}, {b"a": 0, b"b": 0}):
        found = largest_remainder(7, weights)
        assert (found.shares, found.undistributed) == ((), 7)


@given(total=totals, weights=weightings)
def test_the_parts_sum_to_the_whole(total: int, weights: dict[bytes, int]) -> None:
    """Draws totals to 10**38 and weights; shares and undistributed sum exactly, and each is its floor or one more."""
    found = largest_remainder(total, weights)
    assert sum(share.amount for share in found.shares) + found.undistributed == total
    assert {share.key for share in found.shares} == {key for key, weight in weights.items() if weight}
    whole = sum(weights.values())
    for share in found.shares:
        assert share.floor == total * weights[share.key] // whole
        assert share.amount - share.floor == share.extra in (0, 1)


@given(total=totals, weights=weightings, rng=st.randoms(use_true_random=False))
def test_the_order_of_the_weights_changes_nothing(total: int, weights: dict[bytes, int], rng: Random) -> None:
    """Shuffles the weights, as pairs and as a mapping."""
    pairs = [*weights.items()]
    rng.shuffle(pairs)
    assert largest_remainder(total, pairs) == largest_remainder(total, weights) == largest_remainder(total, dict(pairs))


@given(total=totals, weights=st.one_of(weightings, small))
def test_a_larger_weight_never_gets_less(total: int, weights: dict[bytes, int]) -> None:
    """Compares every two keys: by weight, and among equal weights the lower key is not behind."""
    found = amounts(total, weights)
    ordered = sorted(weights, key=lambda key: (-weights[key], key))
    assert all(found[one] >= found[next_] for one, next_ in pairwise(ordered))


@given(total=totals, weights=small, more=st.integers(1, 5), data=st.data())
def test_who_gains_weight_never_loses(total: int, weights: dict[bytes, int], more: int, data: st.DataObject) -> None:
    """Adds to one weight and leaves the others: its share does not become smaller."""
    key = data.draw(st.sampled_from(sorted(weights)))
    assert amounts(total, {**weights, key: weights[key] + more})[key] >= amounts(total, weights)[key]
