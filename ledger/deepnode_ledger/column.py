"""A column: one argument of many logs, as an array.

Numbers of up to 64 bits are machine integers, wider ones four limbs of 64 bits, so that sums and comparisons stay exact
and vectorised; addresses and fixed bytes are the octets themselves. Whether a word is what its type says (no bit set
that the type does not have) is one mask over all of them, as strict as ``word`` and eth-abi are for one.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from deepnode_ledger.hexadecimal import ADDRESS_BYTES, WORD_BYTES

Words = npt.NDArray[np.uint8]
"""Words of ``WORD_BYTES`` bytes each: shape (rows, 32)."""

Limbs = npt.NDArray[np.uint64]
"""Numbers of 256 bits, the most significant limb first: shape (rows, 4)."""

Mask = npt.NDArray[np.bool_]

DECIMAL128_MAX: Final = 10**38 - 1
"""The largest number of base units that a ``decimal128(38, 0)`` holds."""

_LIMB_BITS: Final = 64
_LIMBS: Final = 4
_SIZED = re.compile(r"^(uint|int|bytes)(\d+)$", re.ASCII)


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """Numbers of up to 64 bits, or truth values: ``numbers`` is of uint64, int64 or bool."""

    numbers: npt.NDArray[np.uint64] | npt.NDArray[np.int64] | Mask

    def values(self) -> list[Any]:
        """Return them as ints or bools."""
        values: list[Any] = self.numbers.tolist()
        return values


@dataclass(frozen=True, slots=True, eq=False)
class Wide:
    """Numbers of more than 64 bits; a ``signed`` one is written in two's complement."""

    limbs: Limbs
    signed: bool

    def values(self) -> list[int]:
        """Return them as ints."""
        if not self.limbs[:, :3].any():
            return [int(number) for number in self.limbs[:, 3].tolist()]
        numbers = [a << 192 | b << 128 | c << 64 | d for a, b, c, d in self.limbs.tolist()]
        return [number - (number >> 255 << 256) for number in numbers] if self.signed else numbers

    def hi_lo(self) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
        """Return the higher and the lower half of the low 128 bits."""
        return self.limbs[:, 2], self.limbs[:, 3]

    def below(self, bound: int) -> Mask:
        """Say of each whether it is less than ``bound`` (0 to 2**256)."""
        assert not self.signed, "limbs of negative numbers do not compare so"
        assert 0 <= bound <= 1 << 256, bound
        below: Mask = np.full(len(self.limbs), bound >> 256 == 1)
        if bound >> 256:
            return below
        for index in range(_LIMBS - 1, -1, -1):
            limb, other = self.limbs[:, index], _limb(bound, index)
            below = (limb < other) | ((limb == other) & below)
        return below

    def decimal128(self) -> pa.Array:
        """Return them as ``decimal128(38, 0)``; null where one is above ``DECIMAL128_MAX``."""
        fits = self.below(DECIMAL128_MAX + 1)
        low_first = np.ascontiguousarray(self.limbs[:, [3, 2]], dtype="<u8")
        valid = pa.array(fits).buffers()[1] if len(fits) else None
        return pa.Array.from_buffers(pa.decimal128(38, 0), len(fits), [valid, pa.py_buffer(low_first)])


@dataclass(frozen=True, slots=True, eq=False)
class Fixed:
    """Addresses (20 bytes), or fixed bytes: ``octets`` is of shape (rows, bytes)."""

    octets: npt.NDArray[np.uint8]

    def values(self) -> list[bytes]:
        """Return them as bytes."""
        size, joined = self.octets.shape[1], self.octets.tobytes()
        return [joined[start : start + size] for start in range(0, len(joined), size)]

    def arrow(self) -> pa.Array:
        """Return them as an Arrow array of fixed-size binary."""
        rows, size = self.octets.shape
        return pa.Array.from_buffers(pa.binary(size), rows, [None, pa.py_buffer(np.ascontiguousarray(self.octets))])


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """Values of a type that is no single word, as Python has them; None where the log could not be read."""

    items: list[Any]

    def values(self) -> list[Any]:
        """Return them."""
        return self.items


Column = Numbers | Wide | Fixed | Values


def present(column: pa.Array) -> Mask:
    """Say of each element of an Arrow array whether it is there, and no null."""
    bitmap = column.buffers()[0]
    if bitmap is None or not column.null_count:
        return np.ones(len(column), np.bool_)
    first = column.offset // 8
    octets = np.frombuffer(bitmap, np.uint8)[first : (column.offset + len(column) + 7) // 8]
    bits = np.unpackbits(octets, bitorder="little")[column.offset - 8 * first :]
    return bits[: len(column)].view(np.bool_)


def clean(abi_type: str, words: Words) -> Mask:
    """Say of each word whether it is a value of a type of one word: in its range, and padded as the ABI says."""
    kind, bits = _shape(abi_type)
    if kind == "int":
        # All bits from the sign on are alike.
        mask = (1 << 256) - (1 << (bits - 1))
        return _all_are(words, mask, 0) | _all_are(words, mask, 1)
    return _all_are(words, (1 << (256 - bits)) - 1 if kind == "bytes" else (1 << 256) - (1 << bits), 0)


def column_of(abi_type: str, words: Words) -> Column:
    """Read words of a type of one word, all of which are clean."""
    kind, bits = _shape(abi_type)
    if kind == "bytes":
        return Fixed(np.ascontiguousarray(words[:, : bits // 8]))
    if kind == "address":
        return Fixed(np.ascontiguousarray(words[:, WORD_BYTES - ADDRESS_BYTES :]))
    limbs = limbs_of(words)
    if kind == "bool":
        return Numbers(limbs[:, 3] == 1)
    if bits > _LIMB_BITS:
        return Wide(limbs, signed=kind == "int")
    last = np.ascontiguousarray(limbs[:, 3])
    return Numbers(last.view(np.int64) if kind == "int" else last)


def limbs_of(words: Words) -> Limbs:
    """Read words as numbers of 256 bits."""
    assert words.ndim == 2, words.shape
    assert words.shape[1] == WORD_BYTES, words.shape
    return words.view(">u8").astype(np.uint64)


def _shape(abi_type: str) -> tuple[str, int]:
    if abi_type == "address":
        return "address", 8 * ADDRESS_BYTES
    if abi_type == "bool":
        return "bool", 1
    match = _SIZED.match(abi_type)
    assert match is not None, abi_type
    size = int(match[2])
    return match[1], 8 * size if match[1] == "bytes" else size


def _limb(number: int, index: int) -> np.uint64:
    return np.uint64(number >> _LIMB_BITS * (_LIMBS - 1 - index) & (1 << _LIMB_BITS) - 1)


def _all_are(words: Words, mask: int, bit: int) -> Mask:
    """Say of each word whether all of a mask's bits are ``bit``. The words are compared as they are, unturned."""
    found: Mask = np.ones(len(words), np.bool_)
    for index, limb in enumerate(np.frombuffer(mask.to_bytes(WORD_BYTES), np.uint64)):
        if limb:
            found &= (words[:, 8 * index : 8 * index + 8].view(np.uint64)[:, 0] & limb) == (limb if bit else 0)
    return found
