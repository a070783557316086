"""What the indexer says of itself: counts and heights, for people, for ``/ready`` and for Prometheus."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from deepnode_indexer.following import Change, Covered
from deepnode_ledger.errors import BadInput, Conflict
from deepnode_ledger.sealing import Sealed
from deepnode_ledger.tail import Accepted


@dataclass(slots=True)
class Status:
    """Counters since the start, and the last heights seen. Written by the follower and the intake, read by anyone."""

    head: int | None = None
    tip: int | None = None
    sealed_position: int = 0
    logs: int = 0
    reorgs: int = 0
    faults: int = 0
    fault: str | None = "the chain has not been reached yet"
    stopped: str | None = None
    tasks: dict[str, int] = field(default_factory=lambda: {"accepted": 0, "duplicate": 0, "refused": 0, "conflict": 0})
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def changed(self, change: Change) -> None:
        """Note a step of the follower."""
        with self._lock:
            if isinstance(change, Covered):
                self.head, self.tip = max(change.head, change.last.number), change.last.number
                self.logs += change.logs
            elif isinstance(change, Sealed):
                self.sealed_position = change.last
            else:
                self.reorgs += 1

    def in_step(self) -> None:
        """Note that the log stands at the node's head."""
        with self._lock:
            self.fault = None

    def failed(self, reason: str) -> None:
        """Note a fault that will be tried again."""
        with self._lock:
            self.faults += 1
            self.fault = reason

    def count(self, outcomes: Sequence[Accepted | BadInput]) -> None:
        """Note what became of task events."""
        with self._lock:
            for outcome in outcomes:
                if isinstance(outcome, Accepted):
                    self.tasks["duplicate" if outcome.duplicate else "accepted"] += 1
                else:
                    self.tasks["conflict" if isinstance(outcome, Conflict) else "refused"] += 1

    def not_ready(self) -> str | None:
        """Say why the log is not at the chain's head, or None if it is."""
        with self._lock:
            return self.stopped or self.fault

    def metrics(self) -> str:
        """Write the counters in Prometheus' text format."""
        with self._lock:
            values = [
                ("deepnode_indexer_head_block", "gauge", self.head or 0),
                ("deepnode_indexer_tip_block", "gauge", self.tip or 0),
                ("deepnode_indexer_sealed_position", "gauge", self.sealed_position),
                ("deepnode_indexer_logs_total", "counter", self.logs),
                ("deepnode_indexer_reorgs_total", "counter", self.reorgs),
                ("deepnode_indexer_faults_total", "counter", self.faults),
                ("deepnode_indexer_in_step", "gauge", int(self.fault is None and self.stopped is None)),
            ]
            lines = [f"# TYPE {name} {kind}\n{name} {value}\n" for name, kind, value in values]
            lines.append("# TYPE deepnode_indexer_task_events_total counter\n")
            for outcome, count in self.tasks.items():
                lines.append(f'deepnode_indexer_task_events_total{{outcome="{outcome}"}} {count}\n')
        return "".join(lines)
