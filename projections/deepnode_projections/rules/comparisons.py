"""Facts beside expectations: what the chain reports, held against what the rules give.

What the chain did is a fact, and what the rules make of the same events is an expectation. Both are kept. Every
comparison is counted, and where the two differ there is a row with both, and the reason as far as one is known.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.registers.record import Amount
from deepnode_projections.rules.scene import Scene


@dataclass(frozen=True, slots=True)
class Difference:
    """Something of a ``subject`` (``RevenueSplit``, ``EpochAllocated`` …) that is not what the rules give.

    ``what`` names the part (a leg, a total), ``key`` the thing (32 bytes of a receipt, an address …),
    ``reported_position`` the entry that reported it. ``expected`` or ``fact`` is None where there is none at all, or
    where the two are words: then ``reason`` says both. Else it is empty where nothing explains the difference.
    """

    TABLE: ClassVar[str] = "difference"
    KEY: ClassVar[int] = 4

    subject: str
    what: str
    key: bytes
    reported_position: int
    expected: Amount | None
    fact: Amount | None
    reason: str


@dataclass(frozen=True, slots=True)
class Checked:
    """How many comparisons of a part there were, and how many of them differed."""

    TABLE: ClassVar[str] = "checked"
    KEY: ClassVar[int] = 2

    subject: str
    what: str
    comparisons: int
    differing: int


def compare(
    scene: Scene, subject: str, what: str, key: bytes, expected: int | None, fact: int | None, reason: str = ""
) -> bool:
    """Hold a fact against what is expected; return whether they agree.

    Args:
        scene: of the event that reports the fact.
        subject: the kind of report.
        what: the part of it.
        key: the thing that it is about.
        expected: what the rules give; None if they give nothing.
        fact: what was reported; None if nothing was.
        reason: why they may differ, if that is known.
    """
    if expected != fact:
        return _differs(scene, subject, what, key, expected, fact, reason)
    _count(scene, subject, what, differing=0)
    return True


def compare_words(scene: Scene, subject: str, what: str, key: bytes, expected: bytes, fact: bytes) -> bool:
    """Hold a word (a root, a hash: 32 bytes) against what is expected; return whether they agree."""
    if expected == fact:
        return compare(scene, subject, what, key, None, None)
    reason = f"expected {to_hex(expected)}, reported {to_hex(fact)}"
    return _differs(scene, subject, what, key, None, None, reason)


def _differs(
    scene: Scene, subject: str, what: str, key: bytes, expected: int | None, fact: int | None, reason: str
) -> bool:
    scene.state.put(Difference(subject, what, key, scene.position, expected, fact, reason))
    _count(scene, subject, what, differing=1)
    return False


def _count(scene: Scene, subject: str, what: str, *, differing: int) -> None:
    before = scene.state.get(Checked, subject, what) or Checked(subject, what, 0, 0)
    scene.state.put(Checked(subject, what, before.comparisons + 1, before.differing + differing))


RECORDS: Final = (Difference, Checked)
