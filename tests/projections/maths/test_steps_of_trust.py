"""Trust moves towards what an outcome leads to, never past it, and never out of its range."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_projections import rulesets
from deepnode_projections.maths import trust
from deepnode_projections.rulesets.ruleset import PPM, Outcome

RULES = rulesets.default().trust
ppm = st.integers(0, PPM)
outcomes: st.SearchStrategy[Outcome] = st.sampled_from(get_args(Outcome))


def test_steps_by_hand() -> None:
    """Starts at one half: 5 % of the way up is 525 000, 5 % of that down again 498 750."""
    assert trust.after(RULES, None, "approved") == 525_000
    assert trust.after(RULES, 525_000, "rejected") == 498_750
    assert trust.after(RULES, 498_750, "expired") == 498_750


@given(before=ppm, alpha=ppm, target=ppm)
def test_a_step_ends_between_where_it_began_and_its_target(before: int, alpha: int, target: int) -> None:
    """Draws any three rates; a step of nothing stays, a step of everything arrives."""
    assert min(before, target) <= trust.step(before, alpha, target) <= max(before, target)
    assert trust.step(before, 0, target) == before
    assert trust.step(before, PPM, target) == target


@given(start=ppm, alpha=ppm, target=ppm, more=st.integers(0, 1_000))
def test_who_was_trusted_more_is_not_trusted_less_after_the_same(
    start: int, alpha: int, target: int, more: int
) -> None:
    """Compares two scores after the same step."""
    assert trust.step(min(PPM, start + more), alpha, target) >= trust.step(start, alpha, target)


@pytest.mark.parametrize("profile", sorted(rulesets.shipped()))
@given(history=st.lists(st.tuples(outcomes, st.integers(0, 255)), max_size=40))
def test_after_any_history_trust_is_in_its_range(profile: str, history: list[tuple[Outcome, int]]) -> None:
    """Draws outcomes and severities, applied from the start on."""
    rules, score = rulesets.by_name(profile).trust, None
    for outcome, severity in history:
        score = trust.after(rules, score, outcome, severity)
        assert 0 <= score <= PPM


def test_a_run_of_good_work_comes_near_to_full_trust() -> None:
    """Approves a thousand times: the score stops less than 10**6 / alpha below everything."""
    score = None
    for _ in range(1_000):
        score = trust.after(RULES, score, "approved")
    assert score is not None
    assert 0 < PPM - score < PPM // RULES.approved.alpha_ppm


def test_severity_chooses_the_step() -> None:
    """Upholds cases of severity 0 to 255: the worse, the less is left, and above the last step there is no worse."""
    left = [trust.after(RULES, 500_000, "upheld", severity) for severity in (0, 1, 2, 3, 4, 255)]
    assert left == [450_000, 450_000, 375_000, 0, 0, 0]
    assert trust.after(RULES, 500_000, "reported", 3) == 500_000
