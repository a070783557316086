"""Who may hand in how much: rates by producer and by client, and an upper bound on what is in hand at once.

A refusal here is never the end of an event: it says after how many seconds the same call is welcome. Nothing that was
acknowledged is touched by it, for what is refused here was not looked at yet.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from deepnode_ledger.errors import BadInput, TryAgain

BURST_SECONDS: Final = 5
"""Somebody who was quiet may hand in what the rate allows in this many seconds at once."""

BUCKETS_MAX: Final = 10_000
"""So many clients are remembered. One that was quiet for a while is forgotten, as one that never came."""

CAPACITY_RETRY_SECONDS: Final = 1


@dataclass(frozen=True, slots=True)
class Limits:
    """What the door takes; a rate of 0 is no limit.

    Args:
        producer_rate: task events a second that one producer's key may sign.
        client_rate: lines a second, good or bad, from one network address.
        events_in_hand_max: events that are being checked or wait for their transaction, over all requests.
        bytes_in_hand_max: bytes of bodies that are being read or worked on, over all requests.
    """

    producer_rate: int = 2_000
    client_rate: int = 4_000
    events_in_hand_max: int = 10_000
    bytes_in_hand_max: int = 64 * 1024 * 1024

    def __post_init__(self) -> None:
        if min(self.producer_rate, self.client_rate) < 0:
            raise BadInput(f"a rate must be 0 or more, not {min(self.producer_rate, self.client_rate)}")
        assert min(self.events_in_hand_max, self.bytes_in_hand_max) > 0, self


class TooMuch(TryAgain):
    """More than a limit allows; the same call is welcome after ``retry_seconds``. ``limit`` names which."""

    def __init__(self, limit: str, retry_seconds: int, message: str) -> None:
        super().__init__(message)
        self.limit = limit
        self.retry_seconds = retry_seconds


class Rates:
    """One token bucket a name, all of one rate. A bucket may go into debt, so that no call is too large to ever pass.

    Each call is let in as a whole while its bucket holds anything, and charged in full; the next one waits until the
    debt is paid. So the rate holds in the long run, and who sends the same again always gets on.
    """

    def __init__(self, limit: str, rate: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._rate = rate
        self._clock = clock
        self._full = float(rate * BURST_SECONDS)
        self._buckets: dict[str, tuple[float, float]] = {}

    def check(self, name: str) -> None:
        """Raise if a call of ``name`` would be refused now.

        Raises:
            TooMuch: the rate is used up.
        """
        if self._rate == 0:
            return
        tokens = self._tokens(name)
        if tokens <= 0:
            seconds = max(1, math.ceil((1 - tokens) / self._rate))
            raise TooMuch(
                self._limit, seconds, f"{name} may send {self._rate} events a second: try again in {seconds} s"
            )

    def charge(self, name: str, events: int) -> None:
        """Check, and take the call's events from the bucket.

        Raises:
            TooMuch: the rate is used up; nothing was charged.
        """
        self.check(name)
        if self._rate:
            self._buckets[name] = (self._tokens(name) - events, self._clock())
            if len(self._buckets) > BUCKETS_MAX:
                self._forget()

    def _tokens(self, name: str) -> float:
        tokens, seen = self._buckets.get(name, (self._full, self._clock()))
        return min(self._full, tokens + (self._clock() - seen) * self._rate)

    def _forget(self) -> None:
        # A full bucket says no more than a missing one. If all are in use, the oldest go: better a client too many is
        # let in than memory grows with the number of addresses.
        self._buckets = {name: held for name, held in self._buckets.items() if self._tokens(name) < self._full}
        for name in list(self._buckets)[: max(0, len(self._buckets) - BUCKETS_MAX // 2)]:
            del self._buckets[name]


class InHand:
    """Counts something that is in hand, up to a bound. Used from one event loop, so it needs no lock."""

    def __init__(self, what: str, most: int) -> None:
        self._what = what
        self._most = most
        self.count = 0

    def take(self, count: int) -> None:
        """Add to what is in hand. A call that is larger than the bound passes while nothing else is in hand.

        Raises:
            TooMuch: there would be more than the bound; nothing was added.
        """
        if self.count and self.count + count > self._most:
            raise TooMuch(
                self._what,
                CAPACITY_RETRY_SECONDS,
                f"{self.count} {self._what} are in hand of {self._most}, {count} more are too many: try again",
            )
        self.count += count

    def give_back(self, count: int) -> None:
        """Take away from what is in hand."""
        assert 0 <= count <= self.count, (count, self.count)
        self.count -= count
