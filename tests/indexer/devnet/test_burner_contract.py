"""Burner: a buyback brings at least its minimum or nothing happens, and what is burned is gone from the supply."""

from collections.abc import Iterator

import pytest

from deepnode_indexer.devnet.anvil import Anvil
from deepnode_indexer.devnet.deployment import role
from deepnode_ledger.vocabulary import KINDS
from tests.indexer.devnet.lone_contracts import LoneContracts, Refusal, Said, declared_events, word

ADMIN, KEEPER, STRANGER = range(3)
BATCH, REF = word("batch 1"), word("ref")
DN_PER_DOLLAR = 2_500_000_000_000_000_000
INVENTORY = 1_000 * 10**18
ACCRUED = 300_000_000
NOBODY = bytes(20)


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    """A bare node, on which each test has contracts of its own."""
    with Anvil.start() as started:
        yield started


@pytest.fixture
def chain(node: Anvil) -> LoneContracts:
    """A Burner that revenue brought 300 dollars, and a market with 1 000 DN that sells 2.5 of them for a dollar."""
    contracts = LoneContracts(node)
    admin = contracts.accounts[ADMIN]
    for name in ("DNToken", "USDCStandIn"):
        contracts.create(name, admin)
        contracts.grant(name, "MINTER_ROLE", admin)
    dn, dollars = contracts.addresses["DNToken"], contracts.addresses["USDCStandIn"]
    contracts.create("MarketStandIn", admin, dn)
    contracts.create("Burner", admin, dn, contracts.addresses["MarketStandIn"])
    contracts.grant("Burner", "KEEPER_ROLE", contracts.accounts[KEEPER])
    contracts.send(ADMIN, "MarketStandIn", "setPrice", dollars, DN_PER_DOLLAR)
    contracts.send(ADMIN, "DNToken", "mint", contracts.addresses["MarketStandIn"], INVENTORY)
    contracts.send(ADMIN, "USDCStandIn", "mint", contracts.addresses["Burner"], ACCRUED)
    return contracts


def moved(token: str, sender: bytes, receiver: bytes, amount: int) -> Said:
    """What a token says when it moves."""
    return Said(token, "Transfer", {"from": sender, "to": receiver, "value": amount})


def buyback(chain: LoneContracts, batch: bytes, amount_in: int, min_out: int) -> tuple[object, ...]:
    """The arguments of a buyback with dollars."""
    return (batch, chain.addresses["USDCStandIn"], amount_in, min_out)


def test_the_burner_contracts_events_are_the_vocabularys() -> None:
    """Compares the artifact's ABI with the vocabulary: names, types, order and what is indexed."""
    assert declared_events("Burner") == set(KINDS["Burner"])


def test_a_buyback_turns_dollars_into_dn_that_waits_to_be_burned(chain: LoneContracts) -> None:
    """Swaps the accrued dollars in two batches, burns most of the DN, and reads all balances and the supply."""
    burner, market = chain.address("Burner"), chain.address("MarketStandIn")
    for batch, amount_in in ((BATCH, 100_000_000), (word("batch 2"), 200_000_000)):
        dn_out = amount_in * DN_PER_DOLLAR // 10**6
        said = chain.send(KEEPER, "Burner", "executeBuyback", *buyback(chain, batch, amount_in, dn_out))
        told = {"batch": batch, "assetIn": chain.address("USDCStandIn"), "amountIn": amount_in}
        assert said == [
            moved("USDCStandIn", burner, market, amount_in),
            moved("DNToken", market, burner, dn_out),
            Said("Burner", "BuybackExecuted", told | {"dnOut": dn_out, "minOut": dn_out}),
        ]
    assert chain.balance("USDCStandIn", "Burner") == 0
    assert chain.balance("USDCStandIn", "MarketStandIn") == ACCRUED
    assert chain.balance("DNToken", "Burner") == 750 * 10**18
    said = chain.send(KEEPER, "Burner", "burn", word("buyback"), BATCH, 700 * 10**18)
    assert said == [
        Said("Burner", "DNBurned", {"source": word("buyback"), "ref": BATCH, "amount": 700 * 10**18}),
        moved("DNToken", burner, NOBODY, 700 * 10**18),
    ]
    assert chain.balance("DNToken", "Burner") == 50 * 10**18
    assert chain.read("DNToken", "totalSupply") == INVENTORY - 700 * 10**18


def test_dn_that_came_by_a_transfer_is_burned_like_any_other(chain: LoneContracts) -> None:
    """Sends DN as the variable-burn leg does, and burns it under the name that the contract has for that source."""
    chain.send(ADMIN, "DNToken", "mint", chain.addresses["Burner"], 70)
    source = chain.read("Burner", "SOURCE_VARIABLE_BURN")
    assert (chain.read("Burner", "SOURCE_BUYBACK"), source) == (word("buyback"), word("variableBurn"))
    said = chain.send(KEEPER, "Burner", "burn", source, REF, 70)
    assert said[0] == Said("Burner", "DNBurned", {"source": source, "ref": REF, "amount": 70})
    assert chain.balance("DNToken", "Burner") == 0


