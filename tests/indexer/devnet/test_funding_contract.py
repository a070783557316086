"""Funding: a round's money goes to its creator or back to its backers, and the contract holds exactly what is idle."""

from collections import defaultdict
from collections.abc import Iterator
from random import Random

import pytest

from deepnode_indexer.devnet.anvil import Anvil
from deepnode_indexer.devnet.deployment import role
from deepnode_ledger.vocabulary import KINDS
from tests.indexer.devnet.lone_contracts import LoneContracts, Refusal, Said, declared_events, word

ADMIN, FOUNDATION, TREASURER, CREATOR, ALICE, BOB, STRANGER = range(7)
DOMAIN, MODEL, ROUND, TERMS = word("vision"), word("model"), word("round"), word("terms")
TARGET, WALLET, LIFETIME = 1_000, 100_000, 1_000
# A share of the vault is a millionth of a base unit at first.
SHARES_PER_UNIT = 10**6


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    """A bare node, on which each test has contracts of its own."""
    with Anvil.start() as started:
        yield started


@pytest.fixture
def chain(node: Anvil) -> LoneContracts:
    """An open round, which nobody has backed yet, and two backers with dollars."""
    contracts = LoneContracts(node)
    admin = contracts.accounts[ADMIN]
    contracts.create("USDCStandIn", admin)
    contracts.create("Domains", admin)
    contracts.create("Models", contracts.addresses["Domains"])
    dollars = contracts.addresses["USDCStandIn"]
    contracts.create("YieldVaultStandIn", dollars)
    vault = contracts.addresses["YieldVaultStandIn"]
    contracts.create("Funding", admin, dollars, contracts.addresses["Models"], vault)
    contracts.grant("USDCStandIn", "MINTER_ROLE", admin)
    contracts.grant("Domains", "GOVERNOR_ROLE", admin)
    contracts.grant("Funding", "FOUNDATION_ROLE", contracts.accounts[FOUNDATION])
    contracts.grant("Funding", "TREASURER_ROLE", contracts.accounts[TREASURER])
    contracts.send(ADMIN, "Domains", "create", DOMAIN, admin, "")
    contracts.send(CREATOR, "Models", "register", MODEL, DOMAIN, 100_000, 200_000, 300_000, word("meta"))
    for backer in (ALICE, BOB):
        contracts.send(ADMIN, "USDCStandIn", "mint", contracts.accounts[backer], WALLET)
        contracts.send(backer, "USDCStandIn", "approve", contracts.addresses["Funding"], WALLET)
    open_round(contracts, ROUND)
    return contracts


def open_round(chain: LoneContracts, name: bytes, target: int = TARGET) -> int:
    """Open a round for the model and return its deadline."""
    deadline = chain.now() + LIFETIME
    said = chain.send(CREATOR, "Funding", "openRound", name, MODEL, target, deadline, TERMS)
    told = {"round": name, "model": MODEL, "creator": chain.account(CREATOR), "target": target, "deadline": deadline}
    assert said == [Said("Funding", "RoundOpened", told | {"termsHash": TERMS})]
    return deadline


def fill_round(chain: LoneContracts) -> None:
    """Back the round to its target: 700 by Alice, 300 by Bob."""
    chain.send(ALICE, "Funding", "back", ROUND, 700)
    chain.send(BOB, "Funding", "back", ROUND, 300)


def moved(sender: bytes, receiver: bytes, amount: int) -> Said:
    """What USDC says when it moves."""
    return Said("USDCStandIn", "Transfer", {"from": sender, "to": receiver, "value": amount})


def lent(chain: LoneContracts, event: str, assets: int, shares: int) -> Said:
    """What Funding says when idle money goes into the vault or comes back."""
    told = {"round": ROUND, "vault": chain.address("YieldVaultStandIn"), "assets": assets, "shares": shares}
    return Said("Funding", event, told)


def idle(chain: LoneContracts) -> int:
    """What the round has in the contract, which holds no other money."""
    amount = chain.read("Funding", "idleOf", ROUND)
    assert amount == chain.balance("USDCStandIn", "Funding")
    return int(amount)


def test_the_funding_contracts_events_are_the_vocabularys() -> None:
    """Compares the artifact's ABI with the vocabulary: names, types, order and what is indexed."""
    assert declared_events("Funding") == set(KINDS["Funding"])


