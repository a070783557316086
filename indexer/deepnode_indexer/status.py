"""What the indexer says of itself: counts and heights, for people, for ``/ready`` and for Prometheus."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from deepnode_indexer.changes import Change, Covered, Doubted, Finalized, Repaired
from deepnode_ledger.errors import BadInput, Conflict
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.sealing import Sealed
from deepnode_ledger.tail import Accepted

QUARANTINE_LABELS_MAX: Final = 200
"""Pairs of a contract and a topic that have a line of their own in the metrics; the rest are counted together."""


@dataclass(slots=True)
class ChainStatus:
    """One chain: heights as last seen, and counts since the start."""

    head: int | None = None
    finalized: int | None = None
    tip: int | None = None
    logs: int = 0
    reorgs: int = 0
    faults: int = 0
    disagreements: int = 0
    repairs: int = 0
    held: int = 0
    fault: str | None = "the chain has not been reached yet"
    quarantine: Counter[tuple[bytes, bytes | None]] = field(default_factory=Counter)

    @property
    def lag(self) -> int:
        """How many blocks of the head are not in the log yet."""
        return 0 if self.head is None or self.tip is None else max(0, self.head - self.tip)

    def changed(self, change: Change) -> None:
        """Note a step of the chain's follower."""
        match change:
            case Covered():
                self.head, self.tip = change.head, change.last.number
                self.logs += change.logs
            case Finalized():
                self.finalized = change.number
            case Doubted():
                self.disagreements += 1
            case Repaired():
                self.repairs += 1
            case Sealed():
                pass
            case _:
                self.reorgs += 1


_HEIGHTS: Final[tuple[tuple[str, str, Callable[[ChainStatus], int]], ...]] = (
    ("head_block", "gauge", lambda c: c.head or 0),
    ("finalized_block", "gauge", lambda c: c.finalized or 0),
    ("tip_block", "gauge", lambda c: c.tip or 0),
    ("lag_blocks", "gauge", lambda c: c.lag),
    ("logs_total", "counter", lambda c: c.logs),
    ("reorgs_total", "counter", lambda c: c.reorgs),
    ("faults_total", "counter", lambda c: c.faults),
    ("disagreements_total", "counter", lambda c: c.disagreements),
    ("repairs_total", "counter", lambda c: c.repairs),
    ("held_ranges", "gauge", lambda c: c.held),
)


class Status:
    """What is known of every chain and of the task intake. Written by followers and the intake, read by anyone."""

    def __init__(self, chain_ids: Sequence[int] = (0,)) -> None:
        self._lock = threading.Lock()
        self._chains = {chain_id: ChainStatus() for chain_id in chain_ids}
        self._sealed_position = 0
        self._tasks = {"accepted": 0, "duplicate": 0, "refused": 0, "conflict": 0}
        self._stopped: str | None = None
        self.more_metrics: list[Callable[[], str]] = []
        """What else is told at ``/metrics``, in Prometheus' text format."""

    def chain(self, chain_id: int) -> ChainStatus:
        """Return a chain's status; for a look, as it changes under the reader's eyes."""
        return self._chains[chain_id]

    def changed(self, change: Change, chain_id: int | None = None) -> None:
        """Note a step of a chain's follower; the home chain's unless said otherwise."""
        with self._lock:
            self._of(chain_id).changed(change)
            if isinstance(change, Sealed):
                self._sealed_position = max(self._sealed_position, change.last)

    def in_step(self, chain_id: int | None = None, *, held: int = 0) -> None:
        """Note that the log stands at the node's head, with so many ranges held back from sealing."""
        with self._lock:
            chain = self._of(chain_id)
            chain.fault, chain.held = None, held

    def failed(self, reason: str, chain_id: int | None = None, *, held: int | None = None) -> None:
        """Note a fault that will be tried again, and how many ranges are held back, if that is known."""
        with self._lock:
            chain = self._of(chain_id)
            chain.held = chain.held if held is None else held
            chain.faults += 1
            chain.fault = reason

    def stopped(self, reason: str) -> None:
        """Note that the intake of a chain has ended for good."""
        with self._lock:
            self._stopped = reason

    def quarantined(self, unknown: Counter[tuple[bytes, bytes | None]], chain_id: int | None = None) -> None:
        """Note logs that no ABI of the manifest gives a meaning, by contract and first topic."""
        with self._lock:
            self._of(chain_id).quarantine.update(unknown)

    def count(self, outcomes: Sequence[Accepted | BadInput]) -> None:
        """Note what became of task events."""
        with self._lock:
            for outcome in outcomes:
                if isinstance(outcome, Accepted):
                    self._tasks["duplicate" if outcome.duplicate else "accepted"] += 1
                else:
                    self._tasks["conflict" if isinstance(outcome, Conflict) else "refused"] += 1

    def not_ready(self) -> str | None:
        """Say why the log is not at every chain's head, or None if it is."""
        with self._lock:
            faults = [(chain_id, chain.fault) for chain_id, chain in self._chains.items() if chain.fault is not None]
            if self._stopped is not None or not faults:
                return self._stopped
            chain_id, fault = faults[0]
            return fault if len(self._chains) == 1 else f"chain {chain_id}: {fault}"

    def metrics(self) -> str:
        """Write the counters in Prometheus' text format."""
        with self._lock:
            lines = []
            for name, kind, value in _HEIGHTS:
                lines.append(f"# TYPE deepnode_indexer_{name} {kind}\n")
                lines += [
                    f'deepnode_indexer_{name}{{chain="{chain_id}"}} {value(chain)}\n'
                    for chain_id, chain in self._chains.items()
                ]
            lines += self._quarantine()
            in_step = self._stopped is None and all(chain.fault is None for chain in self._chains.values())
            lines += [
                "# TYPE deepnode_indexer_sealed_position gauge\n",
                f"deepnode_indexer_sealed_position {self._sealed_position}\n",
                "# TYPE deepnode_indexer_in_step gauge\n",
                f"deepnode_indexer_in_step {int(in_step)}\n",
                "# TYPE deepnode_indexer_task_events_total counter\n",
            ]
            for outcome, count in self._tasks.items():
                lines.append(f'deepnode_indexer_task_events_total{{outcome="{outcome}"}} {count}\n')
        return "".join(lines) + "".join(more() for more in self.more_metrics)

    def _quarantine(self) -> list[str]:
        lines = ["# TYPE deepnode_indexer_quarantined_logs_total counter\n"]
        for chain_id, chain in self._chains.items():
            counted = chain.quarantine.most_common()
            for (address, topic), count in counted[:QUARANTINE_LABELS_MAX]:
                where = f'contract="{to_hex(address)}",topic="{"" if topic is None else to_hex(topic)}"'
                lines.append(f'deepnode_indexer_quarantined_logs_total{{chain="{chain_id}",{where}}} {count}\n')
            rest = sum(count for _, count in counted[QUARANTINE_LABELS_MAX:])
            if rest:
                labels = f'chain="{chain_id}",contract="other",topic="other"'
                lines.append(f"deepnode_indexer_quarantined_logs_total{{{labels}}} {rest}\n")
        return lines

    def _of(self, chain_id: int | None) -> ChainStatus:
        return next(iter(self._chains.values())) if chain_id is None else self._chains[chain_id]
