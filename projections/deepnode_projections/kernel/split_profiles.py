"""Split profiles: what payments of one model in one asset through one router have in common, as a row of cells.

The rules look all of it up for every payment: the pockets, the rates of the nine legs by the route and the ruleset in
force, whether the asset is a token at all. Here it is asked of the rules once, when the first such payment comes, and
again when something was put that settles it (``SETTLED_BY``).

What a router, a token or a ruleset says that is no part of the ordinary (a token that a factory made, a ruleset that
rounds otherwise, rates that make no split) has no profile, or one that expects nothing: the rules do those payments.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

import numpy as np

from deepnode_ledger.account import UNATTRIBUTED
from deepnode_ledger.contract import Contract
from deepnode_ledger.hexadecimal import ADDRESS_BYTES
from deepnode_ledger.roster import Roster
from deepnode_ledger.vocabulary import LEGS
from deepnode_projections import rulesets
from deepnode_projections.kernel.holding import ColumnHoldings
from deepnode_projections.kernel.layout import layout_of
from deepnode_projections.kernel.state import ColumnState
from deepnode_projections.kernel.table import Cells, Table
from deepnode_projections.maths.rates import RatesRefused
from deepnode_projections.registers.record import Record
from deepnode_projections.rules.domains import Route
from deepnode_projections.rules.epochs import CurrentEpoch, current
from deepnode_projections.rules.parameters import RulesetInForce, ruleset_at, ruleset_hash_in_force
from deepnode_projections.rules.pockets import leg_pocket, pocket_of
from deepnode_projections.rules.registry import Model
from deepnode_projections.rules.splits import rates_of
from deepnode_projections.rulesets import Ruleset

SETTLED_BY: Final[frozenset[type[Record]]] = frozenset({Model, Route, CurrentEpoch, RulesetInForce})
"""The kinds of records that profiles are made of: ``SplitProfiles.forget`` is called when the rules have put one."""

POCKETS: Final = len(LEGS) + 3
"""The pockets of a payment: escrow, those of the nine legs, suspense, ``Unattributed``."""

ESCROW: Final = 0
FIRST_LEG: Final = 1
SUSPENSE: Final = FIRST_LEG + len(LEGS)
UNNAMED: Final = SUSPENSE + 1
"""Places among the pockets."""

DOMAIN: Final = 3
"""The word of the model's domain, or -1 where the model is not known. Before it stand contract, model and asset."""

STANDS: Final = 4
"""1 until something is put that the profile was made of."""

VERSION: Final = 5
"""The version of the route by which is split; 0 where nothing is expected."""

RATES: Final = 6
ACCOUNTS: Final = RATES + len(LEGS)
ROWS: Final = ACCOUNTS + POCKETS
"""Where the rates begin, the pockets' account numbers (-1: not known), and the rows of their balances (-1: not yet)."""

TOTAL: Final = ROWS + POCKETS
CARRY: Final = TOTAL + 1
"""The rows of the model's totals and of its carries, -1 as long as they were not looked for."""

NOT_YET: Final = -1

_NOTHING: Final[tuple[int, Sequence[int]]] = 0, (0,) * len(LEGS)
"""The version and the rates where nothing is expected."""


@dataclass(frozen=True, slots=True)
class Payments:
    """The key of a profile, in words."""

    TABLE: ClassVar[str] = "payments"
    KEY: ClassVar[int] = 3

    contract: int
    model: int
    asset: int


LAYOUT: Final = replace(layout_of(Payments), since=CARRY + 1, same=CARRY + 2, width=CARRY + 3)


