"""Governance: proposals, votes, tallies, deposits, and parameters that are set in a proposal's name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.rules import governance, parameters, staking
from deepnode_projections.rules.comparisons import Checked, Difference
from deepnode_projections.rules.governance import CHOICES, Proposal, Vote
from tests.projections.rules.told import DN, MANIFEST, START_TIME, Story, address, anything, told, word

ENDS = START_TIME + 100
P1 = to_hex(word("p1"))
OURS = MANIFEST.by_name("Governance").address


def proposed(proposal: str = "p1", *, value: int = 7, deposit: int = 50, ends: int = ENDS) -> ChainEvent:
    terms = {"scope": "vision", "key": "k", "value": value, "deposit": deposit, "votingEnds": ends}
    return told("Governance", "ProposalCreated", proposal=proposal, proposer="anna", **terms)


def vote(voter: str, choice: int, weight: int, proposal: str = "p1") -> ChainEvent:
    return told("Governance", "VoteCast", proposal=proposal, voter=voter, choice=choice, weight=weight)


def staked(staker: str, amount: int) -> ChainEvent:
    return told("Staking", "Staked", staker=staker, targetType=1, target="v1", amount=amount, shares=amount)


def unstaked(staker: str, amount: int) -> ChainEvent:
    return told("Staking", "UnstakeRequested", staker=staker, targetType=1, target="v1", amount=amount, shares=amount)


def tallied(votes: tuple[int, int, int], *, passed: bool = True, proposal: str = "p1") -> ChainEvent:
    counted = dict(zip(("votesFor", "votesAgainst", "votesAbstain"), votes, strict=True))
    return told("Governance", "ProposalTallied", proposal=proposal, passed=passed, **counted)


def returned(amount: int = 50, to: str = "anna", proposal: str = "p1") -> ChainEvent:
    return told("Governance", "DepositReturned", proposal=proposal, to=to, amount=amount)


def forfeited(amount: int = 50, proposal: str = "p1") -> ChainEvent:
    return told("Governance", "DepositForfeited", proposal=proposal, to="treasury", amount=amount)


def param(value: int = 7, *, proposal: str = "p1", scope: str = "vision", key: str = "k") -> ChainEvent:
    args = {"scope": scope, "key": key, "new_": value, "effectiveAt": 2, "proposal": proposal}
    return told("Parameters", "ParamSet", **args)


def story(*events: ChainEvent) -> Story:
    return Story(parameters.RULES, staking.RULES, governance.RULES).tell(*events)


def after(tale: Story, *events: ChainEvent) -> Story:
    """Tell events of the moment at which voting ends."""
    return tale.tell(*events, time=ENDS)


def deposits(tale: Story) -> list[str]:
    """The books of the contract of governance."""
    return [line for line in tale.books().splitlines() if line.startswith("Governance:")]


def differences(tale: Story) -> list[tuple[str, str, int | None, int | None]]:
    return [(each.subject, each.what, each.expected, each.fact) for each in tale.state.every(Difference)]


def test_a_proposal_is_voted_through_and_carried_out() -> None:
    """Anna proposes 7 and leaves 50; 30 vote for it, 20 against it, 5 abstain; it passes, and 7 is set."""
    tale = story(staked("ben", 30), staked("cleo", 20), staked("dora", 5))
    tale.tell(proposed(), vote("ben", 1, 30), vote("cleo", 0, 20), vote("dora", 2, 5))
    assert deposits(tale) == ["Governance:Deposit:p1 50 DN", "Governance:Unattributed -50 DN"]
    after(tale, tallied((30, 20, 5)), returned(), param())
    assert tale.reasons == []
    assert deposits(tale) == []
    assert tale.state.every(Proposal) == [
        Proposal(
            word("p1"), OURS, address("anna"), word("vision"), word("k"), 7, 50, "returned", ENDS, "passed", 30, 20, 5
        )
    ]
    assert tale.state.every(Vote, word("p1")) == [
        Vote(word("p1"), OURS, address("ben"), "for", 30),
        Vote(word("p1"), OURS, address("cleo"), "against", 20),
        Vote(word("p1"), OURS, address("dora"), "abstain", 5),
    ]
    assert differences(tale) == []
    assert tale.state.get(Checked, "ParamSet", "by proposal") == Checked("ParamSet", "by proposal", 1, 0)


def test_a_proposal_without_a_quorum_fails_and_costs_its_deposit() -> None:
    """Nobody votes for p1: it fails, and the treasury gets the 50."""
    tale = after(story(proposed()), tallied((0, 0, 0), passed=False), forfeited())
    (proposal,) = tale.state.every(Proposal)
    assert (proposal.stage, proposal.deposit_stage) == ("failed", "forfeited")
    assert (deposits(tale), tale.reasons, differences(tale)) == ([], [], [])


def test_the_tally_is_made_again_from_the_votes() -> None:
    """The chain counts one vote more than it told of, and lets a proposal pass that most were against."""
    tale = story(staked("ben", 30), staked("cleo", 20), proposed(), vote("ben", 0, 30), vote("cleo", 1, 20))
    after(tale, tallied((20, 31, 0)))
    assert differences(tale) == [("ProposalTallied", "passed", 0, 1), ("ProposalTallied", "votesAgainst", 30, 31)]
    (proposal,) = tale.state.every(Proposal)
    assert (proposal.stage, proposal.votes_against) == ("passed", 30)


@pytest.mark.parametrize(
    ("setting", "decided", "reason"),
    [
        (param(8), 7, "the proposal has decided another value"),
        (param(scope="code"), None, "the proposal is about another parameter"),
        (param(key="j"), None, "the proposal is about another parameter"),
        (param(proposal="p2"), None, "the proposal has not passed: it is created"),
        (param(proposal="p3"), None, "the proposal has not passed: it is failed"),
        (param(proposal="p4"), None, "there is no such proposal"),
    ],
)
def test_what_is_set_in_a_proposals_name_must_be_what_it_decided(
    setting: ChainEvent, decided: int | None, reason: str
) -> None:
    """p1 has decided 7 for k in vision, p2 is open, p3 failed. The value is set all the same, as on the chain."""
    tale = story(staked("ben", 9), proposed(), proposed("p2", ends=ENDS + 100), proposed("p3"), vote("ben", 1, 9))
    after(tale, tallied((9, 0, 0)), tallied((0, 0, 0), proposal="p3", passed=False), setting)
    assert differences(tale) == [("ParamSet", "by proposal", decided, setting.uint("new_"))]
    assert tale.state.every(Difference)[0].reason == reason
    assert [each.value for each in tale.state.every(parameters.Parameter)] == [setting.uint("new_")]


def test_a_vote_weighs_what_its_voter_has_staked_by_then() -> None:
    """Ben staked 30 and asked 10 of it back; he votes with 20 on p1, and the chain lets him have 30 on p2."""
    tale = story(staked("ben", 30), unstaked("ben", 10), proposed(), proposed("p2"), vote("ben", 1, 20))
    assert differences(tale) == []
    assert differences(tale.tell(vote("ben", 1, 30, "p2"))) == [("VoteCast", "weight", 20, 30)]
    assert tale.state.every(Difference)[0].key == word("p2") + address("ben")


def test_power_is_never_below_zero() -> None:
    """By these rules alone, which come behind those of staking, ben asks for more than he has staked."""
    tale = Story(governance.RULES).tell(staked("ben", 4), unstaked("ben", 5))
    assert tale.reasons == [f"5 of the 4 that {to_hex(address('ben'))} has staked"]
    assert governance.power_of(tale.state, address("ben")) == 4


def test_what_a_governor_sets_by_hand_needs_no_proposal() -> None:
    """A setting in nobody's name is compared with nothing."""
    tale = story(param(proposal=""))
    assert tale.state.get(Checked, "ParamSet", "by proposal") is None
    assert tale.state.every(parameters.Parameter)[0].proposal is None