def test_no_buyback_is_below_its_minimum(chain: LoneContracts) -> None:
    """Asks for one unit more than the price gives, then again behind a fall of the price; nothing has moved."""
    best = 10 * DN_PER_DOLLAR
    refused = chain.refusal(KEEPER, "Burner", "executeBuyback", *buyback(chain, BATCH, 10_000_000, best + 1))
    assert refused == Refusal("BelowMinimum", (best, best + 1))
    chain.send(ADMIN, "MarketStandIn", "setPrice", chain.addresses["USDCStandIn"], DN_PER_DOLLAR // 2)
    refused = chain.refusal(KEEPER, "Burner", "executeBuyback", *buyback(chain, BATCH, 10_000_000, best))
    assert refused == Refusal("BelowMinimum", (best // 2, best))
    assert chain.balance("USDCStandIn", "Burner") == ACCRUED
    assert chain.balance("DNToken", "Burner") == 0
    assert not chain.read("Burner", "isExecuted", BATCH)


def test_the_market_keeps_to_its_price_by_itself(chain: LoneContracts) -> None:
    """Buys at the market without the Burner: the DN that the price gives is sent, and one unit more is refused."""
    dollars, market = chain.addresses["USDCStandIn"], chain.addresses["MarketStandIn"]
    chain.send(ADMIN, "USDCStandIn", "mint", chain.accounts[STRANGER], 10)
    chain.send(STRANGER, "USDCStandIn", "approve", market, 10)
    dn_out = 10 * DN_PER_DOLLAR // 10**6
    refused = chain.refusal(STRANGER, "MarketStandIn", "swap", dollars, 10, dn_out + 1)
    assert refused == Refusal("BelowMinimum", (dn_out, dn_out + 1))
    chain.send(STRANGER, "MarketStandIn", "swap", dollars, 10, dn_out)
    assert chain.balance("DNToken", chain.accounts[STRANGER]) == dn_out
    assert chain.balance("DNToken", "MarketStandIn") == INVENTORY - dn_out


def test_what_was_swapped_is_what_arrived_and_not_what_the_market_says(chain: LoneContracts) -> None:
    """Puts a Burner before a market whose DN is another token: it sends that one, and no minimum is reached."""
    chain.create("MarketStandIn", chain.accounts[ADMIN], chain.addresses["USDCStandIn"])
    chain.create("Burner", chain.accounts[ADMIN], chain.addresses["DNToken"], chain.addresses["MarketStandIn"])
    chain.grant("Burner", "KEEPER_ROLE", chain.accounts[KEEPER])
    chain.send(ADMIN, "MarketStandIn", "setPrice", chain.addresses["USDCStandIn"], 10**6)
    chain.send(ADMIN, "USDCStandIn", "mint", chain.addresses["Burner"], 100)
    refused = chain.refusal(KEEPER, "Burner", "executeBuyback", *buyback(chain, BATCH, 100, 1))
    assert refused == Refusal("BelowMinimum", (0, 1))


def test_a_batch_is_used_once_and_nothing_is_no_amount(chain: LoneContracts) -> None:
    """Executes a batch twice, and swaps and burns nothing."""
    chain.send(KEEPER, "Burner", "executeBuyback", *buyback(chain, BATCH, 1_000_000, 0))
    refused = chain.refusal(KEEPER, "Burner", "executeBuyback", *buyback(chain, BATCH, 1_000_000, 0))
    assert refused == Refusal("BatchExists", (BATCH,))
    for function, arguments in (
        ("executeBuyback", buyback(chain, word("empty"), 0, 0)),
        ("burn", (word("buyback"), BATCH, 0)),
    ):
        assert chain.refusal(KEEPER, "Burner", function, *arguments) == Refusal("ZeroAmount", ())


def test_what_is_not_there_is_neither_swapped_nor_burned(chain: LoneContracts) -> None:
    """Swaps more dollars than accrued, for more DN than the market has, and DN for DN; burns DN that is not there."""
    dn, burner = chain.addresses["DNToken"].lower(), chain.addresses["Burner"].lower()
    refused = chain.refusal(KEEPER, "Burner", "executeBuyback", *buyback(chain, BATCH, ACCRUED + 1, 0))
    assert refused == Refusal("ERC20InsufficientBalance", (burner, ACCRUED, ACCRUED + 1))
    chain.send(ADMIN, "MarketStandIn", "setPrice", chain.addresses["USDCStandIn"], 10 * DN_PER_DOLLAR)
    refused = chain.refusal(KEEPER, "Burner", "executeBuyback", *buyback(chain, BATCH, ACCRUED, 0))
    market = chain.addresses["MarketStandIn"].lower()
    assert refused == Refusal("ERC20InsufficientBalance", (market, INVENTORY, ACCRUED * DN_PER_DOLLAR // 10**5))
    refused = chain.refusal(KEEPER, "Burner", "executeBuyback", BATCH, dn, 1, 0)
    assert refused == Refusal("NoPrice", (dn,))
    refused = chain.refusal(KEEPER, "Burner", "burn", word("buyback"), BATCH, 1)
    assert refused == Refusal("ERC20InsufficientBalance", (burner, 0, 1))


def test_only_the_keeper_swaps_and_burns_and_only_the_admin_sets_prices(chain: LoneContracts) -> None:
    """Calls each function as accounts that have no such role."""
    for sender in (ADMIN, STRANGER):
        for function, arguments in (
            ("executeBuyback", buyback(chain, BATCH, 1, 0)),
            ("burn", (word("buyback"), BATCH, 1)),
        ):
            refused = chain.refusal(sender, "Burner", function, *arguments)
            needed = (chain.accounts[sender].lower(), role("KEEPER_ROLE"))
            assert refused == Refusal("AccessControlUnauthorizedAccount", needed)
    refused = chain.refusal(KEEPER, "MarketStandIn", "setPrice", chain.addresses["USDCStandIn"], 1)
    assert refused == Refusal("AccessControlUnauthorizedAccount", (chain.accounts[KEEPER].lower(), bytes(32)))
