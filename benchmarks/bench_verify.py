"""Verifying a bundle: entries a second by stage, on one core and on two, and the memory that it takes.

The log is made by ``benchmarks.marketplace``: some 85 of 100 entries are transfers of two tokens, 12 are task events
with real signatures, the rest are logs of eight kinds of contracts; with every hundred blocks an epoch ends. It goes
into a real log, is projected, signed and made a bundle of by ``deepnode bundle create``. Then all that ``deepnode
verify`` looks at is looked at by a process of its own, which must find no error. The bundle has no evidence of a node:
headers and receipts of a chain that was made up prove nothing.

Beside it, two of the things that take long, by what is not ours: the Merkle tree of the same entries by pymerkle, and
the signer of the same task events by eth-account.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

import pymerkle  # type: ignore[import-untyped]  # pymerkle ships no types
from benchmarks import marketplace, page
from benchmarks.ingest.processes import cost_of
from benchmarks.marketplace import CHAIN_ID, FIRST_BLOCK, GENESIS
from benchmarks.postgres import database, server
from benchmarks.result import RUNS, Result, medians, publish, result, timed
from eth_account import Account
from eth_account.messages import encode_defunct

from deepnode_cli.verifying.driving import verify
from deepnode_cli.verifying.finding import Brought
from deepnode_cli.verifying.stages import stages
from deepnode_ledger import leaf
from deepnode_ledger.bundle import open_bundle
from deepnode_ledger.database import open_datastore
from deepnode_ledger.evidence import Evidence, EvidenceKind, describe
from deepnode_ledger.hexadecimal import from_hex
from deepnode_ledger.log import ACCEPT_MAX, Log
from deepnode_ledger.manifest import Manifest, load_manifest
from deepnode_ledger.publishing import Publisher
from deepnode_ledger.record import Kind
from deepnode_ledger.task_signature import verify as check_signature
from deepnode_ledger.transparency import Edge, Signer, Verifier, leaf_hashes
from deepnode_projections.projector import Projector

SIGNER: Final = Signer("benchmark.example/deepnode", bytes(range(32)))
"""A key for benchmarks alone: everybody knows it."""

ENTRIES: Final = 2_000_000
PEER_ENTRIES: Final = 65_536
PEER_SIGNATURES: Final = 2_000
LOOK_SECONDS: Final = 0.1
TAIL_CHARACTERS: Final = 2_000
RATE: Final = "entries/s"
CORES: Final = (1, 2)

LEAST_SHARE: Final = 0.01
"""Stages that take less of the whole have no line."""

COMMAND: Final = (sys.executable, "-c", "from deepnode_cli.main import app_main; app_main()")


@dataclass(frozen=True, slots=True)
class Verified:
    """What a verification took: seconds in all, and of each stage that was run; the processes' memory added up."""

    seconds: float
    stages: dict[str, float]
    peak_mib: float


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--entries", type=int, default=ENTRIES)
    parser.add_argument("--runs", type=int, default=RUNS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="deepnode-bench-") as folder:
        whole, part = bundles(Path(folder), given.entries)
        measured = verified(whole, given.runs)
        results = [*speeds(whole, measured), *memory(measured, part), *peers(whole, given.runs)]
    publish("verify", results)
    page.write()


