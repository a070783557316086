"""Limbs count as Python's integers do, at every width that the books know."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from deepnode_projections.folds import limbs

EDGE = 10**38
numbers = st.integers(-EDGE, EDGE) | st.sampled_from([0, 1, -1, 2**32, -(2**32), 2**64 - 1, 2**96, EDGE - 1, 1 - EDGE])


def ints(found: limbs.Numbers) -> list[int]:
    """Numbers as Python has them."""
    return [sum(int(limb) << (32 * place) for place, limb in enumerate(column)) for column in found.T]


@given(st.lists(numbers))
def test_numbers_survive(values: list[int]) -> None:
    """Lays numbers out as limbs, and from halves, takes their sign off, and reads them back."""
    found = limbs.of_ints(values)
    assert ints(found) == values
    assert ints(limbs.normal(-found)) == [-value for value in values]
    magnitudes, negative = limbs.magnitude(limbs.normal(found))
    assert ints(magnitudes) == [abs(value) for value in values]
    assert negative.tolist() == [value < 0 for value in values]
    positive = [abs(value) for value in values]
    high, low = (
        np.array([v >> 64 for v in positive], np.uint64),
        np.array([v & 2**64 - 1 for v in positive], np.uint64),
    )
    assert ints(limbs.of_halves(high, low)) == positive


@given(st.lists(st.tuples(st.integers(0, 4), numbers), min_size=1), st.lists(numbers, min_size=5, max_size=5))
def test_running_sums_are_those_of_each_group(rows: list[tuple[int, int]], openings: list[int]) -> None:
    """Adds amounts up by group, in their order, from each group's opening on."""
    keys = sorted({key for key, _ in rows})
    sums = {key: openings[key] for key in keys}
    expected, last = [], {}
    for place, (key, amount) in enumerate(rows):
        sums[key] += amount
        expected.append(sums[key])
        last[key] = place
    groups = limbs.grouped(np.array([key for key, _ in rows], np.int64))
    amounts = limbs.of_ints([amount for _, amount in rows])
    found = limbs.running(groups, limbs.of_ints([openings[key] for key in keys]), amounts)
    assert ints(found) == expected
    assert groups.last.tolist() == [last[key] for key in keys]


@given(st.lists(numbers, min_size=1), numbers)
def test_a_limit_is_reached_by_what_is_as_large(values: list[int], limit: int) -> None:
    """Compares with any limit: one more, one less, and the number itself among them."""
    positive = limbs.of_ints([abs(value) for value in values])
    assert limbs.any_reaches(positive, abs(limit)) == any(abs(value) >= abs(limit) for value in values)
    largest = max(abs(value) for value in values)
    assert limbs.any_reaches(positive, largest)
    assert not limbs.any_reaches(positive, largest + 1)


@given(st.lists(numbers, min_size=1))
def test_digits_are_those_of_base_ten_thousand(values: list[int]) -> None:
    """Puts the digits together again; the first of the largest number's is among the first two."""
    found = limbs.digits(limbs.of_ints([abs(value) for value in values])).tolist()
    assert [sum(digit * 10_000**place for place, digit in enumerate(row[::-1])) for row in found] == [
        abs(value) for value in values
    ]
    assert all(0 <= digit < 10_000 for row in found for digit in row)
    assert len(found[0]) == 2 or any(any(row[:2]) for row in found)


def test_sums_of_very_many_are_exact() -> None:
    """Adds up a hundred thousand of the largest amounts, far beyond what the books take, to the last digit."""
    count = 100_000
    amounts = np.repeat(limbs.of_ints([EDGE - 1]), count, axis=1)
    found = limbs.running(limbs.grouped(np.zeros(count, np.int64)), limbs.of_ints([0]), amounts)
    assert ints(found[:, -1:]) == [count * (EDGE - 1)]
