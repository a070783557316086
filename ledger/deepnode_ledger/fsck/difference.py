"""What a check says: a difference, with the place where a person can look at it, and how much was looked at."""

from dataclasses import dataclass, field
from typing import Final

from typing_extensions import override

from deepnode_ledger.transparency import EMPTY_ROOT

FINDINGS_MAX: Final = 100
"""Differences of one kind that are kept: one cause can have a million of them, and the first says what it is."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What is stored at ``where`` is not what the rest of the log says.

    Attributes:
        where: a table, row and column, or a file of the published log and the place in it.
        expected: what follows from the stored batches, or from the rule that is broken.
        found: what is there.
    """

    where: str
    expected: str
    found: str

    @override
    def __str__(self) -> str:
        return f"{self.where}: expected {self.expected}, found {self.found}"


@dataclass(slots=True)
class Report:
    """How much was looked at so far. ``root`` is that of the tree over all ``entries`` sealed ones (32 bytes)."""

    entries: int = 0
    batches: int = 0
    root: bytes = EMPTY_ROOT
    checkpoints: int = 0
    sealings: int = 0
    task_keys: int = 0
    pending: int = 0
    files: int = 0


@dataclass(slots=True)
class Findings:
    """Differences of one kind, kept until it is their turn."""

    kept: list[Difference] = field(default_factory=list)

    def note(self, where: str, expected: object, found: object) -> None:
        """Keep one, if there are not too many already."""
        if len(self.kept) < FINDINGS_MAX:
            self.kept.append(Difference(where, shown(expected), shown(found)))

    def compare(self, where: str, expected: object, found: object) -> bool:
        """Say whether two values are the same, and keep a difference if they are not."""
        if expected != found:
            self.note(where, expected, found)
        return expected == found


def shown(value: object) -> str:
    """Write a value of the log for a person: bytes as hex, and nothing endlessly long."""
    if isinstance(value, bytes):
        text = f"0x{value.hex()}" if len(value) <= 32 else f"0x{value[:16].hex()}… ({len(value)} bytes)"
    else:
        text = "nothing" if value is None else str(value)
    return text if len(text) <= 300 else f"{text[:300]}…"
