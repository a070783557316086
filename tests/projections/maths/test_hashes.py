"""Hashes of many messages are those of one message after the other."""

import numpy as np
import pytest
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from deepnode_ledger.compiled import available
from deepnode_projections.maths.hashes import FEWEST, hashed

compiler = pytest.mark.skipif(not available(), reason="needs the compiler")


def messages_of(length: int, count: int, seed: int) -> list[bytes]:
    octets = np.random.default_rng(seed).integers(0, 256, (count, length), np.uint8)
    return [each.tobytes() for each in octets]


@given(length=st.integers(1, 135), count=st.integers(0, 3 * FEWEST), seed=st.integers(0, 2**32))
def test_hashes_of_many_messages_are_those_of_each(length: int, count: int, seed: int) -> None:
    """Draws messages of any length that fits into a block, as few as none and as many as are hashed at once."""
    messages = messages_of(length, count, seed)
    assert hashed(messages) == [bytes(keccak(each)) for each in messages]


@compiler
@pytest.mark.parametrize("length", [0, 1, 7, 8, 32, 64, 96, 134, 135])
def test_the_compiled_rounds_are_keccak(length: int) -> None:
    """Hashes messages of nothing, of zeros, of ones and of chance, of lengths around a lane's and a block's end."""
    from deepnode_projections.maths.keccak_rounds import hash_all

    messages = [bytes(length), b"\xff" * length, *messages_of(length, 20, length)]
    assert hash_all(messages) == [bytes(keccak(each)) for each in messages]
