"""Appeals: who may object to a decided collateral case, and what its reversal opens; none of it moves money."""

from collections.abc import Iterator

import pytest

from deepnode_indexer.devnet.anvil import Anvil
from deepnode_indexer.devnet.deployment import role
from deepnode_ledger.vocabulary import KINDS
from tests.indexer.devnet.lone_contracts import LoneContracts, Refusal, Said, declared_events, word

ADMIN, FOUNDATION, VALIDATOR, OPERATOR, VAULT, STRANGER = range(6)
DOMAIN, NODE, CASE, NEXT, HASH = (word(text) for text in ("vision", "miner", "case", "next case", "grounds"))
NOTHING, FLAGGED, OPEN, DECIDED, APPEALED, REVERSED = range(6)
DEPOSIT, FROZEN = 1_000, 100


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    """A bare node, on which each test has contracts of its own."""
    with Anvil.start() as started:
        yield started


@pytest.fixture
def chain(node: Anvil) -> LoneContracts:
    """A miner with collateral, and a decided case against it: 40 burned, 30 compensated, 20 returned, 10 kept."""
    contracts = LoneContracts(node)
    accounts = contracts.accounts
    contracts.create("DNToken", accounts[ADMIN])
    contracts.create("Domains", accounts[ADMIN])
    dn, domains = contracts.addresses["DNToken"], contracts.addresses["Domains"]
    contracts.create("Nodes", accounts[ADMIN], dn, domains, accounts[ADMIN], 0, 0)
    contracts.create("Collateral", accounts[ADMIN], dn, contracts.addresses["Nodes"], accounts[VAULT], 0)
    contracts.grant("DNToken", "MINTER_ROLE", accounts[ADMIN])
    contracts.grant("Domains", "GOVERNOR_ROLE", accounts[ADMIN])
    contracts.grant("Collateral", "FOUNDATION_ROLE", accounts[FOUNDATION])
    contracts.grant("Collateral", "FLAGGER_ROLE", accounts[VALIDATOR])
    contracts.send(ADMIN, "Domains", "create", DOMAIN, accounts[ADMIN], "")
    contracts.send(OPERATOR, "Nodes", "register", DOMAIN, NODE, 1)
    for payer in (OPERATOR, STRANGER):
        contracts.send(ADMIN, "DNToken", "mint", accounts[payer], DEPOSIT)
        contracts.send(payer, "DNToken", "approve", contracts.addresses["Collateral"], DEPOSIT)
    contracts.send(OPERATOR, "Collateral", "deposit", NODE, DEPOSIT)
    contracts.send(VALIDATOR, "Collateral", "flag", CASE, NODE, word("task"), 2, HASH)
    contracts.send(FOUNDATION, "Collateral", "openReview", CASE, FROZEN)
    contracts.send(FOUNDATION, "Collateral", "decideReview", CASE, (2, 40, 30, 20, 10, HASH, "", False))
    return contracts


def appealed(chain: LoneContracts, case: bytes) -> Said:
    """What Collateral says when the operator appeals."""
    return Said("Collateral", "Appealed", {"caseId": case, "by": chain.account(OPERATOR), "hash": HASH})


def test_the_collateral_contracts_events_are_the_vocabularys() -> None:
    """Compares the artifact's ABI with the vocabulary: names, types, order and what is indexed."""
    assert declared_events("Collateral") == set(KINDS["Collateral"])


def test_a_reversed_case_is_followed_by_an_open_one_with_nothing_frozen(chain: LoneContracts) -> None:
    """Appeals, reverses, and decides the new case; reads both cases, and every pocket before and after."""
    pockets = (chain.read("Collateral", "freeOf", NODE), chain.balance("DNToken", "Collateral"))
    assert pockets == (DEPOSIT - FROZEN + 10,) * 2
    assert chain.send(OPERATOR, "Collateral", "appeal", CASE, HASH) == [appealed(chain, CASE)]
    assert chain.read("Collateral", "caseOf", CASE) == (NODE, APPEALED, 0)
    said = chain.send(FOUNDATION, "Collateral", "reverse", CASE, NEXT)
    assert said == [Said("Collateral", "ReviewReversed", {"caseId": CASE, "newCaseId": NEXT})]
    assert chain.read("Collateral", "caseOf", CASE) == (NODE, REVERSED, 0)
    assert chain.read("Collateral", "caseOf", NEXT) == (NODE, OPEN, 0)
    assert (chain.read("Collateral", "freeOf", NODE), chain.balance("DNToken", "Collateral")) == pockets
    decided = chain.send(FOUNDATION, "Collateral", "decideReview", NEXT, (0, 0, 0, 0, 0, HASH, "", False))
    assert [(said.event, said.arguments["caseId"]) for said in decided] == [("ReviewDecided", NEXT)]
    assert (chain.read("Collateral", "freeOf", NODE), chain.balance("DNToken", "Collateral")) == pockets


