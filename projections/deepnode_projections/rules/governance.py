"""Governance: proposals, the votes on them, and the deposits that stand behind them.

A proposal is one parameter's next value. Who proposes leaves a deposit in DN, which is returned where enough stake has
voted and forfeited otherwise. Each voter has one vote, whose weight is what they have staked at that moment; votes are
counted while voting is open, and not afterwards. Weights are compared with the stakes of the books, where the manifest
names a contract of staking, and the tally is made again from the votes and compared with the chain's.
A parameter that is set in the name of a proposal must be what that proposal has decided; if not, it is set all the same
(the contract has done it), and the difference is kept.

Refused: a second proposal of one id, a second vote, a vote or a tally at the wrong time, a deposit that is not held. A
proposal is known by its id within its contract: other terms of voting are another contract.

The quorum is a term of the contract that no event tells: that a proposal failed for want of votes is believed.

Sources: seeds/001 section 1 (governance-approved settings) and section 4 (governance sets floors and ceilings),
seeds/003 section 3 (DN is used for governance).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.posting import Posting
from deepnode_projections.registers.record import Amount
from deepnode_projections.registers.state import State
from deepnode_projections.rules.comparisons import compare, compare_words
from deepnode_projections.rules.pockets import asset_of, bounded, comes_in, goes_out, pocket_of
from deepnode_projections.rules.reading import amount, number
from deepnode_projections.rules.scene import NoEffect, Rules, Scene

CREATED: Final = "created"
PASSED: Final = "passed"
FAILED: Final = "failed"
"""The stages of a proposal: voting is open or waits for its tally, then one of the two others for ever."""

HELD: Final = "held"
RETURNED: Final = "returned"
FORFEITED: Final = "forfeited"
"""Where a proposal's deposit is: in the contract, with its proposer again, with the treasury."""

CHOICES: Final = ("against", "for", "abstain")
"""What a vote can be, by its number."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What was proposed to be a parameter's next value, by whom, and how the vote on it stands or ended.

    ``scope`` and ``key`` (32 bytes each) name the parameter, ``value`` is what it should be. ``deposit`` is in base
    units of DN; ``deposit_stage`` is held, returned (to ``proposer``) or forfeited. ``voting_ends`` is in seconds since
    1970. ``stage`` is created, passed or failed. ``votes_for``, ``votes_against`` and ``votes_abstain`` are the weights
    of the votes that count, together, in base units of staked DN.
    """

    TABLE: ClassVar[str] = "proposal"
    KEY: ClassVar[int] = 2

    proposal: bytes
    contract: bytes
    proposer: bytes
    scope: bytes
    key: bytes
    value: Amount
    deposit: Amount
    deposit_stage: str
    voting_ends: int
    stage: str
    votes_for: Amount
    votes_against: Amount
    votes_abstain: Amount


@dataclass(frozen=True, slots=True)
class Vote:
    """A vote on a proposal: ``choice`` is one of ``CHOICES``, ``weight`` in base units of staked DN."""

    TABLE: ClassVar[str] = "vote"
    KEY: ClassVar[int] = 3
    FOUND_BY: ClassVar[tuple[str, ...]] = ("voter",)

    proposal: bytes
    contract: bytes
    voter: bytes
    choice: str
    weight: Amount


@dataclass(frozen=True, slots=True)
class VotingPower:
    """What a staker (20 bytes) has upon all targets together, in base units of DN: what a vote would weigh."""

    TABLE: ClassVar[str] = "voting_power"
    KEY: ClassVar[int] = 1

    staker: bytes
    amount: Amount


def power_of(state: State, staker: bytes) -> int:
    """Return the weight that a vote would have now, in base units of staked DN."""
    found = state.get(VotingPower, staker)
    return 0 if found is None else found.amount


