"""From the chain to the books: ours beside Ponder, Envio and SQD on one node, and fetching beside cryo.

Everybody begins with an empty database and ends when the last transfer can be queried; whose balances are not those of
the contract's rule does not count. Everything is measured in turn, several times round. What was measured is kept as it
comes: a run that was interrupted goes on where it was.

- *chain → books*: ``deepnode index`` and ``deepnode project``, started together, to the last transfer in the books;
  *and the indexes*: until the indexes for reading histories are made, too, which the peers' tables do not have.
- *fetch and seal*: ``deepnode index`` alone, to the last transfer in the sealed log.
- bound: the same logs fetched and thrown away.
- *tail*: blocks of 200 transfers every two seconds; from the block to its last transfer's row.

Memory is what each process held at most, added up.
"""

import argparse
import signal
import statistics
import sys
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Final

from benchmarks import page
from benchmarks.ingest import contenders as who
from benchmarks.ingest.chain import Chain, Span, chain
from benchmarks.ingest.contender import (
    SECONDS_MAX,
    Assignment,
    Contender,
    Measured,
    Watch,
    WrongBalances,
    race,
    scratch,
)
from benchmarks.ingest.installing import CannotInstall, installed
from benchmarks.ingest.notebook import Notebook
from benchmarks.ingest.processes import ChildFailed, Children
from benchmarks.ingest.tail import delays, percentile
from benchmarks.postgres import database, server
from benchmarks.result import RUNS, Result, publish, result

BLOCK_LOGS: Final = [1_000, 40]
INDEXERS: Final = (who.PONDER, who.ENVIO, who.SUBSQUID)
FOLDERS: Final = {
    who.PONDER.name: "ponder",
    who.ENVIO.name: "envio",
    who.SUBSQUID.name: "subsquid",
    who.CRYO.name: "cryo",
}
CASE_SECONDS: Final = 120.0
"""Whoever has taken so long in a case is not run again in it: then fewer runs make the median."""

