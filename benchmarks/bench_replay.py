"""Replaying a log of five million entries: ours beside the specification and beside the library's projection runner.

The history (``benchmarks.replay``) is made up from a seed: three of five entries are task events. Measured are:

- *replay*: the log's stored batches, from files, to the state root behind the last entry, with a root at each epoch's
  end; what reading, folding and the roots take of it. Beside it the specification, the rules in plain Python, and the
  eventsourcing library, each over a share of the same history; what comes out is compared.
- *memory*: the highest resident size of a process that replays one and five million entries.
- *rebuild*: books made anew in PostgreSQL (``benchmarks.replay_rebuild``).
- *balance*: what an account had at a position (``benchmarks.asof_balances``).

Signatures in the history are bytes by chance, which a replay does not look at.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks import asof_balances, page, replay_rebuild
from benchmarks.api_books import small_manifest
from benchmarks.ingest.processes import cost_of
from benchmarks.postgres import database, server
from benchmarks.replay.deployment import Sizes
from benchmarks.replay.stored import Kept, kept, opened
from benchmarks.replay_peers import Peer
from benchmarks.result import OUT, RUNS, Result, publish, result
from typing_extensions import override

from deepnode_projections.replay import Replay
from deepnode_projections.rules.tasks import Slot

ENTRIES: Final = 5_000_000
PEER_ENTRIES: Final = 200_000
SPECIFICATION: Final = "the specification"
LIBRARY: Final = "eventsourcing, JSON mapper"
RATE: Final = "entries/s"
GOAL: Final = "≥ 2,000,000"
PARTS: Final = ("replay", "memory", "rebuild", "balance")
"""What can be measured for itself; each case's name begins with its part's."""

OURS: Final = "ours"
WALLET: Final = "Wallet:0x"


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay took: seconds by stage, the highest resident size of its process, and the root at the end."""

    stages: dict[str, float]
    peak_mib: float
    root: str

    @property
    def seconds(self) -> float:
        """All stages together."""
        return sum(self.stages.values())


class Timed(Replay):
    """A replay that knows how long its roots have taken: those at the ends of epochs come while it is fed."""

    root_seconds: float = 0.0

    @override
    def root(self) -> bytes:
        began = time.perf_counter()
        found = super().root()
        self.root_seconds += time.perf_counter() - began
        return found


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--entries", type=int, default=ENTRIES)
    parser.add_argument("--peer-entries", type=int, default=PEER_ENTRIES, help="that the slower ones replay")
    parser.add_argument("--memory", type=int, nargs=2, default=[1_000_000, ENTRIES], metavar="ENTRIES")
    parser.add_argument("--rebuild-entries", type=int, default=1_000_000)
    parser.add_argument("--rebuild-logs", type=int, default=200_000, help="that Ponder indexes")
    parser.add_argument("--postings", type=int, default=asof_balances.POSTINGS)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="keeps what others found before")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--dry", action="store_true", help="print, and write nothing")
    given = parser.parse_args()
    if given.child:
        folder, entries, way = given.child
        print(json.dumps(asdict(child(Path(folder), int(entries), way))))
        return
    say(f"making the history of {given.entries:,} entries, unless it is there")
    history = kept(Sizes(given.entries))
    parts: dict[str, Callable[[str, Path], list[Result]]] = {
        "replay": lambda url, _: speeds(url, history, given.peer_entries, given.runs),
        "memory": lambda _url, _: memory(history, given.memory, given.runs),
        "rebuild": lambda url, folder: replay_rebuild.rates(
            url, history, small_manifest(folder), given.rebuild_entries, given.rebuild_logs, given.runs
        ),
        "balance": lambda url, folder: balances(url, folder, given.postings, given.runs),
    }
    found: list[Result] = []
    with server() as url, tempfile.TemporaryDirectory(prefix="deepnode-bench-") as folder:
        for part in given.parts:
            say(f"measuring: {part}")
            found += parts[part](url, Path(folder))
    publish("replay", with_others(found, given.parts), write=not given.dry)
    if not given.dry:
        page.write()


def with_others(found: list[Result], parts: Sequence[str]) -> list[Result]:
    """Put what was measured today beside what an earlier run found of the other parts, in the order of parts."""
    file = OUT / "replay.json"
    earlier = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    kept_ones = [Result(**row) for row in earlier if _part(row["case"]) not in parts]
    return sorted([*kept_ones, *found], key=lambda each: PARTS.index(_part(each.case)))


def _part(case: str) -> str:
    return case.partition(",")[0].partition(" ")[0]


