"""Governance: stake decides, the parameter that was voted for is the one that is set, and no deposit is lost."""

from collections.abc import Iterator
from random import Random

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from deepnode_indexer.devnet.anvil import Anvil
from deepnode_ledger.vocabulary import KINDS
from tests.indexer.devnet.lone_contracts import LoneContracts, Refusal, Said, declared_events, word
from tests.indexer.devnet.staking_market import (
    ADMIN,
    ALICE,
    BOB,
    CAROL,
    DOMAIN,
    MINER,
    MINER_NODE,
    STAKERS,
    STRANGER,
    TREASURY,
    UNBONDING_SECONDS,
    VALIDATOR,
    VALIDATOR_NODE,
    WALLET,
    staking_market,
)

DEPOSIT, QUORUM = 500, 1_000
# As long as unbonding, which is the longest that the contract allows.
VOTING_SECONDS = UNBONDING_SECONDS
SCOPE, KEY, VALUE, EPOCH, SALT = DOMAIN, word("floor.miners"), 50_000, 7, word("salt")
AGAINST, FOR, ABSTAIN = 0, 1, 2
VOTING, TALLIED = 1, 2


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    """A bare node, on which each test has contracts of its own."""
    with Anvil.start() as started:
        yield started


@pytest.fixture
def chain(node: Anvil) -> LoneContracts:
    """A small market and Governance over Parameters. Nothing is staked; Alice may propose."""
    contracts = staking_market(node)
    contracts.create("Parameters", contracts.accounts[ADMIN])
    contracts.create("Governance", *terms(contracts))
    contracts.grant("Parameters", "GOVERNOR_ROLE", contracts.addresses["Governance"])
    contracts.allow(ALICE, "DNToken", "Governance", 2**256 - 1)
    return contracts


def terms(chain: LoneContracts, **other: object) -> tuple[object, ...]:
    """The arguments of Governance's constructor, some of them replaced."""
    usual: dict[str, object] = {name: chain.addresses[name] for name in ("DNToken", "Staking", "Parameters")}
    usual |= {"treasury": chain.accounts[TREASURY], "deposit": DEPOSIT, "voting": VOTING_SECONDS, "quorum": QUORUM}
    return tuple((usual | other).values())


def stake(chain: LoneContracts, staker: int, amount: int) -> None:
    """Stake upon the miner."""
    chain.send(staker, "Staking", "stake", MINER, MINER_NODE, amount)


def propose(chain: LoneContracts, salt: bytes = SALT) -> bytes:
    """Let Alice propose the parameter's value, and return the proposal's id."""
    created, _ = chain.send(ALICE, "Governance", "propose", SCOPE, KEY, VALUE, EPOCH, salt)
    return bytes(created.arguments["proposal"])


def voting_ends(chain: LoneContracts, proposal: bytes) -> int:
    """The first second in which nobody votes any more."""
    return int(chain.read("Governance", "proposalOf", proposal)[2])


def tally(chain: LoneContracts, proposal: bytes) -> list[Said]:
    """Let a stranger tally at the very second when voting ends."""
    chain.next_block_at(voting_ends(chain, proposal))
    return chain.send(STRANGER, "Governance", "tally", proposal)


def test_the_governance_contracts_events_are_the_vocabularys() -> None:
    """Compares the artifact's ABI with the vocabulary: names, types, order and what is indexed."""
    assert declared_events("Governance") == set(KINDS["Governance"])


def test_a_proposal_takes_its_deposit_and_is_named_by_its_content(chain: LoneContracts) -> None:
    """Proposes, reads the events and the stored proposal, and computes the id from what was proposed."""
    said = chain.send(ALICE, "Governance", "propose", SCOPE, KEY, VALUE, EPOCH, SALT)
    types = ["address", "bytes32", "bytes32", "uint256", "uint64", "bytes32"]
    proposal = keccak(encode(types, [chain.accounts[ALICE], SCOPE, KEY, VALUE, EPOCH, SALT]))
    alice, ends = chain.account(ALICE), chain.now() + VOTING_SECONDS
    told = {"proposal": proposal, "proposer": alice, "scope": SCOPE, "key": KEY, "value": VALUE}
    moved = {"from": alice, "to": chain.address("Governance"), "value": DEPOSIT}
    assert said == [
        Said("Governance", "ProposalCreated", {**told, "deposit": DEPOSIT, "votingEnds": ends}),
        Said("DNToken", "Transfer", moved),
    ]
    stored = chain.read("Governance", "proposalOf", proposal)
    assert stored == (chain.accounts[ALICE].lower(), VOTING, ends, EPOCH, SCOPE, KEY, VALUE, 0, 0, 0)
    assert chain.read("Governance", "depositsHeld") == chain.balance("DNToken", "Governance") == DEPOSIT


