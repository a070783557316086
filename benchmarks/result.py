"""What a benchmark found: a table for people, and a file from which the performance page is made."""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

OUT: Final = Path(__file__).parent / "out"

RUNS: Final = 3


@dataclass(frozen=True, slots=True)
class Result:
    """One case: ours beside a named peer in the same run; figures are medians of ``runs`` runs.

    ``bound`` is the figure of the fastest thing that the machine could do instead (None where there is none), ``ratio``
    is ours to the peer's. More is better in rates; of bytes, memory and time less is.
    """

    case: str
    unit: str
    ours: float
    peer_name: str
    peer: float
    ratio: float
    bound: float | None
    goal: str
    machine: str
    runs: int


def result(
    case: str, unit: str, ours: float, peer_name: str, peer: float, *, bound: float | None, goal: str, runs: int = RUNS
) -> Result:
    """Put a case together."""
    return Result(case, unit, ours, peer_name, peer, ours / peer, bound, goal, machine(), runs)


def medians(measures: dict[str, Callable[[], float]], runs: int = RUNS) -> dict[str, float]:
    """Run each measure in turn, ``runs`` times round, and return the medians: a slow minute hits all alike."""
    found: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(runs):
        for name, measure in measures.items():
            found[name].append(measure())
    return {name: statistics.median(values) for name, values in found.items()}


def timed(action: Callable[[], None]) -> float:
    """Return the seconds that something takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def publish(name: str, results: Sequence[Result], *, write: bool = True) -> None:
    """Print the table and write ``benchmarks/out/NAME.json``, unless told not to."""
    table = Table(title=f"{name}, on {machine()}", title_justify="left")
    for heading in ("case", "ours", "peer", "", "ratio", "bound", "of the bound", "goal"):
        table.add_column(heading, justify="left" if heading in ("case", "", "goal") else "right")
    for each in results:
        of_bound = "" if each.bound is None else f"{each.ours / each.bound:.2f}"
        bound = "" if each.bound is None else figure(each.bound)
        ours, peer = f"{figure(each.ours)} {each.unit}", figure(each.peer)
        table.add_row(each.case, ours, peer, each.peer_name, f"{each.ratio:.1f}", bound, of_bound, each.goal)
    Console(width=160).print(table)
    if not write:
        return
    OUT.mkdir(exist_ok=True)
    rows = [asdict(each) for each in results]
    (OUT / f"{name}.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def machine() -> str:
    """Name the hardware and what runs on it."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**30
    return f"{os.cpu_count()} cores, {memory} GiB, {_processor()}, Python {platform.python_version()}, PostgreSQL 18"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def figure(value: float) -> str:
    """Write a figure with as many digits as tell something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:,.2f}"
