"""Replaying: the fold of the log's entries, one run after another, and the state root at every epoch's end.

The replay and the projector share the fold (``folding``) and the rules, and nothing of how the outcome is kept. So a
root that is made here of files alone is that of the books which wrote the files, or one of the two is wrong.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from deepnode_ledger.account import MINT
from deepnode_ledger.batch import entries as entries_of
from deepnode_ledger.compiled import available
from deepnode_ledger.contract import Contract, Creates, Events
from deepnode_ledger.decoding import ChainEvent, decode
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.record import Finality, LogEntry
from deepnode_ledger.roster import Roster
from deepnode_projections.books import Page
from deepnode_projections.folds.running_balance import BalanceKey
from deepnode_projections.kernel.ops import RULES
from deepnode_projections.registers.record import Record, values_of
from deepnode_projections.registers.state import MemoryState, Ruling
from deepnode_projections.replay.fed import EpochEnd, Fed, Happened
from deepnode_projections.replay.holding import Beyond, Holdings
from deepnode_projections.replay.passes import ByRules, Way
from deepnode_projections.replay.wellformed import check
from deepnode_projections.rules.book import RECORDS
from deepnode_projections.rules.epochs import current
from deepnode_projections.rules.reading import NUMBER_LIMIT
from deepnode_projections.rulesets import Ruleset
from deepnode_projections.state_root import record_line, root_of_lines

if TYPE_CHECKING:
    from deepnode_projections.kernel.decoded import DecodedBatch
    from deepnode_projections.kernel.holding import ColumnHoldings
    from deepnode_projections.kernel.taking_over import Compiled

R = TypeVar("R", bound=Record)

RUN_ENTRIES: Final = 65_536
"""Entries that are folded at a time, so that memory has a bound whatever comes in."""

KERNEL_ENTRIES: Final = 32_768
"""So many at a time are worth the kernel's beginning: its modules take half a second to load."""

EventName = tuple[str, str]
"""The kind of a contract and the name of an event of it, by which the rules know it."""

PAYABLE: Final = "Payable"
"""The pocket of rewards that may be below zero: claims by a root that was disabled passed the one that stands."""

_OPENING: Final[EventName] = ("Emission", "EpochOpened")


class Replay:
    """The books of a deployment in memory, from position 0 on."""

    def __init__(
        self,
        manifest: Manifest,
        *,
        ruleset: Ruleset | Ruling | None = None,
        state: MemoryState | None = None,
        by_definition: bool = False,
        kernel_entries: int = KERNEL_ENTRIES,
        epoch_roots: bool = True,
    ) -> None:
        """Begin with empty books.

        Args:
            manifest: the deployment.
            ruleset: what holds in place of the rulesets that the chain has activated, in every epoch; or what says
                so of an epoch and of the chain's own ruleset there.
            state: an empty one, or of a kind of its own that changes what is put into it.
            by_definition: take no short cut: neither the kernel, nor transfers as columns.
            kernel_entries: how many at a time make the replay go over to the kernel, where that can be compiled.
                ``state`` is another object from then on.
            epoch_roots: make the state root at every epoch's end; without, nobody is told that an epoch has ended.
        """
        self.position = 0
        self.refusals = 0
        self.quarantined = 0
        self.state = MemoryState() if state is None else state
        if ruleset is not None:
            self.state.ruling = _always(ruleset) if isinstance(ruleset, Ruleset) else ruleset
        self._manifest = manifest
        self._by_definition = by_definition
        self._kernel_entries = kernel_entries
        self._epoch_roots = epoch_roots
        self._holdings: Holdings | ColumnHoldings = Holdings()
        # A state of a kind of its own wants to see every record that is put.
        self.is_compiled = available() and state is None and not by_definition
        self._kernel: Compiled | None = None
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

    def feed_decoded(self, decoded: "DecodedBatch", entry_at: Callable[[int], LogEntry]) -> Fed:
        """Fold a batch of the log that was decoded before, by the kernel.

        Nothing is asked of its bytes again, so it is to come from a log of one's own. Events that the kernel does by
        itself (transfers, payments, splits) are not told to those who watch them.

        Args:
            decoded: the batch, which begins behind the position; the roster has learned of it.
            entry_at: returns the entry of a row, where the kernel leaves one to the rules.
        """
        assert decoded.first == self.position + 1, (decoded.first, self.position)
        fed = Fed()
        singles, rows = decoded.singles, np.flatnonzero(decoded.ops == RULES)
        are_marked = pc.is_in(singles.column("topic0"), self._topics).to_numpy(zero_copy_only=False)
        marked = (
            (int(rows[n]), next(entries_of(singles.slice(n, 1), Finality.SEALED))) for n in np.flatnonzero(are_marked)
        )
        self._pass(self._compiled().decoded_way(decoded, entry_at), self.position, marked, len(decoded.ops), fed)
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
        # First: what puts them in order goes on beside all that is done with balances.
        records = self.state.lines(RECORDS, _line)
        sums = self._holdings.sums()
        assert not any(sums.values()), f"at position {self.position} the balances sum to {sums}"
        return root_of_lines(chain(self._holdings.lines(), records))

    def _feed(self, run: pa.RecordBatch, fed: Fed) -> None:
        rows = np.flatnonzero(pc.is_in(run.column("topic0"), self._topics).to_numpy(zero_copy_only=False)).tolist()
        marked = ((row, next(entries_of(run.slice(row, 1), Finality.SEALED))) for row in rows)
        self._pass(self._begin(run), self.position, marked, run.num_rows, fed)

    def _pass(self, way: Way, before: int, marked: Iterable[tuple[int, LogEntry]], stop: int, fed: Fed) -> None:
        """Fold a run of ``stop`` entries behind the position ``before``; those that are ``marked`` by themselves."""
        for row, logged in marked:
            self._fold(way, before, row, fed)
            event = decode(logged, self._roster)
            if not isinstance(event, ChainEvent):
                continue
            name = (event.contract.kind, event.name)
            if self._epoch_roots and name == _OPENING and self._opens(event):
                fed.ended.append(self._end())
            if name in self._watched:
                self._fold(way, before, row + 1, fed)
                self._tell(name, event, fed)
        self._fold(way, before, stop, fed)

    def _fold(self, way: Way, before: int, stop: int, fed: Fed) -> None:
        way.to(stop, fed)
        self.position = before + stop

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

    def _begin(self, run: pa.RecordBatch) -> Way:
        """Begin with a run: by the kernel, once there were so many entries that it was worth while."""
        if self._kernel is not None or (self.is_compiled and run.num_rows >= self._kernel_entries):
            return self._compiled().way(run)
        return ByRules(run, self._roster, self.state, self._post, by_definition=self._by_definition)

    def _compiled(self) -> "Compiled":
        if self._kernel is None:
            from deepnode_projections.kernel.taking_over import Compiled

            self._kernel = Compiled(self._roster, self.state, self._holdings.balances)
            self.state, self._holdings = self._kernel.state, self._kernel.holdings
        return self._kernel

    def _post(self, page: Page) -> list[Beyond]:
        assert isinstance(self._holdings, Holdings), "the kernel posts by itself"
        return self._holdings.post(page.transfers, [entry for _, entry in page.entries])


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
