"""Where the chain and the rules disagree: how much was compared, and every difference with its reason."""

from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.explaining.explanation import Cell, Explanation, Step, Table, counted
from deepnode_projections.explaining.past import Past
from deepnode_projections.rules.comparisons import Checked, Difference


def explain_differences(past: Past) -> Explanation:
    """Explain what was compared up to a position, and list what differed, oldest first."""
    checked = past.every(Checked)
    subjects = sorted({each.subject for each in checked})
    rows: list[tuple[Cell, ...]] = []
    for subject in subjects:
        of = [each for each in checked if each.subject == subject]
        rows.append((subject, sum(each.comparisons for each in of), sum(each.differing for each in of)))
    total = sum(each.comparisons for each in checked)
    said = (
        f"{counted(total, 'comparison')} of a fact with what the rules give. A fact is booked as it is, whatever the "
        "rules give; both are kept where they differ."
    )
    compared = Step(
        "What was compared", (said,), table=Table(("subject", "comparisons", "differing"), tuple(rows)), seeds=_SEEDS
    )
    found = sorted(past.every(Difference), key=lambda each: (each.reported_position, each.subject, each.what))
    differing: list[tuple[Cell, ...]] = [
        (
            each.reported_position,
            each.subject,
            each.what,
            each.key,
            each.expected,
            each.fact,
            each.reason or "none known",
        )
        for each in found
    ]
    title = f"Facts and expectations up to position {past.position}: {counted(len(found), 'difference')}"
    if not found:
        return Explanation(title, past.position, None, None, (compared, Step("Differences", ("None.",), seeds=_SEEDS)))
    unexplained = sum(not each.reason for each in found)
    named = (
        f"{counted(len(found), 'difference')}; no reason is known for {unexplained}.",
        "Where there is no amount, the reason says both words.",
    )
    head = ("reported at", "subject", "part", "of", "expected", "fact", "reason")
    positions = tuple(sorted({each.reported_position for each in found}))
    step = Step("Differences", named, table=Table(head, tuple(differing)), seeds=_SEEDS, positions=positions)
    return Explanation(title, past.position, None, None, (compared, step))


def explain_difference(past: Past, difference: Difference) -> Explanation:
    """Explain one difference: how often its part was compared, and what was expected beside what was reported."""
    checked = past.get(Checked, difference.subject, difference.what)
    comparisons, differing = (0, 0) if checked is None else (checked.comparisons, checked.differing)
    said = (
        f"{counted(comparisons, 'comparison')} of this part of a {difference.subject}, of which {differing} differed."
    )
    named = f"{difference.what} of {to_hex(difference.key)}"
    formulas: tuple[str, ...] = ()
    if difference.expected is not None and difference.fact is not None:
        formulas = (
            f"fact {difference.fact} - expected {difference.expected} = {difference.fact - difference.expected}",
        )
    reason = f"The reason: {difference.reason}." if difference.reason else "No reason is known."
    steps = (
        Step("What was compared", (said,), seeds=_SEEDS),
        Step("The difference", (reason,), formulas, seeds=_SEEDS, positions=(difference.reported_position,)),
    )
    return Explanation(f"Difference in {difference.subject}: {named}", past.position, None, None, steps)


_SEEDS = ("DESIGN section 6, Facts and expectations",)
