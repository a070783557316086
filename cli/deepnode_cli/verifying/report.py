"""The report of a verification, for people: the verdict in one sentence, what was looked at, and what was found.

Whoever gets the same bundle and brings the same keys gets the same bytes: no clock is in it, and seconds only if they
are asked for. A bundle's words are shown, never obeyed: what a terminal would act upon is written as digits.
"""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from deepnode_cli.verifying.finding import Finding, Outcome, Severity, StageOutcome

FINDINGS_SHOWN: Final = 50
"""Findings that are shown on a terminal unless more are asked for."""

POSITIONS_SHOWN: Final = 8

NETWORK: Final = "against"
"""The stage that needs a network, and says nothing of the bundle alone: a verification is whole without it."""

KIND: Final = ": "
"""Stands in the name of a kind of comparison, between the event and the field of it."""

LINE_CHARACTERS: Final = 100
"""Width of the text, but for words that are longer: a hash is never broken."""

WIDTH_MIN: Final = 30

_GRAVEST_FIRST: Final = sorted(Severity, reverse=True)


def to_text(outcome: Outcome, findings_max: int = FINDINGS_SHOWN, *, timings: bool = False) -> str:
    """Write the report for a terminal.

    Args:
        outcome: of the verification.
        findings_max: how many findings are told one by one, gravest first.
        timings: whether each stage's seconds are told.
    """
    return "".join(f"{line}\n" for line in _lines(outcome, findings_max, timings=timings))


def verdict(outcome: Outcome) -> str:
    """Say in one sentence what came out."""
    what = of_what(outcome)
    errors, warnings = (number_of(outcome, each) for each in (Severity.ERROR, Severity.WARNING))
    if errors:
        beside = f" and {counted(warnings, 'warning')}" if warnings else ""
        return f"The {what} does NOT hold: {counted(errors, 'error')}{beside}."
    left_out = [stage.name for stage in outcome.stages if stage.skipped and stage.name != NETWORK]
    reservations = []
    if not outcome.trusted:
        reservations.append("it vouches for itself, as no key of the log was brought")
    if warnings:
        reservations.append(counted(warnings, "warning"))
    if left_out:
        reservations.append(f"not run: {', '.join(left_out)}")
    if reservations:
        return f"The {what} holds as far as it was checked: {'; '.join(reservations)}."
    return f"The {what} holds: everything in it is what it must be."


def of_what(outcome: Outcome) -> str:
    """Name what was verified: a bundle, or a single file."""
    return "file" if outcome.is_file else "bundle"


def identity(outcome: Outcome) -> Iterator[tuple[str, str]]:
    """Yield what was verified and by what, as names and values."""
    yield of_what(outcome), outcome.bundle
    if outcome.bundle_sha256:
        yield (
            ("SHA-256", outcome.bundle_sha256)
            if outcome.is_file
            else ("bundle.json", f"SHA-256 {outcome.bundle_sha256}")
        )
    if outcome.origin is not None:
        yield "log", outcome.origin
    if outcome.entries is not None:
        yield "positions", f"1 to {outcome.entries}"
    if outcome.root is not None:
        yield "tree root", outcome.root
    if outcome.size is not None:
        yield "signed", f"a checkpoint of {counted(outcome.size, 'entry', 'entries')}"
    for chain_id, first, last, block_hash in outcome.chains:
        yield f"chain {chain_id}", f"blocks {first} to {last}"
        yield f"block {last}", block_hash
    for key in outcome.keys:
        yield "trusted key" if outcome.trusted else "its own key", key
    if outcome.against:
        yield "compared with", outcome.against
    yield "program", f"deepnode-ledger {outcome.version}"


def by_severity(outcome: Outcome) -> Iterator[tuple[Severity, list[Finding]]]:
    """Yield the findings of each severity that there are any of, the gravest first, in the order of the stages."""
    for severity in _GRAVEST_FIRST:
        found = [each for each in outcome.findings if each.severity is severity]
        if found:
            yield severity, found


