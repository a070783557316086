"""What people write is read exactly or refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import from_hex, to_hex


@given(st.binary(max_size=64))
def test_what_is_written_is_read_back(value: bytes) -> None:
    """Writes any bytes and reads them with and without a length, in both cases of letters."""
    text = to_hex(value)
    assert text == text.lower()
    assert from_hex(text) == value
    assert from_hex("0x" + text[2:].upper(), len(value)) == value


@given(st.binary(max_size=40), st.integers(0, 40))
def test_only_the_exact_length_passes(value: bytes, length: int) -> None:
    """Asks for every other length: the message names both."""
    if length == len(value):
        assert from_hex(to_hex(value), length) == value
        return
    with pytest.raises(BadInput, match=rf"the thing must have {length} bytes, not {len(value)}"):
        from_hex(to_hex(value), length, what="the thing")


@pytest.mark.parametrize(
    "text",
    [
        None, 12, b"0x00", ["0x00"], "", "00", "0X00", "0x0", "0x 00", "0x00 ", " 0x00", "0x00\n", "0x0 0", "0x00 00",
        "0x0g", "0x\u0661\u0662", "0x00\x00", "-0x00", "0x0x00",
    ],
)  # fmt: skip
def test_anything_else_is_refused(text: object) -> None:
    """Offers non-strings, blanks in every place, odd digits, digits of other scripts."""
    with pytest.raises(BadInput, match="hexadecimal value must"):
        from_hex(text)


def test_a_message_never_grows_with_the_input() -> None:
    """Offers a million characters; the message quotes the beginning only."""
    with pytest.raises(BadInput) as refused:
        from_hex("0x" + "z" * 1_000_000)
    assert len(str(refused.value)) < 300