GOALS: Final = {
    who.PONDER.name: "≥ 10 × the faster of Ponder and Envio",
    who.ENVIO.name: "≥ 10 × the faster of Ponder and Envio",
    who.SUBSQUID.name: "≥ 5 × the peer",
    who.CRYO.name: "≥ half the peer",
}


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured."""

    logs: int
    block_logs: list[int]
    runs: int
    memory_logs: tuple[int, int]
    tail_blocks: int


class Benchmark:
    """One run of everything, on one PostgreSQL, without the peers that this machine cannot have."""

    def __init__(self, url: str, extent: Extent, notebook: Notebook, missing: dict[str, str]) -> None:
        self._url = url
        self._extent = extent
        self._notebook = notebook
        self._missing = missing

    def results(self) -> list[Result]:
        """Measure what is not in the notebook yet, and put the table together."""
        found = []
        for block_logs in self._extent.block_logs:
            self._races(block_logs)
            found += self._speeds(block_logs)
        return [*found, *self._memory(), *self._tail()]

    def _races(self, block_logs: int) -> None:
        runners = [who.OURS, who.OURS_INDEXED, who.SEALING, who.BARE, *self._present(who.CRYO, *INDEXERS)]
        with ExitStack() as stack:
            node: tuple[Chain, Span] | None = None
            for run in range(self._extent.runs):
                for runner in runners:
                    taken = sum(each.seconds for each in self._runs(runner, block_logs))
                    name = self._name(runner, block_logs, run)
                    if runner.name in self._missing or self._notebook.has(name) or taken > CASE_SECONDS:
                        continue
                    if node is None:
                        started = stack.enter_context(chain())
                        node = started, started.fill(self._extent.logs, block_logs)
                    self._race(name, runner, *node)

    def _race(self, name: str, runner: Contender, node: Chain, span: Span) -> None:
        def measure() -> dict[str, float]:
            with database(self._url) as url:
                taken = race(runner, url, node.url, node.genesis(), span)
                say(name, taken, span.logs)
                if runner is who.PONDER and name.endswith("run 0"):
                    self._race_again(name, url, node, span)
            return asdict(taken)

        try:
            self._notebook.figure(name, measure)
        except (ChildFailed, CannotInstall, WrongBalances) as error:
            if runner.name not in FOLDERS:
                raise
            self._missing[runner.name] = str(error)
            print(f"{runner.name} is left out: {error}")

    def _race_again(self, name: str, url: str, node: Chain, span: Span) -> None:
        """Let Ponder index the same once more into another schema, from what it keeps of the node's answers."""
        again = who.PONDER_AGAIN
        name = name.replace(who.PONDER.name, again.name)
        taken = self._notebook.figure(name, lambda: asdict(race(again, url, node.url, node.genesis(), span)))
        say(name, Measured(**taken), span.logs)

    def _speeds(self, block_logs: int) -> list[Result]:
        extent, case = self._extent, f"{block_logs:,}-log blocks"
        ours = self._median(who.OURS, block_logs)
        sealing = self._median(who.SEALING, block_logs)
        bound = extent.logs / self._median(who.BARE, block_logs).seconds
        books, seal, found = f"{case}: chain → books", f"{case}: fetch and seal", []
        for peer in self._present(who.PONDER, who.PONDER_AGAIN, who.ENVIO, who.SUBSQUID):
            theirs, runs = self._median(peer, block_logs), len(self._runs(peer, block_logs))
            rates = (extent.logs / ours.seconds, peer.name, extent.logs / theirs.seconds)
            goal = GOALS.get(peer.name, "")
            found.append(result(books, "events/s", *rates, bound=bound, goal=goal, runs=runs))
        indexed = self._median(who.OURS_INDEXED, block_logs)
        for peer in self._present(*INDEXERS):
            theirs, runs = self._median(peer, block_logs), len(self._runs(peer, block_logs))
            rates = (extent.logs / indexed.seconds, peer.name, extent.logs / theirs.seconds)
            found.append(result(f"{books}, and the indexes", "events/s", *rates, bound=bound, goal="", runs=runs))
        for peer in self._present(who.CRYO):
            theirs = self._median(peer, block_logs)
            rates = (extent.logs / sealing.seconds, peer.name, extent.logs / theirs.seconds)
            found.append(result(seal, "logs/s", *rates, bound=bound, goal=GOALS[peer.name], runs=extent.runs))
        each = 1e6 / extent.logs
        for peer in self._present(*INDEXERS):
            theirs, runs = self._median(peer, block_logs), len(self._runs(peer, block_logs))
            pairs = {
                "CPU, own processes": ("µs/event", ours.cpu_seconds * each, theirs.cpu_seconds * each),
                "CPU, PostgreSQL": ("µs/event", ours.database_cpu_seconds * each, theirs.database_cpu_seconds * each),
                "peak memory": ("MiB", ours.peak_mib, theirs.peak_mib),
            }
            for what, (unit, mine, other) in pairs.items():
                found.append(result(f"{case}: {what}", unit, mine, peer.name, other, bound=None, goal="", runs=runs))
        return found

    def _memory(self) -> list[Result]:
        small, large = self._extent.memory_logs

        def measure() -> list[float]:
            with chain() as node, database(self._url) as url, scratch() as directory, Children(directory) as children:
                span = node.fill(large, max(BLOCK_LOGS))
                given = Assignment(node.url, node.genesis(), span.last_block, span.block_logs, url, directory)
                for command in who.OURS.commands(given):
                    children.start(command)
                peaks = []
                with Watch(url, children) as watch:
                    for logs in (small, large):
                        watch.wait(who.OURS.seen(Span(logs, span.block_logs, span.last_block)), SECONDS_MAX)
                        peaks.append(children.cost().peak_mib)
            return peaks

        low, high = self._notebook.figure(f"memory {small} {large}", measure)
        print(f"memory: {low:.0f} MiB after {small:,} logs, {high:.0f} MiB after {large:,}")
        case = f"peak memory, {large:,} logs"
        return [result(case, "MiB", high, f"after {small:,}", low, bound=None, goal="flat", runs=1)]

    def _tail(self) -> list[Result]:
        try:
            found = self._follow(who.OURS, who.OURS_TOLD, *self._present(who.PONDER, who.ENVIO))
        except (ChildFailed, CannotInstall) as error:
            print(f"the tail without peers: {error}")
            found = self._follow(who.OURS, who.OURS_TOLD)
        for name, values in found.items():
            print(f"tail: {name}: median {statistics.median(values):.0f} ms, p99 {percentile(values, 0.99):.0f} ms")
        polling, told = found.pop(who.OURS.name), found.pop(who.OURS_TOLD.name)
        results = []
        for name, values in found.items():
            # Ponder is told of new blocks as well; Envio has to ask for them.
            way, ours = ("WebSocket", told) if name == who.PONDER.name else ("polling", polling)
            for what, share in (("median", 0.5), ("p99", 0.99)):
                case = f"tail by {way}, {what}"
                mine, theirs = percentile(ours, share), percentile(values, share)
                results.append(result(case, "ms", mine, name, theirs, bound=None, goal="", runs=1))
        return results

    def _follow(self, *group: Contender) -> dict[str, list[float]]:
        blocks, names = self._extent.tail_blocks, " and ".join(each.name for each in group)
        # All at once: they are disturbed alike.
        found: dict[str, list[float]] = self._notebook.figure(
            f"tail of {blocks} blocks, {names}", lambda: delays(group, self._url, blocks)
        )
        return dict(found)

    def _present(self, *wanted: Contender) -> list[Contender]:
        missing = set(self._missing)
        if who.PONDER.name in missing:
            missing.add(who.PONDER_AGAIN.name)
        return [each for each in wanted if each.name not in missing]

    def _median(self, runner: Contender, block_logs: int) -> Measured:
        runs = self._runs(runner, block_logs)
        fields = ("seconds", "cpu_seconds", "database_cpu_seconds", "peak_mib")
        return Measured(**{field: statistics.median(getattr(run, field) for run in runs) for field in fields})

    def _runs(self, runner: Contender, block_logs: int) -> list[Measured]:
        names = [self._name(runner, block_logs, run) for run in range(self._extent.runs)]
        return [Measured(**self._notebook.figure(name, dict)) for name in names if self._notebook.has(name)]

    def _name(self, runner: Contender, block_logs: int, run: int) -> str:
        return f"{runner.name}, {self._extent.logs} logs in blocks of {block_logs}, run {run}"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--logs", type=int, default=200_000)
    parser.add_argument("--block-logs", type=int, nargs="+", default=BLOCK_LOGS, metavar="LOGS")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--memory", type=int, nargs=2, default=[100_000, 1_000_000], metavar="LOGS")
    parser.add_argument("--tail-blocks", type=int, default=100)
    parser.add_argument("--only-install", action="store_true", help="fetch the peers and stop")
    parser.add_argument("--trial", action="store_true", help="print the table, but write neither it nor the page")
    given = parser.parse_args()
    # As an exception it lets everything that was started be stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    missing = install()
    if given.only_install:
        return
    notebook = Notebook()
    small, large = given.memory
    extent = Extent(given.logs, given.block_logs, given.runs, (small, large), given.tail_blocks)
    with server() as url:
        results = Benchmark(url, extent, notebook, missing).results()
    publish("ingest", results, write=not given.trial)
    if not given.trial:
        page.write()
    notebook.close()


def install() -> dict[str, str]:
    """Fetch the peers' programs, and return those that cannot be had, with the reason."""
    missing = {}
    for name, folder in FOLDERS.items():
        try:
            installed(folder)
        except CannotInstall as error:
            missing[name] = str(error)
            print(f"{name} is left out: {error}")
    return missing


def say(name: str, taken: Measured, logs: int) -> None:
    """Print what a run took."""
    own, theirs = (1e6 * seconds / logs for seconds in (taken.cpu_seconds, taken.database_cpu_seconds))
    rate = f"{logs / taken.seconds:,.0f}/s"
    print(f"{name}: {rate}, CPU {own:.0f} + {theirs:.0f} µs each, {taken.peak_mib:.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