def bundles(folder: Path, entries: int) -> tuple[Path, Path]:
    """Make a log and two bundles of it: of all of it, and of a quarter."""
    manifest_file = marketplace.write_manifest(folder / "manifest")
    manifest = load_manifest(manifest_file)
    with server() as url, database(url) as own:
        say("making the log")
        total = fill(own, manifest, entries)
        say(f"{total:,} entries: keeping the books")
        projector = Projector(own, manifest)
        projector.open()
        projector.catch_up()
        projector.close()
        say("signing")
        with Publisher(own, folder / "published", SIGNER) as publisher:
            while publisher.publish() is not None:
                pass
        made = []
        for name, to in (("whole", total), ("part", total // 4)):
            say(f"making the bundle of {to:,} entries")
            settings = ["--database", own, "--manifest", str(manifest_file), "--verifier", str(SIGNER.verifier)]
            command = [*COMMAND, "bundle", "create", str(folder / name), *settings, "--to", f"position:{to}"]
            done = subprocess.run(command, check=False, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr[-TAIL_CHARACTERS:]
            made.append(folder / name)
    return made[0], made[1]


def fill(url: str, manifest: Manifest, entries: int) -> int:
    """Put the history into an empty log; return how many entries it has."""
    datastore, total = open_datastore(url), 0
    try:
        log = Log(datastore, CHAIN_ID)
        log.create(GENESIS, FIRST_BLOCK)
        for epoch in marketplace.epochs(manifest, entries):
            last, blocks = epoch.last.block.number, epoch.last.block.number - epoch.first + 1
            shown = [Evidence(EvidenceKind.END, epoch.first, last, blocks, "made up", epoch.logs.num_rows)]
            log.append_finalized(epoch.first, epoch.last, epoch.logs, describe(shown), evidence=shown)
            for start in range(0, len(epoch.told), ACCEPT_MAX):
                log.accept(epoch.told[start : start + ACCEPT_MAX])
            log.seal(epoch.last.block)
            total += epoch.entries
    finally:
        datastore.close()
    return total


def verified(bundle: Path, runs: int) -> dict[int, list[Verified]]:
    """Verify a bundle on one core and on two, in turn; return what each run took, by the number of cores."""
    measured: dict[int, list[Verified]] = {cores: [] for cores in CORES}
    for run in range(runs):
        for cores in CORES:
            say(f"verifying {bundle.name}, cores: {cores}, run {run + 1} of {runs}")
            measured[cores].append(run_child(bundle, cores))
    return measured


def speeds(bundle: Path, measured: dict[int, list[Verified]]) -> list[Result]:
    """Compare the rates of a whole verification, and of its stages, on two cores and on one."""
    with open_bundle(bundle) as opened:
        entries = opened.contents.entries
    one, two = (measured[cores] for cores in CORES)
    whole = [median(each.seconds for each in many) for many in (two, one)]
    found = [_rate(f"verify {entries:,} entries, 2 cores", entries, whole, len(one))]
    for stage in two[0].stages:
        taken = [median(each.stages[stage] for each in many) for many in (two, one)]
        if taken[1] > LEAST_SHARE * whole[1]:
            found.append(_rate(f"stage: {stage}, 2 cores", entries, taken, len(one)))
    return found


def _rate(case: str, count: int, seconds: list[float], runs: int, beside: str = "1 core", unit: str = RATE) -> Result:
    ours, peer = (count / each for each in seconds)
    return result(case, unit, ours, beside, peer, bound=None, goal="", runs=runs)


def memory(measured: dict[int, list[Verified]], part: Path) -> list[Result]:
    """Compare the memory that verifying a bundle takes with that for a quarter of it."""
    with open_bundle(part) as opened:
        entries = opened.contents.entries
    found = []
    for cores, runs in measured.items():
        ours, peer = median(each.peak_mib for each in runs), run_child(part, cores).peak_mib
        case, beside = f"peak memory, {_counted(cores)}", f"for {entries:,} entries"
        found.append(result(case, "MiB", ours, beside, peer, bound=None, goal="flat but for the state", runs=len(runs)))
    return found


def _counted(cores: int) -> str:
    return f"{cores} core{'s' if cores > 1 else ''}"


def peers(bundle: Path, runs: int) -> list[Result]:
    """Compare the Merkle tree and the signatures with what others make of the same entries."""
    with open_bundle(bundle) as opened:
        [batch] = list(opened.batches(1, min(PEER_ENTRIES, opened.contents.entries)))[:1]
        tasks = batch.column("kind").to_numpy() == int(Kind.TASK_EVENT)
        events = batch.filter(tasks).slice(0, PEER_SIGNATURES)
    leaves, payloads = leaf.entries(batch), events.column("data").to_pylist()
    signatures = events.column("signature").to_pylist()
    signer = from_hex(marketplace.KEY.public_key.to_address(), 20)

    def theirs() -> None:
        tree = pymerkle.InmemoryTree(algorithm="sha256")
        for each in leaves:
            tree.append_entry(each)
        assert tree.get_root() == Edge().extend(leaf_hashes(leaves))[0].root

    def recovered() -> None:
        for payload, signature in zip(payloads, signatures, strict=True):
            found = Account.recover_message(encode_defunct(primitive=payload), signature=signature)
            assert from_hex(found, 20) == signer

    def checked() -> None:
        for payload, signature in zip(payloads, signatures, strict=True):
            check_signature(payload, signature, signer, CHAIN_ID)

    def tree() -> None:
        Edge().extend(leaf_hashes(leaf.entries(batch)))

    taken = medians({each.__name__: partial(timed, each) for each in (tree, theirs, checked, recovered)}, runs)
    tree_seconds, signature_seconds = [taken["tree"], taken["theirs"]], [taken["checked"], taken["recovered"]]
    return [
        _rate("entries to the root of their tree, 1 core", len(leaves), tree_seconds, runs, "pymerkle"),
        _rate("signatures of task events, 1 core", len(payloads), signature_seconds, runs, "eth-account", "events/s"),
    ]


def run_child(bundle: Path, cores: int) -> Verified:
    """Verify in a process of its own, and watch the memory of all that it starts."""
    # As the program that users start, it is no module that each worker would load again.
    program = "import sys; from pathlib import Path; from benchmarks.bench_verify import child; "
    command = [sys.executable, "-W", "ignore", "-c", f"{program}child(Path(sys.argv[1]), {cores})", str(bundle)]
    peak_mib = 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        while process.poll() is None:
            peak_mib = max(peak_mib, cost_of(process.pid).peak_mib)
            time.sleep(LOOK_SECONDS)
        assert process.stdout is not None
        text = process.stdout.read()
    assert process.returncode == 0, command
    told = json.loads(text)
    return Verified(told["seconds"], told["stages"], peak_mib)


def child(bundle: Path, cores: int) -> None:
    """Verify in this process, on so many cores and with so many processes at work, and print what it took."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    brought = Brought(verifiers=(Verifier.parse(str(SIGNER.verifier)),))
    begin = time.perf_counter()
    outcome = verify(bundle, stages(brought), brought, jobs=cores)
    seconds = time.perf_counter() - begin
    assert outcome.ok, [each.said for each in outcome.findings]
    run = [each for each in outcome.stages if not each.skipped]
    told = {
        "seconds": seconds,
        "stages": {each.name: each.seconds for each in run},
    }
    print(json.dumps(told))


def say(what: str) -> None:
    """Tell people what is being done."""
    print(f"{what} …", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
