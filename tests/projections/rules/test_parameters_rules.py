"""Parameters and rulesets: from which epoch on they hold, and what the books make of the old values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_ledger.decoding import ChainEvent
from deepnode_projections.rules import parameters
from deepnode_projections.rules.comparisons import Checked, Difference
from deepnode_projections.rules.parameters import (
    EVERYWHERE,
    Parameter,
    RulesetInForce,
    parameter_key,
    ruleset_hash_in_force,
    value_at,
)
from tests.projections.rules.told import Story, anything, told, word


def param(value: int, epoch: int, *, old: int = 0, scope: str = "", key: str = "k", proposal: str = "") -> ChainEvent:
    args = {"scope": scope, "key": key, "old": old, "new_": value, "effectiveAt": epoch, "proposal": proposal}
    return told("Parameters", "ParamSet", **args)


def ruleset(version: int, epoch: int) -> ChainEvent:
    return told("Parameters", "RulesetActivated", version=version, specHash=f"rules {version}", fromEpoch=epoch)


def story(*events: ChainEvent) -> Story:
    return Story(parameters.RULES).tell(*events)


def values(tale: Story, epochs: range, scope: str = "") -> list[int | None]:
    return [value_at(tale.state, word(scope), word("k"), epoch) for epoch in epochs]


def test_a_parameter_holds_from_its_epoch_on() -> None:
    """7 from epoch 1, then 8 from epoch 3: before its epoch a setting is not there."""
    tale = story(param(7, 1), param(8, 3, old=7))
    assert values(tale, range(5)) == [None, 7, 7, 8, 8]
    assert tale.state.every(Difference) == []
    assert tale.state.get(Checked, "ParamSet", "old") == Checked("ParamSet", "old", 2, 0)


def test_of_the_settings_whose_epoch_has_come_the_last_one_holds() -> None:
    """7 is set to come in epoch 5; then governors change their minds, and 9 comes in epoch 2 and stays."""
    assert values(story(param(7, 5), param(9, 2, old=7)), range(7)) == [None, None, 9, 9, 9, 9, 9]


def test_an_epoch_that_has_begun_keeps_its_rates() -> None:
    """In epoch 4, a setting for epoch 3 and one for epoch 4 both count from epoch 5 on."""
    tale = story(param(7, 1)).opens(4).tell(param(8, 3, old=7))
    assert values(tale, range(3, 7)) == [7, 7, 8, 8]
    assert values(tale.tell(param(9, 4, old=8)), range(3, 7)) == [7, 7, 9, 9]
    assert [each.from_epoch for each in tale.state.every(Parameter)] == [1, 5, 5]


def test_a_domain_has_its_own_value_or_that_of_all() -> None:
    """7 holds everywhere; vision sets 8 for itself from epoch 2."""
    tale = story(param(7, 0), param(8, 2, scope="vision"))
    assert values(tale, range(4), "vision") == [7, 7, 8, 8]
    assert values(tale, range(4), "code") == [7, 7, 7, 7]


def test_the_old_value_that_a_setting_names_must_be_that_of_the_books() -> None:
    """The chain says that 7 was there; the books held nothing. The new value counts, the difference stays."""
    tale = story(param(8, 0, old=7, proposal="p1"))
    assert tale.state.every(Parameter) == [Parameter(EVERYWHERE, word("k"), 1, 8, 0, word("p1"))]
    key = EVERYWHERE + word("k")
    assert tale.state.every(Difference) == [Difference("ParamSet", "old", key, 1, 0, 7, "")]


def test_an_old_value_that_the_books_cannot_hold_is_a_difference_too() -> None:
    """The largest number of the chain as the old value: no fact, and the reason names it."""
    (difference,) = story(param(8, 0, old=2**256 - 1)).state.every(Difference)
    assert (difference.expected, difference.fact) == (0, None)
    assert str(2**256 - 1) in difference.reason


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (param(10**38, 0), f"new_ {10**38}: the books hold amounts below 10**38"),
        (param(1, 2**63), f"effectiveAt {2**63}: the books hold numbers below 2**63"),
        (ruleset(0, 0), "ruleset 0 cannot follow ruleset 0: versions count up by one"),
        (ruleset(2, 0), "ruleset 2 cannot follow ruleset 0: versions count up by one"),
        (ruleset(1, 2**64 - 1), f"fromEpoch {2**64 - 1}: the books hold numbers below 2**63"),
    ],
)
def test_what_parameters_refuse(event: ChainEvent, reason: str) -> None:
    """Says it to empty books."""
    tale = story(event)
    assert tale.reasons == [reason]
    assert [*tale.state.every(Parameter), *tale.state.every(RulesetInForce)] == []


def test_a_ruleset_is_in_force_until_the_next_one_comes() -> None:
    """Version 1 from epoch 1; in epoch 2, version 2 is activated for that epoch, so it counts from epoch 3 on."""
    tale = story(ruleset(1, 1)).opens(2).tell(ruleset(2, 2))
    found = [ruleset_hash_in_force(tale.state, epoch) for epoch in range(5)]
    assert found == [None, word("rules 1"), word("rules 1"), word("rules 2"), word("rules 2")]


def test_a_key_is_a_text_as_solidity_writes_it() -> None:
    """Compares with the constant that `bytes32("emission.miners.floor")` is."""
    assert parameter_key("emission.miners.floor") == word("emission.miners.floor")
    assert parameter_key("x").hex() == "78" + "00" * 31


@given(st.lists(st.tuples(st.integers(0, 1_000), st.integers(0, 12), st.integers(0, 2)), max_size=15))
def test_the_past_is_never_set(settings: list[tuple[int, int, int]]) -> None:
    """Sets any values for any epochs while epochs go by: what held up to the current one is never changed by it."""
    tale, now, old = story(), 0, 0
    for value, epoch, passing in settings:
        if passing:
            now += passing
            tale.opens(now)
        before = values(tale, range(now + 1))
        tale.tell(param(value, epoch, old=old))
        old = value
        if now:
            assert values(tale, range(now + 1)) == before
        due = max(epoch, now + 1) if now else epoch
        assert values(tale, range(due, due + 3)) == [value] * 3
    assert tale.state.every(Difference) == []
    assert tale.reasons == []


@given(st.permutations([(scope, n) for scope in ("vision", "code", "") for n in range(3)]))
def test_scopes_do_not_depend_on_each_other(turns: list[tuple[str, int]]) -> None:
    """Interleaves the settings of three scopes in any way: each has its own versions in its own order."""
    tale = story()
    held = {"vision": 0, "code": 0, "": 0}
    for turn, (scope, _) in enumerate(turns, 1):
        tale.tell(param(turn, 0, old=held[scope], scope=scope))
        held[scope] = turn
    assert tale.state.every(Difference) == []
    for scope, value in held.items():
        assert [each.version for each in tale.state.every(Parameter, word(scope))] == [1, 2, 3]
        assert value_at(tale.state, word(scope), word("k"), 0) == value


@given(st.lists(anything(["Parameters"]), max_size=25))
def test_garbage_sets_what_can_be_held_and_raises_nothing_else(events: list[ChainEvent]) -> None:
    """Tells any events: each is taken or refused with a reason."""
    tale = story(*events)
    assert all(tale.reasons)
    rulesets = tale.state.every(RulesetInForce)
    assert [each.version for each in rulesets] == list(range(1, len(rulesets) + 1))
