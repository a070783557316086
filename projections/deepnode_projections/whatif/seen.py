"""A state as a scenario sees it in an epoch: as it is, but for what the chain has set and the scenario sets otherwise.

It is only read. Nothing that was done is changed by it: who worked, staked and paid is in the state beneath.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TypeVar, cast

from deepnode_projections.registers.record import Record, Value
from deepnode_projections.registers.state import Ruling, State
from deepnode_projections.rules.domains import EmissionWeights, Route, weights_at
from deepnode_projections.rules.parameters import ruleset_at, ruleset_hash_in_force
from deepnode_projections.rules.registry import Model
from deepnode_projections.rulesets import Ruleset, by_hash, default
from deepnode_projections.rulesets.ruleset import LEG_NAMES, RevenueRules
from deepnode_projections.whatif.scenario import Scenario

R = TypeVar("R", bound=Record)


class Seen:
    """``state`` as ``scenario`` sees it in ``epoch``.

    Weights that domains have set are read from ``facts``, the replay as it was: another ruleset's bounds would have
    refused some of them, and a refused setting would be a silent answer to a question that nobody asked.
    """

    def __init__(self, state: State, scenario: Scenario, epoch: int, facts: State | None = None) -> None:
        self.ruling: Ruling | None = scenario.rules
        self._facts = state if facts is None else facts
        self._state = state
        self._scenario = scenario
        self._epoch = epoch
        self._changes = scenario.chain_set if scenario.holds_in(epoch) else None

    def get(self, kind: type[R], *key: Value) -> R | None:
        """Return the newest record of a thing, as the scenario has it."""
        found = self._state.get(kind, *key)
        return None if found is None else cast("R", self._seen(found))

    def every(self, kind: type[R], *prefix: Value) -> Sequence[R]:
        """Return the newest records whose key begins so, as the scenario has them."""
        source = self._facts if kind is EmissionWeights else self._state
        found = source.every(kind, *prefix)
        return found if self._changes is None else [cast("R", self._seen(each)) for each in found]

    def put(self, record: Record) -> None:
        """Refuse: what is seen is not written to."""
        raise AssertionError(f"a scenario writes nothing: {record}")

    def attempt(self, position: int) -> AbstractContextManager[None]:
        """Refuse: no event is applied to what is only seen."""
        raise AssertionError(f"a scenario applies nothing: position {position}")

    @property
    def rules(self) -> Ruleset:
        """The ruleset of the epoch."""
        return ruleset_at(self, self._epoch)

    def weights(self, domain: bytes) -> EmissionWeights | None:
        """Return a domain's weights in the epoch; what a scenario sets for a domain that has set none counts from 0."""
        found = weights_at(self, domain, self._epoch)
        if found is not None or self._changes is None:
            return found
        none = EmissionWeights(domain, 1, 0, *[0] * len(LEG_NAMES))
        made = self._changes.of_weights(none)
        # Fixed weights hold in every domain, whatever it has set: also where it has set nothing.
        is_fixed = self.rules.emission.fixed_weights is not None
        return made if made != none or is_fixed else None

    def _seen(self, record: Record) -> Record:
        if self._changes is None:
            return record
        if isinstance(record, EmissionWeights):
            return self._changes.of_weights(record)
        if isinstance(record, Model):
            return self._changes.of_model(record)
        if isinstance(record, Route):
            return self._changes.of_route(self._with_fixed_rates(record))
        return record

    def _with_fixed_rates(self, route: Route) -> Route:
        """Let a route that kept the chain's fixed rates keep the scenario's: governance would have set it so."""
        ours = self.rules.revenue
        chains = _chains_revenue(self._state, self._epoch)
        made = route
        if route.buyback == chains.buyback_ppm:
            made = replace(made, buyback=ours.buyback_ppm)
        if route.foundation == chains.foundation_ppm:
            made = replace(made, foundation=ours.foundation_ppm)
        return made


def chains_ruleset(state: State, epoch: int) -> Ruleset | None:
    """Return the ruleset that the chain has activated for an epoch, None if it does not come with this program."""
    in_force = ruleset_hash_in_force(state, epoch)
    return default() if in_force is None else by_hash(in_force)


def _chains_revenue(state: State, epoch: int) -> RevenueRules:
    return (chains_ruleset(state, epoch) or default()).revenue