def test_backers_fill_a_round_and_hold_a_share_for_each_unit(chain: LoneContracts) -> None:
    """Backs a round three times up to its target, and reads the events, the shares and the accounts."""
    for backer, amount in ((ALICE, 500), (BOB, 300), (ALICE, 200)):
        told = {"round": ROUND, "backer": chain.account(backer), "amount": amount, "shares": amount}
        assert chain.send(backer, "Funding", "back", ROUND, amount) == [
            Said("Funding", "Backed", told),
            moved(chain.account(backer), chain.address("Funding"), amount),
        ]
    assert chain.read("Funding", "sharesOf", ROUND, chain.accounts[ALICE]) == 700
    assert chain.read("Funding", "sharesOf", ROUND, chain.accounts[BOB]) == 300
    assert idle(chain) == TARGET
    creator = chain.accounts[CREATOR].lower()
    deadline = chain.read("Funding", "roundOf", ROUND)[2]
    accounts = (MODEL, creator, deadline, TARGET, TARGET, 0, 0, 0, 0, 0)
    assert chain.read("Funding", "roundOf", ROUND) == accounts


def test_a_round_takes_no_more_than_its_target(chain: LoneContracts) -> None:
    """Backs a round with one unit too many, with nothing, and when it is full."""
    chain.send(ALICE, "Funding", "back", ROUND, 700)
    assert chain.refusal(BOB, "Funding", "back", ROUND, 301) == Refusal("AboveTarget", (ROUND, 301, 300))
    assert chain.refusal(BOB, "Funding", "back", ROUND, 0) == Refusal("ZeroAmount", ())
    chain.send(BOB, "Funding", "back", ROUND, 300)
    assert chain.refusal(BOB, "Funding", "back", ROUND, 1) == Refusal("AboveTarget", (ROUND, 1, 0))


def test_a_round_can_be_backed_up_to_the_second_of_its_deadline(chain: LoneContracts) -> None:
    """Backs a round in a block at its deadline, and tries it in one a second later."""
    deadline = chain.read("Funding", "roundOf", ROUND)[2]
    chain.next_block_at(deadline)
    chain.send(ALICE, "Funding", "back", ROUND, 1)
    chain.next_block_at(deadline + 1)
    refused = chain.refusal(ALICE, "Funding", "back", ROUND, 1)
    assert refused == Refusal("DeadlinePassed", (deadline + 1, deadline))


def test_only_a_models_creator_opens_a_round_and_each_once(chain: LoneContracts) -> None:
    """Opens a round as a stranger, for no model, with a known id, without a target, and with a deadline of now."""
    later, name = chain.now() + LIFETIME, word("another")
    refused = chain.refusal(STRANGER, "Funding", "openRound", name, MODEL, 1, later, TERMS)
    who = (MODEL, chain.accounts[STRANGER].lower(), chain.accounts[CREATOR].lower())
    assert refused == Refusal("NotCreator", who)
    refused = chain.refusal(CREATOR, "Funding", "openRound", name, word("nothing"), 1, later, TERMS)
    assert refused == Refusal("UnknownModel", (word("nothing"),))
    refused = chain.refusal(CREATOR, "Funding", "openRound", ROUND, MODEL, 1, later, TERMS)
    assert refused == Refusal("RoundExists", (ROUND,))
    refused = chain.refusal(CREATOR, "Funding", "openRound", name, MODEL, 0, later, TERMS)
    assert refused == Refusal("ZeroAmount", ())
    time = chain.now() + 10
    chain.next_block_at(time)
    refused = chain.refusal(CREATOR, "Funding", "openRound", name, MODEL, 1, time, TERMS)
    assert refused == Refusal("DeadlinePassed", (time, time))


def test_a_full_round_is_released_to_its_creator_in_parts(chain: LoneContracts) -> None:
    """Releases a round in two parts, tries one unit more than is left, nothing, and a round that is not full yet."""
    chain.send(ALICE, "Funding", "back", ROUND, 700)
    refused = chain.refusal(FOUNDATION, "Funding", "releaseFunds", ROUND, 1)
    assert refused == Refusal("TargetNotReached", (ROUND, 700, TARGET))
    chain.send(BOB, "Funding", "back", ROUND, 300)
    refused = chain.refusal(FOUNDATION, "Funding", "releaseFunds", ROUND, TARGET + 1)
    assert refused == Refusal("InsufficientIdle", (ROUND, TARGET + 1, TARGET))
    assert chain.refusal(FOUNDATION, "Funding", "releaseFunds", ROUND, 0) == Refusal("ZeroAmount", ())
    for amount in (400, 600):
        told = {"round": ROUND, "creator": chain.account(CREATOR), "amount": amount}
        assert chain.send(FOUNDATION, "Funding", "releaseFunds", ROUND, amount) == [
            Said("Funding", "FundsReleased", told),
            moved(chain.address("Funding"), chain.account(CREATOR), amount),
        ]
    assert chain.balance("USDCStandIn", chain.accounts[CREATOR]) == TARGET
    assert idle(chain) == 0


