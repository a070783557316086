"""Staking: stake comes, moves and leaves as its staker says, and the contract holds exactly what its pockets say."""

from collections import defaultdict
from collections.abc import Iterator
from random import Random

import pytest

from deepnode_indexer.devnet.anvil import Anvil
from deepnode_ledger.vocabulary import KINDS
from tests.indexer.devnet.lone_contracts import LoneContracts, Refusal, Said, declared_events, word
from tests.indexer.devnet.staking_market import (
    A_DOMAIN,
    A_MODEL,
    ADMIN,
    ALICE,
    BOB,
    DOMAIN,
    MINER,
    MINER_NODE,
    MODEL,
    OPERATOR,
    STAKERS,
    STRANGER,
    TARGETS,
    UNBONDING_SECONDS,
    VALIDATOR,
    VALIDATOR_NODE,
    WALLET,
    staking_market,
)


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    """A bare node, on which each test has contracts of its own."""
    with Anvil.start() as started:
        yield started


@pytest.fixture
def chain(node: Anvil) -> LoneContracts:
    """A small market and Staking, with nothing staked yet."""
    return staking_market(node)


def transfer(chain: LoneContracts, sender: bytes, receiver: bytes, amount: int) -> Said:
    """What the token says when DN moves."""
    return Said("DNToken", "Transfer", {"from": sender, "to": receiver, "value": amount})


def test_the_staking_contracts_events_are_the_vocabularys() -> None:
    """Compares the artifact's ABI with the vocabulary: names, types, order and what is indexed."""
    assert declared_events("Staking") == set(KINDS["Staking"])


@pytest.mark.parametrize(("target_type", "target"), TARGETS, ids=["validator", "miner", "model", "domain"])
def test_staking_takes_the_dn_and_says_upon_what(chain: LoneContracts, target_type: int, target: bytes) -> None:
    """Stakes upon a target of each type, and reads the events, every sum, and both balances."""
    said = chain.send(ALICE, "Staking", "stake", target_type, target, 700)
    alice = chain.account(ALICE)
    told = {"staker": alice, "targetType": target_type, "target": target, "amount": 700, "shares": 700}
    assert said == [Said("Staking", "Staked", told), transfer(chain, alice, chain.address("Staking"), 700)]
    assert chain.read("Staking", "stakeOn", chain.accounts[ALICE], target_type, target) == 700
    assert chain.read("Staking", "stakeUpon", target_type, target) == 700
    assert chain.read("Staking", "stakeOf", chain.accounts[ALICE]) == 700
    assert chain.read("Staking", "totalStaked") == chain.balance("DNToken", "Staking") == 700
    assert chain.balance("DNToken", chain.accounts[ALICE]) == WALLET - 700


def test_a_target_must_exist_with_the_role_that_is_named(chain: LoneContracts) -> None:
    """Tries ids of nothing, a miner as a validator and the reverse, types beyond the four, and nothing at all."""
    nobody = word("nobody")
    refused = {
        (VALIDATOR, nobody, 1): Refusal("UnknownNode", (nobody,)),
        (MINER, nobody, 1): Refusal("UnknownNode", (nobody,)),
        (A_MODEL, nobody, 1): Refusal("UnknownModel", (nobody,)),
        (A_DOMAIN, nobody, 1): Refusal("UnknownDomain", (nobody,)),
        (VALIDATOR, MINER_NODE, 1): Refusal("WrongRole", (MINER_NODE, 1, 2)),
        (MINER, VALIDATOR_NODE, 1): Refusal("WrongRole", (VALIDATOR_NODE, 2, 1)),
        (0, MINER_NODE, 1): Refusal("UnknownTargetType", (0,)),
        (5, DOMAIN, 1): Refusal("UnknownTargetType", (5,)),
        (A_DOMAIN, DOMAIN, 0): Refusal("ZeroAmount", ()),
    }
    chain.send(ALICE, "Staking", "stake", A_DOMAIN, DOMAIN, 10)
    for (target_type, target, amount), expected in refused.items():
        assert chain.refusal(ALICE, "Staking", "stake", target_type, target, amount) == expected
        moved = chain.refusal(ALICE, "Staking", "redelegate", A_DOMAIN, DOMAIN, target_type, target, amount)
        # To stay where it is is refused before anything else.
        assert moved == expected if target != DOMAIN or target_type != A_DOMAIN else moved.error == "SameTarget"
    assert chain.balance("DNToken", "Staking") == 10


