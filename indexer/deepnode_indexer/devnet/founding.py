"""The transactions that found the economy: money, domains, routes, weights, models, nodes, collateral and stakes."""

from __future__ import annotations

from collections.abc import Sequence

from eth_utils.crypto import keccak

from deepnode_indexer.devnet import cast_of_accounts as cast
from deepnode_indexer.devnet.burning import FIRST_PRICE
from deepnode_indexer.devnet.governance import WEIGHTS
from deepnode_indexer.devnet.mempool import Call
from deepnode_indexer.devnet.population import ACTIVE, ASSETS, DN, USDC, Population, Turn

_UNLIMITED = 2**256 - 1
_DN_EACH = 1_000_000 * 10**18
_USDC_EACH = 1_000_000 * 10**6
_MARKETS_DN = 100_000_000 * 10**18

# y, buyback, foundation, domain, variableBurn, yield; two domains take turns. No rate divides a million evenly where it
# need not: remainders are what the carries are about.
_FIRST_ROUTES = (
    {DN: (21_337, 10_000, 10_000, 15_001, 7_003, 0), USDC: (33_333, 10_000, 10_000, 20_011, 5_009, 3_331)},
    {DN: (25_013, 10_000, 10_000, 0, 11_117, 2_999), USDC: (29_989, 10_000, 10_000, 9_973, 0, 0)},
)


def founding(population: Population, parameters: Sequence[Call], stakes: Sequence[Call]) -> list[list[Call]]:
    """The calls that found the economy, block by block: each block relies on those before it.

    Args:
        population: whom it is founded for.
        parameters: calls that set the first parameters.
        stakes: calls of the first stakers, and that open the first epoch behind them.
    """
    return [
        [*_endow(population), *parameters],
        _open_domains(population),
        _register(population),
        [*_secure(population), *stakes],
    ]


def _endow(population: Population) -> list[Call]:
    turn, people, accounts = Turn(), population.cast, population.accounts
    earners = [*people.miner_operators, *people.validator_operators, *people.backers, *people.consumers, cast.STRANGER]
    for holder in [*earners, *people.stakers, cast.TREASURY, cast.YIELD_VAULT]:
        turn.call(cast.DEPLOYER, DN, "mint", accounts[holder], _DN_EACH)
        turn.call(cast.DEPLOYER, USDC, "mint", accounts[holder], _USDC_EACH)
    turn.call(cast.DEPLOYER, DN, "mint", population.addresses["MarketStandIn"], _MARKETS_DN)
    turn.call(cast.DEPLOYER, "MarketStandIn", "setPrice", population.addresses[USDC], FIRST_PRICE)
    for place, owner in enumerate(people.domain_owners):
        uri = f"ipfs://deepnode-devnet/domain/{place}"
        turn.call(cast.DEPLOYER, "Domains", "create", population.domains[place], accounts[owner], uri)
    return turn.calls


def _open_domains(population: Population) -> list[Call]:
    turn, people, addresses = Turn(), population.cast, population.addresses
    for place, domain in enumerate(population.domains):
        for asset, rates in _FIRST_ROUTES[place % len(_FIRST_ROUTES)].items():
            turn.call(cast.DEPLOYER, "Domains", "setRevenueRoute", domain, addresses[asset], rates, 1)
        weights = WEIGHTS[place % len(WEIGHTS)]
        turn.call(cast.DEPLOYER, "Domains", "setEmissionWeights", domain, weights, 1)
    for model in population.models:
        domain, meta = population.domains[model.domain], keccak(model.id)
        terms = (model.a, model.b, model.a + model.b)
        turn.call(model.creator, "Models", "register", model.id, domain, *terms, meta)
    for operator in (*people.miner_operators, *people.validator_operators, *people.backers):
        for spender in ("Nodes", "Collateral"):
            turn.call(operator, DN, "approve", addresses[spender], _UNLIMITED)
    for investor in people.investors:
        for spender in ("Staking", "Governance"):
            turn.call(investor, DN, "approve", addresses[spender], _UNLIMITED)
    for backer in people.backers:
        turn.call(backer, USDC, "approve", addresses["Funding"], _UNLIMITED)
    for consumer in people.consumers:
        for asset in ASSETS:
            turn.call(consumer, asset, "approve", addresses["RevenueRouter"], _UNLIMITED)
    # The treasury makes good what a reversed review took.
    turn.call(cast.TREASURY, DN, "approve", addresses["Collateral"], _UNLIMITED)
    return turn.calls


def _register(population: Population) -> list[Call]:
    turn = Turn()
    for model in population.models:
        model.version = 1
        turn.call(model.creator, "Models", "publishVersion", model.id, keccak(model.id + b"\x01"))
        turn.call(model.creator, "Models", "setStatus", model.id, ACTIVE)
    for node in population.nodes:
        turn.call(node.operator, "Nodes", "register", population.domains[node.domain], node.id, node.role)
    return turn.calls


def _secure(population: Population) -> list[Call]:
    turn = Turn()
    for place, node in enumerate(population.nodes):
        # Anyone may pay a node's collateral: some nodes have a backer for it.
        payer = population.cast.backers[0] if place % 5 == 0 else node.operator
        turn.call(payer, "Collateral", "deposit", node.id, node.collateral)
    return turn.calls
