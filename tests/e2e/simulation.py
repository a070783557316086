"""A seeded simulation: a real chain with reorgs, nodes that lie and fail, an indexer that is killed; then the truth.

The indexer runs in a process of its own, forked from the test so that a start costs nothing, and is ended by SIGKILL.
In the end the nodes are honest again, and the log and the books must be those of an index that saw nothing but the end.
"""

import os
import select
import signal
import time
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from random import Random

import pytest

from deepnode_indexer.changes import Finalized
from deepnode_indexer.completeness import Examiner
from deepnode_indexer.devnet.faults import (
    HONEST,
    AlterLogs,
    AlterReceipts,
    AnyFault,
    BehindHead,
    FaultProxy,
    HideLogs,
    Profile,
    TruncateLogs,
    drawn,
)
from deepnode_indexer.following import Follower
from deepnode_indexer.level import Level
from deepnode_indexer.pool import Providers
from deepnode_indexer.provider import Provider
from deepnode_indexer.rpc import JsonRpc
from deepnode_ledger.database import open_datastore
from deepnode_ledger.errors import TryAgain
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.log import Log
from deepnode_ledger.record import BlockRef, ChainLog
from deepnode_ledger.snapshot import snapshot
from deepnode_projections.projector import connect
from deepnode_projections.state_root import state_root
from tests.e2e.real_parts import Devnet, Ledger, open_ledger

FINALITY_BLOCKS = 64
"""anvil calls final what lies so far below the head; reorgs stay above it."""

TRIES = 200

STEP_SECONDS_MAX = 0.7
"""An indexer that makes no step for so long waits for what the nodes do not give; it is killed as it is."""


@dataclass
class Outcome:
    """What the log and the books hold in the end, and what was dealt out on the way."""

    logs: list[tuple[BlockRef, ChainLog]]
    root: str
    held: int
    told: str


def simulate(devnet: Devnet, database_url: str, seed: int) -> Outcome:
    """Play a seed: returns what an indexer made of the chain, through faults, reorgs and kills."""
    rng = Random(seed)
    told = [f"seed {seed}"]
    # One node is checked by receipts alone; beside an honest one, headers and agreement are enough.
    has_honest = rng.random() < 0.4
    level = Level.HEADERS if has_honest else Level.RECEIPTS
    with ExitStack() as stack:
        proxies = [
            stack.enter_context(FaultProxy(devnet.node.url, lying(rng), seed * 10 + place))
            for place in range(1 if rng.random() < 0.6 else 2)
        ]
        urls = [proxy.url for proxy in proxies] + ([devnet.node.url] if has_honest else [])
        rng.shuffle(urls)
        for _ in range(rng.randint(2, 4)):
            action = rng.choice(["blocks", "blocks", "reorg", "faults", "quiet"])
            if action == "reorg":
                depth = rng.randint(1, min(60, devnet.economy.block_number - 5))
                devnet.economy.reorg(depth)
                devnet.play(1)
                told.append(f"reorg {depth}")
            elif action == "blocks":
                devnet.play(rng.randint(1, 30))
            elif action == "faults":
                proxy = rng.choice(proxies)
                proxy.set(lying(rng), seed=rng.randrange(1 << 30))
            steps = follow_and_be_killed(devnet, database_url, urls, level, steps=rng.randint(0, 6))
            told.append(f"killed after {steps} steps")
        for proxy in proxies:
            told.append(f"{proxy.profile}: {dict(proxy.dealt)}")
            proxy.set(HONEST)
        # What faults have left in the tail is final by then, so that it has to be found.
        devnet.play(6)
        devnet.node.mine(FINALITY_BLOCKS)
        return indexed(devnet, database_url, urls, level, "; ".join(told))


def lying(rng: Random) -> Profile:
    """Random faults, and one lie of which nothing in the answer itself tells."""
    lies: list[AnyFault] = [
        HideLogs(chance=0.3, when="always"),
        HideLogs(chance=0.3, when="always", receipts=True),
        HideLogs(chance=0.5, share=0.3),
        TruncateLogs(chance=0.5, logs=rng.randint(1, 20)),
        AlterLogs(chance=0.5, field=rng.choice(("data", "topics"))),
        BehindHead(chance=0.4, blocks=rng.randint(1, 10), logs_only=True),
    ]
    faults: list[AnyFault] = [rng.choice(lies), *drawn(rng).faults]
    if rng.random() < 0.2:
        faults.append(AlterReceipts(chance=0.2, lie=rng.choice(("null", "no-logs", "omitted", "data", "status"))))
    return Profile("lying", tuple(faults))


def fault_free(devnet: Devnet, database_url: str) -> Outcome:
    """What an index of the chain as it stands is, without faults."""
    return indexed(devnet, database_url, [devnet.node.url], Level.HEADERS, "fault-free")


def indexed(devnet: Devnet, database_url: str, urls: Sequence[str], level: Level, told: str) -> Outcome:
    """Bring the log to the head, however often that takes, and read what it holds."""
    ledger = open_ledger(database_url, urls, devnet.manifest, level=level, seal_entries=1, step_entries=5_000)
    try:
        _insist(ledger, told)
        position = ledger.projector.catch_up().position
        with connect(ledger.url, "books") as connection:
            root = to_hex(state_root(connection, position))
        return Outcome(logs_of(ledger.log), root, len(ledger.log.holds()), told)
    finally:
        ledger.close()


def _insist(ledger: Ledger, told: str) -> None:
    failure: TryAgain | None = None
    for _ in range(TRIES):
        try:
            list(ledger.follower.sync())
            return
        except TryAgain as error:
            failure = error
            time.sleep(0.05)
    pytest.fail(f"{told}: {failure}")


def logs_of(log: Log) -> list[tuple[BlockRef, ChainLog]]:
    """The chain's logs as the log has them, in its order."""
    with snapshot(log.datastore) as view:
        return [(entry.block, entry.record) for entry in view.entries(1) if isinstance(entry.record, ChainLog)]


def follow_and_be_killed(devnet: Devnet, database_url: str, urls: Sequence[str], level: Level, *, steps: int) -> int:
    """Run an indexer until it has made so many steps, or made no more for a while, and kill it; return its steps."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _follow_for_ever(devnet, database_url, urls, level, tell)
        except BaseException:  # noqa: BLE001 (told, and then the process ends)
            traceback.print_exc()
        finally:
            # Whatever happened: the test's own process is another one.
            os._exit(1)
    os.close(tell)
    made = 0
    try:
        while made < steps and select.select([told], [], [], STEP_SECONDS_MAX)[0]:
            said = os.read(told, steps - made)
            if not said:
                pytest.fail("the indexer ended by itself; what it died of is on stderr")
            made += len(said)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(told)
    return made


def _follow_for_ever(devnet: Devnet, database_url: str, urls: Sequence[str], level: Level, tell: int) -> None:
    log = Log(open_datastore(database_url), devnet.manifest.chain_id)
    providers = Providers([Provider(JsonRpc(url), devnet.manifest) for url in urls])
    while True:
        try:
            log.create(devnet.manifest.genesis_hash, devnet.manifest.first_block)
            follower = Follower(Examiner(providers, level=level), log, devnet.manifest, seal_entries=5)
            while True:
                for change in follower.sync():
                    if not isinstance(change, Finalized):
                        os.write(tell, b".")
                time.sleep(0.02)
        except TryAgain:
            time.sleep(0.02)
