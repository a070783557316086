"""Who plays which part on the devnet: places in the node's list of accounts."""

from __future__ import annotations

DEPLOYER = 0
FOUNDATION = 1
SETTLER = 2
TREASURY = 3
PROCESSOR = 4
BUYBACK_VAULT = 5
BACKERS_VAULT = 6
YIELD_VAULT = 7
EMISSION_VAULT = 8
COMPENSATION_VAULT = 9
DOMAIN_OWNERS = range(10, 12)
CREATORS = range(12, 15)
MINER_OPERATORS = range(15, 28)
VALIDATOR_OPERATORS = range(28, 32)
CONSUMERS = range(32, 37)
BACKERS = range(37, 39)
STRANGER = 39
COUNT = 40
