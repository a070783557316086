"""A small market to stake upon: what Staking and Governance need around them, and nothing else."""

from __future__ import annotations

from typing import Final

from deepnode_indexer.devnet.anvil import Anvil
from tests.indexer.devnet.lone_contracts import LoneContracts, word

ADMIN, OPERATOR, ALICE, BOB, CAROL, TREASURY, STRANGER = range(7)
STAKERS: Final = (ALICE, BOB, CAROL)
WALLET: Final = 10**24
"""What each staker has at first, in base units of DN."""
UNBONDING_SECONDS: Final = 100
DOMAIN, VALIDATOR_NODE, MINER_NODE, MODEL = word("vision"), word("validator"), word("miner"), word("model")
VALIDATOR, MINER, A_MODEL, A_DOMAIN = 1, 2, 3, 4
"""The types of targets."""
TARGETS: Final = ((VALIDATOR, VALIDATOR_NODE), (MINER, MINER_NODE), (A_MODEL, MODEL), (A_DOMAIN, DOMAIN))


def staking_market(node: Anvil) -> LoneContracts:
    """One target of each type, and three stakers who have DN and have allowed Staking to take it."""
    chain = LoneContracts(node)
    admin = chain.accounts[ADMIN]
    chain.create("DNToken", admin)
    chain.create("Domains", admin)
    chain.create("Nodes", admin, chain.addresses["DNToken"], chain.addresses["Domains"], admin, 0, 0)
    chain.create("Models", chain.addresses["Domains"])
    names = ("DNToken", "Nodes", "Models", "Domains")
    chain.create("Staking", *(chain.addresses[name] for name in names), UNBONDING_SECONDS)
    chain.grant("DNToken", "MINTER_ROLE", admin)
    chain.grant("Domains", "GOVERNOR_ROLE", admin)
    chain.send(ADMIN, "Domains", "create", DOMAIN, admin, "")
    chain.send(OPERATOR, "Nodes", "register", DOMAIN, MINER_NODE, 1)
    chain.send(OPERATOR, "Nodes", "register", DOMAIN, VALIDATOR_NODE, 2)
    chain.send(OPERATOR, "Models", "register", MODEL, DOMAIN, 0, 0, 0, word("meta"))
    for staker in STAKERS:
        chain.send(ADMIN, "DNToken", "mint", chain.accounts[staker], WALLET)
        chain.allow(staker, "DNToken", "Staking", 2**256 - 1)
    return chain
