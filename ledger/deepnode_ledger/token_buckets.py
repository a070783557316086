"""Token buckets: how much everybody who comes by a name may ask for, all at one rate.

A bucket may go into debt: a call is let in as a whole while its bucket holds anything, and charged in full; the next
one waits until the debt is paid. So no call is too large to ever pass, the rate holds in the long run, and who sends
the same again always gets on.
"""

import math
import time
from collections.abc import Callable
from typing import Final

BURST_SECONDS: Final = 5
"""Who was quiet may ask at once for what the rate allows in this many seconds."""

BUCKETS_MAX: Final = 10_000
"""So many names are remembered. One that was quiet for a while is forgotten, as one that never came."""


class TokenBuckets:
    """One bucket a name, all of one rate (tokens a second; 0: no limit). Of one event loop, so it needs no lock."""

    def __init__(self, rate: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self._clock = clock
        self._full = float(rate * BURST_SECONDS)
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait_seconds(self, name: str) -> int:
        """Return after how many seconds a call is welcome: 0 if it would be let in now."""
        if self.rate == 0 or (tokens := self._tokens(name)) > 0:
            return 0
        return max(1, math.ceil((1 - tokens) / self.rate))

    def charge(self, name: str, tokens: int) -> None:
        """Take tokens from a bucket, if need be more than it holds."""
        if self.rate:
            self._buckets[name] = (self._tokens(name) - tokens, self._clock())
            if len(self._buckets) > BUCKETS_MAX:
                self._forget()

    def _tokens(self, name: str) -> float:
        tokens, seen = self._buckets.get(name, (self._full, self._clock()))
        return min(self._full, tokens + (self._clock() - seen) * self.rate)

    def _forget(self) -> None:
        # A full bucket says no more than a missing one. If all are in use, the oldest go: better a name too many is let
        # in than memory grows with the number of names.
        self._buckets = {name: held for name, held in self._buckets.items() if self._tokens(name) < self._full}
        for name in list(self._buckets)[: max(0, len(self._buckets) - BUCKETS_MAX // 2)]:
            del self._buckets[name]
