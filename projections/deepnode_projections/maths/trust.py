"""Trust: a score of 0 to 1 000 000 ppm that each outcome moves a part of the way towards where it leads.

``t = (t * (10**6 - alpha) + target * alpha) // 10**6``. The new score lies between the old one and the target, so it
can never leave its range. It is rounded down: a run of good outcomes comes near to its target, and stops less than
10**6 / alpha below it.

Sources: seeds/000 steps 2 and 3, DESIGN section 6, "Trust".
"""

from deepnode_projections.rulesets.ruleset import PPM, Outcome, TrustRules, TrustStep

SEVERITY_DEFAULT = 1
"""The mildest severity; ``reported`` and ``upheld`` alone have more than one."""


def step(trust_ppm: int, alpha_ppm: int, target_ppm: int) -> int:
    """Return a score after one step: ``alpha_ppm`` of the way to ``target_ppm``.

    Source: DESIGN section 6, "Trust"; seeds/000 step 3.
    """
    for rate in (trust_ppm, alpha_ppm, target_ppm):
        assert 0 <= rate <= PPM, (trust_ppm, alpha_ppm, target_ppm)
    after = (trust_ppm * (PPM - alpha_ppm) + target_ppm * alpha_ppm) // PPM
    assert min(trust_ppm, target_ppm) <= after <= max(trust_ppm, target_ppm), (trust_ppm, after)
    return after


def after(rules: TrustRules, trust_ppm: int | None, outcome: Outcome, severity: int = SEVERITY_DEFAULT) -> int:
    """Return a subject's score after an outcome.

    Args:
        rules: of the ruleset in force.
        trust_ppm: the score before; None for a subject that has none yet, which begins at the ruleset's start.
        outcome: what happened.
        severity: of what was ``reported`` or ``upheld``, from 1; one above the last that the rules name counts as the
            last, and 0 as 1. It means nothing to other outcomes.

    Source: seeds/000 steps 2 and 3 and section 3, DESIGN section 6.
    """
    found = step_of(rules, outcome, severity)
    return step(rules.start_ppm if trust_ppm is None else trust_ppm, found.alpha_ppm, found.target_ppm)


def step_of(rules: TrustRules, outcome: Outcome, severity: int = SEVERITY_DEFAULT) -> TrustStep:
    """Return the step that the rules give for an outcome.

    Source: DESIGN section 6: alpha by outcome and severity.
    """
    assert severity >= 0, severity
    found: TrustStep | tuple[TrustStep, ...] = getattr(rules, outcome)
    if isinstance(found, TrustStep):
        return found
    return found[min(max(severity, SEVERITY_DEFAULT), len(found)) - 1]
