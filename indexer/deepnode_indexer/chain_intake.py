"""The intake of one chain: its providers, its follower, and the loop that goes on whatever they do.

It looks at the head at an interval, and sooner where a provider tells of a new head by WebSocket. After a fault it
waits longer each time, with jitter, so that many indexers do not come back to a provider in one moment.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from deepnode_indexer.changes import Change
from deepnode_indexer.completeness import SAMPLED, Disputed, Examiner
from deepnode_indexer.failures import NodeFailure
from deepnode_indexer.following import SEAL_ENTRIES, Follower
from deepnode_indexer.level import Level
from deepnode_indexer.pool import Providers
from deepnode_indexer.provider import Provider
from deepnode_indexer.status import Status
from deepnode_indexer.websocket import heads, open_rpc
from deepnode_ledger.errors import BadInput, TryAgain
from deepnode_ledger.evidence import Held
from deepnode_ledger.log import Log
from deepnode_ledger.manifest import Manifest

PAUSE_SECONDS_MAX: Final = 10.0
"""The longest pause between two tries while the node or the database is away."""

LOOK_SECONDS: Final = 15.0
"""How often the providers that are not in use are asked for their heads."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something went wrong and will be tried again, or a task event was refused."""

    message: str


@dataclass(frozen=True, slots=True)
class ChainSource:
    """Where a chain is asked for, and how it is shown to be whole.

    ``urls``: of its nodes, the preferred one first; ``level`` and ``sampled``: see ``completeness.Examiner``.
    """

    urls: Sequence[str]
    level: Level = Level.HEADERS
    sampled: int = SAMPLED


Report = Callable[[Change | Fault], None]


class ChainIntake:
    """Takes one chain of the manifest into the log."""

    def __init__(
        self,
        log: Log,
        manifest: Manifest,
        chain: ChainSource,
        status: Status,
        *,
        poll_seconds: float,
        seal_entries: int = SEAL_ENTRIES,
        report: Report,
    ) -> None:
        self.log = log
        self.chain_id = log.chain_id
        self._manifest = manifest
        self._urls = chain.urls
        self._status = status
        self._poll_seconds = poll_seconds
        self._report = report
        self.providers = Providers([Provider(open_rpc(url), manifest, log.chain_id) for url in chain.urls])
        examiner = Examiner(self.providers, level=chain.level, sampled=chain.sampled)
        self.follower = Follower(examiner, log, manifest, seal_entries=seal_entries, unknown=self._quarantined)
        self._woken = threading.Event()

    def check(self) -> None:
        """Check that the nodes serve the chain, and that the database holds the manifest's log, or none yet.

        Raises:
            TryAgain: no node answers, or the database is away.
            BadInput: another chain, at a node or in the database; or a contract that begins in covered blocks.
        """
        self.providers.check_chain()
        wanted = self._manifest.chains[self.chain_id]
        others = [other for other in self._manifest.chains if other != self.chain_id]
        self.log.create(wanted.genesis_hash, self._manifest.first_block_of(self.chain_id), beside=others)
        self.log.enrol_contracts([(each.address, each.start_block) for each in self._manifest.on(self.chain_id)])

    def run(self, stop: threading.Event) -> None:
        """Follow the chain until ``stop`` is set.

        Raises:
            BadInput: the chain replaced what is sealed, or the manifest does not fit the log.
        """
        listeners = [
            threading.Thread(target=self._listen, args=(url, stop), name=f"heads of {self.chain_id}", daemon=True)
            for url in self._urls
            if urlsplit(url).scheme in ("ws", "wss")
        ]
        for listener in listeners:
            listener.start()
        looked_at = time.monotonic()
        failures_in_a_row = 0
        while not stop.is_set():
            self._woken.clear()
            try:
                if not self._step(stop):
                    return
                failures_in_a_row = 0
                pause = self._poll_seconds
            except TryAgain as error:
                failures_in_a_row += 1
                self._status.failed(str(error), self.chain_id, held=self._held(error))
                self._report(Fault(str(error)))
                longest = min(PAUSE_SECONDS_MAX, self._poll_seconds * 2 ** min(failures_in_a_row, 10))
                pause = random.uniform(longest / 2, longest)  # noqa: S311 (a pause is no secret)
            except BadInput as error:
                self._status.stopped(str(error))
                raise
            if len(self.providers) > 1 and time.monotonic() - looked_at > LOOK_SECONDS:
                self.providers.look()
                looked_at = time.monotonic()
            self._wait(pause, stop)

    def wake(self) -> None:
        """Look at once: there may be something new, or it is time to stop."""
        self._woken.set()

    def _step(self, stop: threading.Event) -> bool:
        for change in self.follower.sync():
            self._status.changed(change, self.chain_id)
            self._report(change)
            if stop.is_set():
                return False
        self._status.in_step(self.chain_id, held=len(self.log.holds()))
        return True

    def _held(self, error: TryAgain) -> int | None:
        """How many ranges are held back: a chain that is stopped by one never gets in step. None if not known."""
        if not isinstance(error, NodeFailure | Disputed | Held):
            # The database may be away.
            return None
        with suppress(TryAgain):
            return len(self.log.holds())
        return None

    def _wait(self, pause_seconds: float, stop: threading.Event) -> None:
        # The stop wakes us too (see ``wake``), so one event is enough to wait for.
        if not stop.is_set():
            self._woken.wait(pause_seconds)

    def _listen(self, url: str, stop: threading.Event) -> None:
        for _ in heads(url, stop):
            self._woken.set()

    def _quarantined(self, unknown: Counter[tuple[bytes, bytes | None]]) -> None:
        self._status.quarantined(unknown, self.chain_id)