def test_a_proposal_is_made_once_with_an_epoch_and_a_deposit(chain: LoneContracts) -> None:
    """Refuses the same proposal again, also after its tally; one without an epoch; one without an allowance."""
    proposal = propose(chain)
    same = (SCOPE, KEY, VALUE, EPOCH, SALT)
    assert chain.refusal(ALICE, "Governance", "propose", *same) == Refusal("ProposalExists", (proposal,))
    tally(chain, proposal)
    assert chain.refusal(ALICE, "Governance", "propose", *same) == Refusal("ProposalExists", (proposal,))
    assert propose(chain, word("again")) != proposal
    no_epoch = chain.refusal(ALICE, "Governance", "propose", SCOPE, KEY, VALUE, 0, SALT)
    assert no_epoch == Refusal("ZeroEpoch", ())
    assert chain.refusal(BOB, "Governance", "propose", *same).error == "ERC20InsufficientAllowance"
    assert chain.read("Governance", "depositsHeld") == chain.balance("DNToken", "Governance") == DEPOSIT


def test_a_vote_weighs_all_that_the_voter_has_staked_at_its_moment(chain: LoneContracts) -> None:
    """Stakes upon two targets, takes some out, votes, and stakes more: the vote keeps its weight."""
    stake(chain, BOB, 600)
    chain.send(BOB, "Staking", "stake", VALIDATOR, VALIDATOR_NODE, 500)
    chain.send(BOB, "Staking", "requestUnstake", MINER, MINER_NODE, 50)
    proposal = propose(chain)
    said = chain.send(BOB, "Governance", "vote", proposal, FOR)
    told = {"proposal": proposal, "voter": chain.account(BOB), "choice": FOR, "weight": 1_050}
    assert said == [Said("Governance", "VoteCast", told)]
    stake(chain, BOB, 10_000)
    again = chain.refusal(BOB, "Governance", "vote", proposal, FOR)
    assert again == Refusal("VotedAlready", (proposal, chain.accounts[BOB].lower()))
    assert chain.read("Governance", "proposalOf", proposal)[7:] == (1_050, 0, 0)
    assert chain.read("Governance", "hasVoted", proposal, chain.accounts[BOB]) is True


def test_votes_that_are_none_are_refused(chain: LoneContracts) -> None:
    """Tries a choice that there is not, a voter without stake, and a proposal that there is not."""
    proposal = propose(chain)
    stake(chain, BOB, 1)
    assert chain.refusal(BOB, "Governance", "vote", proposal, 3) == Refusal("UnknownChoice", (3,))
    nothing = chain.refusal(CAROL, "Governance", "vote", proposal, FOR)
    assert nothing == Refusal("NoStake", (chain.accounts[CAROL].lower(),))
    nowhere = chain.refusal(BOB, "Governance", "vote", word("nowhere"), FOR)
    assert nowhere == Refusal("NotVoting", (word("nowhere"), 0))
    # A refused vote is not counted as the voter's one.
    chain.send(BOB, "Governance", "vote", proposal, AGAINST)


def test_voting_ends_and_tallying_begins_at_one_second(chain: LoneContracts) -> None:
    """One second before the end a vote counts and a tally is refused; at the end it is the other way round."""
    proposal = propose(chain)
    ends = voting_ends(chain, proposal)
    for staker in (BOB, CAROL):
        stake(chain, staker, QUORUM)
    chain.next_block_at(ends - 2)
    open_still = chain.refusal(STRANGER, "Governance", "tally", proposal)
    assert open_still == Refusal("VotingOpen", (proposal, ends - 2, ends))
    chain.next_block_at(ends - 1)
    chain.send(BOB, "Governance", "vote", proposal, FOR)
    chain.next_block_at(ends)
    late = chain.refusal(CAROL, "Governance", "vote", proposal, AGAINST)
    assert late == Refusal("VotingOver", (proposal, ends, ends))
    chain.send(STRANGER, "Governance", "tally", proposal)
    for function, arguments in (("tally", (proposal,)), ("vote", (proposal, AGAINST))):
        assert chain.refusal(CAROL, "Governance", function, *arguments) == Refusal("NotVoting", (proposal, TALLIED))
    unknown = chain.refusal(CAROL, "Governance", "tally", word("nowhere"))
    assert unknown == Refusal("NotVoting", (word("nowhere"), 0))


