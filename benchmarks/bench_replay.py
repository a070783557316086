"""Replaying a log of five million entries: ours beside the specification and beside the library's projection runner.

The history (``benchmarks.replay``) is made up from a seed: three of five entries are task events. Measured are:

- *replay*: the sealed log in PostgreSQL, to the state root behind its last entry; the same when its entries were
  decoded before; and what reading, decoding, folding and the root take by themselves, from the log's stored batches in
  files. Beside it the specification, the rules in plain Python, from such files, and the eventsourcing library, each
  over a share of the same history; what comes out is compared.
- *memory*: the highest resident size of a process that replays one and five million entries.
- *rebuild*: books made anew in PostgreSQL (``benchmarks.replay_rebuild``).
- *balance*: what an account had at a position (``benchmarks.asof_balances``).
- *tail*: how soon a block's entries are in the books (``benchmarks.replay_tail``).

Signatures in the history are bytes by chance, which a replay does not look at.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks import asof_balances, page, replay_rebuild, replay_tail
from benchmarks.api_books import small_manifest
from benchmarks.postgres import database, server
from benchmarks.replay.deployment import Sizes
from benchmarks.replay.stored import Kept, fill, kept
from benchmarks.replay_peers import Peer
from benchmarks.replay_ways import Replayed, Task, Way, run_child
from benchmarks.result import OUT, RUNS, Result, publish, result

from deepnode_projections.replay import Replay
from deepnode_projections.rules.tasks import Slot

ENTRIES: Final = 5_000_000
PEER_ENTRIES: Final = 200_000
LIBRARY: Final = "eventsourcing, JSON mapper"
RATE: Final = "entries/s"
GOAL: Final = "≥ 2,000,000"
LIBRARY_GOAL: Final = "≥ 50 ×"
PARTS: Final = ("replay", "memory", "rebuild", "balance", "tail")
"""What can be measured for itself; each case's name begins with its part's."""

WALLET: Final = "Wallet:0x"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--entries", type=int, default=ENTRIES)
    parser.add_argument("--peer-entries", type=int, default=PEER_ENTRIES, help="that the slower ones replay")
    parser.add_argument("--memory", type=int, help="of a part: so many entries", default=ENTRIES // 5)
    parser.add_argument("--rebuild-entries", type=int, help="all, if it is left out")
    parser.add_argument("--rebuild-logs", type=int, default=200_000, help="that Ponder indexes")
    parser.add_argument("--postings", type=int, default=asof_balances.POSTINGS)
    parser.add_argument("--tail-blocks", type=int, default=replay_tail.BLOCKS)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="keeps what others found before")
    parser.add_argument("--dry", action="store_true", help="print, and write nothing")
    given = parser.parse_args()
    say(f"making the history of {given.entries:,} entries, unless it is there")
    history = kept(Sizes(given.entries))
    parts: dict[str, Callable[[str, Path], list[Result]]] = {
        "replay": lambda url, _: speeds(url, history, given.peer_entries, given.runs),
        "memory": lambda _url, _: memory(history, min(given.memory, given.entries), given.runs),
        "rebuild": lambda url, folder: replay_rebuild.rates(
            url, history, small_manifest(folder), given.rebuild_entries or given.entries, given.rebuild_logs, given.runs
        ),
        "balance": lambda url, folder: balances(url, folder, given.postings, given.runs),
        "tail": lambda url, _: replay_tail.rates(url, history, given.tail_blocks),
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
    """Compare the rates of all, in turn, and what comes out of each."""
    found: dict[Way, list[Replayed]] = {way: [] for way in Way}
    library: list[float] = []
    with database(url) as own, database(url) as log, tempfile.TemporaryDirectory(prefix="deepnode-bench-") as decoded:
        say(f"storing {share:,} entries by the library")
        peer = Peer(own, history, share)
        check(history, share, peer)
        say(f"storing {history.entries:,} entries by the log")
        fill(log, history)
        for run in range(runs):
            for way in Way:
                say(f"run {run + 1} of {runs}: {way}")
                entries = share if way is Way.SPECIFICATION else history.entries
                found[way].append(run_child(Task(way, str(history.folder), entries, log, decoded)))
            say(f"run {run + 1} of {runs}: {LIBRARY}")
            library.append(share / peer.replay()[0])
    ours = [way for way in Way if way is not Way.SPECIFICATION]
    assert len({each.root for way in ours for each in found[way]}) == 1, "the same log has the same root"
    slow, named = found[Way.SPECIFICATION], f"the specification, {share:,} entries"
    theirs, results = share / median(each.seconds for each in slow), list[Result]()
    for way, how in ((Way.LOG, "out of PostgreSQL"), (Way.DECODED, "decoded before")):
        case, mine = f"replay, {history.entries:,} entries, {how}", _rate(history.entries, found[way])
        peers = ((named, theirs, GOAL), (f"{LIBRARY}, {share:,} entries", median(library), LIBRARY_GOAL))
        results += [
            result(case, RATE, mine, peer, peers_rate, bound=None, goal=goal, runs=runs)
            for peer, peers_rate, goal in peers
        ]
    for stage in found[Way.STAGES][0].stages:
        mine = _rate(history.entries, found[Way.STAGES], stage)
        # The specification has no stage of decoding: it decodes what it folds.
        as_slow = stage if stage in slow[0].stages else "fold"
        case = f"replay, {stage} alone"
        results.append(result(case, RATE, mine, named, _rate(share, slow, as_slow), bound=None, goal="", runs=runs))
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


def memory(history: Kept, small: int, runs: int) -> list[Result]:
    """Compare the memory of a process that replays all with that of one that replays a part."""
    large = history.entries

    def peak(entries: int) -> float:
        task = Task(Way.STAGES, str(history.folder), entries)
        return median(run_child(task).peak_mib for _ in range(runs))

    case, beside = f"memory, peak, {large:,} entries", f"for {small:,} entries"
    return [result(case, "MiB", peak(large), beside, peak(small), bound=None, goal="flat but for the state", runs=runs)]


def balances(url: str, folder: Path, postings: int, runs: int) -> list[Result]:
    """Measure balances at positions, in a database of their own."""
    with database(url) as own:
        return asof_balances.rates(own, folder, postings, runs)


def say(what: str) -> None:
    """Tell people what is being done."""
    print(f"{what} …", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
