"""A state that takes notes while a log is replayed: what each payment was split into, and the prices of the moment.

The books keep totals of splits, and of each price the newest. A scenario needs the legs by epoch, and the prices that
were known when an epoch was allocated. Notes of an event that the rules do not allow are dropped with it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from typing_extensions import override

from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.vocabulary import LEGS
from deepnode_projections.maths.carry import split_by
from deepnode_projections.maths.rates import RatesRefused
from deepnode_projections.registers.record import Record
from deepnode_projections.registers.state import MemoryState
from deepnode_projections.rules.domains import Route
from deepnode_projections.rules.economics import Economics, price_of
from deepnode_projections.rules.epochs import current
from deepnode_projections.rules.observations import Price
from deepnode_projections.rules.registry import Model
from deepnode_projections.rules.splits import SplitTotal, rates_of
from deepnode_projections.whatif.scenario import Scenario
from deepnode_projections.whatif.seen import Seen, chains_ruleset

CarryKey = tuple[bytes, int, bytes]
"""Model, version of the route, asset: what the remainders of a split belong to."""

_NOUGHT: Final = (0,) * len(LEGS)


@dataclass(slots=True)
class SplitNote:
    """What was split of a domain's revenue in an epoch and asset (base units, legs in the order of ``LEGS``).

    ``paid`` is what the router made of it, ``expected`` what the rules give. ``unexpected`` counts payments of which
    the rules give nothing, for want of a route, of a known ruleset, or of rates that go together: they are in ``gross``
    and ``paid`` alone.
    """

    gross: int = 0
    payments: int = 0
    unexpected: int = 0
    paid: list[int] = field(default_factory=lambda: [0] * len(LEGS))
    expected: list[int] = field(default_factory=lambda: [0] * len(LEGS))
    suspended: int = 0


class RecordingState(MemoryState):
    """A state in memory that keeps notes for a scenario.

    ``splits`` are by epoch, domain and asset; ``prices`` by epoch and domain, and by token (millionths of a dollar for
    a whole token, None if unknown).
    """

    def __init__(self, scenario: Scenario) -> None:
        super().__init__()
        self.splits: dict[tuple[int, bytes, bytes], SplitNote] = {}
        self.prices: dict[tuple[int, bytes], dict[bytes, int | None]] = {}
        self.carries: dict[CarryKey, Sequence[int]] = {}
        self._scenario = scenario
        self._new: list[tuple[SplitTotal | Economics, SplitTotal | None]] = []

    @override
    def put(self, record: Record) -> None:
        """Let a record be the newest of its thing, and keep what is to be noted once its event is through."""
        if isinstance(record, SplitTotal):
            self._new.append((record, self.get(SplitTotal, record.model, record.asset)))
        elif isinstance(record, Economics):
            self._new.append((record, None))
        super().put(record)

    @contextmanager
    @override
    def attempt(self, position: int = 0) -> Iterator[None]:
        """Apply one event; what it puts is noted if it comes to its end."""
        self._new.clear()
        with super().attempt(position):
            yield
        for record, before in self._new:
            if isinstance(record, SplitTotal):
                self._note_split(record, before)
            else:
                priced = {each.asset for each in self.every(Price)}
                self.prices[record.epoch, record.domain] = {asset: price_of(self, asset) for asset in sorted(priced)}

    def _note_split(self, after: SplitTotal, before: SplitTotal | None) -> None:
        epoch = current(self)
        seen = Seen(self, self._scenario, epoch)
        model = seen.get(Model, after.model)
        assert model is not None, "revenue of a model that was never registered has no effect"
        gross = after.gross - (before.gross if before else 0)
        paid = [new - old for new, old in zip(after.legs, before.legs if before else _NOUGHT, strict=True)]
        note = self.splits.setdefault((epoch, model.domain, after.asset), SplitNote())
        note.gross += gross
        note.payments += 1
        note.paid = [total + leg for total, leg in zip(note.paid, paid, strict=True)]
        expected = self._expected(seen, epoch, model, after.asset, gross)
        if expected is None:
            note.unexpected += 1
            return
        note.expected = [total + leg for total, leg in zip(note.expected, expected, strict=True)]
        note.suspended += gross - sum(expected)

    def _expected(self, seen: Seen, epoch: int, model: Model, asset: bytes, gross: int) -> Sequence[int] | None:
        route = seen.get(Route, model.domain, asset)
        is_changed = not self._scenario.is_unchanged and self._scenario.holds_in(epoch)
        if route is None or (chains_ruleset(self, epoch) is None and not is_changed):
            return None
        rules = seen.rules
        try:
            rates = rates_of(rules, model, route)
        except RatesRefused as refused:
            if not is_changed:
                return None
            where = f"model {to_hex(model.model)} in epoch {epoch}"
            raise BadInput(f"under the scenario no payment can be split for {where}: {refused}") from refused
        key = (model.model, route.version, asset)
        made = split_by(rules.revenue.rounding, gross, rates, self.carries.get(key, _NOUGHT))
        self.carries[key] = made.carries
        return made.legs
