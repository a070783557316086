"""Who the contracts are, for every request: the children of factories that the log names up to its end.

The sealed part of the log never changes, so what it says of children is learned once and shared; what the few pending
entries add is learned by each request for itself. What is shared may be ahead of a request's view of the log: a child
is known behind the log that announces it, and who does not see that log sees nothing of the child either.
"""

from threading import Lock

from deepnode_ledger.contract import Contracts
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.roster import Roster
from deepnode_ledger.snapshot import Snapshot


class Rosters:
    """What is known of the children of a manifest's factories. Shared by all requests."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._sealed = Roster(manifest)
        self._learned = 0
        self._lock = Lock()

    def at(self, snapshot: Snapshot) -> Contracts:
        """Return who the contracts are in the log as a request sees it.

        Raises:
            Damaged: a stored batch cannot be read.
        """
        if not self._manifest.has_factories:
            return self._manifest
        sealed = snapshot.head.sealed_position
        with self._lock:
            if sealed > self._learned:
                self._sealed.catch_up(snapshot, self._learned + 1, sealed)
                self._learned = sealed
            known = self._sealed.copy()
        known.catch_up(snapshot, sealed + 1)
        return known
