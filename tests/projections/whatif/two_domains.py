"""A story for scenarios: domain d1 has work, stakers and a model; d2 has a staker and no work. Epoch 1 is over.

1000 were minted, all for d1, which alone had work; 30 more came to d1's pool, and 70 to d2's, from revenue.
"""

from dataclasses import replace
from typing import Final

import pytest

from deepnode_ledger.manifest import Manifest
from deepnode_projections.registers.record import Record
from deepnode_projections.registers.state import State
from deepnode_projections.rules import claims, domains, emission, epochs, funding, pools, registry, staking
from deepnode_projections.rules.work import ModelUse, ValidatorWork, Work
from tests.projections.rules import told as t
from tests.projections.rules.told import DN, Story, address, told, word

FOUNDATION: Final = address("foundation")
MANIFEST: Final[Manifest] = replace(t.MANIFEST, foundation=FOUNDATION)
D1, D2 = word("d1"), word("d2")
MINTED: Final = 1_000
FROM_REVENUE: Final = {D1: 30, D2: 70}
TABLES: Final = (domains, registry, staking, funding, epochs, emission, pools, claims)


def two_domains(work: tuple[int, int] = (4, 2)) -> State:
    """Tell the story; ``work`` is what the miners m1 and m2 of d1 have done. The chain's pools are as its rules say."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(t, "MANIFEST", MANIFEST)
        tale = Story(*(each.RULES for each in TABLES))
        for domain, owner in (("d1", "olga"), ("d2", "otto")):
            tale.tell(told("Domains", "DomainCreated", domain=domain, owner=owner))
        for node, role, operator in (("m1", 1, "mia"), ("m2", 1, "max"), ("v1", 2, "vera")):
            tale.tell(told("Nodes", "Registered", domain="d1", node=node, operator=operator, role=role))
        weights = {"new_": [500_000, 200_000, 150_000, 50_000, 90_000], "fromEpoch": 1}
        tale.tell(
            told("Models", "ModelRegistered", model="x1", domain="d1", creator="cleo", a=100_000, b=300_000, x=400_000),
            told("Funding", "RoundOpened", round="r1", model="x1", creator="cleo", target=3, deadline=2**40),
            told("Funding", "Backed", round="r1", backer="bea", amount=3, shares=3),
            told("Staking", "CommissionSet", target="v1", new_=100_000, fromEpoch=1),
            told("Staking", "Staked", staker="dora", targetType=1, target="v1", amount=30, shares=30),
            told("Staking", "Staked", staker="sam", targetType=4, target="d1", amount=7, shares=7),
            told("Staking", "Staked", staker="sue", targetType=4, target="d2", amount=9, shares=9),
            told("Domains", "EmissionWeightsSet", domain="d1", **weights),
            told("Domains", "EmissionWeightsSet", domain="d2", **weights),
            told("Emission", "EpochOpened", epoch=1),
        )
        done = [Work(1, D1, word(node), 1, each, 1) for node, each in zip(("m1", "m2"), work, strict=True)]
        judged: list[Record] = [ValidatorWork(1, D1, word("v1"), 6, 5, 5_000_000), ModelUse(1, D1, word("x1"), 3, 6, 6)]
        for record in (*done, *judged):
            tale.state.put(record)
        tale.tell(
            told("Emission", "EpochOpened", epoch=2),
            told("Emission", "EmissionMinted", epoch=1, amount=MINTED),
            # The legs do not matter here: what the rules make of the pools is compared, not what the chain did.
            told("Emission", "EpochAllocated", epoch=1, domain="d1", asset=DN, miners=MINTED + FROM_REVENUE[D1]),
            told("Emission", "EpochAllocated", epoch=1, domain="d2", asset=DN, miners=FROM_REVENUE[D2]),
        )
        assert tale.reasons == []
        return tale.state
