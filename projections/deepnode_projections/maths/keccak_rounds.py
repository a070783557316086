"""Keccak rounds: keccak-256 as a compiled loop over messages of one block each. The twin of ``eth_utils.keccak``.

The state are 25 lanes of 64 bits, lane ``5 y + x`` at column x and row y. This module needs the compiler.

Source: https://keccak.team/files/Keccak-reference-3.0.pdf, sections 1.2 and 2.3.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from deepnode_ledger.compiled import compiled, inlined

Lanes = npt.NDArray[Any]
"""An array of uint64."""

HASH_BYTES: Final = 32
BLOCK_BYTES: Final = 136
"""How much of a message goes into one block; behind the message stands a 1, and a bit at the block's end."""

_BLOCK_LANES: Final = BLOCK_BYTES // 8
_SIDE: Final = 5


def hash_all(messages: Sequence[bytes]) -> list[bytes]:
    """Return the hash of each message; all are of one length, below ``BLOCK_BYTES``."""
    length = len(messages[0])
    assert all(len(each) == length < BLOCK_BYTES for each in messages)
    blocks = np.zeros((len(messages), BLOCK_BYTES), np.uint8)
    blocks[:, :length] = np.frombuffer(b"".join(messages), np.uint8).reshape(len(messages), length)
    blocks[:, length] = 1
    blocks[:, -1] |= 0x80
    found = np.empty((len(messages), HASH_BYTES // 8), np.uint64)
    _hash(blocks.view("<u8"), found, _CONSTANTS, _TURNS, _TARGETS, np.zeros((2, _SIDE * _SIDE), np.uint64))
    octets = found.astype("<u8", copy=False).tobytes()
    return [octets[at : at + HASH_BYTES] for at in range(0, len(octets), HASH_BYTES)]


def _constants() -> list[int]:
    """Make the constants of the rounds: bits 2**j - 1 of each come from a shift register."""
    found, register = [], 1
    for _ in range(24):
        constant = 0
        for power in range(7):
            constant |= (register & 1) << ((1 << power) - 1)
            register = (register << 1) ^ (0x171 if register & 0x80 else 0)
        found.append(constant)
    return found


def _steps() -> tuple[list[int], list[int]]:
    """Say of each lane by how many bits it is turned, and where it goes."""
    turns, targets = [0] * 25, [0] * 25
    x, y = 1, 0
    for step in range(24):
        turns[_SIDE * y + x] = (step + 1) * (step + 2) // 2 % 64
        x, y = y, (2 * x + 3 * y) % _SIDE
    for column in range(_SIDE):
        for row in range(_SIDE):
            targets[_SIDE * row + column] = _SIDE * ((2 * column + 3 * row) % _SIDE) + row
    return turns, targets


_CONSTANTS: Final = np.array(_constants(), np.uint64)
_TURNS: Final = np.array(_steps()[0], np.uint64)
_TARGETS: Final = np.array(_steps()[1], np.int64)


@compiled
def _hash(blocks: Lanes, found: Lanes, constants: Lanes, turns: Lanes, targets: Lanes, room: Lanes) -> None:
    state, moved = room[0], room[1]
    for row in range(len(blocks)):
        for lane in range(25):
            state[lane] = blocks[row, lane] if lane < _BLOCK_LANES else np.uint64(0)
        for number in range(len(constants)):
            _round(state, moved, turns, targets)
            state[0] ^= constants[number]
        for lane in range(4):
            found[row, lane] = state[lane]


@inlined
def _round(state: Lanes, moved: Lanes, turns: Lanes, targets: Lanes) -> None:
    """Do theta, rho, pi and chi."""
    one, most = np.uint64(1), np.uint64(63)
    sums = moved  # Its first lanes are free until lanes are moved.
    for x in range(5):
        sums[x] = state[x] ^ state[x + 5] ^ state[x + 10] ^ state[x + 15] ^ state[x + 20]
    for x in range(5):
        after = sums[(x + 1) % 5]
        change = sums[(x + 4) % 5] ^ ((after << one) | (after >> most))
        for y in range(0, 25, 5):
            state[y + x] ^= change
    for lane in range(25):
        value, turn = state[lane], turns[lane]
        # A lane that is turned by nothing is turned by 64 the other way, which is not defined: by 0 then.
        moved[targets[lane]] = (value << turn) | (value >> ((np.uint64(64) - turn) & most))
    for y in range(0, 25, 5):
        for x in range(5):
            state[y + x] = moved[y + x] ^ (~moved[y + (x + 1) % 5] & moved[y + (x + 2) % 5])
