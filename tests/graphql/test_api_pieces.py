"""The small parts of the API by themselves: amounts as text, cursors, values fetched together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import column
from sqlalchemy.types import BigInteger, Numeric, Text

from deepnode_graphql.amounts import format_amount
from deepnode_graphql.cursors import BadCursor, Order
from deepnode_graphql.together import Together

ORDER = Order(
    "things", (column("amount", Numeric(39, 0)), column("name", Text()), column("id", BigInteger())), descending=True
)


@pytest.mark.parametrize(
    ("amount", "decimals", "text"),
    [
        (12 * 10**18 + 1, 18, "12.000000000000000001 DN"),
        (-(10**17), 18, "-0.1 DN"),
        (0, 18, "0 DN"),
        (5, 0, "5 DN"),
        (10**38 - 1, 38, "0." + "9" * 38 + " DN"),
    ],
)
def test_an_amount_reads_as_whole_tokens(amount: int, decimals: int, text: str) -> None:
    """Formats amounts on both sides of zero and of the point."""
    assert format_amount(amount, decimals, "DN") == text


@given(st.integers(-(10**39), 10**39), st.integers(0, 38))
def test_a_formatted_amount_is_read_back_to_the_base_unit(amount: int, decimals: int) -> None:
    """Formats any amount and puts its digits together again."""
    whole, _, fraction = format_amount(amount, decimals, "X").removesuffix(" X").partition(".")
    digits = int(whole.lstrip("-") + fraction.ljust(decimals, "0"))
    assert (-digits if whole.startswith("-") else digits) == amount


@given(
    st.integers(-(10**39), 10**39),
    st.text(st.characters(min_codepoint=33, max_codepoint=126)),
    st.integers(0, 2**63 - 1),
)
def test_a_cursor_is_read_back_to_its_key(amount: int, name: str, number: int) -> None:
    """Encodes and decodes any key."""
    assert ORDER.decode(ORDER.encode([amount, name, number])) == [amount, name, number]


@given(st.text(max_size=200) | st.binary(max_size=100).map(lambda data: Order("x", ()).encode([data.hex()])))
def test_what_is_no_cursor_is_refused_and_nothing_else_happens(text: str) -> None:
    """Decodes any text."""
    with pytest.raises(BadCursor):
        ORDER.decode(text)


@pytest.mark.parametrize(
    "key", [[1, "a"], [1, "a", 2, 3], ["1", "a", 2], [True, "a", 2], [1, 2, 3], [1, "a", 2**63], [1, None, 2]]
)
def test_a_cursor_with_a_key_of_other_types_is_refused(key: list[object]) -> None:
    """Encodes keys that have the wrong length, types or sizes."""
    with pytest.raises(BadCursor):
        ORDER.decode(ORDER.encode(key))


def test_values_of_a_page_are_fetched_once_and_only_when_asked_for() -> None:
    """Counts the fetches of three looks."""
    fetched: list[list[int]] = []

    def fetch(keys: object) -> dict[int, str]:
        assert isinstance(keys, list)
        fetched.append(keys)
        return {key: str(key) for key in keys if key != 3}

    together = Together([1, 2, 2, 3], fetch)
    assert fetched == []
    assert [together.get(key, "none") for key in (2, 1, 3)] == ["2", "1", "none"]
    assert fetched == [[1, 2, 3]]