def test_a_round_that_missed_its_target_pays_every_backer_back(chain: LoneContracts) -> None:
    """Lets a round end one unit short; a stranger starts the refunds, each backer is paid once and in full."""
    deadline = chain.read("Funding", "roundOf", ROUND)[2]
    chain.send(ALICE, "Funding", "back", ROUND, 500)
    chain.send(BOB, "Funding", "back", ROUND, 299)
    chain.send(ALICE, "Funding", "back", ROUND, 200)
    chain.next_block_at(deadline)
    early = chain.refusal(ALICE, "Funding", "refund", ROUND, chain.accounts[ALICE])
    assert early == Refusal("DeadlineNotPassed", (deadline, deadline))
    for backer, amount in ((ALICE, 700), (BOB, 299)):
        told = {"round": ROUND, "backer": chain.account(backer), "amount": amount}
        assert chain.send(STRANGER, "Funding", "refund", ROUND, chain.accounts[backer]) == [
            Said("Funding", "Refunded", told),
            moved(chain.address("Funding"), chain.account(backer), amount),
        ]
        assert chain.balance("USDCStandIn", chain.accounts[backer]) == WALLET
    again = chain.refusal(ALICE, "Funding", "refund", ROUND, chain.accounts[ALICE])
    assert again == Refusal("ZeroAmount", ())
    assert idle(chain) == 0


def test_a_round_that_reached_its_target_refunds_nobody(chain: LoneContracts) -> None:
    """Asks for a refund of a full round behind its deadline."""
    fill_round(chain)
    chain.next_block_at(chain.read("Funding", "roundOf", ROUND)[2] + 1)
    refused = chain.refusal(ALICE, "Funding", "refund", ROUND, chain.accounts[ALICE])
    assert refused == Refusal("TargetReached", (ROUND,))


