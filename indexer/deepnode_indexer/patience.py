"""How long a node that asks us to slow down, or drops a connection, is waited for before its failure is passed on."""

import itertools
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from deepnode_indexer.failures import Dropped, RateLimited

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Patience:
    """Asks a rate-limited node again, at most ``tries`` times and waiting at most ``seconds_max`` in all.

    The node's own Retry-After is honoured: longer than asked for is never a fault, earlier may be. Where it names none,
    the pause doubles from ``pause_seconds`` on, with jitter, so that many callers do not come back in one moment. A
    question whose connection breaks is asked ``dropped_tries`` times.
    """

    tries: int = 6
    dropped_tries: int = 3
    seconds_max: float = 15.0
    pause_seconds: float = 0.25
    wait: Callable[[float], None] = time.sleep

    def ask(self, question: Callable[[], _T]) -> _T:
        """Ask until there is an answer, or another failure than these two, or patience ends.

        Raises:
            RateLimited: the node still answers nothing, or asks for a longer pause than is left.
            Dropped: the connection broke each time.
        """
        waited = 0.0
        for attempt in itertools.count():
            try:
                return question()
            except (RateLimited, Dropped) as failure:
                longest = self.pause_seconds * 2**attempt
                pause = random.uniform(longest / 2, longest)  # noqa: S311 (a pause is no secret)
                if isinstance(failure, RateLimited) and failure.retry_after_seconds is not None:
                    pause = failure.retry_after_seconds + pause / 4
                tries = self.tries if isinstance(failure, RateLimited) else self.dropped_tries
                if attempt + 1 >= tries or waited + pause > self.seconds_max:
                    raise
                waited += pause
                self.wait(pause)
        raise AssertionError("the last try returns or raises")


AT_ONCE: Final = Patience(tries=1, dropped_tries=1)
"""Never waits: the first refusal is passed on."""
