"""Replaying: the fold of the log's entries, one run after another, and the state root at every epoch's end.

The replay and the projector share the fold (``folding``) and the rules, and nothing of how the outcome is kept. So a
root that is made here of files alone is that of the books which wrote the files, or one of the two is wrong.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from deepnode_ledger.account import MINT
from deepnode_ledger.batch import entries as entries_of
from deepnode_ledger.contract import Contract, Creates, Events
from deepnode_ledger.decoding import ChainEvent, decode
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.record import Finality
from deepnode_ledger.roster import Roster
from deepnode_projections.books import Page, Quarantined
from deepnode_projections.folding import fold
from deepnode_projections.folds.running_balance import BalanceKey
from deepnode_projections.registers.record import Record, values_of
from deepnode_projections.registers.state import MemoryState, Ruling
from deepnode_projections.replay.holding import Holdings
from deepnode_projections.replay.wellformed import check
from deepnode_projections.rules.book import RECORDS
from deepnode_projections.rules.epochs import current
from deepnode_projections.rules.reading import NUMBER_LIMIT
from deepnode_projections.rulesets import Ruleset
from deepnode_projections.state_root import balance_lines, record_line, root_of_lines

R = TypeVar("R", bound=Record)

RUN_ENTRIES: Final = 65_536
"""Entries that are folded at a time, so that memory has a bound whatever comes in."""

FEW_ENTRIES: Final = 24
"""So few are put to the rules one by one sooner than they are sorted into columns."""

EventName = tuple[str, str]
"""The kind of a contract and the name of an event of it, by which the rules know it."""

PAYABLE: Final = "Payable"
"""The pocket of rewards that may be below zero: claims by a root that was disabled passed the one that stands."""

_OPENING: Final[EventName] = ("Emission", "EpochOpened")


@dataclass(frozen=True, slots=True)
class EpochEnd:
    """An epoch ended with the entry at ``position``; the state root there (32 bytes). Epoch 0 is before the first."""

    epoch: int
    position: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """An entry without effect: its ``kind`` of event, the contract or producer that ``source`` names, and why."""

    position: int
    kind: str
    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class Happened:
    """An event that is watched was folded, the entry at ``position``; ``refused`` says why it had no effect."""

    position: int
    event: ChainEvent
    refused: str | None


@dataclass(frozen=True, slots=True)
class Fed:
    """What a batch did: its pages as they were folded, what had no effect or no meaning, and which epochs ended.

    All are in the order of positions. A page's entries hold also those that went too far, which are ``refused``.
    """

    pages: list[Page] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    ended: list[EpochEnd] = field(default_factory=list)


class Replay:
    """The books of a deployment in memory, from position 0 on."""

    def __init__(
        self,
        manifest: Manifest,
        *,
        ruleset: Ruleset | Ruling | None = None,
        state: MemoryState | None = None,
        by_definition: bool = False,
    ) -> None:
        """Begin with empty books.

        Args:
            manifest: the deployment.
            ruleset: what holds in place of the rulesets that the chain has activated, in every epoch; or what says
                so of an epoch and of the chain's own ruleset there.
            state: an empty one, or of a kind of its own that changes what is put into it.
            by_definition: take no short cut for transfers.
        """
        self.position = 0
        self.refusals = 0
        self.quarantined = 0
        self.state = MemoryState() if state is None else state
        if ruleset is not None:
            self.state.ruling = _always(ruleset) if isinstance(ruleset, Ruleset) else ruleset
        self._manifest = manifest
        self._by_definition = by_definition
        self._holdings = Holdings()
        self._roster = Roster(manifest)
        self._ends: list[Callable[[EpochEnd], None]] = []
        self._watched: dict[EventName, list[Callable[[Happened], None]]] = {}
        self._topics = _topics(manifest, {_OPENING})

    @property
    def balances(self) -> Mapping[BalanceKey, int]:
        """Base units by account name and token address (20 bytes); some may be zero."""
        return self._holdings.balances

    @property
    def roster(self) -> Roster:
        """The contracts that are known at the position, with the children of factories."""
        return self._roster

    def records(self, kind: type[R]) -> Sequence[R]:
        """Return the newest record of each thing of a kind, in the order of keys."""
        return self.state.every(kind)

    def on_epoch(self, callback: Callable[[EpochEnd], None]) -> None:
        """Have a function called at every epoch's end, while the replay still stands there."""
        self._ends.append(callback)

    def watch(self, kind: str, name: str, callback: Callable[[Happened], None]) -> None:
        """Have a function called behind every event of a name, of contracts of a kind, while the replay stands there.

        The entries between two such events are folded for themselves: what is as frequent as payments costs much.
        """
        self._watched.setdefault((kind, name), []).append(callback)
        self._topics = _topics(self._manifest, {_OPENING, *self._watched})

    def feed(self, batch: pa.RecordBatch) -> Fed:
        """Fold the entries that follow those of before, of any number, sealed or pending.

        Args:
            batch: with the columns of ``batch_versions.SCHEMA``.

        Raises:
            Damaged: the entries do not follow one another, or are none that a log can hold; nothing was folded.
        """
        check(batch, self.position + 1)
        fed = Fed()
        for start in range(0, batch.num_rows, RUN_ENTRIES):
            self._feed(batch.slice(start, RUN_ENTRIES), fed)
        self.refusals += len(fed.refused)
        self.quarantined += len(fed.quarantined)
        return fed

    def below_zero(self) -> list[tuple[str, bytes, int]]:
        """Return the balances that are below zero and must not be: account, token, base units, sorted by bytes.

        What was ever minted is, and what is payable of rewards may be (see ``conservation``).
        """
        held = self._holdings.in_order()
        return [each for each in held if each[2] < 0 and each[0] != MINT.name and each[0].split(":")[1:2] != [PAYABLE]]

    def root(self) -> bytes:
        """Return the state root at the position (32 bytes), as ``state_root.state_root`` has it of the books.

        Value is conserved there: all balances of a token sum to zero.
        """
        sums = self._holdings.sums()
        assert not any(sums.values()), f"at position {self.position} the balances sum to {sums}"
        records = (line for kind in RECORDS for line in self.state.written(kind, _line))
        return root_of_lines(chain(balance_lines(self._holdings.in_order()), records))

    def _feed(self, run: pa.RecordBatch, fed: Fed) -> None:
        start = 0
        for row in np.flatnonzero(pc.is_in(run.column("topic0"), self._topics).to_numpy(zero_copy_only=False)).tolist():
            self._fold(run.slice(start, row - start), fed)
            start = row
            [logged] = entries_of(run.slice(row, 1), Finality.SEALED)
            event = decode(logged, self._roster)
            if not isinstance(event, ChainEvent):
                continue
            name = (event.contract.kind, event.name)
            if name == _OPENING and self._opens(event):
                fed.ended.append(self._end())
            if name in self._watched:
                start = row + 1
                self._fold(run.slice(row, 1), fed)
                self._tell(name, event, fed)
        self._fold(run.slice(start), fed)

    def _opens(self, event: ChainEvent) -> bool:
        """Say whether an event opens an epoch: what is refused opens none."""
        return event.uint("epoch") == current(self.state) + 1 and event.uint("startBlock") < NUMBER_LIMIT

    def _end(self) -> EpochEnd:
        end = EpochEnd(current(self.state), self.position, self.root())
        for callback in self._ends:
            callback(end)
        return end

    def _tell(self, name: EventName, event: ChainEvent, fed: Fed) -> None:
        last = fed.refused[-1] if fed.refused else None
        refused = last.reason if last is not None and last.position == self.position else None
        happened = Happened(self.position, event, refused)
        for callback in self._watched[name]:
            callback(happened)

    def _fold(self, run: pa.RecordBatch, fed: Fed) -> None:
        while run.num_rows:
            by_definition = self._by_definition or run.num_rows <= FEW_ENTRIES
            page, count = fold(run, self._roster, self.state, by_definition=by_definition)
            refused = [Refused(e.position, kind, source, why.reason) for e, kind, source, why in page.refusals]
            beyond = self._holdings.post(page.transfers, [entry for _, entry in page.entries])
            refused += [Refused(e.position, e.kind, e.contract, too_much.reason) for e, too_much in beyond]
            fed.pages.append(page)
            fed.refused.extend(sorted(refused, key=lambda each: each.position))
            fed.quarantined.extend(sorted(page.quarantined, key=lambda each: each.position))
            self.position += count
            run = run.slice(count)


def _line(record: Record) -> bytes:
    return record_line(type(record), values_of(record))


def _always(ruleset: Ruleset) -> Ruling:
    return lambda _epoch, _chains: ruleset


def _topics(manifest: Manifest, names: Collection[EventName]) -> pa.Array:
    """Return the first topics of the logs that may be of events of these names."""
    found: set[bytes] = set()
    for contract in manifest.contracts.values():
        found |= _topics_of(contract.kind, contract.events, contract.abis, names) | _of_children(contract, names)
    return pa.array(sorted(found), pa.binary(32))


def _of_children(factory: Contract | Creates, names: Collection[EventName]) -> set[bytes]:
    found: set[bytes] = set()
    for each in factory.creates:
        found |= _topics_of(each.kind, each.events, each.abis, names) | _of_children(each, names)
    return found


def _topics_of(
    kind: str, events: Events, abis: Sequence[tuple[int, Events]], names: Collection[EventName]
) -> set[bytes]:
    versions = (events, *(each for _, each in abis))
    return {event.topic0 for version in versions for event in version.values() if (kind, event.name) in names}