def test_nobody_stakes_more_than_they_have_or_allow(chain: LoneContracts) -> None:
    """One unit above the wallet, and one above the allowance, are refused by the token and change nothing."""
    over = chain.refusal(ALICE, "Staking", "stake", MINER, MINER_NODE, WALLET + 1)
    assert over == Refusal("ERC20InsufficientBalance", (chain.accounts[ALICE].lower(), WALLET, WALLET + 1))
    chain.allow(BOB, "DNToken", "Staking", 5)
    assert chain.refusal(BOB, "Staking", "stake", MINER, MINER_NODE, 6).error == "ERC20InsufficientAllowance"
    assert chain.read("Staking", "totalStaked") == chain.balance("DNToken", "Staking") == 0


def test_unstaking_waits_until_the_second_that_was_said(chain: LoneContracts) -> None:
    """Asks, is refused one second early, is paid at the very second, and is not paid twice."""
    chain.send(ALICE, "Staking", "stake", MINER, MINER_NODE, 100)
    said = chain.send(ALICE, "Staking", "requestUnstake", MINER, MINER_NODE, 60)
    unlock_at, alice = chain.now() + UNBONDING_SECONDS, chain.account(ALICE)
    upon = {"staker": alice, "targetType": MINER, "target": MINER_NODE, "amount": 60}
    assert said == [Said("Staking", "UnstakeRequested", {**upon, "shares": 60, "unlockAt": unlock_at})]
    assert chain.balance("DNToken", "Staking") == 100
    assert chain.read("Staking", "stakeOf", chain.accounts[ALICE]) == 40
    chain.next_block_at(unlock_at - 1)
    early = chain.refusal(ALICE, "Staking", "unstake", MINER, MINER_NODE)
    assert early == Refusal("StillLocked", (chain.accounts[ALICE].lower(), MINER_NODE, unlock_at - 1, unlock_at))
    chain.next_block_at(unlock_at)
    assert chain.send(ALICE, "Staking", "unstake", MINER, MINER_NODE) == [
        Said("Staking", "Unstaked", upon),
        transfer(chain, chain.address("Staking"), alice, 60),
    ]
    nothing = Refusal("NothingUnbonding", (chain.accounts[ALICE].lower(), MINER_NODE))
    assert chain.refusal(ALICE, "Staking", "unstake", MINER, MINER_NODE) == nothing
    assert chain.refusal(BOB, "Staking", "unstake", MINER, MINER_NODE).error == "NothingUnbonding"
    assert chain.balance("DNToken", chain.accounts[ALICE]) == WALLET - 40


def test_a_later_request_joins_the_earlier_one_and_both_wait(chain: LoneContracts) -> None:
    """Asks twice, 50 seconds apart: at the first time nothing is paid, at the second one everything is."""
    chain.send(ALICE, "Staking", "stake", MINER, MINER_NODE, 100)
    chain.send(ALICE, "Staking", "requestUnstake", MINER, MINER_NODE, 10)
    first = chain.now() + UNBONDING_SECONDS
    chain.next_block_at(chain.now() + 50)
    chain.send(ALICE, "Staking", "requestUnstake", MINER, MINER_NODE, 5)
    entry = chain.read("Staking", "unbondingOf", chain.accounts[ALICE], MINER, MINER_NODE)
    assert entry == (15, first + 50)
    chain.next_block_at(first)
    assert chain.refusal(ALICE, "Staking", "unstake", MINER, MINER_NODE).error == "StillLocked"
    chain.next_block_at(first + 50)
    chain.send(ALICE, "Staking", "unstake", MINER, MINER_NODE)
    assert chain.balance("DNToken", chain.accounts[ALICE]) == WALLET - 85


