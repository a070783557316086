"""The indexer as a service: the follower, the intake and the files, in one process, until it is told to stop."""

import random
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import uvicorn

from deepnode_indexer.admission import Limits
from deepnode_indexer.following import SEAL_ENTRIES, Change, Follower
from deepnode_indexer.intake import make_app
from deepnode_indexer.provider import Provider
from deepnode_indexer.rpc import JsonRpc
from deepnode_indexer.sources import Source, Told, follow_all, outcomes, refusals
from deepnode_indexer.status import Status
from deepnode_ledger.database import open_datastore
from deepnode_ledger.errors import BadInput, DeepNodeError, TryAgain
from deepnode_ledger.log import Log
from deepnode_ledger.manifest import Manifest

PAUSE_SECONDS_MAX: Final = 10.0
"""The longest pause between two tries while the node or the database is away."""

CONNECTIONS_MAX: Final = 1_000
"""Connections of the intake at one time; whoever comes above that is told to try again."""

SHUTDOWN_SECONDS_MAX: Final = 5
"""How long the intake waits for requests that are under way when it is told to stop."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something went wrong and will be tried again, or a line of a file was refused."""

    message: str


Report = Callable[[Change | Fault], None]


@dataclass(frozen=True, slots=True)
class Door:
    """Where the intake listens, and how much it takes."""

    host: str
    port: int
    limits: Limits = field(default_factory=Limits)


class Indexer:
    """Follows one chain into one log and takes in task events beside it."""

    def __init__(
        self,
        rpc_url: str,
        database_url: str,
        manifest: Manifest,
        *,
        poll_seconds: float,
        seal_entries: int = SEAL_ENTRIES,
        report: Report,
    ) -> None:
        self._manifest = manifest
        self._poll_seconds = poll_seconds
        self._report = report
        self._log = Log(open_datastore(database_url), manifest.chain_id)
        self._provider = Provider(JsonRpc(rpc_url), manifest)
        self._follower = Follower(self._provider, self._log, seal_entries=seal_entries)
        self._stop = threading.Event()
        self._server: uvicorn.Server | None = None
        self.status = Status()

    def check(self) -> None:
        """Check that the node serves the manifest's chain and that the database holds this chain's log, or none yet.

        Raises:
            TryAgain: the node or the database is away.
            BadInput: another chain, at the node or in the database.
        """
        self._provider.check_chain()
        self._log.create(self._manifest.genesis_hash, self._manifest.first_block)

    def run(self, door: Door | None, sources: Sequence[Source] = ()) -> None:
        """Work until ``stop`` is called, from any thread.

        Raises:
            BadInput: the chain replaced what is sealed, a source cannot be read, or the port is taken.
        """
        failures: list[DeepNodeError] = []
        threads = [threading.Thread(target=self._follow_sources, args=(sources, failures), name="task events")]
        if door is not None:
            self._server = _make_server(self._log, self._manifest, self.status, door)
            threads.append(threading.Thread(target=self._server.run, args=([_listen(door)],), name="intake"))
        for thread in threads:
            thread.start()
        try:
            self._follow_chain()
        finally:
            self.stop()
            for thread in threads:
                thread.join()
        if failures:
            raise failures[0]

    def stop(self) -> None:
        """Ask the indexer to end. What it was writing is either committed or left undone."""
        self._stop.set()
        if self._server is not None:
            self._server.should_exit = True

    def _follow_chain(self) -> None:
        failures_in_a_row = 0
        while not self._stop.is_set():
            try:
                for change in self._follower.sync():
                    self.status.changed(change)
                    self._report(change)
                    if self._stop.is_set():
                        return
                self.status.in_step()
                failures_in_a_row = 0
                pause = self._poll_seconds
            except TryAgain as error:
                failures_in_a_row += 1
                self.status.failed(str(error))
                self._report(Fault(str(error)))
                # Jitter, so that many indexers do not come back to a provider in one moment.
                longest = min(PAUSE_SECONDS_MAX, self._poll_seconds * 2 ** min(failures_in_a_row, 10))
                pause = random.uniform(longest / 2, longest)  # noqa: S311 (a pause is no secret)
            except BadInput as error:
                self.status.stopped = str(error)
                raise
            self._stop.wait(pause)

    def _follow_sources(self, sources: Sequence[Source], failures: list[DeepNodeError]) -> None:
        try:
            follow_all(sources, self._log, self._manifest, self._stop, self._tell)
        except DeepNodeError as error:
            failures.append(error)
            self.stop()

    def _tell(self, told: Sequence[Told]) -> None:
        self.status.count(outcomes(told))
        for message in refusals(told):
            self._report(Fault(message))


def _make_server(log: Log, manifest: Manifest, status: Status, door: Door) -> uvicorn.Server:
    config = uvicorn.Config(
        make_app(log, manifest, status, door.limits),
        host=door.host,
        port=door.port,
        log_level="warning",
        lifespan="off",
        limit_concurrency=CONNECTIONS_MAX,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS_MAX,
    )
    # In a thread the server leaves the process's signals alone: they are the command's to handle.
    return uvicorn.Server(config)


def _listen(door: Door) -> socket.socket:
    """Take the port before anything else runs, so that a taken one is an error of the start."""
    listener = socket.socket(socket.AF_INET6 if ":" in door.host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((door.host, door.port))
    except OSError as error:
        listener.close()
        raise BadInput(f"the intake cannot listen on {door.host}:{door.port}: {error.strerror}") from error
    return listener
