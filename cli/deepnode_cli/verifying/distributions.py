"""What the verdicts of a replay are as findings: each distribution that is not what the rules give.

What the chain did is a fact, and what the rules make of the same entries is an expectation. Where they differ both
integers are told, with the entries that they rest on. A reason that is known makes it a note, none makes it an error. A
wrong root that was disabled is a warning: it was wrong, and nothing can be claimed by it any more.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from deepnode_cli.verifying.finding import Finding, Severity
from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.registers.state import State
from deepnode_projections.replay import AllocationVerdict, Part, RootVerdict, SplitVerdict, Verdicts
from deepnode_projections.rules.comparisons import Difference
from deepnode_projections.rules.emission import Root

SAID_CHARACTERS_MAX: Final = 1_000
ALTERED_MAX: Final = 20
"""Earners that are named of one wrong root."""


def distributions(stage: str, verdicts: Verdicts, state: State) -> Iterator[Finding]:
    """Yield a finding of everything that differs, in the order of the log within each kind of report."""
    for root in verdicts.roots:
        if not root.agrees:
            yield _of_root(stage, root, state)
    for allocation in verdicts.allocations:
        if not allocation.agrees:
            yield from _of_allocation(stage, allocation)
    for split in verdicts.splits():
        yield from _of_split(stage, split)
    for claim in verdicts.claims():
        what = f"claim of {to_hex(claim.earner)} in {to_hex(claim.asset)}"
        yield _differing(stage, what, claim.part, (claim.position,))
    for other in verdicts.others():
        yield _of_other(stage, other)


def _of_root(stage: str, root: RootVerdict, state: State) -> Finding:
    submitted = state.get(Root, root.epoch, root.asset)
    said = (
        f"the root of epoch {root.epoch} in {to_hex(root.asset)} is {to_hex(root.root)} over {root.total} base units; "
        f"what {root.earners} earned makes {to_hex(root.expected_root)} over {root.expected_total}"
    )
    integers = {"expected total": root.expected_total, "reported total": root.total}
    for altered in root.altered[:ALTERED_MAX]:
        earner = to_hex(altered.earner)
        integers |= {f"expected for {earner}": altered.expected, f"submitted for {earner}": altered.submitted}
    if root.altered:
        said += "; it was made with other amounts of " + ", ".join(
            to_hex(altered.earner) for altered in root.altered[:ALTERED_MAX]
        )
    severity = Severity.ERROR
    # A root of an epoch takes another's place only once that was disabled.
    is_replaced = submitted is not None and submitted.submitted_position != root.position
    if is_replaced or (submitted is not None and submitted.disabled_reason is not None):
        severity = Severity.WARNING
        said += "; it was disabled later"
    return _finding(severity, stage, said, (root.position,), integers)


def _of_allocation(stage: str, allocation: AllocationVerdict) -> Iterator[Finding]:
    what = (
        f"allocation of epoch {allocation.epoch} to domain {to_hex(allocation.domain)} in {to_hex(allocation.asset)}, "
        f"pool {allocation.pool}"
    )
    positions = (allocation.opened, allocation.closed)
    for part in allocation.parts:
        if not part.agrees:
            yield _differing(stage, what, part, (allocation.position, *(at for at in positions if at is not None)))


def _of_split(stage: str, split: SplitVerdict) -> Iterator[Finding]:
    received = () if split.received is None else (split.received,)
    for part in split.parts:
        yield _differing(stage, f"split of receipt {to_hex(split.receipt)}", part, (split.position, *received))


def _of_other(stage: str, other: Difference) -> Finding:
    """What distributes nothing: an old value, stated trust. Two words that differ have their values as the reason."""
    integers = _integers(other.expected, other.fact)
    said = f"{other.subject}: {other.what} of {to_hex(other.key)} is not what the log makes"
    said += "".join(f", {name} {value}" for name, value in integers.items())
    said += f": {other.reason}" if other.reason else ""
    severity = Severity.NOTE if other.reason and integers else Severity.ERROR
    return _finding(severity, stage, said, (other.reported_position,), integers)


def _differing(stage: str, what: str, part: Part, positions: Iterable[int]) -> Finding:
    expected = "nothing" if part.expected is None else part.expected
    reported = "nothing" if part.fact is None else part.fact
    said = f"{what}: {part.name} is {reported} base units, the rules give {expected}"
    said += f" ({part.reason})" if part.reason else ""
    severity = Severity.NOTE if part.reason else Severity.ERROR
    return _finding(severity, stage, said, tuple(positions), _integers(part.expected, part.fact))


def _finding(
    severity: Severity, stage: str, said: str, positions: tuple[int, ...], integers: Mapping[str, int]
) -> Finding:
    return Finding(severity, stage, f"position {positions[0]}", said[:SAID_CHARACTERS_MAX], positions, integers)


def _integers(expected: int | None, reported: int | None) -> dict[str, int]:
    told = (("expected", expected), ("reported", reported))
    return {name: value for name, value in told if value is not None}
