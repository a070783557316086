"""Hashes: keccak-256 of many short messages at once."""

import sys
from collections.abc import Sequence
from typing import Final

from eth_utils.crypto import keccak

FEWEST: Final = 8
"""Messages that are worth the way to the compiled loop and back."""


def hashed(messages: Sequence[bytes]) -> list[bytes]:
    """Return the keccak-256 of each message; all are of one length, below 136 bytes."""
    # Where nothing else has loaded the compiler yet, loading it would take longer than all the hashes.
    if len(messages) < FEWEST or "numba" not in sys.modules:
        return [bytes(keccak(each)) for each in messages]
    from deepnode_projections.maths.keccak_rounds import hash_all

    return hash_all(messages)
