"""A column of texts is read at once exactly as its texts are read one by one."""

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deepnode_indexer.hex_columns import Quantities, data_array, quantity, words
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import from_hex, to_hex

FULL = st.binary(min_size=20, max_size=20).map(to_hex)
ODD = st.text("0x1fF, _gé٣\n", max_size=8)
"""What looks a little like hexadecimal: prefixes, separators, white space, digits of other scripts."""
NEARLY = st.tuples(FULL, ODD, st.integers(0, 42)).map(lambda made: made[0][: made[2]] + made[1] + made[0][made[2] :])
CUT = st.tuples(FULL, st.integers(0, 42)).map(lambda made: made[0][: made[1]])


def one_by_one(texts: list[str], length_bytes: int | None) -> list[bytes] | None:
    try:
        return [from_hex(text, length_bytes) for text in texts]
    except BadInput:
        return None


@given(st.lists(FULL | NEARLY | CUT | ODD, max_size=6))
@example(["0x" + "a" * 41, "x" + "b" * 40])
@example(["0x" + "aa" * 20 + ",0x" + "bb" * 20])
def test_words_are_read_as_one_by_one(texts: list[str]) -> None:
    """Reads columns of addresses, some of them cut, lengthened or joined so that the sum of lengths is right."""
    expected = one_by_one(texts, 20)
    if expected is None:
        with pytest.raises(BadInput):
            words(texts, 20)
    else:
        assert [row.tobytes() for row in words(texts, 20)] == expected


@given(st.lists(st.binary(max_size=9).map(to_hex) | ODD | NEARLY, min_size=1, max_size=6))
@example(["0x10x2"])
@example(["0x0", "x1"])
@example(["0x", "0x", "0x00"])
@example(["0x", "0x"])
@example(["0x0"])
@example([""])
def test_data_is_read_as_one_by_one(texts: list[str]) -> None:
    """Reads columns of data of any length, empty ones and ones with another prefix inside among them."""
    expected = one_by_one(texts, None)
    if expected is None:
        with pytest.raises(BadInput):
            data_array(texts)
    else:
        array = data_array(texts)
        array.validate(full=True)
        assert array.type == pa.binary()
        assert array.to_pylist() == expected


@given(st.integers(0, 2**63 - 1))
def test_a_quantity_is_read_back(value: int) -> None:
    """Writes numbers as quantities in both cases, with leading zeros as some nodes do."""
    assert quantity(hex(value)) == quantity("0x" + f"{value:X}") == quantity(f"0x{value:016x}") == value
    assert Quantities()[hex(value)] == value


@pytest.mark.parametrize(
    "text", ["", "0x", "1", "0x_1", "0x1_0", " 0x1", "0x1\n", "-0x1", "+0x1", "0X1", "0x٣", None, 7]
)
def test_what_is_no_quantity_is_refused(text: object) -> None:
    """Offers what Python's int would read, and other types."""
    with pytest.raises(BadInput, match="is no quantity"):
        quantity(text)