def test_restitution_is_a_deposit_of_whoever_pays_it(chain: LoneContracts) -> None:
    """Reverses a case, and pays what it took into the node's collateral from a wallet that is not its operator's."""
    chain.send(OPERATOR, "Collateral", "appeal", CASE, HASH)
    chain.send(FOUNDATION, "Collateral", "reverse", CASE, NEXT)
    chain.send(STRANGER, "Collateral", "deposit", NODE, 70)
    assert chain.read("Collateral", "freeOf", NODE) == chain.balance("DNToken", "Collateral") == DEPOSIT - 20


def test_the_new_case_can_be_appealed_like_any_other(chain: LoneContracts) -> None:
    """Walks a case through two rounds of decision, appeal and reversal."""
    chain.send(OPERATOR, "Collateral", "appeal", CASE, HASH)
    chain.send(FOUNDATION, "Collateral", "reverse", CASE, NEXT)
    chain.send(FOUNDATION, "Collateral", "decideReview", NEXT, (1, 0, 0, 0, 0, HASH, "", False))
    assert chain.send(OPERATOR, "Collateral", "appeal", NEXT, HASH) == [appealed(chain, NEXT)]
    chain.send(FOUNDATION, "Collateral", "reverse", NEXT, word("third case"))
    assert chain.read("Collateral", "caseOf", word("third case")) == (NODE, OPEN, 0)


def test_only_the_nodes_operator_appeals_and_only_once(chain: LoneContracts) -> None:
    """Tries it as the foundation, then twice as the operator, and once more after the reversal."""
    refused = chain.refusal(FOUNDATION, "Collateral", "appeal", CASE, HASH)
    assert refused.error == "NotOperator"
    chain.send(OPERATOR, "Collateral", "appeal", CASE, HASH)
    again = chain.refusal(OPERATOR, "Collateral", "appeal", CASE, HASH)
    assert again == Refusal("WrongStage", (CASE, APPEALED, DECIDED))
    chain.send(FOUNDATION, "Collateral", "reverse", CASE, NEXT)
    after = chain.refusal(OPERATOR, "Collateral", "appeal", CASE, HASH)
    assert after == Refusal("WrongStage", (CASE, REVERSED, DECIDED))


def test_only_a_decided_case_can_be_appealed(chain: LoneContracts) -> None:
    """Appeals a case that nobody made, one that is flagged, and one whose review is open."""
    for stage, make in (
        (NOTHING, None),
        (FLAGGED, (VALIDATOR, "flag", NEXT, NODE, word("task"), 1, HASH)),
        (OPEN, (FOUNDATION, "openReview", NEXT, 1)),
    ):
        if make is not None:
            sender, function, *arguments = make
            chain.send(int(str(sender)), "Collateral", str(function), *arguments)
        refused = chain.refusal(OPERATOR, "Collateral", "appeal", NEXT, HASH)
        assert refused == Refusal("WrongStage", (NEXT, stage, DECIDED))


def test_only_the_foundation_reverses_and_only_what_was_appealed(chain: LoneContracts) -> None:
    """Tries it without an appeal, as the operator, and with ids of cases that exist, the appealed one included."""
    refused = chain.refusal(FOUNDATION, "Collateral", "reverse", CASE, NEXT)
    assert refused == Refusal("WrongStage", (CASE, DECIDED, APPEALED))
    chain.send(OPERATOR, "Collateral", "appeal", CASE, HASH)
    refused = chain.refusal(OPERATOR, "Collateral", "reverse", CASE, NEXT)
    assert refused == Refusal(
        "AccessControlUnauthorizedAccount", (chain.accounts[OPERATOR].lower(), role("FOUNDATION_ROLE"))
    )
    refused = chain.refusal(FOUNDATION, "Collateral", "reverse", CASE, CASE)
    assert refused == Refusal("WrongStage", (CASE, REVERSED, NOTHING))
    chain.send(VALIDATOR, "Collateral", "flag", NEXT, NODE, word("task"), 1, HASH)
    refused = chain.refusal(FOUNDATION, "Collateral", "reverse", CASE, NEXT)
    assert refused == Refusal("WrongStage", (NEXT, FLAGGED, NOTHING))
