"""Who plays which part on the devnet: places in the deployment's list of accounts, for each size of the economy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DEPLOYER = 0
FOUNDATION = 1
SETTLER = 2
TREASURY = 3
PROCESSOR = 4
BACKERS_VAULT = 6
YIELD_VAULT = 7
COMPENSATION_VAULT = 9
DOMAIN_OWNERS = range(10, 12)
CREATORS = range(12, 15)
MINER_OPERATORS = range(15, 28)
VALIDATOR_OPERATORS = range(28, 32)
CONSUMERS = range(32, 37)
BACKERS = range(37, 39)
STRANGER = 39
NODE_ACCOUNTS = 40
"""So many accounts are the node's own. Those behind them are addresses that it signs for without their keys."""

EPOCH_KEEPER = 40
BURN_KEEPER = 41
TREASURER = 42
GUARDIAN = 43
SCORER = 44
STAKERS = range(45, 49)


@dataclass(frozen=True, slots=True)
class Cast:
    """The people of one size of the economy, and how lively they are.

    Attributes:
        name: what the command line calls the size.
        miners_first: miners that the economy is founded with; others join later.
        domains_of_validator: in how many domains each validator's operator has a node.
        models: how many there are from the beginning.
        tasks_per_block_max: consumers ask for one to so many tasks in each block.
        moves_per_block_max: stakers make at most so many moves in a block.
        claims_per_block_max: so many earners of an asset may come for their rewards in a block.
        epoch_blocks: an epoch's length.
        dishonest_every: every so many nodes of a role there is one that cheats; 0 if nobody does by habit.
        dusty_domain: the domain most of whose payments are dust in dollars, None if none is more dusty than others.
    """

    name: str
    domain_owners: range
    creators: range
    miner_operators: range
    validator_operators: range
    consumers: range
    backers: range
    stakers: range
    miners_first: int
    domains_of_validator: int
    models: int
    tasks_per_block_max: int
    moves_per_block_max: int
    claims_per_block_max: int
    epoch_blocks: int
    dishonest_every: int
    dusty_domain: int | None

    @property
    def domains(self) -> int:
        """How many domains there are."""
        return len(self.domain_owners)

    @property
    def count(self) -> int:
        """How many accounts the cast needs."""
        return self.stakers.stop

    @property
    def investors(self) -> tuple[int, ...]:
        """Everybody who stakes: stakers, backers and the operators of validators."""
        return (*self.stakers, *self.backers, *self.validator_operators)


SMALL: Final = Cast(
    name="small",
    domain_owners=DOMAIN_OWNERS,
    creators=CREATORS,
    miner_operators=MINER_OPERATORS,
    validator_operators=VALIDATOR_OPERATORS,
    consumers=CONSUMERS,
    backers=BACKERS,
    stakers=STAKERS,
    miners_first=12,
    domains_of_validator=2,
    models=4,
    tasks_per_block_max=3,
    moves_per_block_max=1,
    claims_per_block_max=2,
    epoch_blocks=30,
    dishonest_every=0,
    dusty_domain=None,
)
"""Founded in a moment: a few dozen people in two domains, and everything happens within a few hundred blocks."""

FULL: Final = Cast(
    name="full",
    domain_owners=range(50, 56),
    creators=range(56, 66),
    miner_operators=range(66, 166),
    validator_operators=range(166, 196),
    consumers=range(196, 221),
    backers=range(221, 256),
    stakers=range(256, 306),
    miners_first=90,
    domains_of_validator=2,
    models=14,
    tasks_per_block_max=8,
    moves_per_block_max=4,
    claims_per_block_max=8,
    epoch_blocks=40,
    dishonest_every=15,
    dusty_domain=4,
)
"""Six domains and more than two hundred miners, validators, stakers and backers."""

SIZES: Final = {cast.name: cast for cast in (SMALL, FULL)}
