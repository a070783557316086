"""Stakes upon validators, miners, models and domains, and what they were when an epoch began."""

import inspect
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.rules import staking
from deepnode_projections.rules.staking import (
    Stake,
    StakeAt,
    StakeTotal,
    Unbonding,
    commission_at,
    stakes_at,
)
from tests.projections.rules.told import DN, FEW, Story, address, anything, told, word

VALIDATOR, MODEL = 1, 3


def staked(amount: int, target: str = "n1", staker: str = "anna", kind: int = VALIDATOR) -> ChainEvent:
    args = {"amount": amount, "shares": amount}
    return told("Staking", "Staked", staker=staker, targetType=kind, target=target, **args)


def asked_back(
    amount: int, target: str = "n1", staker: str = "anna", unlock_at: int = 100, kind: int = VALIDATOR
) -> ChainEvent:
    args = {"amount": amount, "shares": amount, "unlockAt": unlock_at}
    return told("Staking", "UnstakeRequested", staker=staker, targetType=kind, target=target, **args)


def unstaked(amount: int, target: str = "n1", staker: str = "anna", kind: int = VALIDATOR) -> ChainEvent:
    return told("Staking", "Unstaked", staker=staker, targetType=kind, target=target, amount=amount)


def redelegated(
    amount: int,
    source: str = "n1",
    target: str = "m1",
    staker: str = "anna",
    kinds: tuple[int, int] = (VALIDATOR, MODEL),
) -> ChainEvent:
    args = {"fromType": kinds[0], "toType": kinds[1], "amount": amount, "shares": amount}
    return told("Staking", "Redelegated", staker=staker, from_=source, to=target, **args)


def commission(rate: int, from_epoch: int, target: str = "n1") -> ChainEvent:
    return told("Staking", "CommissionSet", target=target, new_=rate, fromEpoch=from_epoch)


def story(*events: ChainEvent) -> Story:
    return Story(staking.RULES).tell(*events)


def test_stake_is_moved_asked_back_and_leaves() -> None:
    """Anna stakes 40 and moves 10 to a model; Ben stakes 5; Anna asks 25 back in two requests, and gets 25."""
    tale = story(staked(40), staked(5, staker="ben"), redelegated(10), asked_back(20), asked_back(5, unlock_at=200))
    assert tale.books() == inspect.cleandoc(
        """
        Staking:Staked:m1 10 DN
        Staking:Staked:n1 10 DN
        Staking:Unattributed -45 DN
        Staking:Unbonding:anna 25 DN
        """
    )
    assert tale.state.get(StakeTotal, VALIDATOR, word("n1")) == StakeTotal(VALIDATOR, word("n1"), 10, 10)
    waiting = Unbonding(address("anna"), VALIDATOR, word("n1"), 25, 200)
    assert tale.state.get(Unbonding, address("anna"), VALIDATOR, word("n1")) == waiting
    tale.tell(unstaked(25))
    assert tale.books() == inspect.cleandoc(
        """
        Staking:Staked:m1 10 DN
        Staking:Staked:n1 10 DN
        Staking:Unattributed -20 DN
        """
    )
    assert tale.state.get(Unbonding, address("anna"), VALIDATOR, word("n1")) == replace(waiting, amount=0)
    assert tale.reasons == []
    stake = tale.state.get(Stake, VALIDATOR, word("n1"), address("anna"))
    assert stake is not None
    assert (stake.amount, stake.shares) == (5, 5)


ANNAS = f"staker {to_hex(address('anna'))}"


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (asked_back(8), f"8 for 8 shares of 7 for 7 shares: validator {to_hex(word('n1'))}, {ANNAS}"),
        (
            told("Staking", "UnstakeRequested", staker="anna", targetType=1, target="n1", amount=7, shares=8),
            f"7 for 8 shares of 7 for 7 shares: validator {to_hex(word('n1'))}, {ANNAS}",
        ),
        (redelegated(8), f"8 for 8 shares of 7 for 7 shares: validator {to_hex(word('n1'))}, {ANNAS}"),
        (asked_back(1, kind=2), f"1 for 1 shares of 0 for 0 shares: miner {to_hex(word('n1'))}, {ANNAS}"),
        (unstaked(1), f"1 leaves where 0 is unbonding: validator {to_hex(word('n1'))}, {ANNAS}"),
        (
            staked(1, kind=5),
            f"target type 5 of {to_hex(word('n1'))}: there are 1 a validator, 2 a miner, 3 a model, 4 a domain",
        ),
        (commission(1_000_001, 3), f"a commission of 1000001 ppm is more than all: validator {to_hex(word('n1'))}"),
        (commission(1, 2**64 - 1), f"fromEpoch {2**64 - 1}: the books hold numbers below 2**63"),
    ],
)
def test_what_is_not_there_cannot_be_taken(event: ChainEvent, reason: str) -> None:
    """Anna has 7 upon a validator; what she cannot do has no effect, with the reason."""
    tale = story(staked(7))
    tale.tell(event)
    assert tale.reasons == [reason]
    assert tale.state.get(StakeTotal, VALIDATOR, word("n1")) == StakeTotal(VALIDATOR, word("n1"), 7, 7)
    assert tale.balances()[("Staking:Staked:" + to_hex(word("n1")), DN)] == 7