def test_nobody_moves_more_than_they_staked_upon_a_target(chain: LoneContracts) -> None:
    """Asks for one unit too much, for another's stake, for that upon another target, and for what is unbonding."""
    chain.send(ALICE, "Staking", "stake", MINER, MINER_NODE, 100)
    chain.send(ALICE, "Staking", "requestUnstake", MINER, MINER_NODE, 30)
    for staker, target_type, target, amount, staked in (
        (ALICE, MINER, MINER_NODE, 71, 70),
        (BOB, MINER, MINER_NODE, 1, 0),
        (ALICE, A_MODEL, MODEL, 1, 0),
    ):
        expected = Refusal("InsufficientStake", (chain.accounts[staker].lower(), target, amount, staked))
        assert chain.refusal(staker, "Staking", "requestUnstake", target_type, target, amount) == expected
        moved = chain.refusal(staker, "Staking", "redelegate", target_type, target, A_DOMAIN, DOMAIN, amount)
        assert moved == expected
    assert chain.refusal(ALICE, "Staking", "requestUnstake", MINER, MINER_NODE, 0) == Refusal("ZeroAmount", ())


def test_redelegation_moves_stake_and_no_dn(chain: LoneContracts) -> None:
    """Moves a part from a miner to a validator at once: the total, the weight and the balance stay what they were."""
    chain.send(ALICE, "Staking", "stake", MINER, MINER_NODE, 100)
    said = chain.send(ALICE, "Staking", "redelegate", MINER, MINER_NODE, VALIDATOR, VALIDATOR_NODE, 30)
    told = {"staker": chain.account(ALICE), "from": MINER_NODE, "to": VALIDATOR_NODE}
    moved = {"fromType": MINER, "toType": VALIDATOR, "amount": 30, "shares": 30}
    assert said == [Said("Staking", "Redelegated", {**told, **moved})]
    assert chain.read("Staking", "stakeUpon", MINER, MINER_NODE) == 70
    assert chain.read("Staking", "stakeUpon", VALIDATOR, VALIDATOR_NODE) == 30
    assert chain.read("Staking", "stakeOf", chain.accounts[ALICE]) == 100
    assert chain.read("Staking", "totalStaked") == chain.balance("DNToken", "Staking") == 100


def test_stake_upon_a_node_that_left_can_still_leave(chain: LoneContracts) -> None:
    """Deregisters the node under a stake, which is then redelegated in part, and withdrawn."""
    chain.send(ALICE, "Staking", "stake", MINER, MINER_NODE, 100)
    chain.send(OPERATOR, "Nodes", "deregister", MINER_NODE)
    chain.send(ALICE, "Staking", "redelegate", MINER, MINER_NODE, VALIDATOR, VALIDATOR_NODE, 40)
    chain.send(ALICE, "Staking", "requestUnstake", MINER, MINER_NODE, 60)
    chain.next_block_at(chain.now() + UNBONDING_SECONDS)
    chain.send(ALICE, "Staking", "unstake", MINER, MINER_NODE)
    assert chain.balance("DNToken", "Staking") == 40


def test_a_validators_operator_announces_its_commission(chain: LoneContracts) -> None:
    """Announces all of it and then none; above one, for a miner, for nobody and by others it is refused."""
    for old, new in ((0, 10**6), (10**6, 0)):
        said = chain.send(OPERATOR, "Staking", "setCommission", VALIDATOR_NODE, new, 5)
        told = {"target": VALIDATOR_NODE, "old": old, "new_": new, "fromEpoch": 5}
        assert said == [Said("Staking", "CommissionSet", told)]
        assert chain.read("Staking", "commissionOf", VALIDATOR_NODE) == new
    above = chain.refusal(OPERATOR, "Staking", "setCommission", VALIDATOR_NODE, 10**6 + 1, 5)
    assert above == Refusal("CommissionAboveOne", (10**6 + 1,))
    miner = chain.refusal(OPERATOR, "Staking", "setCommission", MINER_NODE, 1, 5)
    assert miner == Refusal("WrongRole", (MINER_NODE, 1, 2))
    nobody = chain.refusal(OPERATOR, "Staking", "setCommission", word("nobody"), 1, 5)
    assert nobody == Refusal("UnknownNode", (word("nobody"),))
    for sender in (ADMIN, ALICE, STRANGER):
        foreign = chain.refusal(sender, "Staking", "setCommission", VALIDATOR_NODE, 1, 5)
        operator = chain.accounts[OPERATOR].lower()
        assert foreign == Refusal("NotOperator", (VALIDATOR_NODE, chain.accounts[sender].lower(), operator))


