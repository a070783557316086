"""Waiting: revenue in the router's pockets that belongs to an address, and that nobody has released yet.

A model's royalty belongs to its creator, and a domain's share to whoever owns the domain. Anyone may have a pocket paid
out, to its owner alone. Until then the money is the router's, so it is in none of the address's own accounts.
"""

from collections.abc import Iterable

from deepnode_graphql.reading import Reading, driver_connection
from deepnode_graphql.statements.own_accounts import contracts_of, held_by, ids_of
from deepnode_graphql.statements.statement import Balance
from deepnode_graphql.statements.tokens import tokens_of
from deepnode_projections.registers.at import StateAt
from deepnode_projections.rules.domains import Domain
from deepnode_projections.rules.pockets import leg_pocket
from deepnode_projections.rules.registry import Model


def read_waiting(reading: Reading, address: bytes, opening: int, position: int) -> tuple[Balance, ...]:
    """Return what waited at the period's begin and at its end, in the pockets that are the address's at the end."""
    state = StateAt(driver_connection(reading.database), position)
    known = ids_of(reading, _pockets(reading, state, address), position)
    before, after = held_by(reading, known, opening), held_by(reading, known, position)
    tokens = tokens_of(reading)
    return tuple(
        Balance(account, tokens[asset], before.get((account, asset), 0), amount, (account, asset) in before)
        for (account, asset), amount in sorted(after.items())
        if amount or before.get((account, asset))
    )


def _pockets(reading: Reading, state: StateAt, address: bytes) -> Iterable[str]:
    routers = [each for each in contracts_of(reading) if each.kind == "RevenueRouter"]
    models = [model for _, model in state.found(Model, "creator", address)]
    domains = [each for each in state.every(Domain) if each.owner == address]
    for router in routers:
        yield from (leg_pocket(router, "creator", each.model, each.domain).name for each in models)
        yield from (leg_pocket(router, "domain", b"", each.domain).name for each in domains)
