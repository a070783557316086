"""Evidence: the entries of the log that a proof rests on, each with its way to the root that the log has signed.

The ways of neighbours share most of their hashes, so every hash is written once and a way is a list of their numbers.
"""

import base64
from collections.abc import Callable
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any, Final

from typing_extensions import override

from deepnode_ledger.errors import BadInput
from deepnode_ledger.publishing import PublishedFiles, prove
from deepnode_ledger.transparency import Bundle, InclusionProof, Tile

Prove = Callable[[int], tuple[InclusionProof, bytes]]
"""Proves the entry at a position: its proof, and its bytes."""

FILES_KEPT: Final = 512
"""Tiles and bundles that are kept while a proof is made: at most 32 MiB of each."""

EVENTS_MAX: Final = 200_000
"""Entries that a proof rests on at most."""


def from_published(files: PublishedFiles) -> Prove:
    """Prove entries from a published directory; tiles and bundles are read once, neighbours being in the same ones."""
    return partial(prove, _Kept(files.path))


class _Kept(PublishedFiles):
    """Published files that are read once. All proofs lead to the checkpoint that was there at first."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._checkpoint = cache(super().checkpoint)
        self._read_tile = lru_cache(FILES_KEPT)(super().read_tile)
        self._read_bundle = lru_cache(FILES_KEPT)(super().read_bundle)

    @override
    def checkpoint(self) -> str | None:
        return self._checkpoint()

    @override
    def read_tile(self, tile: Tile) -> bytes:
        return self._read_tile(tile)

    @override
    def read_bundle(self, bundle: Bundle) -> tuple[Bundle, bytes]:
        return self._read_bundle(bundle)


class Evidence:
    """Collects the positions that a proof names, and proves them all in the end."""

    def __init__(self) -> None:
        self._positions: set[int] = set()

    def at(self, position: int) -> int:
        """Take an entry in, and return its position, to be written where it is needed."""
        assert position >= 1, position
        self._positions.add(position)
        if len(self._positions) > EVENTS_MAX:
            raise BadInput(f"the proof would rest on more than {EVENTS_MAX} entries of the log")
        return position

    def proven(self, prove_one: Prove) -> dict[str, Any]:
        """Return the members ``checkpoint``, ``events`` and ``hashes`` of a proof.

        Raises:
            BadInput: an entry is not published yet; the message names it. Damaged: the files contradict each other.
        """
        checkpoint, numbers, events = "", dict[bytes, int](), []
        for position in sorted(self._positions):
            found, entry = prove_one(position)
            if checkpoint and found.checkpoint != checkpoint:
                raise BadInput("the log published a newer checkpoint meanwhile: make the proof again")
            checkpoint = found.checkpoint
            path = [numbers.setdefault(each, len(numbers)) for each in found.hashes]
            events.append({"position": position, "entry": _text(entry), "path": path})
        return {"checkpoint": checkpoint, "events": events, "hashes": [_text(each) for each in numbers]}


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
