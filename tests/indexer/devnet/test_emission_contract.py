"""Emission: epochs follow each other, and a pool is divided to the last unit by the weights of its epoch."""

from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deepnode_indexer.devnet.anvil import Anvil
from deepnode_indexer.devnet.deployment import role
from deepnode_ledger.vocabulary import KINDS
from tests.indexer.devnet.lone_contracts import LoneContracts, Refusal, Said, declared_events, word

ADMIN, KEEPER, ALLOCATOR, STRANGER = range(4)
DOMAIN, OTHER = word("vision"), word("speech")
PPM = 10**6
LEGS = ("miners", "stakers", "validators", "owner", "models", "foundation")
FIRST = (300_000, 200_000, 200_000, 90_000, 200_000)
SECOND = (330_000, 330_000, 329_999, 1, 0)
NOBODY = bytes(20)


def largest_remainder(pool: int, rates: list[int]) -> list[int]:
    """The rule in Python: the floor of each part, then a unit each to the largest remainders, the earlier leg first."""
    parts = [pool * rate // PPM for rate in rates]
    by_remainder = sorted(range(len(rates)), key=lambda leg: -(pool * rates[leg] % PPM))
    for leg in by_remainder[: pool - sum(parts)]:
        parts[leg] += 1
    return parts


@st.composite
def emission_weights(draw: st.DrawFn) -> tuple[int, ...]:
    """Five weights that sum to 990 000, by where the lots of an interval fall: often nothing, often all for one."""
    lots = sorted(draw(st.lists(st.sampled_from((0, 990_000)) | st.integers(0, 990_000), min_size=4, max_size=4)))
    return tuple(end - start for start, end in zip((0, *lots), (*lots, 990_000), strict=True))


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    """A bare node, on which each test has contracts of its own."""
    with Anvil.start() as started:
        yield started


def emission(node: Anvil) -> LoneContracts:
    """Emission in its first epoch, and a domain whose weights change with the second. Nothing is minted yet."""
    contracts = LoneContracts(node)
    admin = contracts.accounts[ADMIN]
    for name in ("DNToken", "USDCStandIn", "Domains", "Rewards"):
        contracts.create(name, admin)
    addresses = contracts.addresses
    contracts.create("Emission", admin, addresses["DNToken"], addresses["Domains"], addresses["Rewards"])
    contracts.grant("DNToken", "MINTER_ROLE", addresses["Emission"])
    contracts.grant("USDCStandIn", "MINTER_ROLE", admin)
    contracts.grant("Domains", "GOVERNOR_ROLE", admin)
    contracts.grant("Emission", "EPOCH_ROLE", contracts.accounts[KEEPER])
    contracts.grant("Emission", "ALLOCATOR_ROLE", contracts.accounts[ALLOCATOR])
    for domain in (DOMAIN, OTHER):
        contracts.send(ADMIN, "Domains", "create", domain, admin, "")
    for weights, epoch in ((FIRST, 1), (SECOND, 2)):
        contracts.send(ADMIN, "Domains", "setEmissionWeights", DOMAIN, weights, epoch)
    contracts.send(KEEPER, "Emission", "openEpoch", 1)
    return contracts


@pytest.fixture
def chain(node: Anvil) -> LoneContracts:
    """Emission in its first epoch, for one test alone."""
    return emission(node)


@pytest.fixture(scope="module")
def shared_chain(node: Anvil) -> LoneContracts:
    """Emission for a test that only asks it, many times."""
    return emission(node)


def moved(sender: bytes, receiver: bytes, amount: int) -> Said:
    """What DN says when it moves."""
    return Said("DNToken", "Transfer", {"from": sender, "to": receiver, "value": amount})


def allocated(chain: LoneContracts, epoch: int, asset: str, legs: list[int], undistributed: int) -> Said:
    """What Emission says when a pool of the domain is divided."""
    told = {"epoch": epoch, "domain": DOMAIN, "asset": chain.address(asset)}
    told |= dict(zip(LEGS, legs, strict=True)) | {"undistributed": undistributed}
    return Said("Emission", "EpochAllocated", told)


def fill_the_first_epoch(chain: LoneContracts, amount: int) -> None:
    """Mint for epoch 1 and end it."""
    chain.send(KEEPER, "Emission", "mint", 1, amount, 0)
    chain.send(KEEPER, "Emission", "openEpoch", 2)


def test_the_emission_contracts_events_are_the_vocabularys() -> None:
    """Compares the artifact's ABI with the vocabulary: names, types, order and what is indexed."""
    assert declared_events("Emission") == set(KINDS["Emission"])


def test_epochs_count_from_one_without_a_gap(chain: LoneContracts) -> None:
    """Opens two more epochs, and tries the one that runs, one too far, and the one before the first."""
    for epoch in (2, 3):
        said = chain.send(KEEPER, "Emission", "openEpoch", epoch)
        block = int(chain.rpc.call("eth_blockNumber"), 16)
        assert said == [Said("Emission", "EpochOpened", {"epoch": epoch, "startBlock": block})]
    for epoch in (0, 3, 5):
        refused = chain.refusal(KEEPER, "Emission", "openEpoch", epoch)
        assert refused == Refusal("EpochOutOfTurn", (epoch, 4))
    assert chain.read("Emission", "currentEpoch") == 3


def test_an_epochs_dn_is_minted_once_and_to_the_contract(chain: LoneContracts) -> None:
    """Mints for an epoch beside what revenue brought, then again, and for epochs that were never opened."""
    chain.send(KEEPER, "Emission", "mint", 1, 700, 0)
    chain.send(KEEPER, "Emission", "openEpoch", 2)
    said = chain.send(KEEPER, "Emission", "mint", 2, 1_000, 300)
    assert said == [
        moved(NOBODY, chain.address("Emission"), 1_000),
        Said("Emission", "EmissionMinted", {"epoch": 2, "amount": 1_000, "fromRevenue": 300}),
    ]
    assert chain.balance("DNToken", "Emission") == chain.read("DNToken", "totalSupply") == 1_700
    assert chain.refusal(KEEPER, "Emission", "mint", 2, 1, 0) == Refusal("AlreadyMinted", (2,))
    for epoch in (0, 3):
        assert chain.refusal(KEEPER, "Emission", "mint", epoch, 1, 0) == Refusal("EpochNotOpened", (epoch, 2))


def test_an_epoch_without_inflation_can_be_all_revenue(chain: LoneContracts) -> None:
    """Mints nothing beside what revenue brought; more revenue than there is cannot be claimed."""
    asset = chain.addresses["DNToken"]
    refused = chain.refusal(KEEPER, "Emission", "mint", 1, 0, 1)
    assert refused == Refusal("AboveAvailable", (asset.lower(), 1, 0))
    chain.send(KEEPER, "Emission", "mint", 1, 50, 0)
    chain.send(KEEPER, "Emission", "openEpoch", 2)
    said = chain.send(KEEPER, "Emission", "mint", 2, 0, 50)
    assert said[-1] == Said("Emission", "EmissionMinted", {"epoch": 2, "amount": 0, "fromRevenue": 50})


@settings(max_examples=150)
@example(pool=10**18 + 7, weights=FIRST)
@example(pool=1, weights=(247_500, 247_500, 247_500, 0, 247_500))
@example(pool=2, weights=(330_000, 330_000, 330_000, 0, 0))
@given(pool=st.integers(0, 20) | st.integers(0, 10**7) | st.integers(0, 2**128), weights=emission_weights())
def test_legs_are_the_largest_remainders(shared_chain: LoneContracts, pool: int, weights: tuple[int, ...]) -> None:
    """Compares the contract's arithmetic with a few lines of Python, for pools and weights that hypothesis picks."""
    legs = shared_chain.read("Emission", "divide", pool, weights)
    assert list(legs) == largest_remainder(pool, [*weights, 10_000])
    assert sum(legs) == pool


def test_weights_that_do_not_sum_are_not_divided_by(chain: LoneContracts) -> None:
    """Asks for the legs of weights that give out one millionth too little, and one too much."""
    for missing in (1, -1):
        weights = (990_000 - missing, 0, 0, 0, 0)
        refused = chain.refusal(STRANGER, "Emission", "divide", 100, weights)
        assert refused == Refusal("WeightsDisagree", (PPM - missing,))


@settings(max_examples=12)
@given(pools=st.lists(st.integers(1, 10**6), min_size=1, max_size=4), mask=st.integers(0, 63))
def test_the_contract_holds_what_is_available_and_what_is_undistributed(
    node: Anvil, pools: list[int], mask: int
) -> None:
    """Allocates the pools of some epochs, some legs empty: the event, both balances, and the contract's own sums."""
    chain, undistributed = emission(node), 0
    for epoch, pool in enumerate(pools, 1):
        chain.send(KEEPER, "Emission", "mint", epoch, pool + 5, 0)
        chain.send(KEEPER, "Emission", "openEpoch", epoch + 1)
        asset = chain.addresses["DNToken"]
        said = chain.send(ALLOCATOR, "Emission", "allocate", epoch, DOMAIN, asset, pool, mask)
        full = largest_remainder(pool, [*(FIRST if epoch == 1 else SECOND), 10_000])
        legs = [0 if mask >> leg & 1 else amount for leg, amount in enumerate(full)]
        transfer = [moved(chain.address("Emission"), chain.address("Rewards"), sum(legs))] if sum(legs) else []
        assert said == [allocated(chain, epoch, "DNToken", legs, pool - sum(legs)), *transfer]
        undistributed += pool - sum(legs)
        held = chain.balance("DNToken", "Emission")
        assert chain.read("Emission", "undistributedOf", asset) == undistributed
        assert held == undistributed + chain.read("Emission", "available", asset) == undistributed + 5 * epoch
        assert held + chain.balance("DNToken", "Rewards") == chain.read("DNToken", "totalSupply")


def test_the_weights_are_those_of_the_epoch_and_not_todays(chain: LoneContracts) -> None:
    """Allocates the first epoch in the third, when other weights have been in force for long."""
    fill_the_first_epoch(chain, 1_000_000)
    chain.send(KEEPER, "Emission", "openEpoch", 3)
    said = chain.send(ALLOCATOR, "Emission", "allocate", 1, DOMAIN, chain.addresses["DNToken"], 1_000_000, 0)
    assert said[0] == allocated(chain, 1, "DNToken", [*FIRST, 10_000], 0)


def test_revenue_in_dollars_is_a_pool_like_emission(chain: LoneContracts) -> None:
    """Sends USDC as the router's emission leg does, and allocates it beside the same epoch's DN."""
    fill_the_first_epoch(chain, 100)
    dollars = chain.addresses["USDCStandIn"]
    chain.send(ADMIN, "USDCStandIn", "mint", chain.addresses["Emission"], 1_000_000)
    chain.send(ALLOCATOR, "Emission", "allocate", 1, DOMAIN, chain.addresses["DNToken"], 100, 0)
    said = chain.send(ALLOCATOR, "Emission", "allocate", 1, DOMAIN, dollars, 1_000_000, 1 << LEGS.index("owner"))
    assert said[0] == allocated(chain, 1, "USDCStandIn", [300_000, 200_000, 200_000, 0, 200_000, 10_000], 90_000)
    assert chain.balance("USDCStandIn", "Emission") == 90_000
    assert chain.balance("USDCStandIn", "Rewards") == 910_000


def test_a_pool_is_allocated_once_and_after_its_epoch(chain: LoneContracts) -> None:
    """Allocates in the epoch itself, in no epoch, and twice; another domain, which has no weights, gets nothing."""
    dn = chain.addresses["DNToken"]
    chain.send(KEEPER, "Emission", "mint", 1, 1_000, 0)
    for epoch in (0, 1, 2):
        refused = chain.refusal(ALLOCATOR, "Emission", "allocate", epoch, DOMAIN, dn, 10, 0)
        assert refused == Refusal("EpochNotOver", (epoch, 1))
    chain.send(KEEPER, "Emission", "openEpoch", 2)
    chain.send(ALLOCATOR, "Emission", "allocate", 1, DOMAIN, dn, 10, 0)
    refused = chain.refusal(ALLOCATOR, "Emission", "allocate", 1, DOMAIN, dn, 10, 0)
    assert refused == Refusal("AlreadyAllocated", (1, DOMAIN, dn.lower()))
    refused = chain.refusal(ALLOCATOR, "Emission", "allocate", 1, OTHER, dn, 10, 0)
    assert refused == Refusal("NoEmissionWeights", (OTHER, 1))


def test_a_pool_is_not_more_than_what_is_there_beyond_the_undistributed(chain: LoneContracts) -> None:
    """Leaves half of a pool undistributed, then asks for one unit more than the rest, for none, and for the rest."""
    dn = chain.addresses["DNToken"]
    fill_the_first_epoch(chain, 1_000)
    chain.send(KEEPER, "Emission", "openEpoch", 3)
    chain.send(ALLOCATOR, "Emission", "allocate", 1, DOMAIN, dn, 600, 0b111111)
    assert chain.balance("DNToken", "Emission") == 1_000
    refused = chain.refusal(ALLOCATOR, "Emission", "allocate", 2, DOMAIN, dn, 401, 0)
    assert refused == Refusal("AboveAvailable", (dn.lower(), 401, 400))
    assert chain.refusal(ALLOCATOR, "Emission", "allocate", 2, DOMAIN, dn, 0, 0) == Refusal("ZeroAmount", ())
    chain.send(ALLOCATOR, "Emission", "allocate", 2, DOMAIN, dn, 400, 0)
    assert chain.balance("DNToken", "Emission") == 600


def test_a_mask_names_the_six_legs_alone(chain: LoneContracts) -> None:
    """Sets the two bits of the mask that are no leg."""
    fill_the_first_epoch(chain, 1_000)
    for mask in (1 << 6, 1 << 7, 0xFF):
        refused = chain.refusal(ALLOCATOR, "Emission", "allocate", 1, DOMAIN, chain.addresses["DNToken"], 10, mask)
        assert refused == Refusal("UnknownLeg", (mask,))


def test_each_duty_has_its_role(chain: LoneContracts) -> None:
    """Calls everything that moves the clock or money as accounts that have another role, or none."""
    dn, epoch_role, allocator_role = chain.addresses["DNToken"], role("EPOCH_ROLE"), role("ALLOCATOR_ROLE")
    fill_the_first_epoch(chain, 1_000)
    for sender, needed, function, arguments in (
        (ADMIN, epoch_role, "openEpoch", (3,)),
        (ALLOCATOR, epoch_role, "openEpoch", (3,)),
        (ALLOCATOR, epoch_role, "mint", (2, 1, 0)),
        (KEEPER, allocator_role, "allocate", (1, DOMAIN, dn, 10, 0)),
        (STRANGER, allocator_role, "allocate", (1, DOMAIN, dn, 10, 0)),
    ):
        refused = chain.refusal(sender, "Emission", function, *arguments)
        assert refused == Refusal("AccessControlUnauthorizedAccount", (chain.accounts[sender].lower(), needed))


def test_money_leaves_behind_the_books(chain: LoneContracts) -> None:
    """Reads the trace of an allocation: all storage is written before the token is called. And Rewards must exist."""
    fill_the_first_epoch(chain, 1_000)
    arguments = (1, DOMAIN, chain.addresses["DNToken"], 10, 1)
    assert chain.effects_come_first(ALLOCATOR, "Emission", "allocate", *arguments)
    assert chain.effects_come_first(KEEPER, "Emission", "mint", 2, 10, 0)
    nowhere = "0x" + "00" * 20
    admin, domains = chain.accounts[ADMIN], chain.addresses["Domains"]
    refused = chain.refusal_to_create("Emission", admin, chain.addresses["DNToken"], domains, nowhere)
    assert refused == Refusal("ZeroAddress", ())
