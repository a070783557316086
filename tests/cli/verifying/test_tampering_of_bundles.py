"""Tampering with a bundle of a real devnet: every change is found, and the finding says where.

The bundle is made by ``deepnode bundle create`` of a log that followed a real node, with books, a signed checkpoint
and the node's headers and receipts. A seed decides what the forger does; the stages that decide it are run, in this
process.
"""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from deepnode_cli.verifying.driving import Planned, verify
from deepnode_cli.verifying.finding import Brought, Finding, Outcome, Severity
from deepnode_cli.verifying.stages import stages
from tests.cli.verifying.forger import Forger
from tests.cli.verifying.kinds_of_tampering import KINDS, Found, Tampering
from tests.e2e.devnet_bundle import DevnetBundle


def test_the_untouched_bundle_passes(made: DevnetBundle, brought: Brought) -> None:
    """All stages of the honest bundle: no error, and each has looked at something."""
    outcome = verify(made.path, stages(brought), brought)
    assert outcome.ok, errors(outcome)
    looked = {stage.name for stage in outcome.stages if stage.counted}
    assert looked == {stage.name for stage in outcome.stages} - {"against"}
    assert outcome.trusted
    assert outcome.size == outcome.entries


def test_there_are_three_hundred_changes() -> None:
    """The kinds below together."""
    assert sum(kind.seeds for kind in KINDS) >= 300


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name.replace(" ", "-"))
def test_every_change_is_found_where_it_was_made(kind: Tampering, forger: Forger, brought: Brought) -> None:
    """Forges with each seed and runs the stages that decide, until one has found it."""
    assert missed(kind, range(kind.seeds), forger, brought) == []


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name.replace(" ", "-"))
def test_ten_times_as_many_changes_are_found(kind: Tampering, forger: Forger, brought: Brought) -> None:
    """The same with other seeds, ten times as many."""
    assert missed(kind, range(kind.seeds, 11 * kind.seeds), forger, brought) == []


def test_without_a_key_a_stranger_who_signs_himself_is_believed_and_that_is_said(forger: Forger) -> None:
    """A bundle cannot vouch for itself: a forger's own key opens it, and the report warns that nobody brought one."""
    kind = next(each for each in KINDS if each.name == "a stranger signs")
    with forger.at_work():
        kind.forge(forger, Random(0))
        outcome = verify(forger.path, _planned(Brought(), ("checkpoint",)), Brought())
    assert outcome.ok
    assert [each.severity for each in outcome.findings] == [Severity.WARNING]
    assert not outcome.trusted


def missed(kind: Tampering, seeds: range, forger: Forger, brought: Brought) -> list[tuple[int, Found, list[Finding]]]:
    """The seeds whose change was not found where it was made: with the place, and what was found."""
    gone = []
    for seed in seeds:
        with forger.at_work():
            place = kind.forge(forger, Random(f"{kind.name} {seed}"))
            found = list(_errors(forger.path, brought, kind.stages, place))
            if not any(_points_at(each, place) for each in found):
                gone.append((seed, place, found))
    return gone[:3]


def errors(outcome: Outcome) -> list[Finding]:
    """The findings that are errors."""
    return [each for each in outcome.findings if each.severity == Severity.ERROR]


def _errors(path: Path, brought: Brought, names: tuple[str, ...], place: Found) -> Iterator[Finding]:
    """Run one stage after the other, and end behind the first that points there: the others cost time."""
    for name in names:
        found = errors(verify(path, _planned(brought, (name,)), brought))
        yield from found
        if any(_points_at(each, place) for each in found):
            return


def _planned(brought: Brought, names: tuple[str, ...]) -> list[Planned]:
    return [each for each in stages(brought) if each.name in names]


def _points_at(finding: Finding, place: Found) -> bool:
    return finding.where in place.places or (place.position is not None and place.position in finding.positions)
