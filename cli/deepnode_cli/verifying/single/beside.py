"""The replayed books of a bundle, brought to a position, for files to be held against."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from deepnode_cli.verifying.single.broken import require
from deepnode_ledger.bundle import Bundle, open_bundle
from deepnode_ledger.errors import Damaged
from deepnode_ledger.manifest import Manifest
from deepnode_projections.replay import Replay


@dataclass(frozen=True, slots=True)
class Moved:
    """A posting as the replay makes it; ``balance`` is the account's behind it (base units)."""

    position: int
    leg: int
    account: str
    asset: bytes
    amount: int
    balance: int


class Beside:
    """A bundle and the replay of its entries up to a position; it only goes forward."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.manifest: Manifest = bundle.manifest()
        # Transfers as entries like all others, and not by columns: their postings are looked at one by one.
        self.replay = Replay(self.manifest, by_definition=True)

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> "Iterator[Beside]":
        """Open a bundle.

        Raises:
            Broken: what is in it is damaged. BadInput: there is none.
        """
        try:
            with open_bundle(path) as bundle:
                yield cls(bundle)
        except Damaged as damaged:
            require(False, str(path), f"the bundle is damaged, verify it first: {damaged}")

    def up_to(self, position: int) -> Replay:
        """Replay up to a position, and return the replay that stands there."""
        for batch in self._batches(position):
            self.replay.feed(batch)
        return self.replay

    def postings(self, position: int) -> Iterator[Moved]:
        """Replay up to a position, and yield the postings on the way; go through all of them."""
        for batch in self._batches(position):
            held = dict(self.replay.balances)
            fed = self.replay.feed(batch)
            refused = {each.position for each in fed.refused}
            for page in fed.pages:
                for _, entry in page.entries:
                    if entry.position in refused:
                        continue
                    for leg, posting in enumerate(entry.postings):
                        key = (posting.account.name, posting.asset)
                        held[key] = held.get(key, 0) + posting.amount
                        yield Moved(entry.position, leg, *key, posting.amount, held[key])

    def _batches(self, position: int) -> Iterator[pa.RecordBatch]:
        last = self.bundle.contents.entries
        within = 0 <= position <= last and position >= self.replay.position
        require(within, f"position {position}", f"the bundle holds positions 1 to {last}", position=position, last=last)
        if position > self.replay.position:
            yield from self.bundle.batches(self.replay.position + 1, position)
