"""The state with its history: what every record was, and from which position until which.

A record that changes is *over*: from then on it can be written down for good, with both positions. So whoever writes
a history takes what is over from time to time, and at the end what still stands; no row is ever changed again. Hot
kinds keep their old rows as cells (``table``). All others are kept here, as records.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from typing_extensions import override

from deepnode_projections.kernel.state import ColumnState
from deepnode_projections.registers.record import Key, Record, key_of


class Version(NamedTuple):
    """A record as it was from the position ``since`` (included) until ``until`` (not included; None: it stands)."""

    record: Record
    since: int
    until: int | None


class HistoryState(ColumnState):
    """A state that keeps what was, until somebody takes it."""

    def __init__(self) -> None:
        super().__init__(keeps=True)
        self._since: dict[type[Record], dict[Key, int]] = {}
        self._over: dict[type[Record], list[Version]] = {}

    @override
    @contextmanager
    def attempt(self, position: int = 0) -> Iterator[None]:
        with super().attempt(position):
            yield
            assert self._before is not None
            put = self._before
        held: dict[tuple[type[Record], Key], Record | None] = {}
        for kind, key, record in put:
            held.setdefault((kind, key), record)
        for (kind, key), before in held.items():
            since = self._since.setdefault(kind, {})
            if before is None:
                since[key] = position
            elif self._known[kind].records[key] != before:
                assert since[key] < position, "an entry of the log is put to the rules once, and in its order"
                self._over.setdefault(kind, []).append(Version(before, since[key], position))
                since[key] = position

    def stand(self, record: Record, since: int) -> None:
        """Let a record stand that is not known yet, from a position on."""
        kind = type(record)
        if kind in self.tables:
            self._lay_out(record, since)
        else:
            self.put(record)
            self._since.setdefault(kind, {})[key_of(record)] = since

    def take_over(self, versions_min: int = 1) -> dict[type[Record], list[Version]]:
        """Return what is over of the kinds that are no tables and have so many versions, and forget it."""
        over = {kind: versions for kind, versions in self._over.items() if len(versions) >= versions_min}
        for kind in over:
            del self._over[kind]
        return over

    def standing(self, after: int = 0) -> dict[type[Record], list[Version]]:
        """Return what stands of the kinds that are no tables, if it stands since a position behind ``after``."""
        return {
            kind: [
                Version(self._known[kind].records[key], since, None) for key, since in found.items() if since > after
            ]
            for kind, found in self._since.items()
        }