@pytest.mark.parametrize(
    ("votes", "passed", "returned"),
    [
        pytest.param((QUORUM, 0, 0), True, True, id="the quorum is enough"),
        pytest.param((QUORUM - 1, 0, 5_000), False, False, id="abstaining is not the quorum"),
        pytest.param((501, 499, 0), True, True, id="votes against count towards the quorum"),
        pytest.param((500, 500, 0), False, True, id="a tie does not pass"),
        pytest.param((0, QUORUM, 0), False, True, id="voted down"),
        pytest.param((0, QUORUM - 1, 0), False, False, id="one unit below the quorum"),
        pytest.param((0, 0, 0), False, False, id="nobody votes"),
    ],
)
def test_the_tally_decides_about_the_parameter_and_the_deposit(
    chain: LoneContracts, votes: tuple[int, int, int], passed: bool, returned: bool
) -> None:
    """Lets a voter for each choice vote, and reads the events, the parameter and where the deposit went."""
    proposal = propose(chain)
    for staker, weight, choice in zip(STAKERS, votes, (FOR, AGAINST, ABSTAIN), strict=True):
        if weight:
            stake(chain, staker, weight)
            chain.send(staker, "Governance", "vote", proposal, choice)
    wallet = chain.balance("DNToken", chain.accounts[ALICE])
    said = tally(chain, proposal)
    told = dict(zip(("votesFor", "votesAgainst", "votesAbstain"), votes, strict=True))
    to = ALICE if returned else TREASURY
    paid = {"proposal": proposal, "to": chain.account(to), "amount": DEPOSIT}
    set_ = {"scope": SCOPE, "key": KEY, "old": 0, "new_": VALUE, "effectiveAt": EPOCH, "proposal": proposal}
    moved = {"from": chain.address("Governance"), "to": chain.account(to), "value": DEPOSIT}
    assert said == [
        Said("Governance", "ProposalTallied", {"proposal": proposal, **told, "passed": passed}),
        Said("Governance", "DepositReturned" if returned else "DepositForfeited", paid),
        *([Said("Parameters", "ParamSet", set_)] if passed else []),
        Said("DNToken", "Transfer", moved),
    ]
    assert chain.read("Parameters", "valueOf", SCOPE, KEY) == (VALUE if passed else 0)
    assert chain.balance("DNToken", chain.accounts[ALICE]) == wallet + (DEPOSIT if returned else 0)
    assert chain.balance("DNToken", chain.accounts[TREASURY]) == (0 if returned else DEPOSIT)
    assert chain.read("Governance", "depositsHeld") == chain.balance("DNToken", "Governance") == 0


def test_dn_that_has_voted_cannot_vote_again_from_another_wallet(chain: LoneContracts) -> None:
    """Votes in the proposal's first block, unstakes as fast as can be, and hands the DN on: it arrives too late.
    A Governance whose voting lasted a second longer than unbonding is refused, as there it would arrive in time."""
    stake(chain, ALICE, QUORUM)
    proposal = propose(chain)
    chain.send(ALICE, "Governance", "vote", proposal, FOR)
    chain.send(ALICE, "Staking", "requestUnstake", MINER, MINER_NODE, QUORUM)
    _, unlock_at = chain.read("Staking", "unbondingOf", chain.accounts[ALICE], MINER, MINER_NODE)
    assert unlock_at >= voting_ends(chain, proposal)
    chain.next_block_at(unlock_at)
    chain.send(ALICE, "Staking", "unstake", MINER, MINER_NODE)
    chain.send(ALICE, "DNToken", "transfer", chain.accounts[BOB], QUORUM)
    stake(chain, BOB, QUORUM)
    assert chain.refusal(BOB, "Governance", "vote", proposal, FOR).error == "VotingOver"
    longer = chain.refusal_to_create("Governance", *terms(chain, voting=UNBONDING_SECONDS + 1))
    assert longer == Refusal("VotingOutlastsUnbonding", (UNBONDING_SECONDS + 1, UNBONDING_SECONDS))


