"""Emission weights of a domain: which sets Domains accepts, and which are in force in an epoch."""

from collections.abc import Iterator

import pytest

from deepnode_indexer.devnet.anvil import Anvil
from deepnode_indexer.devnet.deployment import role
from deepnode_ledger.vocabulary import KINDS
from tests.indexer.devnet.lone_contracts import LoneContracts, Refusal, Said, declared_events, word

ADMIN, OWNER, STRANGER = 0, 1, 2
DOMAIN = word("vision")
NONE = (0, 0, 0, 0, 0)
EVEN = (300_000, 200_000, 200_000, 90_000, 200_000)
MINERS_ALL = (990_000, 0, 0, 0, 0)
OWNER_MOST = (0, 0, 0, 100_000, 890_000)


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    """A bare node, on which each test has contracts of its own."""
    with Anvil.start() as started:
        yield started


@pytest.fixture
def chain(node: Anvil) -> LoneContracts:
    """Domains with one domain, which has no weights yet."""
    contracts = LoneContracts(node)
    contracts.create("Domains", contracts.accounts[ADMIN])
    contracts.grant("Domains", "GOVERNOR_ROLE", contracts.accounts[ADMIN])
    contracts.send(ADMIN, "Domains", "create", DOMAIN, contracts.accounts[OWNER], "ipfs://vision")
    return contracts


def weights_set(old: tuple[int, ...], new: tuple[int, ...], from_epoch: int) -> Said:
    """What Domains says when the domain's weights change."""
    return Said("Domains", "EmissionWeightsSet", {"domain": DOMAIN, "old": old, "new_": new, "fromEpoch": from_epoch})


def test_the_domains_contracts_events_are_the_vocabularys() -> None:
    """Compares the artifact's ABI with the vocabulary: names, types, order and what is indexed."""
    assert declared_events("Domains") == set(KINDS["Domains"])


def test_weights_hold_from_their_epoch_until_the_next_ones(chain: LoneContracts) -> None:
    """Sets weights from the epochs 2, 3 and 7, and reads those of the epochs around them."""
    for old, new, epoch in ((NONE, EVEN, 2), (EVEN, MINERS_ALL, 3), (MINERS_ALL, OWNER_MOST, 7)):
        said = chain.send(ADMIN, "Domains", "setEmissionWeights", DOMAIN, new, epoch)
        assert said == [weights_set(old, new, epoch)]
    for epoch, weights in ((2, EVEN), (3, MINERS_ALL), (6, MINERS_ALL), (7, OWNER_MOST), (2**64 - 1, OWNER_MOST)):
        assert chain.read("Domains", "weightsOf", DOMAIN, epoch) == weights


def test_there_are_no_weights_before_the_first_ones(chain: LoneContracts) -> None:
    """Asks for the weights of a domain that has none, and of an epoch before its first."""
    nothing = Refusal("NoEmissionWeights", (DOMAIN, 1))
    assert chain.refusal(STRANGER, "Domains", "weightsOf", DOMAIN, 1) == nothing
    chain.send(ADMIN, "Domains", "setEmissionWeights", DOMAIN, EVEN, 2)
    assert chain.refusal(STRANGER, "Domains", "weightsOf", DOMAIN, 1) == nothing


def test_the_newest_weights_can_be_replaced_and_older_ones_cannot(chain: LoneContracts) -> None:
    """Sets weights from the same epoch again, then from the epoch before it."""
    chain.send(ADMIN, "Domains", "setEmissionWeights", DOMAIN, EVEN, 3)
    chain.send(ADMIN, "Domains", "setEmissionWeights", DOMAIN, MINERS_ALL, 5)
    said = chain.send(ADMIN, "Domains", "setEmissionWeights", DOMAIN, OWNER_MOST, 5)
    assert said == [weights_set(MINERS_ALL, OWNER_MOST, 5)]
    refused = chain.refusal(ADMIN, "Domains", "setEmissionWeights", DOMAIN, EVEN, 4)
    assert refused == Refusal("EpochBehindNewest", (DOMAIN, 4, 5))
    assert [chain.read("Domains", "weightsOf", DOMAIN, epoch) for epoch in (4, 5)] == [EVEN, OWNER_MOST]


@pytest.mark.parametrize(
    ("weights", "error"),
    [
        ((300_000, 200_000, 200_000, 90_000, 199_999), Refusal("WeightsDisagree", (989_999, 990_000))),
        ((990_001, 0, 0, 0, 0), Refusal("WeightsDisagree", (990_001, 990_000))),
        # The sum of uint32 would come out at 990 000 if it were one of uint32 itself.
        ((2**31, 2**31, 990_000, 0, 0), Refusal("WeightsDisagree", (2**32 + 990_000, 990_000))),
        ((889_999, 0, 0, 100_001, 0), Refusal("OwnerWeightAboveMaximum", (100_001, 100_000))),
    ],
)
def test_weights_sum_to_99_percent_with_10_for_the_owner_at_most(
    chain: LoneContracts, weights: tuple[int, ...], error: Refusal
) -> None:
    """Tries sets that miss the sum by one, that overflow, and that give the owner one millionth too much."""
    assert chain.refusal(ADMIN, "Domains", "setEmissionWeights", DOMAIN, weights, 1) == error


def test_only_the_governor_sets_weights_and_only_of_a_domain(chain: LoneContracts) -> None:
    """Tries it as the domain's owner, and for a domain that nobody created."""
    owner = chain.accounts[OWNER].lower()
    refused = chain.refusal(OWNER, "Domains", "setEmissionWeights", DOMAIN, EVEN, 1)
    assert refused == Refusal("AccessControlUnauthorizedAccount", (owner, role("GOVERNOR_ROLE")))
    refused = chain.refusal(ADMIN, "Domains", "setEmissionWeights", word("nowhere"), EVEN, 1)
    assert refused == Refusal("UnknownDomain", (word("nowhere"),))
