"""The logs' bloom of a header: which addresses and topics a block can have logs of.

It says "none for certain" or "perhaps". With a header whose hash was recomputed, "none" is a proof that
``eth_getLogs`` left nothing out, for the price of a header. "Perhaps" proves nothing: three bits of 2 048 collide often
in a full block.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

import numpy as np
from eth_utils.crypto import keccak
from numpy.typing import NDArray

BLOOM_BYTES: Final = 256
BLOOM_BITS: Final = 8 * BLOOM_BYTES

EMPTY: Final = bytes(BLOOM_BYTES)
"""The bloom of a block without logs."""

REMEMBERED_MAX: Final = 16_384
"""Addresses and topics whose bits are kept: a chain's logs repeat them, and a keccak costs more than a look-up."""


class Watch:
    """Addresses (20 bytes) or topics (32 bytes) whose bits were worked out once, to be looked for in many blooms."""

    def __init__(self, items: Iterable[bytes]) -> None:
        self._items = tuple(items)
        # A set bit b of the 2 048-bit number is element 2 047 - b of the unpacked bytes, which run from the top.
        places = [[BLOOM_BITS - 1 - bit for bit in _bits(item)] for item in self._items]
        self._places = np.array(places, dtype=np.intp).reshape(len(self._items), 3)

    def any_in(self, bloom: bytes) -> bool:
        """Whether a log of one of them can be there; False says for certain that there is none."""
        return bool(self._held(bloom).any())

    def found_in(self, bloom: bytes) -> list[bytes]:
        """Return those of which a log can be there, in the order in which they were given."""
        return [self._items[row] for row in np.flatnonzero(self._held(bloom))]

    def _held(self, bloom: bytes) -> NDArray[np.bool_]:
        assert len(bloom) == BLOOM_BYTES, len(bloom)
        bits = np.unpackbits(np.frombuffer(bloom, np.uint8))
        return np.asarray(bits[self._places].all(axis=1), np.bool_)


def bytes_of(item: bytes) -> list[tuple[int, int]]:
    """Return the three bits of an address or a topic: which byte of a bloom each is in, and its mask there."""
    return [(BLOOM_BYTES - 1 - bit // 8, 1 << bit % 8) for bit in _bits(item)]


def may_hold(bloom: bytes, item: bytes) -> bool:
    """Whether a log of this address (20 bytes) or topic (32 bytes) can be in a bloom of 256 bytes."""
    assert len(bloom) == BLOOM_BYTES, len(bloom)
    return all(bloom[BLOOM_BYTES - 1 - bit // 8] >> (bit % 8) & 1 for bit in _bits(item))


def of_logs(logs: Iterable[tuple[bytes, Sequence[bytes]]]) -> bytes:
    """Return the bloom (256 bytes) of logs, each given as its address and its topics."""
    bloom = bytearray(BLOOM_BYTES)
    for address, topics in logs:
        for item in (address, *topics):
            for bit in _bits(item):
                bloom[BLOOM_BYTES - 1 - bit // 8] |= 1 << (bit % 8)
    return bytes(bloom)


@lru_cache(maxsize=REMEMBERED_MAX)
def _bits(item: bytes) -> tuple[int, int, int]:
    """The three bits of an item: the low eleven bits of each of the first three pairs of bytes of its keccak-256."""
    assert len(item) in (20, 32), item
    digest = keccak(item)
    first, second, third = (int.from_bytes(digest[at : at + 2]) % BLOOM_BITS for at in (0, 2, 4))
    return first, second, third
