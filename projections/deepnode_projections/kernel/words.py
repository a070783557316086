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

Octets = npt.NDArray[np.uint8]
Quads = npt.NDArray[Any]
Numbers = npt.NDArray[np.int64]

ASKED_MAX: Final = 65_536
"""Words whose numbers were asked for one by one, and are known without another look."""

_FEWEST: Final = 1_024


class Words:
    """All words so far. ``data`` is of shape (room, 4), uint64, of which the first ``count`` rows are taken."""

    def __init__(self) -> None:
        self.data = np.zeros((_FEWEST, 4), np.uint64)
        self.count = 0
        self._index = np.zeros(4 * _FEWEST, np.int64)
        self._numbered = 0
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
        if 2 * (self._numbered + len(given)) > len(self._index):
            index = np.zeros(1 << (4 * (self._numbered + len(given))).bit_length(), np.int64)
            _index_again(self.data, self._index, index, self._seed)
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
        if self.count + more > len(self.data):
            data = np.zeros((2 * (self.count + more), 4), np.uint64)
            data[: self.count] = self.data[: self.count]
            self.data = data


@inner
def _slot(a: Integer, b: Integer, c: Integer, d: Integer, seed: Integer, mask: Integer) -> Integer:
    mixed = (a ^ seed ^ (b * np.uint64(0x9E3779B97F4A7C15))) * np.uint64(0xD6E8FEB86659FD93)
    mixed = (mixed ^ (mixed >> np.uint64(29)) ^ c) * np.uint64(0x94D049BB133111EB)
    mixed = (mixed ^ (mixed >> np.uint64(32)) ^ d) * np.uint64(0xBF58476D1CE4E5B9)
    return (mixed ^ (mixed >> np.uint64(32))) & mask


@compiled
def _number(data: Quads, index: Quads, count: Integer, given: Quads, found: Quads, seed: Integer) -> Integer:
    mask = np.uint64(len(index) - 1)
    for row in range(len(given)):
        a, b, c, d = given[row, 0], given[row, 1], given[row, 2], given[row, 3]
        slot = _slot(a, b, c, d, seed, mask)
        while True:
            held = index[slot] - 1
            if held < 0:
                data[count, 0], data[count, 1], data[count, 2], data[count, 3] = a, b, c, d
                index[slot] = count + 1
                held = count
                count += 1
                break
            if data[held, 0] == a and data[held, 1] == b and data[held, 2] == c and data[held, 3] == d:
                break
            slot = (slot + np.uint64(1)) & mask
        found[row] = held
    return count


@compiled
def _index_again(data: Quads, old: Quads, new: Quads, seed: Integer) -> None:
    mask = np.uint64(len(new) - 1)
    for place in range(len(old)):
        held = old[place] - 1
        if held >= 0:
            slot = _slot(data[held, 0], data[held, 1], data[held, 2], data[held, 3], seed, mask)
            while new[slot] != 0:
                slot = (slot + np.uint64(1)) & mask
            new[slot] = held + 1