def test_staking_has_booked_before_it_calls_the_token(chain: LoneContracts) -> None:
    """Reads the EVM's steps of staking and unstaking: no storage of its own is written behind the token's call."""
    assert chain.effects_come_first(ALICE, "Staking", "stake", MINER, MINER_NODE, 100)
    chain.send(ALICE, "Staking", "stake", MINER, MINER_NODE, 100)
    chain.send(ALICE, "Staking", "requestUnstake", MINER, MINER_NODE, 100)
    chain.next_block_at(chain.now() + UNBONDING_SECONDS)
    chain.rpc.call("evm_mine")
    assert chain.effects_come_first(ALICE, "Staking", "unstake", MINER, MINER_NODE)


class Pockets:
    """What is staked and what is unbonding per (staker, type, target), from the logs alone."""

    def __init__(self) -> None:
        self.staked: dict[tuple[bytes, int, bytes], int] = defaultdict(int)
        self.unbonding: dict[tuple[bytes, int, bytes], int] = defaultdict(int)

    def read(self, log: Said) -> None:
        """Move what a log of Staking says was moved."""
        values = log.arguments
        staker, amount = values["staker"], values["amount"]
        if log.event == "Redelegated":
            self.staked[staker, values["fromType"], values["from"]] -= amount
            self.staked[staker, values["toType"], values["to"]] += amount
            return
        pocket = (staker, values["targetType"], values["target"])
        if log.event == "Staked":
            self.staked[pocket] += amount
        elif log.event == "UnstakeRequested":
            self.staked[pocket] -= amount
            self.unbonding[pocket] += amount
        else:
            self.unbonding[pocket] -= amount


def random_call(rng: Random) -> tuple[str, tuple[object, ...]]:
    """Something that a staker may try; often it is refused, as they have no such stake or it is still locked."""
    (target_type, target), (to_type, to) = rng.sample(TARGETS, 2)
    amount = rng.randrange(1, 1_000)
    calls: list[tuple[str, tuple[object, ...]]] = [
        ("stake", (target_type, target, amount)),
        ("requestUnstake", (target_type, target, amount)),
        ("redelegate", (target_type, target, to_type, to, amount)),
        ("unstake", (target_type, target)),
    ]
    return rng.choice(calls)


def test_a_long_life_leaves_every_sum_exact_and_told_by_the_logs(chain: LoneContracts) -> None:
    """Lets three stakers do 200 random things. After each the balance is what is staked, what is unbonding and what a
    stranger donated; in the end every pocket and every sum of the contract is what the logs alone give."""
    rng, donated, pockets, done = Random(4), 12_345, Pockets(), set()
    chain.send(ADMIN, "DNToken", "mint", chain.addresses["Staking"], donated)
    for _ in range(200):
        function, arguments = random_call(rng)
        for log in chain.attempt(rng.choice(STAKERS), "Staking", function, *arguments):
            if log.contract == "Staking":
                pockets.read(log)
                done.add(log.event)
        held = chain.read("Staking", "totalStaked") + chain.read("Staking", "totalUnbonding")
        assert chain.balance("DNToken", "Staking") == held + donated
    assert done == {"Staked", "UnstakeRequested", "Redelegated", "Unstaked"}
    assert chain.read("Staking", "totalStaked") == sum(pockets.staked.values())
    assert chain.read("Staking", "totalUnbonding") == sum(pockets.unbonding.values())
    for place in STAKERS:
        account, staker = chain.accounts[place], chain.account(place)
        assert chain.read("Staking", "stakeOf", account) == sum(pockets.staked[staker, *upon] for upon in TARGETS)
        for upon in TARGETS:
            assert chain.read("Staking", "stakeOn", account, *upon) == pockets.staked[staker, *upon]
            assert chain.read("Staking", "unbondingOf", account, *upon)[0] == pockets.unbonding[staker, *upon]
    for upon in TARGETS:
        by_all = sum(pockets.staked[chain.account(place), *upon] for place in STAKERS)
        assert chain.read("Staking", "stakeUpon", *upon) == by_all
