"""Periods: what people write, and which entries it means."""

from datetime import UTC, datetime

import pytest

from deepnode_graphql.service import Service
from deepnode_graphql.statements.period import Period, read_period
from deepnode_ledger.errors import BadInput
from tests.graphql.statements.month_books import second_of


def period(service: Service, begins: str, ends: str | None = None) -> Period:
    """The period in the books of the month."""
    with service.reading() as reading:
        return read_period(reading, begins, ends)


def second(year: int, month: int, day: int, hour: int = 0) -> int:
    """Seconds since 1970 of a UTC date."""
    return int(datetime(year, month, day, hour, tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("begins", "ends", "first", "last"),
    [
        ("2023", None, (2023, 1, 1), (2024, 1, 1)),
        ("2023-11", None, (2023, 11, 1), (2023, 12, 1)),
        ("2022-12", "2023-12", (2022, 12, 1), (2024, 1, 1)),
        ("2023-11-15", None, (2023, 11, 15), (2023, 11, 16)),
        ("2023-02-28", "2024-02-29", (2023, 2, 28), (2024, 3, 1)),
        ("2023-11-14T22:00:00Z", "2023-11-14T23:00:00Z", (2023, 11, 14, 22), (2023, 11, 14, 23)),
    ],
)
def test_dates_stand_for_all_of_what_they_name(
    month_service: Service, begins: str, ends: str | None, first: tuple[int, ...], last: tuple[int, ...]
) -> None:
    """Reads years, months, days and moments of UTC: the end is the second behind the last one."""
    found = period(month_service, begins, ends)
    assert (found.from_time, found.to_time) == (second(*first), second(*last))


def test_a_moment_as_an_end_does_not_belong_to_the_period(month_service: Service) -> None:
    """Ends a period at the very second of a block, and one second behind it."""
    moments = [datetime.fromtimestamp(second_of(3) + step, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for step in (0, 1)]
    before, with_it = (period(month_service, "2023-11-14T00:00:00Z", each) for each in moments)
    assert before.position < with_it.position
    assert [before.over, before.final, with_it.final] == [True, True, True]
    assert with_it.position == period(month_service, "block:3").position
    assert before.position == period(month_service, "block:3").opening_position


def test_blocks_belong_to_the_period_whole(month_service: Service) -> None:
    """Reads one block, and all of them: nothing is before the first."""
    one = period(month_service, "block:3")
    assert (one.from_time, one.to_time) == (second_of(3), second_of(3) + 1)
    assert period(month_service, "block:0", "block:16").opening_position == 0
    assert period(month_service, "epoch:0").opening_position == 0


@pytest.mark.parametrize(
    ("begins", "ends", "said"),
    [
        ("yesterday", None, "must be a UTC date"),
        ("2023-13", None, "is no date"),
        ("2023-02-30", None, "is no date"),
        ("0000", None, "is no date"),
        ("2023-11-14", "2023-11-13", "is empty"),
        ("block:5", "block:4", "is empty"),
        ("block:18", None, "behind the last one of the books"),
        ("2033", None, "behind the books' end"),
        ("epoch:1", None, "has not begun"),
        ("9999-12-31", None, "is no date|behind the books' end"),
        ("२०२३", None, "must be a UTC date"),
    ],
)
def test_what_is_no_period_of_the_books_is_refused(
    month_service: Service, begins: str, ends: str | None, said: str
) -> None:
    """Writes what is no date, what is empty and what has not come yet."""
    with pytest.raises(BadInput, match=said):
        period(month_service, begins, ends)


def test_a_period_that_ends_with_the_newest_block_is_not_final(month_service: Service) -> None:
    """Task events may still come under the newest block, even if it is finalized; behind it is another matter."""
    assert period(month_service, "block:3", "block:16").final
    assert not period(month_service, "block:3", "block:17").final
    newest = datetime.fromtimestamp(second_of(17) + 1, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    found = period(month_service, "2023", newest)
    assert (found.over, found.final) == (True, False)
