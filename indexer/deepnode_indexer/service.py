"""The indexer as a service: the follower, the intake and the files, in one process, until it is told to stop."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from deepnode_indexer.chain_intake import ChainIntake, ChainSource, Fault, Report
from deepnode_indexer.following import SEAL_ENTRIES
from deepnode_indexer.pool import metrics
from deepnode_indexer.sources import Source, Told, follow_all, outcomes, refusals
from deepnode_indexer.status import Status
from deepnode_ledger.database import open_datastore
from deepnode_ledger.errors import BadInput, DeepNodeError
from deepnode_ledger.log import Log
from deepnode_ledger.manifest import Manifest

if TYPE_CHECKING:
    import uvicorn

    from deepnode_indexer.door import Door


class Indexer:
    """Follows the chains of a manifest into one log and takes in task events beside them."""

    def __init__(
        self,
        sources: Mapping[int, ChainSource],
        database_url: str,
        manifest: Manifest,
        *,
        poll_seconds: float,
        seal_entries: int = SEAL_ENTRIES,
        report: Report,
    ) -> None:
        """Wire an indexer; nothing connects yet.

        Args:
            sources: where each chain of the manifest is asked for, by its id.
            database_url: of the log.
            manifest: the deployment.
            poll_seconds: between two looks at a head.
            seal_entries: see ``confirming``.
            report: called with what happens, from several threads.

        Raises:
            BadInput: a chain of the manifest has no source, a source no chain, or a URL is none.
        """
        if set(sources) != set(manifest.chains):
            raise BadInput(
                f"the manifest is about the chains {_listed(manifest.chains)}, nodes are given for {_listed(sources)}"
            )
        self._manifest = manifest
        self._report = report
        self.status = Status(list(manifest.chains))
        self.chains = [
            ChainIntake(
                Log(open_datastore(database_url), chain_id),
                manifest,
                sources[chain_id],
                self.status,
                poll_seconds=poll_seconds,
                seal_entries=seal_entries,
                report=report,
            )
            for chain_id in manifest.chains
        ]
        # A metric is written once, with the providers of all chains under it.
        self.status.more_metrics.append(lambda: metrics([chain.providers for chain in self.chains]))
        # Task events stand under the blocks of the home chain, which is the manifest's first.
        self._log = self.chains[0].log
        self._stop = threading.Event()
        self._server: uvicorn.Server | None = None

    def check(self) -> None:
        """Check that the nodes serve the manifest's chains and that the database holds their log, or none yet.

        Raises:
            TryAgain: the nodes of a chain or the database are away.
            BadInput: another chain, at a node or in the database.
        """
        for chain in self.chains:
            chain.check()

    def run(self, door: "Door | None", sources: Sequence[Source] = ()) -> None:
        """Work until ``stop`` is called, from any thread.

        Raises:
            BadInput: a chain replaced what is sealed, a source cannot be read, or the port is taken.
        """
        failures: list[BaseException] = []
        threads = [threading.Thread(target=self._follow_sources, args=(sources, failures), name="task events")]
        if door is not None:
            # Here: who only reads chains starts sooner without a web server.
            from deepnode_indexer.door import listen, make_server

            self._server = make_server(self._log, self._manifest, self.status, door)
            threads.append(threading.Thread(target=self._server.run, args=([listen(door)],), name="intake"))
        threads += [
            threading.Thread(target=self._follow_chain, args=(chain, failures), name=f"chain {chain.chain_id}")
            for chain in self.chains
        ]
        for thread in threads:
            thread.start()
        try:
            self._stop.wait()
        finally:
            self.stop()
            for thread in threads:
                thread.join()
        if failures:
            raise failures[0]

    def stop(self) -> None:
        """Ask the indexer to end. What it was writing is either committed or left undone."""
        self._stop.set()
        for chain in self.chains:
            chain.wake()
        if self._server is not None:
            self._server.should_exit = True

    def _follow_chain(self, chain: ChainIntake, failures: list[BaseException]) -> None:
        try:
            chain.run(self._stop)
        except BaseException as error:  # noqa: BLE001 (raised on by ``run``, whose thread waits for this one)
            failures.append(error)
            self.stop()

    def _follow_sources(self, sources: Sequence[Source], failures: list[BaseException]) -> None:
        try:
            follow_all(sources, self._log, self._manifest, self._stop, self._tell)
        except DeepNodeError as error:
            failures.append(error)
            self.stop()

    def _tell(self, told: Sequence[Told]) -> None:
        self.status.count(outcomes(told))
        for message in refusals(told):
            self._report(Fault(message))


def _listed(chain_ids: Iterable[int]) -> str:
    return ", ".join(map(str, chain_ids)) or "none"