def test_terms_without_a_treasury_a_deposit_or_time_to_vote_are_refused(chain: LoneContracts) -> None:
    """Tries to create Governance with each of them missing."""
    refused = {"treasury": "0x" + "0" * 40, "deposit": 0, "voting": 0}
    errors = [chain.refusal_to_create("Governance", *terms(chain, **{name: no})) for name, no in refused.items()]
    assert errors == [Refusal("ZeroAddress", ()), Refusal("ZeroAmount", ()), Refusal("ZeroAmount", ())]


def test_what_passed_waits_while_governance_may_not_set_parameters(chain: LoneContracts) -> None:
    """Takes the governor's role away before the tally, which is refused and loses nothing, and gives it back."""
    stake(chain, BOB, QUORUM)
    proposal = propose(chain)
    chain.send(BOB, "Governance", "vote", proposal, FOR)
    chain.revoke("Parameters", "GOVERNOR_ROLE", chain.addresses["Governance"])
    chain.next_block_at(voting_ends(chain, proposal))
    assert chain.refusal(STRANGER, "Governance", "tally", proposal).error == "AccessControlUnauthorizedAccount"
    assert chain.read("Governance", "depositsHeld") == chain.balance("DNToken", "Governance") == DEPOSIT
    chain.grant("Parameters", "GOVERNOR_ROLE", chain.addresses["Governance"])
    assert chain.send(STRANGER, "Governance", "tally", proposal)[0].arguments["passed"] is True


def test_governance_has_booked_before_it_calls_others(chain: LoneContracts) -> None:
    """Reads the EVM's steps of a proposal and of a tally that passes: no storage is written behind the first call."""
    stake(chain, BOB, QUORUM)
    assert chain.effects_come_first(ALICE, "Governance", "propose", SCOPE, KEY, VALUE, EPOCH, SALT)
    proposal = propose(chain)
    chain.send(BOB, "Governance", "vote", proposal, FOR)
    chain.next_block_at(voting_ends(chain, proposal))
    chain.rpc.call("evm_mine")
    assert chain.effects_come_first(STRANGER, "Governance", "tally", proposal)


def test_a_long_life_of_governance_loses_no_deposit(chain: LoneContracts) -> None:
    """Lets stakers propose, vote and tally at random 150 times. After each step the balance is a deposit per proposal
    that is open, plus a donation; in the end every deposit is back or with the treasury, as the events say."""
    rng, donated = Random(8), 77
    chain.send(ADMIN, "DNToken", "mint", chain.addresses["Governance"], donated)
    for staker in STAKERS:
        chain.allow(staker, "DNToken", "Governance", 2**256 - 1)
        stake(chain, staker, rng.randrange(1, QUORUM))
    open_proposals: list[bytes] = []
    told: dict[str, int] = {"DepositReturned": 0, "DepositForfeited": 0}
    passed = 0
    for step in range(150):
        staker = rng.choice(STAKERS)
        if not open_proposals or rng.random() < 0.2:
            new = (SCOPE, KEY, step, EPOCH, SALT)
            open_proposals.append(chain.send(staker, "Governance", "propose", *new)[0].arguments["proposal"])
        elif rng.random() < 0.7:
            chain.attempt(staker, "Governance", "vote", rng.choice(open_proposals), rng.randrange(3))
        else:
            proposal = rng.choice(open_proposals)
            for log in chain.attempt(staker, "Governance", "tally", proposal):
                if log.event in told:
                    told[log.event] += log.arguments["amount"]
                    open_proposals.remove(proposal)
                passed += log.event == "ParamSet"
        held = DEPOSIT * len(open_proposals)
        assert chain.read("Governance", "depositsHeld") == held
        assert chain.balance("DNToken", "Governance") == held + donated
    assert min(passed, *told.values()) > 0
    assert chain.balance("DNToken", chain.accounts[TREASURY]) == told["DepositForfeited"]
    wallets = sum(chain.balance("DNToken", chain.accounts[staker]) for staker in STAKERS)
    at_risk = DEPOSIT * len(open_proposals) + told["DepositForfeited"] + chain.read("Staking", "totalStaked")
    assert wallets == len(STAKERS) * WALLET - at_risk