def _created(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    proposal, deposit = event.word("proposal"), amount(event, "deposit")
    value, voting_ends = amount(event, "value"), number(event, "votingEnds")
    if scene.state.get(Proposal, proposal, event.contract.address) is not None:
        raise NoEffect(f"proposal {to_hex(proposal)} is there already")
    if voting_ends <= scene.block_time:
        raise NoEffect(f"proposal {to_hex(proposal)} of time {scene.block_time} ends voting at {voting_ends}")
    scene.state.put(
        Proposal(
            proposal,
            event.contract.address,
            event.address("proposer"),
            event.word("scope"),
            event.word("key"),
            value,
            deposit,
            HELD,
            voting_ends,
            CREATED,
            0,
            0,
            0,
        )
    )
    return comes_in(event, asset_of(event, scene), deposit, pocket_of(event.contract, "Deposit", proposal))


def _vote_cast(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    known, voter = _open(event, scene), event.address("voter")
    number_of_choice, weight = event.uint("choice"), amount(event, "weight")
    if scene.block_time >= known.voting_ends:
        raise NoEffect(f"voting on proposal {to_hex(known.proposal)} ended at {known.voting_ends}: {scene.block_time}")
    if number_of_choice >= len(CHOICES):
        raise NoEffect(f"choice {number_of_choice}: a vote is 0 against, 1 for or 2 abstain")
    if scene.state.get(Vote, known.proposal, known.contract, voter) is not None:
        raise NoEffect(f"{to_hex(voter)} has voted on proposal {to_hex(known.proposal)} already")
    if any(each.kind == "Staking" for each in scene.manifest.contracts.values()):
        compare(scene, "VoteCast", "weight", known.proposal + voter, power_of(scene.state, voter), weight)
    choice = CHOICES[number_of_choice]
    scene.state.put(Vote(known.proposal, known.contract, voter, choice, weight))
    scene.state.put(
        replace(
            known,
            votes_for=bounded(known.votes_for + weight * (choice == "for")),
            votes_against=bounded(known.votes_against + weight * (choice == "against")),
            votes_abstain=bounded(known.votes_abstain + weight * (choice == "abstain")),
        )
    )
    return ()


def _tallied(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    known, passed = _open(event, scene), bool(event.args["passed"])
    if scene.block_time < known.voting_ends:
        raise NoEffect(f"voting on proposal {to_hex(known.proposal)} is open until {known.voting_ends}")
    for name, counted in (
        ("votesFor", known.votes_for),
        ("votesAgainst", known.votes_against),
        ("votesAbstain", known.votes_abstain),
    ):
        compare(scene, "ProposalTallied", name, known.proposal, counted, amount(event, name))
    # Without a majority nothing passes; with one it may still fail, for want of a quorum that the books do not know.
    if passed:
        has_majority = int(known.votes_for > known.votes_against)
        compare(scene, "ProposalTallied", "passed", known.proposal, has_majority, 1)
    scene.state.put(replace(known, stage=PASSED if passed else FAILED))
    return ()


def _deposit_returned(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    known = _deposit(event, scene)
    compare_words(scene, "DepositReturned", "to", known.proposal, known.proposer, event.address("to"))
    return _settled(event, scene, known, RETURNED)


def _deposit_forfeited(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    known = _deposit(event, scene)
    # What has passed had its quorum, and then the deposit goes back: nothing of it can be forfeited.
    due = known.deposit if known.stage == FAILED else 0
    compare(scene, "DepositForfeited", "amount", known.proposal, due, known.deposit, f"the proposal has {known.stage}")
    return _settled(event, scene, known, FORFEITED)


def _deposit(event: ChainEvent, scene: Scene) -> Proposal:
    known, deposit = _proposal(event, scene), amount(event, "amount")
    if known.stage == CREATED:
        raise NoEffect(f"proposal {to_hex(known.proposal)} holds its deposit until it is tallied")
    if known.deposit_stage != HELD:
        raise NoEffect(f"the deposit of proposal {to_hex(known.proposal)} is {known.deposit_stage} already")
    if deposit != known.deposit:
        raise NoEffect(f"the deposit of proposal {to_hex(known.proposal)} is {known.deposit}, not {deposit}")
    return known


def _settled(event: ChainEvent, scene: Scene, known: Proposal, stage: str) -> Sequence[Posting]:
    scene.state.put(replace(known, deposit_stage=stage))
    pocket = pocket_of(event.contract, "Deposit", known.proposal)
    return goes_out(event, asset_of(event, scene), known.deposit, pocket)


def _open(event: ChainEvent, scene: Scene) -> Proposal:
    known = _proposal(event, scene)
    if known.stage != CREATED:
        raise NoEffect(f"proposal {to_hex(known.proposal)} is tallied: it has {known.stage}")
    return known


def _proposal(event: ChainEvent, scene: Scene) -> Proposal:
    found = scene.state.get(Proposal, event.word("proposal"), event.contract.address)
    if found is None:
        raise NoEffect(f"proposal {to_hex(event.word('proposal'))} was never made")
    return found


def _carried_out(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    """A parameter was set: in the name of a proposal, it must be what that one has decided."""
    proposal, value = event.word("proposal"), amount(event, "new_")
    if not any(proposal):
        return ()
    # An id is made of what is proposed and by whom, so the same in two contracts would decide the same.
    namesakes = scene.state.every(Proposal, proposal)
    known = next((each for each in namesakes if each.stage == PASSED), namesakes[0] if namesakes else None)
    if known is None:
        decided, reason = None, "there is no such proposal"
    elif known.stage != PASSED:
        decided, reason = None, f"the proposal has not passed: it is {known.stage}"
    elif (known.scope, known.key) != (event.word("scope"), event.word("key")):
        decided, reason = None, "the proposal is about another parameter"
    else:
        decided, reason = known.value, "the proposal has decided another value"
    compare(scene, "ParamSet", "by proposal", proposal, decided, value, reason)
    return ()


def _staked(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    return _power_changes(event, scene, amount(event, "amount"))


def _unstake_requested(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    # What is asked back votes no more, although it has not left the contract yet.
    return _power_changes(event, scene, -amount(event, "amount"))


def _power_changes(event: ChainEvent, scene: Scene, change: int) -> Sequence[Posting]:
    staker = event.address("staker")
    power = bounded(power_of(scene.state, staker) + change)
    if power < 0:
        raise NoEffect(f"{-change} of the {power - change} that {to_hex(staker)} has staked")
    scene.state.put(VotingPower(staker, power))
    return ()


RULES: Final[Rules] = {
    ("Governance", "ProposalCreated"): _created,
    ("Governance", "VoteCast"): _vote_cast,
    ("Governance", "ProposalTallied"): _tallied,
    ("Governance", "DepositReturned"): _deposit_returned,
    ("Governance", "DepositForfeited"): _deposit_forfeited,
    ("Parameters", "ParamSet"): _carried_out,
    ("Staking", "Staked"): _staked,
    ("Staking", "UnstakeRequested"): _unstake_requested,
}
RECORDS: Final = (Proposal, Vote, VotingPower)