def test_a_deposit_that_goes_elsewhere_is_booked_and_is_a_difference() -> None:
    """Anna's deposit comes back to Ben, and p2 has passed and still loses its own."""
    tale = story(staked("ben", 1), proposed(), vote("ben", 1, 1), proposed("p2"))
    after(tale, tallied((1, 0, 0)), returned(to="ben"))
    after(tale, tallied((0, 0, 0), proposal="p2"), forfeited(proposal="p2"))
    assert deposits(tale) == []
    assert differences(tale) == [
        ("DepositForfeited", "amount", 0, 50),
        ("DepositReturned", "to", None, None),
        ("ProposalTallied", "passed", 0, 1),
    ]


_TALLIED = (proposed(), vote("ben", 1, 30))


@pytest.mark.parametrize(
    ("early", "late", "reason"),
    [
        ((proposed(), proposed()), (), f"proposal {P1} is there already"),
        (
            (proposed(ends=START_TIME + 2),),
            (),
            f"proposal {P1} of time {START_TIME + 2} ends voting at {START_TIME + 2}",
        ),
        ((proposed(value=10**38),), (), f"value {10**38}: the books hold amounts below 10**38"),
        ((vote("ben", 1, 30),), (), f"proposal {P1} was never made"),
        ((proposed(), vote("ben", 3, 30)), (), "choice 3: a vote is 0 against, 1 for or 2 abstain"),
        ((*_TALLIED, vote("ben", 0, 1)), (), f"{to_hex(address('ben'))} has voted on proposal {P1} already"),
        ((proposed(),), (vote("ben", 1, 30),), f"voting on proposal {P1} ended at {ENDS}: {ENDS}"),
        ((*_TALLIED, tallied((30, 0, 0))), (), f"voting on proposal {P1} is open until {ENDS}"),
        (_TALLIED, (tallied((30, 0, 0)), tallied((30, 0, 0))), f"proposal {P1} is tallied: it has passed"),
        (_TALLIED, (tallied((30, 0, 0)), vote("cleo", 0, 1)), f"proposal {P1} is tallied: it has passed"),
        ((proposed(),), (returned(),), f"proposal {P1} holds its deposit until it is tallied"),
        (_TALLIED, (tallied((30, 0, 0)), returned(49)), f"the deposit of proposal {P1} is 50, not 49"),
        (
            _TALLIED,
            (tallied((30, 0, 0)), returned(), forfeited()),
            f"the deposit of proposal {P1} is returned already",
        ),
        ((), (forfeited(),), f"proposal {P1} was never made"),
        (
            (proposed(), vote("ben", 1, 10**38 - 1), vote("cleo", 1, 1)),
            (),
            f"{10**38} base units: the books hold amounts below 10**38",
        ),
    ],
)
def test_what_governance_refuses(early: tuple[ChainEvent, ...], late: tuple[ChainEvent, ...], reason: str) -> None:
    """Says things while voting is open and at its end; the last of them has no effect, for the reason given."""
    tale = after(story(*early), *late)
    assert tale.refusals == {len(early) + len(late): reason}


