"""What is counted of one node's answers: how many, how quick, how large, and what failed."""

import threading
from dataclasses import dataclass, field
from typing import Final

from deepnode_indexer.failures import NodeFailure, RateLimited

LATENCY_WEIGHT: Final = 0.1
"""How much the newest request counts in the average of latencies."""


@dataclass(slots=True)
class Meter:
    """Counters since the start, of requests rather than calls. Written and read by any thread.

    ``latency_seconds`` is a moving average over the requests that were answered, until the last byte.
    """

    requests: int = 0
    failures: int = 0
    rate_limited: int = 0
    answer_bytes: int = 0
    latency_seconds: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def answered(self, seconds: float, answer_bytes: int) -> None:
        """Note an answer, whatever it says."""
        with self._lock:
            first = self.requests == self.failures
            self.requests += 1
            self.answer_bytes += answer_bytes
            self.latency_seconds += (seconds - self.latency_seconds) * (1.0 if first else LATENCY_WEIGHT)

    def failed(self, failure: NodeFailure) -> None:
        """Note a request without an answer that can be used."""
        with self._lock:
            self.requests += 1
            self.failures += 1
            self.rate_limited += isinstance(failure, RateLimited)