def test_a_change_counts_from_the_next_epoch() -> None:
    """Anna stakes before epoch 1, twice in epoch 2, and takes all back in epoch 5; Ben comes in epoch 2 and stays."""
    tale = story(staked(10)).opens(1).opens(2)
    tale.tell(staked(1), staked(2), staked(7, staker="ben")).opens(3).opens(4).opens(5).tell(asked_back(13))
    anna, ben = address("anna"), address("ben")
    told_by_epoch = [stakes_at(tale.state, VALIDATOR, word("n1"), epoch) for epoch in range(8)]
    assert told_by_epoch == [
        [],
        [(anna, 10)],
        [(anna, 10)],
        [(anna, 13), (ben, 7)],
        [(anna, 13), (ben, 7)],
        [(anna, 13), (ben, 7)],
        [(ben, 7)],
        [(ben, 7)],
    ]


def test_a_commission_holds_from_its_epoch_and_the_newest_word_counts() -> None:
    """Announces 5 % for epoch 10, then 6 % for epoch 8, then 7 % too late for epoch 3."""
    tale = story(commission(50_000, 10), commission(60_000, 8))
    assert [commission_at(tale.state, word("n1"), epoch) for epoch in (0, 7, 8, 9, 10, 11)] == [0, 0] + [60_000] * 4
    tale.opens(3).tell(commission(70_000, 3))
    assert [commission_at(tale.state, word("n1"), epoch) for epoch in (3, 4, 7, 8)] == [0, 70_000, 70_000, 70_000]
    assert commission_at(tale.state, word("n2"), 100) == 0


_few, _kinds, _amounts = st.sampled_from(FEW), st.sampled_from([VALIDATOR, MODEL]), st.integers(0, 9)
_sensible = st.one_of(
    st.builds(staked, _amounts, _few, _few, _kinds),
    st.builds(asked_back, _amounts, _few, _few, kind=_kinds),
    st.builds(unstaked, _amounts, _few, _few, _kinds),
    st.builds(redelegated, _amounts, _few, _few, _few, st.tuples(_kinds, _kinds)),
)


@given(st.lists(anything(["Staking"]) | _sensible, max_size=40))
def test_pockets_and_records_never_disagree(events: list[ChainEvent]) -> None:
    """Tells anything in any order: totals are the sums of stakes and what is in the pockets, and nothing is below 0."""
    tale = story(*events)
    balances, totals = tale.balances(), tale.state.every(StakeTotal)
    for total in totals:
        stakes = tale.state.every(Stake, total.target_type, total.target)
        assert (total.amount, total.shares) == (sum(s.amount for s in stakes), sum(s.shares for s in stakes))
        assert all(stake.amount >= 0 and stake.shares >= 0 for stake in stakes)
        # A pocket is a target's, whatever it is taken for.
        of_target = sum(each.amount for each in totals if each.target == total.target)
        assert balances.get((f"Staking:Staked:{to_hex(total.target)}", DN), 0) == of_target
    for waiting in tale.state.every(Unbonding):
        of_staker = sum(each.amount for each in tale.state.every(Unbonding, waiting.staker))
        assert waiting.amount >= 0
        assert balances.get((f"Staking:Unbonding:{to_hex(waiting.staker)}", DN), 0) == of_staker
    assert sum(balances.values()) == 0


def _now(tale: Story, targets: Sequence[str]) -> dict[tuple[int, bytes], list[tuple[bytes, int]]]:
    """What is staked upon each target at this moment."""
    found = {}
    for kind in (VALIDATOR, MODEL):
        for target in map(word, targets):
            stakes = tale.state.every(Stake, kind, target)
            found[kind, target] = [(stake.staker, stake.amount) for stake in stakes if stake.amount]
    return found


@given(st.lists(st.lists(_sensible, max_size=6), min_size=1, max_size=8))
def test_the_stakes_of_any_past_epoch_are_those_at_its_start(epochs: list[list[ChainEvent]]) -> None:
    """Takes a copy of all stakes as each epoch opens, and asks for every epoch's stakes after the last."""
    tale, copies = Story(staking.RULES), [_now(Story(staking.RULES), FEW)]
    for epoch, events in enumerate(epochs, 1):
        tale.tell(*events)
        copies.append(_now(tale, FEW))
        tale.opens(epoch)
    for epoch, copy in enumerate(copies):
        assert {key: stakes_at(tale.state, *key, epoch) for key in copy} == copy
    for at in tale.state.every(StakeAt):
        assert at.before_epoch is None or at.before_epoch < at.from_epoch