_ballots = st.lists(
    st.tuples(st.sampled_from(["p1", "p2"]), st.sampled_from("abcde"), st.integers(0, 2), st.integers(0, 99)),
    max_size=20,
)


@given(_ballots)
def test_each_voter_counts_once_with_his_first_vote(ballots: list[tuple[str, str, int, int]]) -> None:
    """Any votes on two proposals: the sums are those of each voter's first vote on each, in whatever order."""
    tale = story(proposed("p1"), proposed("p2"))
    first: dict[tuple[str, str], tuple[int, int]] = {}
    for proposal, voter, choice, weight in ballots:
        # Whoever votes has staked so much at that moment.
        tale.tell(unstaked(voter, governance.power_of(tale.state, address(voter))), staked(voter, weight))
        tale.tell(vote(voter, choice, weight, proposal), time=ENDS - 1)
        first.setdefault((proposal, voter), (choice, weight))
    for name in ("p1", "p2"):
        against, in_favour, abstain = (
            sum(weight for (of, _), (choice, weight) in first.items() if of == name and choice == each)
            for each in range(len(CHOICES))
        )
        (known,) = tale.state.every(Proposal, word(name))
        assert (known.votes_against, known.votes_for, known.votes_abstain) == (against, in_favour, abstain)
        after(tale, tallied((in_favour, against, abstain), passed=in_favour > against, proposal=name))
    assert differences(tale) == []
    assert len(tale.reasons) == len(ballots) - len(first)


@given(
    st.lists(
        st.tuples(anything(["Governance", "Parameters", "Staking"]), st.sampled_from([0, 1, 3, 2**62])), max_size=25
    )
)
def test_garbage_never_pays_a_deposit_twice(told_at: list[tuple[ChainEvent, int]]) -> None:
    """Tells any events at any times: what is in the deposit pockets is what proposals still hold, and never less."""
    tale = story()
    for event, time in told_at:
        tale.tell(event, time=time)
    assert all(tale.reasons)
    held = [each for each in tale.state.every(Proposal) if each.deposit_stage == governance.HELD and each.deposit]
    pockets = {name: amount for (name, asset), amount in tale.balances().items() if ":Deposit:" in name and asset == DN}
    assert pockets == {f"Governance:Deposit:{to_hex(each.proposal)}": each.deposit for each in held}
    for each in tale.state.every(Proposal):
        votes = tale.state.every(Vote, each.proposal)
        assert each.votes_for == sum(vote.weight for vote in votes if vote.choice == "for")
