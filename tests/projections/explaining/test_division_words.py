"""Divisions as steps: what is said of floors, remainders and extra units is what the division did."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_projections.explaining.division import by_largest_remainder, divisions, in_two
from deepnode_projections.explaining.explanation import Asset
from deepnode_projections.maths.apportion import Share, largest_remainder
from deepnode_projections.rules.pools import Reward

DN = Asset(b"\x0d" * 20, "DN", 18)
WEIGHTS = {b"a": 2, b"b": 1, b"c": 4}
"""Of 10 units: 2 remainder 6, 1 remainder 3, 5 remainder 5."""


def path_of(shares: list[Share]) -> str:
    """As ``rules.pools`` writes a path."""
    return "; ".join(f"{s.of} * {s.weight} / {s.total_weight} + {s.extra}" for s in shares)


def test_the_extra_unit_is_told_by_the_rank_of_the_remainder() -> None:
    """Divides 10 by 2, 1 and 4: two units are left, for a (remainder 6) and c (5), none for b (3)."""
    shares = {share.key: share for share in largest_remainder(10, WEIGHTS).shares}
    told = {
        key: by_largest_remainder("The share", DN, share, WEIGHTS, key, "work").said[-1]
        for key, share in shares.items()
    }
    left = "Rounding all parts down leaves 2 base units; the largest remainders get one each."
    assert told == {
        b"a": f"{left} This remainder is number 1 of 3, so it gets one.",
        b"b": f"{left} This remainder is number 3 of 3, so it gets none.",
        b"c": f"{left} This remainder is number 2 of 3, so it gets one.",
    }


def test_a_division_that_the_weights_do_not_give_is_said_not_to_be() -> None:
    """Explains a share of 10 by weights that have changed: the step does not hold, and says so."""
    share = Share(b"a", 10, 2, 7, 1)
    step = by_largest_remainder("The share", DN, share, WEIGHTS | {b"b": 2}, b"a", "work")
    assert not step.holds
    assert "do not give this division" in step.said[-1]
    assert by_largest_remainder("The share", DN, share, WEIGHTS, b"a", "work").holds


def test_a_whole_division_leaves_nothing() -> None:
    """Divides 14 by 2, 1 and 4."""
    share = Share(b"c", 14, 4, 7, 0)
    step = by_largest_remainder("The share", DN, share, WEIGHTS, b"c", "work")
    assert step.said[-1] == "Nothing is left over: every part is whole."
    assert step.formulas == ("14 * 4 / 7 = 8, remainder 0", "8 + 0 = 8")


@pytest.mark.parametrize(("extra", "words"), [(0, False), (1, True)])
def test_the_rest_of_a_division_in_two_has_the_unit(extra: int, words: bool) -> None:
    """Takes 90 per cent of 11: 9, and the unit that rounding both down leaves."""
    step = in_two("The rest", DN, Share(b"", 11, 9, 10, extra), "For the others.", (), "001 section 4")
    assert any("rounding both parts down" in each for each in step.said) == words
    assert step.formulas[1] == f"9 + {extra} = {9 + extra}"


@given(st.integers(0, 10**40), st.lists(st.integers(1, 10**30), min_size=1, max_size=8), st.data())
def test_a_path_is_read_as_it_was_written(total: int, weights: list[int], data: st.DataObject) -> None:
    """Writes a path of a division of a division as the rules do, and reads it back; every formula comes out."""
    first = data.draw(st.sampled_from(largest_remainder(total, _keyed(weights)).shares))
    second = data.draw(st.sampled_from(largest_remainder(first.amount, _keyed(weights[::-1])).shares))
    read = divisions(path_of([first, second]))
    assert [(s.of, s.weight, s.total_weight, s.extra) for s in read] == [
        (s.of, s.weight, s.total_weight, s.extra) for s in (first, second)
    ]
    assert read[-1].amount == second.amount


def test_what_is_no_path_is_not_guessed_at() -> None:
    """Reads a path with a word in it."""
    with pytest.raises(AssertionError):
        divisions("10 * 1 / 2 + 0; half of it")
    assert Reward.__dataclass_fields__["path"].type is str


def _keyed(weights: list[int]) -> dict[bytes, int]:
    return {bytes([number]): weight for number, weight in enumerate(weights)}