def number_of(outcome: Outcome, severity: Severity) -> int:
    """How many findings of a severity there are, those that are not told one by one included."""
    return outcome.counts()[severity.name]


def untold(outcome: Outcome) -> int:
    """How many findings were only counted."""
    return sum(outcome.counts().values()) - len(outcome.findings)


def shown(text: str) -> str:
    """Write text that came from outside: control characters, and those that turn the direction, as their numbers."""
    return "".join(each if each.isprintable() else f"\\u{{{ord(each):x}}}" for each in text)


def counted(number: int, one: str, several: str | None = None) -> str:
    """Write a number of things: ``1 entry``, ``2 entries``."""
    return f"{number} {one if number == 1 else several or one + 's'}"


def positions_of(finding: Finding, positions_max: int = POSITIONS_SHOWN) -> str:
    """Write the positions that a finding names, the first ones."""
    told = ", ".join(map(str, finding.positions[:positions_max]))
    rest = len(finding.positions) - positions_max
    return f"{told} and {rest} more" if rest > 0 else told


def looked_at(stage: StageOutcome) -> str:
    """Write what a stage counted, or why it was not run; comparisons of many kinds are one number."""
    if stage.skipped:
        return f"not run: {shown(stage.skipped)}"
    told = [f"{number} {shown(what)}" for what, number in stage.counted.items() if KIND not in what]
    if kinds := kinds_of(stage):
        told.append(f"{sum(kinds.values())} comparisons of {counted(len(kinds), 'kind')}")
    return ", ".join(told)


def kinds_of(stage: StageOutcome) -> Mapping[str, int]:
    """How much a stage compared of each kind: what it counted under names such as ``Claimed: cumulative``."""
    return {what: number for what, number in stage.counted.items() if KIND in what}


def found_in(stage: StageOutcome) -> Mapping[Severity, int]:
    """How many findings of each severity a stage had, the gravest first."""
    return {severity: stage.findings.get(severity, 0) for severity in _GRAVEST_FIRST}


def _lines(outcome: Outcome, findings_max: int, *, timings: bool) -> Iterator[str]:
    yield verdict(outcome)
    yield ""
    known = list(identity(outcome))
    width = max(len(name) for name, _ in known)
    for name, value in known:
        yield f"  {name:<{width}}  {shown(value)}"
    yield ""
    yield from _stages(outcome.stages, timings=timings)
    told = [finding for _, findings in by_severity(outcome) for finding in findings]
    for finding in told[:findings_max]:
        yield ""
        yield from _finding(finding)
    rest = sum(outcome.counts().values()) - min(len(told), findings_max)
    if rest:
        yield ""
        yield f"and {counted(rest, 'further finding')}"


def _stages(stages: Sequence[StageOutcome], *, timings: bool) -> Iterator[str]:
    width = max((len(stage.name) for stage in stages), default=0)
    seconds = "  seconds" if timings else ""
    head = f"  {'stage':<{width}}  errors  warnings  notes{seconds}  "
    yield f"{head}looked at"
    for stage in stages:
        errors, warnings, notes = ("-" if stage.skipped else str(each) for each in found_in(stage).values())
        took = f"  {stage.seconds:7.2f}" if timings else ""
        line = f"  {stage.name:<{width}}  {errors:>6}  {warnings:>8}  {notes:>5}{took}  "
        for row in _wrapped(looked_at(stage), LINE_CHARACTERS - len(head)) or [""]:
            yield f"{line}{row}".rstrip()
            line = " " * len(head)


def _finding(finding: Finding) -> Iterator[str]:
    yield f"{finding.severity.name}  {finding.stage}  {shown(finding.where)}"
    for row in _wrapped(shown(finding.said), LINE_CHARACTERS - 2):
        yield f"  {row}"
    if finding.positions:
        yield f"  positions: {positions_of(finding)}"
    for name, value in finding.integers.items():
        yield f"  {shown(name)}: {value}"


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, max(width, WIDTH_MIN), break_long_words=False, break_on_hyphens=False)