def speeds(url: str, history: Kept, share: int, runs: int) -> list[Result]:
    """Compare the rates of the three, in turn, and what comes out of each."""
    found: dict[str, list[Replayed]] = {OURS: [], SPECIFICATION: []}
    library: list[float] = []
    with database(url) as own:
        say(f"storing {share:,} entries by the library")
        peer = Peer(own, history, share)
        check(history, share, peer)
        for run in range(runs):
            say(f"run {run + 1} of {runs}")
            found[OURS].append(run_child(history, history.entries, OURS))
            found[SPECIFICATION].append(run_child(history, share, SPECIFICATION))
            library.append(share / peer.replay()[0])
    assert len({each.root for each in found[OURS]}) == 1, "the same log has the same root"
    ours, slow = (history.entries, found[OURS]), (share, found[SPECIFICATION])
    case, named = f"replay, {history.entries:,} entries", f"{SPECIFICATION}, {share:,} entries"
    mine, theirs = (_rate(*each) for each in (ours, slow))
    results = [
        result(case, RATE, mine, named, theirs, bound=None, goal=GOAL, runs=runs),
        result(case, RATE, mine, f"{LIBRARY}, {share:,} entries", median(library), bound=None, goal="", runs=runs),
    ]
    for stage in found[OURS][0].stages:
        rates = _rate(*ours, stage), named, _rate(*slow, stage)
        results.append(result(f"replay, stage: {stage}", RATE, *rates, bound=None, goal="", runs=runs))
    return results


def _rate(entries: int, runs: Sequence[Replayed], stage: str | None = None) -> float:
    return entries / median(each.seconds if stage is None else each.stages[stage] for each in runs)


def check(history: Kept, share: int, peer: Peer) -> None:
    """Assert that all three make the same of a share of the history, and what is refused is what is meant to be."""
    by_rules, ours = Replay(history.manifest, by_definition=True), Replay(history.manifest)
    for batch in history.batches(share):
        assert by_rules.feed(batch).refused == ours.feed(batch).refused
    assert by_rules.root() == ours.root(), "ours is not what the rules make"
    _, sums = peer.replay()
    wallets = {
        (token.hex(), name.removeprefix(WALLET)): amount
        for (name, token), amount in by_rules.balances.items()
        if name.startswith(WALLET)
    }
    assert all(sums.balances[each] == amount for each, amount in wallets.items()), "the library's balances differ"
    assert sums.vwu.total() == sum(each.vwu or 0 for each in by_rules.records(Slot)), "the library's VWU differ"


def memory(history: Kept, sizes: Sequence[int], runs: int) -> list[Result]:
    """Compare the memory of a process that replays all with that of one that replays a part."""
    small, large = sizes
    part, whole = (median(run_child(history, each, OURS).peak_mib for _ in range(runs)) for each in (small, large))
    case, beside = f"memory, peak, {large:,} entries", f"for {small:,} entries"
    return [result(case, "MiB", whole, beside, part, bound=None, goal="flat but for the state", runs=runs)]


def balances(url: str, folder: Path, postings: int, runs: int) -> list[Result]:
    """Measure balances at positions, in a database of their own."""
    with database(url) as own:
        return asof_balances.rates(own, folder, postings, runs)


def run_child(history: Kept, entries: int, way: str) -> Replayed:
    """Replay in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.bench_replay", "--child", str(history.folder)]
    done = subprocess.run([*command, str(entries), way], check=True, stdout=subprocess.PIPE, text=True)
    return Replayed(**json.loads(done.stdout))


def child(folder: Path, entries: int, way: str) -> Replayed:
    """Replay so many entries in this process, stage by stage."""
    history = opened(folder)
    manifest, by_definition = history.manifest, way == SPECIFICATION
    if not by_definition:
        # What is compiled is loaded once in a process, however long the log is.
        Replay(manifest).feed(next(history.batches()))
    replay, batches = Timed(manifest, by_definition=by_definition), history.batches(entries)
    read = fold = 0.0
    while True:
        began = time.perf_counter()
        batch = next(batches, None)
        read += time.perf_counter() - began
        if batch is None:
            break
        # Who keeps decoded batches has a stage more here, and gives them to the replay instead of entries.
        began = time.perf_counter()
        replay.feed(batch)
        fold += time.perf_counter() - began
    fold -= replay.root_seconds
    root = replay.root()
    assert replay.position == entries, (replay.position, entries)
    if entries == history.entries:
        assert replay.refusals == history.meant.refusals, (replay.refusals, history.meant)
    stages = {"read": read, "fold": fold, "roots": replay.root_seconds}
    return Replayed(stages, cost_of(os.getpid()).peak_mib, root.hex())


def say(what: str) -> None:
    """Tell people what is being done."""
    print(f"{what} …", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
