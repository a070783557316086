"""Texts: names and the ids of events, each known by a number, as UTF-8 one behind the other.

As with words: what is looked for by is *numbered*, the rest is *entered*.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from deepnode_projections.kernel.room import grown
from deepnode_projections.kernel.touching import Touched

_FEWEST: Final = 4_096


class Texts:
    """All texts so far: text ``n`` is ``data[ends[n] : ends[n + 1]]``, for ``count`` texts."""

    def __init__(self) -> None:
        self.data = np.zeros(_FEWEST, np.uint8)
        self.ends = np.zeros(_FEWEST, np.int64)
        self.count = 0
        self._touched = Touched()
        self._numbers: dict[str, int] = {}

    def __getitem__(self, number: int) -> str:
        """Return a text."""
        assert 0 <= number < self.count, number
        return self.data[self.ends[number] : self.ends[number + 1]].tobytes().decode()

    def number(self, text: str) -> int:
        """Return a text's number."""
        found = self._numbers.get(text)
        if found is None:
            found = self._numbers[text] = self.enter(text)
        return found

    def enter(self, text: str) -> int:
        """Give a text the next number."""
        octets = np.frombuffer(text.encode(), np.uint8)
        return self.enter_all(octets, np.array([0, len(octets)], np.int64))

    def enter_all(self, data: npt.NDArray[np.uint8], ends: npt.NDArray[np.int64]) -> int:
        """Give texts the next numbers, in their order; return the first. ``ends`` begins with 0."""
        more, first, used = len(ends) - 1, self.count, int(self.ends[self.count])
        if first + more + 1 > len(self.ends):
            self.ends = grown(self.ends, first + 1, first + more + 1)
        if used + len(data) > len(self.data):
            self.data, self._touched = grown(self.data, used, used + len(data)), Touched()
        if used >= self._touched.due:
            self._touched.follow(self.data, used)
        self.data[used : used + len(data)] = data
        self.ends[first + 1 : first + 1 + more] = ends[1:] - ends[0] + used
        self.count += more
        return first