class SplitProfiles:
    """The profiles so far, made on demand.

    ``table`` has a row each. ``wanted`` is what a twin sets where it misses one: 1, then the words of contract, model
    and asset.
    """

    def __init__(self, roster: Roster, state: ColumnState, holdings: ColumnHoldings) -> None:
        self.table = Table(LAYOUT)
        self.wanted: Cells = np.zeros(4, np.int64)
        self._manifest = roster.manifest
        self._state = state
        self._holdings = holdings
        self._ruleset = self._ruled()
        self._routes = self._known_routes()
        self._models_seen = -1

    def make_wanted(self) -> bool:
        """Make the profile that was missing; return whether one was, and can be made."""
        is_wanted, contract, model, asset = self.wanted.tolist()
        self.wanted[0] = 0
        return bool(is_wanted) and self.make(contract, model, asset)

    def make(self, contract: int, model: int, asset: int) -> bool:
        """Make the profile of payments as it is now; return whether there is one.

        Args:
            contract: the word of the router's address.
            model: the word of the model's id.
            asset: the word of the token's address.
        """
        words = self._state.words
        router = self._manifest.contracts.get(words[contract][:ADDRESS_BYTES])
        if router is None:
            return False
        token = self._manifest.get(words[asset][:ADDRESS_BYTES], router.chain_id)
        if token is None or token.kind != "Token":
            return False
        known = self._state.get(Model, words[model])
        domain = NOT_YET if known is None else words.number(known.domain)
        version, rates = _NOTHING if known is None else self._expected(known, token.address)
        accounts = self._accounts(router, words[model], known)
        cells = (contract, model, asset, domain, 1, version, *rates, *accounts, *[NOT_YET] * (POCKETS + 2))
        self.table.put(cells, 0)
        return True

    def forget(self) -> None:
        """Let the profiles that something was put for be made again before they are used.

        What has changed is found out here, of the kinds that the state says were put. With most epochs the ruleset
        stays, and with it all that was made.
        """
        changed, cells = self._state.changed, self.table.cells[: self.table.rows]
        stands = cells[:, STANDS]
        if Model in changed:
            models = self._state.tables[Model]
            since = models.cells[: models.rows, models.layout.since]
            stands[np.isin(cells[:, 1], models.cells[: models.rows, 0][since > self._models_seen])] = 0
            self._models_seen = max(self._models_seen, int(since.max(initial=-1)))
        if Route in changed:
            routes, number = self._known_routes(), self._state.words.number
            for route in routes.values():
                if self._routes.get((route.domain, route.asset)) is not route:
                    stands[(cells[:, DOMAIN] == number(route.domain)) & (cells[:, 2] == number(route.asset))] = 0
            self._routes = routes
        if not changed.isdisjoint((CurrentEpoch, RulesetInForce)):
            ruleset = self._ruled()
            if ruleset != self._ruleset:
                stands[:] = 0
            self._ruleset = ruleset

    def _known_routes(self) -> dict[tuple[bytes, bytes], Route]:
        return {(route.domain, route.asset): route for route in self._state.every(Route)}

    def _expected(self, model: Model, asset: bytes) -> tuple[int, Sequence[int]]:
        """Return the version of a model's route and the rates of its legs; version 0 where nothing is expected."""
        route, ruleset = self._state.get(Route, model.domain, asset), self._ruleset
        if route is None or ruleset is None or ruleset.revenue.rounding != "carry_forward":
            return _NOTHING
        try:
            return route.version, rates_of(ruleset, model, route)
        except RatesRefused:
            return _NOTHING

    def _ruled(self) -> Ruleset | None:
        """Return the ruleset by which is split now, or None where the one in force is not known."""
        state = self._state
        epoch = current(state)
        active = ruleset_hash_in_force(state, epoch)
        is_known = active is None or state.ruling is not None or rulesets.by_hash(active) is not None
        return ruleset_at(state, epoch) if is_known else None

    def _accounts(self, router: Contract, model: bytes, known: Model | None) -> list[int]:
        number = self._holdings.account
        legs = [NOT_YET] * len(LEGS)
        if known is not None:
            legs = [number(leg_pocket(router, leg, known.model, known.domain)) for leg in LEGS]
        escrow, suspense = (number(pocket_of(router, pocket, model)) for pocket in ("Escrow", "Suspense"))
        return [escrow, *legs, suspense, number(pocket_of(router, UNATTRIBUTED))]
