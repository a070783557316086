"""The report of a verification for programs: JSON of a documented form, one line.

The form has a name with a number: fields may be added to it, none is taken out or changes its meaning. Integers that a
finding names are text, as amounts have up to 78 digits and most readers of JSON keep 15; counts, positions and block
numbers are numbers. See docs/verify.md.
"""

import json
from typing import Any, Final

from deepnode_cli.verifying.finding import Finding, Outcome, Severity, StageOutcome
from deepnode_cli.verifying.report import by_severity, untold, verdict

FORMAT: Final = "deepnode.verification/1"


def to_json(outcome: Outcome, *, timings: bool = False) -> str:
    """Write the report as one line of JSON with a line feed behind it.

    Args:
        outcome: of the verification.
        timings: whether each stage has its ``seconds``; without them the same bundle gives the same bytes.
    """
    return json.dumps(fields(outcome, timings=timings), sort_keys=True, separators=(",", ":")) + "\n"


def fields(outcome: Outcome, *, timings: bool = False) -> dict[str, Any]:
    """Return the report as it is written."""
    chains = [
        {"chain_id": chain_id, "first_block": first, "last_block": last, "last_hash": block_hash}
        for chain_id, first, last, block_hash in outcome.chains
    ]
    return {
        "format": FORMAT,
        "ok": outcome.ok,
        "verdict": verdict(outcome),
        "counts": outcome.counts(),
        "bundle": {
            "path": outcome.bundle,
            "sha256": outcome.bundle_sha256,
            "entries": outcome.entries,
            "root": outcome.root,
            "origin": outcome.origin,
            "size": outcome.size,
            "keys": list(outcome.keys),
            "trusted": outcome.trusted,
            "chains": chains,
        },
        "against": outcome.against,
        "program": outcome.version,
        "stages": [_stage(stage, timings=timings) for stage in outcome.stages],
        "findings": [_finding(finding) for _, findings in by_severity(outcome) for finding in findings],
        "untold": untold(outcome),
    }


def _stage(stage: StageOutcome, *, timings: bool) -> dict[str, Any]:
    made = {
        "name": stage.name,
        "skipped": stage.skipped,
        "counted": dict(stage.counted),
        "findings": {severity.name: stage.findings.get(severity, 0) for severity in Severity},
    }
    return {**made, "seconds": round(stage.seconds, 3)} if timings else made


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "severity": finding.severity.name,
        "stage": finding.stage,
        "where": finding.where,
        "said": finding.said,
        "positions": list(finding.positions),
        "integers": {name: str(value) for name, value in finding.integers.items()},
    }