def test_idle_money_earns_in_the_vault_and_its_gain_is_the_rounds(chain: LoneContracts) -> None:
    """Lends 600, gives the vault 60, takes a half and then the rest back, and releases raised money and gain."""
    fill_round(chain)
    funding, vault = chain.address("Funding"), chain.address("YieldVaultStandIn")
    shares = 600 * SHARES_PER_UNIT
    said = chain.send(TREASURER, "Funding", "depositIdle", ROUND, 600)
    # The vault's shares are a token of its own, which the books do not follow.
    assert said == [moved(funding, vault, 600), lent(chain, "YieldDeposited", 600, shares)]
    assert (idle(chain), chain.read("Funding", "gainOf", ROUND)) == (400, 0)
    chain.send(ALICE, "USDCStandIn", "transfer", chain.addresses["YieldVaultStandIn"], 60)
    # Each redemption is rounded down, in favour of the vault.
    assert chain.read("Funding", "gainOf", ROUND) == 59
    said = chain.send(TREASURER, "Funding", "withdrawIdle", ROUND, shares // 2)
    assert said == [moved(vault, funding, 329), lent(chain, "YieldWithdrawn", 329, shares // 2)]
    said = chain.send(TREASURER, "Funding", "withdrawIdle", ROUND, shares // 2)
    assert said == [moved(vault, funding, 330), lent(chain, "YieldWithdrawn", 330, shares // 2)]
    assert (idle(chain), chain.read("Funding", "gainOf", ROUND)) == (1_059, 59)
    assert chain.read("Funding", "roundOf", ROUND)[7:] == (600, 659, 0)
    chain.send(FOUNDATION, "Funding", "releaseFunds", ROUND, 1_059)
    assert idle(chain) == 0


def test_a_gift_to_the_empty_vault_does_not_eat_the_first_deposit(chain: LoneContracts) -> None:
    """Gives the empty vault a hundred times what is lent then; there are shares for it, and a unit is lost."""
    fill_round(chain)
    chain.send(ALICE, "USDCStandIn", "transfer", chain.addresses["YieldVaultStandIn"], 60_000)
    chain.send(TREASURER, "Funding", "depositIdle", ROUND, 600)
    shares = chain.read("Funding", "roundOf", ROUND)[9]
    assert shares > 0
    chain.send(TREASURER, "Funding", "withdrawIdle", ROUND, shares)
    assert idle(chain) == TARGET - 1


def test_nothing_is_lent_for_no_shares(chain: LoneContracts) -> None:
    """Gives the vault so much that a unit is worth less than one share; lending it is refused, not swallowed."""
    fill_round(chain)
    chain.send(ADMIN, "USDCStandIn", "mint", chain.addresses["YieldVaultStandIn"], 2 * SHARES_PER_UNIT)
    assert chain.refusal(TREASURER, "Funding", "depositIdle", ROUND, 1) == Refusal("ZeroAmount", ())
    assert idle(chain) == TARGET


def test_the_vault_is_for_full_rounds_and_for_no_more_than_they_have(chain: LoneContracts) -> None:
    """Lends from a round that is not full, more than is idle, and nothing; takes back too many shares, and none."""
    chain.send(ALICE, "Funding", "back", ROUND, 700)
    refused = chain.refusal(TREASURER, "Funding", "depositIdle", ROUND, 1)
    assert refused == Refusal("TargetNotReached", (ROUND, 700, TARGET))
    chain.send(BOB, "Funding", "back", ROUND, 300)
    refused = chain.refusal(TREASURER, "Funding", "depositIdle", ROUND, TARGET + 1)
    assert refused == Refusal("InsufficientIdle", (ROUND, TARGET + 1, TARGET))
    chain.send(TREASURER, "Funding", "depositIdle", ROUND, TARGET)
    shares = TARGET * SHARES_PER_UNIT
    refused = chain.refusal(TREASURER, "Funding", "withdrawIdle", ROUND, shares + 1)
    assert refused == Refusal("InsufficientShares", (ROUND, shares + 1, shares))
    refused = chain.refusal(FOUNDATION, "Funding", "releaseFunds", ROUND, 1)
    assert refused == Refusal("InsufficientIdle", (ROUND, 1, 0))
    for function in ("depositIdle", "withdrawIdle"):
        assert chain.refusal(TREASURER, "Funding", function, ROUND, 0) == Refusal("ZeroAmount", ())


def test_shares_of_a_full_round_change_hands(chain: LoneContracts) -> None:
    """Hands shares to a stranger and on to oneself; before the round is full they stay with who paid."""
    chain.send(ALICE, "Funding", "back", ROUND, 700)
    refused = chain.refusal(ALICE, "Funding", "transferShares", ROUND, chain.accounts[STRANGER], 1)
    assert refused == Refusal("TargetNotReached", (ROUND, 700, TARGET))
    chain.send(BOB, "Funding", "back", ROUND, 300)
    for sender, receiver, shares in ((ALICE, STRANGER, 700), (STRANGER, STRANGER, 500), (STRANGER, BOB, 200)):
        told = {"round": ROUND, "from": chain.account(sender), "to": chain.account(receiver), "shares": shares}
        said = chain.send(sender, "Funding", "transferShares", ROUND, chain.accounts[receiver], shares)
        assert said == [Said("Funding", "BackerShareTransferred", told)]
    held = [chain.read("Funding", "sharesOf", ROUND, chain.accounts[who]) for who in (ALICE, STRANGER, BOB)]
    assert held == [0, 500, 500]
    refused = chain.refusal(ALICE, "Funding", "transferShares", ROUND, chain.accounts[BOB], 1)
    assert refused == Refusal("InsufficientShares", (ROUND, 1, 0))
    refused = chain.refusal(BOB, "Funding", "transferShares", ROUND, chain.accounts[ALICE], 0)
    assert refused == Refusal("ZeroAmount", ())
    refused = chain.refusal(BOB, "Funding", "transferShares", ROUND, "0x" + "00" * 20, 1)
    assert refused == Refusal("ZeroAddress", ())


def test_nothing_is_done_with_a_round_that_nobody_opened(chain: LoneContracts) -> None:
    """Calls every function, views too, with an id that is not known."""
    nothing, alice = word("nothing"), chain.accounts[ALICE]
    for sender, function, arguments in (
        (ALICE, "back", (1,)),
        (FOUNDATION, "releaseFunds", (1,)),
        (STRANGER, "refund", (alice,)),
        (TREASURER, "depositIdle", (1,)),
        (TREASURER, "withdrawIdle", (1,)),
        (ALICE, "transferShares", (alice, 1)),
        (STRANGER, "roundOf", ()),
        (STRANGER, "idleOf", ()),
        (STRANGER, "gainOf", ()),
    ):
        assert chain.refusal(sender, "Funding", function, nothing, *arguments) == Refusal("UnknownRound", (nothing,))


def test_funds_are_the_foundations_to_release_and_the_treasurers_to_lend(chain: LoneContracts) -> None:
    """Calls each function as accounts that have the other role, or none, the creator included."""
    fill_round(chain)
    for sender, needed, function in (
        (CREATOR, "FOUNDATION_ROLE", "releaseFunds"),
        (TREASURER, "FOUNDATION_ROLE", "releaseFunds"),
        (ADMIN, "TREASURER_ROLE", "depositIdle"),
        (FOUNDATION, "TREASURER_ROLE", "depositIdle"),
        (FOUNDATION, "TREASURER_ROLE", "withdrawIdle"),
    ):
        refused = chain.refusal(sender, "Funding", function, ROUND, 1)
        assert refused == Refusal("AccessControlUnauthorizedAccount", (chain.accounts[sender].lower(), role(needed)))


def test_payments_are_booked_before_they_are_made(chain: LoneContracts) -> None:
    """Reads the traces of what pays in or out: all storage is written before the token is called."""
    assert chain.effects_come_first(ALICE, "Funding", "back", ROUND, 1)
    fill_round(chain)
    assert chain.effects_come_first(FOUNDATION, "Funding", "releaseFunds", ROUND, 1)
    open_round(chain, word("short"))
    chain.send(ALICE, "Funding", "back", word("short"), 5)
    chain.next_block_at(chain.now() + LIFETIME + 1)
    chain.rpc.call("evm_mine")
    assert chain.effects_come_first(ALICE, "Funding", "refund", word("short"), chain.accounts[ALICE])


def random_move(chain: LoneContracts, chance: Random, name: bytes) -> tuple[object, ...]:
    """A call about the round, which its state may or may not allow: who, what, and the arguments."""
    accounts, amount = chain.read("Funding", "roundOf", name), chance.randint(1, 300)
    left, shares = accounts[3] - accounts[4], accounts[9]
    backer, other = chance.sample((ALICE, BOB, STRANGER), 2)
    moves: list[tuple[object, ...]] = [
        (chance.choice((ALICE, BOB)), "back", name, chance.randint(0, left)),
        (FOUNDATION, "releaseFunds", name, amount),
        (STRANGER, "refund", name, chain.accounts[backer]),
        (TREASURER, "depositIdle", name, amount),
        (TREASURER, "withdrawIdle", name, chance.randint(shares // 2, shares)),
        (backer, "transferShares", name, chain.accounts[other], amount // 10),
    ]
    return chance.choice(moves)


def test_whatever_is_done_the_contract_holds_what_its_rounds_say(chain: LoneContracts) -> None:
    """Plays 240 random moves over six rounds, refused or not, and compares the balance with the sum of the rounds'
    accounts each time, and in the end each round's own with the events that were said of it."""
    chance, rounds, said = Random(1), [ROUND, *(word(f"round {number}") for number in range(5))], list[Said]()
    for name in rounds[1:]:
        open_round(chain, name, target=chance.randint(1, 900))
    for step in range(240):
        sender, function, *arguments = random_move(chain, chance, chance.choice(rounds))
        assert isinstance(sender, int)
        said += chain.attempt(sender, "Funding", str(function), *arguments)
        if step % 24 == 0:
            chain.next_block_at(chain.now() + LIFETIME // 10)
            chain.send(ALICE, "USDCStandIn", "transfer", chain.addresses["YieldVaultStandIn"], 7)
        assert chain.balance("USDCStandIn", "Funding") == sum(chain.read("Funding", "idleOf", each) for each in rounds)
    told: dict[tuple[bytes, str], int] = defaultdict(int)
    for log in said:
        if log.contract == "Funding":
            values = log.arguments
            told[values["round"], log.event] += values.get("amount", 0) + values.get("assets", 0)
    flows = ("Backed", "FundsReleased", "Refunded", "YieldDeposited", "YieldWithdrawn")
    assert {event for _, event in told} == {*flows, "BackerShareTransferred"}
    for name in rounds:
        assert chain.read("Funding", "roundOf", name)[4:9] == tuple(told[name, event] for event in flows)
