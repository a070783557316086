"""Pools and claim trees against the reference contracts on a real EVM node: equal legs, and proofs that pay."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepnode_indexer.devnet.anvil import Anvil
from deepnode_ledger.hexadecimal import from_hex
from deepnode_projections import rulesets
from deepnode_projections.maths import ClaimTree, Entitlement, pool_legs
from deepnode_projections.rulesets.ruleset import LEG_NAMES, Weights
from tests.indexer.devnet.lone_contracts import LoneContracts
from tests.projections.maths.drawn_weights import weights

ADMIN, STRANGER, FIRST_EARNER = 0, 3, 5
RULES = rulesets.default().emission


@pytest.fixture(scope="module")
def chain() -> Iterator[LoneContracts]:
    with Anvil.start() as node:
        contracts = LoneContracts(node)
        admin = contracts.accounts[ADMIN]
        for name in ("DNToken", "Domains", "Rewards"):
            contracts.create(name, admin)
        addresses = contracts.addresses
        contracts.create("Emission", admin, addresses["DNToken"], addresses["Domains"], addresses["Rewards"])
        contracts.grant("DNToken", "MINTER_ROLE", admin)
        contracts.grant("Rewards", "ROOT_ROLE", admin)
        yield contracts
        contracts.rpc.close()


@settings(max_examples=60)
@given(pool=st.integers(0, 50) | st.integers(0, 10**38 - 1), of_domain=weights())
def test_the_contract_divides_a_pool_as_the_maths_do(chain: LoneContracts, pool: int, of_domain: Weights) -> None:
    """Draws pools and weights, and compares the six legs with Emission.divide."""
    found = pool_legs(RULES, pool, of_domain, LEG_NAMES)
    given_weights = [getattr(of_domain, leg) for leg in LEG_NAMES]
    legs = [getattr(found, leg) for leg in (*LEG_NAMES, "foundation")]
    assert [*chain.read("Emission", "divide", pool, given_weights)] == legs


def test_a_proof_of_the_tree_is_paid_by_the_contract(chain: LoneContracts) -> None:
    """Submits the root of seven earners to Rewards, and claims with each one's proof: each gets what it has earned."""
    asset = chain.addresses["DNToken"]
    earners = chain.accounts[FIRST_EARNER : FIRST_EARNER + 7]
    amounts = {earner: 10**18 + 7 * place for place, earner in enumerate(earners, 1)}
    tree = ClaimTree(Entitlement(from_hex(each), from_hex(asset), amount) for each, amount in amounts.items())
    chain.send(ADMIN, "DNToken", "mint", chain.addresses["Rewards"], tree.total)
    spec_hash = rulesets.default().spec_hash
    chain.send(ADMIN, "Rewards", "submitRoot", 1, asset, tree.root, tree.total, 1, "", spec_hash, 0)
    for one in tree.entitlements:
        earner = next(each for each in earners if from_hex(each) == one.earner)
        chain.send(STRANGER, "Rewards", "claim", 1, earner, asset, one.cumulative, list(tree.proof(one)))
    assert {each: chain.read("DNToken", "balanceOf", each) for each in earners} == amounts
    assert chain.read("DNToken", "balanceOf", chain.addresses["Rewards"]) == 0
