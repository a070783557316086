"""One word read directly is what the general decoder reads, and refused when it refuses."""

from typing import Any

import pytest
from eth_abi.abi import decode as abi_decode
from eth_abi.exceptions import DecodingError
from hypothesis import example, given
from hypothesis import strategies as st

from deepnode_ledger.hexadecimal import from_hex
from deepnode_ledger.word import is_word, read_word

TYPES = ["address", "bool", *(f"{kind}{8 * n}" for kind in ("uint", "int") for n in range(1, 33))]
TYPES += [f"bytes{n}" for n in range(1, 33)]
NOT_WORDS = [
    "string",
    "bytes",
    "uint256[]",
    "uint8[2]",
    "(uint8)",
    "uint7",
    "uint264",
    "uint0",
    "bytes0",
    "bytes33",
    "u",
]

# Words near what decides: small numbers, small negative ones, addresses, and anything at all.
WORDS = st.one_of(
    st.integers(0, 2**16).map(lambda n: n.to_bytes(32)),
    st.integers(1, 2**16).map(lambda n: (2**256 - n).to_bytes(32)),
    st.integers(0, 2**160 - 1).map(lambda n: n.to_bytes(32)),
    st.binary(min_size=1, max_size=32).map(lambda some: some.ljust(32, b"\0")),
    st.binary(min_size=32, max_size=32),
)


@given(st.sampled_from(TYPES), WORDS)
@example("int8", (2**256 - 128).to_bytes(32))
@example("int8", (128).to_bytes(32))
@example("uint256", (2**256 - 1).to_bytes(32))
@example("address", (2**160).to_bytes(32))
def test_a_word_is_read_as_eth_abi_reads_it(abi_type: str, word: bytes) -> None:
    """For any type of one word and any 32 bytes: the same value, or refused by both."""
    assert is_word(abi_type)
    expected: Any
    try:
        [expected] = abi_decode([abi_type], word)
    except DecodingError:
        with pytest.raises(DecodingError):
            read_word(abi_type, word)
        return
    assert read_word(abi_type, word) == (from_hex(expected, 20) if abi_type == "address" else expected)


@pytest.mark.parametrize("abi_type", NOT_WORDS)
def test_other_types_are_left_to_the_general_decoder(abi_type: str) -> None:
    """Dynamic, composed and impossible types are no words."""
    assert not is_word(abi_type)
