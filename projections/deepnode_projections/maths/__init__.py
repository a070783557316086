"""The reward maths: pure functions of plain whole numbers, to be read beside DESIGN's section on it.

They know no event, no state and no database. What the rules leave open comes in from a ruleset.
"""

from deepnode_projections.maths.apportion import Apportionment, Share, largest_remainder
from deepnode_projections.maths.carry import Split, carry_forward, split, split_by, suspense
from deepnode_projections.maths.claims import EMPTY_ROOT, ClaimTree, Entitlement, verify
from deepnode_projections.maths.credit import credited
from deepnode_projections.maths.pools import DomainClaim, PoolLegs, checked_weights, minted, over_domains, pool_legs
from deepnode_projections.maths.rates import RatesRefused, burned_of_fee, nine_rates
from deepnode_projections.maths.rewards import (
    Holding,
    MinerWork,
    ModelUsage,
    RewardLine,
    Rewards,
    StakeHeld,
    ValidatorWork,
    to_miners,
    to_models,
    to_one,
    to_stakers,
    to_validators,
)
from deepnode_projections.maths.sell_pressure import Pressure, pressure

__all__ = [
    "EMPTY_ROOT",
    "Apportionment",
    "ClaimTree",
    "DomainClaim",
    "Entitlement",
    "Holding",
    "MinerWork",
    "ModelUsage",
    "PoolLegs",
    "Pressure",
    "RatesRefused",
    "RewardLine",
    "Rewards",
    "Share",
    "Split",
    "StakeHeld",
    "ValidatorWork",
    "burned_of_fee",
    "carry_forward",
    "checked_weights",
    "credited",
    "largest_remainder",
    "minted",
    "nine_rates",
    "over_domains",
    "pool_legs",
    "pressure",
    "split",
    "split_by",
    "suspense",
    "to_miners",
    "to_models",
    "to_one",
    "to_stakers",
    "to_validators",
    "verify",
]
