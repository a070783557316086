"""Words: ids, addresses and hashes, each known by a number.

What is looked for by is *numbered*: the same word has one number for ever, found by its hash. What nothing is looked
for by, such as the hash of an output, is *entered*: it gets the next number without a look. An address is a word whose
last twelve bytes are zero.
"""

import secrets
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from deepnode_ledger.compiled import Integer, compiled, inner
from deepnode_ledger.hexadecimal import WORD_BYTES
from deepnode_projections.kernel.room import grown
from deepnode_projections.kernel.touching import Coming, Touched

Octets = npt.NDArray[np.uint8]
Quads = npt.NDArray[Any]
Numbers = npt.NDArray[np.int64]

ASKED_MAX: Final = 65_536
"""Words whose numbers were asked for one by one, and are known without another look."""

WORDS_MAX: Final = 2**32 - 2
"""The most words: the index has 32 bits for a number, beside 31 bits of the word's hash."""

_FEWEST: Final = 1_024

_BLOCK: Final = 64
"""Words whose places in the index are read one right after the other, without waiting for any of them."""

_HASH: Final = np.uint64(2**31 - 1)
_NUMBER: Final = 2**32 - 1


class Words:
    """All words so far. ``data`` is of shape (room, 4), uint64, of which the first ``count`` rows are taken."""

    def __init__(self, expected: int = _FEWEST) -> None:
        """Begin with none; as many as are expected are taken without growing."""
        room = 1 << (max(expected, _FEWEST) - 1).bit_length()
        self.data = np.zeros((room, 4), np.uint64)
        self.count = 0
        self._index = np.zeros(4 * room, np.int64)
        self._coming = Coming()
        self._numbered = 0
        self._touched = Touched()
        self._asked: dict[bytes, int] = {}
        # Words come from outside: nobody is to choose some that all fall into one place. What they are numbered does
        # not depend on it.
        self._seed = np.uint64(secrets.randbits(64))

    def __getitem__(self, number: int) -> bytes:
        """Return a word (32 bytes)."""
        assert 0 <= number < self.count, number
        found: bytes = self.data[number].tobytes()
        return found

    def number(self, word: bytes) -> int:
        """Return a word's number; one that is shorter than 32 bytes has zeros behind it."""
        found = self._asked.get(word)
        if found is None:
            found = int(self.numbers(np.frombuffer(word.ljust(WORD_BYTES, b"\0"), np.uint8).reshape(1, -1))[0])
            if len(self._asked) >= ASKED_MAX:
                self._asked.clear()
            self._asked[word] = found
        return found

    def enter(self, word: bytes) -> int:
        """Give a word the next number."""
        return self.enter_all(np.frombuffer(word.ljust(WORD_BYTES, b"\0"), np.uint8).reshape(1, -1))

    def numbers(self, words: Octets) -> Numbers:
        """Return the numbers of words: shape (words, 32)."""
        given = np.ascontiguousarray(words).view(np.uint64)
        self._make_room(len(given))
        if (index := self._coming.larger(self._index, self._numbered + len(given))) is not None:
            _index_again(self._index, index)
            self._index = index
        found = np.empty(len(given), np.int64)
        count = int(_number(self.data, self._index, self.count, given, found, self._seed))
        self._numbered += count - self.count
        self.count = count
        return found

    def enter_all(self, words: Octets) -> int:
        """Give words the next numbers, in their order; return the first."""
        given = np.ascontiguousarray(words).view(np.uint64)
        self._make_room(len(given))
        first = self.count
        self.data[first : first + len(given)] = given
        self.count += len(given)
        return first

    def octets(self) -> Octets:
        """Return all words as bytes: shape (words, 32)."""
        return self.data[: self.count].view(np.uint8)

    def _make_room(self, more: int) -> None:
        count = self.count + more
        assert count <= WORDS_MAX, count
        if count > len(self.data):
            self.data, self._touched = grown(self.data, self.count, count), Touched()
        if count >= self._touched.due:
            self._touched.follow(self.data, count)


@compiled
def _number(data: Quads, index: Quads, count: Integer, given: Quads, found: Quads, seed: Integer) -> Integer:
    """Find the numbers of words, and give the next ones to those that have none; return how many words there are then.

    What stands in the index is the hash's 31 bits, and the number + 1 below them.
    """
    mask = len(index) - 1
    for start in range(0, len(given), _BLOCK):
        stop = min(start + _BLOCK, len(given))
        for row in range(start, stop):
            found[row] = index[_hash(given, row, seed) & mask]
        for row in range(start, stop):
            held = (found[row] & _NUMBER) - 1
            if held < 0 or not _is_same(data, held, given, row):
                held = _number_slowly(data, index, count, given, row, _hash(given, row, seed))
                if held == count:
                    count += 1
            found[row] = held
    return count


@inner
def _number_slowly(data: Quads, index: Quads, count: Integer, given: Quads, row: Integer, hashed: Integer) -> Integer:
    """Look for a word from its place on, and enter it if it is not there; return its number."""
    mask = len(index) - 1
    place = hashed & mask
    while index[place] != 0:
        held = (index[place] & _NUMBER) - 1
        if index[place] >> 32 == hashed and _is_same(data, held, given, row):
            return held
        place = (place + 1) & mask
    for quad in range(4):
        data[count, quad] = given[row, quad]
    index[place] = (hashed << 32) | (count + 1)
    return count


@inner
def _hash(given: Quads, row: Integer, seed: Integer) -> Integer:
    a, b, c, d = given[row, 0], given[row, 1], given[row, 2], given[row, 3]
    mixed = (a ^ seed ^ (b * np.uint64(0x9E3779B97F4A7C15))) * np.uint64(0xD6E8FEB86659FD93)
    mixed = (mixed ^ (mixed >> np.uint64(29)) ^ c) * np.uint64(0x94D049BB133111EB)
    mixed = (mixed ^ (mixed >> np.uint64(32)) ^ d) * np.uint64(0xBF58476D1CE4E5B9)
    return np.int64((mixed ^ (mixed >> np.uint64(32))) & _HASH)


@inner
def _is_same(data: Quads, held: Integer, given: Quads, row: Integer) -> Integer:
    return (
        data[held, 0] == given[row, 0]
        and data[held, 1] == given[row, 1]
        and data[held, 2] == given[row, 2]
        and data[held, 3] == given[row, 3]
    )


@compiled
def _index_again(before: Quads, index: Quads) -> None:
    mask = len(index) - 1
    for number in range(len(before)):
        entry = before[number]
        if entry != 0:
            place = (entry >> 32) & mask
            while index[place] != 0:
                place = (place + 1) & mask
            index[place] = entry
