"""What an indexer says while it works: lines for people on stderr, or JSON for programs on stdout."""

import json
import threading
import time
from typing import Any, Final

import typer

from deepnode_indexer.chain_intake import Fault
from deepnode_indexer.changes import Change, Covered, Doubted, Finalized, Repaired
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.record import BlockRef
from deepnode_ledger.sealing import Sealed

LINE_SECONDS: Final = 1.0
"""Progress is shown at most so often; reorgs, doubts and faults always."""


class Reporter:
    """Writes what the indexer does, each change in one line. Several chains may share one."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._shown_at = 0.0
        self._began: tuple[float, int] | None = None
        self._logs = 0
        self._fault: str | None = None
        self._lock = threading.Lock()

    def __call__(self, change: Change | Fault) -> None:
        """Write one change."""
        with self._lock:
            if self._as_json:
                typer.echo(json.dumps(_fields(change)))
            elif isinstance(change, Covered):
                self._progress(change)
            elif isinstance(change, Fault):
                # The same fault every second would hide everything else.
                if change.message != self._fault:
                    typer.echo(f"waiting: {change.message}", err=True)
                self._fault = change.message
            elif (line := _line(change)) is not None:
                typer.echo(line, err=True)

    def _progress(self, change: Covered) -> None:
        now = time.monotonic()
        self._fault = None
        if self._began is None:
            self._began = (now, change.last.number)
        else:
            self._logs += change.logs
        if change.last.number < change.head and now - self._shown_at < LINE_SECONDS:
            return
        self._shown_at = now
        typer.echo(f"block {change.last.number} of {change.head}{self._remaining(change, now)}", err=True)

    def _remaining(self, change: Covered, now: float) -> str:
        assert self._began is not None
        seconds, blocks = now - self._began[0], change.last.number - self._began[1]
        left = change.head - change.last.number
        if left == 0 or blocks <= 0 or seconds <= 0:
            return ""
        rate = blocks / seconds
        return f", {self._logs / seconds:.0f} logs/s, {rate:.0f} blocks/s, about {left / rate:.0f} s to go"


def _line(change: Change) -> str | None:
    match change:
        case Sealed():
            return f"sealed positions {change.first} to {change.last}"
        case Doubted():
            blocks = f"ALERT: blocks {change.first} to {change.last} were in doubt: {change.reason}"
            return (
                f"{blocks}; the receipts decided" if change.settled else f"{blocks}; they are held, nothing is sealed"
            )
        case Repaired():
            counts = f"{change.before} waiting logs replaced by the {change.after} that were proven"
            return f"repaired blocks {change.first} to {change.last}: {counts}"
        case Covered() | Finalized():
            return None
        case _:
            kept = "nothing" if change.kept is None else f"block {change.kept.number}"
            return f"reorg: {change.depth} blocks replaced, {kept} kept"


def _fields(change: Change | Fault) -> dict[str, Any]:
    match change:
        case Fault():
            return {"event": "fault", "message": change.message}
        case Covered():
            block = _block(change.last)
            finalized = change.finalized
            return {"event": "covered", **block, "logs": change.logs, "head": change.head, "finalized": finalized}
        case Sealed():
            return {"event": "sealed", "first": change.first, "last": change.last}
        case Doubted():
            where = {"first": change.first, "last": change.last}
            return {"event": "disagreement", **where, "reason": change.reason, "settled": change.settled}
        case Repaired():
            where = {"first": change.first, "last": change.last}
            return {"event": "repaired", **where, "before": change.before, "after": change.after}
        case Finalized():
            return {"event": "finalized", "block": change.number}
        case _:
            kept = None if change.kept is None else _block(change.kept)
            return {"event": "reorg", "depth": change.depth, "kept": kept, "old_tip": _block(change.old_tip)}


def _block(block: BlockRef) -> dict[str, Any]:
    return {"block": block.number, "hash": to_hex(block.hash)}
