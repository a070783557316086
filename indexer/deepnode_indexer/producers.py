"""Whom task events came from and which of them never came: ``GET /producers``, and the same as metrics.

The log is asked at most every few seconds, however often the door is: counting is not free, and anyone may ask.
"""

import time
from dataclasses import dataclass
from typing import Any, Final

from anyio import CapacityLimiter, to_thread

from deepnode_ledger.errors import TryAgain
from deepnode_ledger.log import Log
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.producer_state import Gap, ProducerState

FRESH_SECONDS: Final = 5.0
GAPS_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class _Seen:
    at: float
    states: list[ProducerState]
    gaps: list[Gap]


class Producers:
    """What the log says of its producers, a few seconds old at most. It belongs to one event loop."""

    def __init__(self, log: Log, manifest: Manifest) -> None:
        self._log = log
        self._manifest = manifest
        self._seen: _Seen | None = None
        self._limiter: CapacityLimiter | None = None

    async def described(self) -> dict[str, Any]:
        """Describe each producer of the manifest and of the log: last sequence number, events, gaps.

        Raises:
            TryAgain: the log is away.
        """
        seen = await self._look()
        by_id = {state.producer: state for state in seen.states}
        ids = sorted({*self._manifest.producers, *by_id})
        states = [by_id.get(each) or ProducerState(each, 0, 0) for each in ids]
        return {
            "producers": [
                {
                    "producer": state.producer,
                    "last_sequence": state.last_sequence,
                    "events": state.events,
                    "missing": state.missing,
                    "gaps": [{"first": g.first, "last": g.last} for g in seen.gaps if g.producer == state.producer],
                }
                for state in states
            ],
            "gaps_listed_max": GAPS_MAX,
        }

    async def metrics(self) -> str:
        """Write the counts in Prometheus' text format; nothing while the log is away."""
        try:
            seen = await self._look()
        except TryAgain:
            return ""
        lines: list[str] = []
        for name, values in (
            ("last_sequence", [(state.producer, state.last_sequence) for state in seen.states]),
            ("missing_events", [(state.producer, state.missing) for state in seen.states]),
        ):
            lines.append(f"# TYPE deepnode_indexer_producer_{name} gauge\n")
            for producer, value in values:
                label = producer.replace("\\", "\\\\").replace('"', '\\"')
                lines.append(f'deepnode_indexer_producer_{name}{{producer="{label}"}} {value}\n')
        return "".join(lines)

    async def _look(self) -> _Seen:
        # One at a time: those who ask while somebody looks find his answer.
        self._limiter = self._limiter or CapacityLimiter(1)
        async with self._limiter:
            if self._seen is None or time.monotonic() - self._seen.at > FRESH_SECONDS:
                self._seen = await to_thread.run_sync(self._read)
            return self._seen

    def _read(self) -> _Seen:
        states, gaps = self._log.producers(), self._log.gaps(GAPS_MAX)
        return _Seen(time.monotonic(), states, gaps)
