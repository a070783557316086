"""What each cell of an operation is: of which of a batch's lists it is a number, or between which bounds it lies.

``ops`` says it for who reads; this says it for who writes, copies or checks the cells of all rows at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from types import MappingProxyType
from typing import Final

from deepnode_ledger.statement_form import RATING_MAX, SEVERITY_MAX
from deepnode_ledger.vocabulary import LEGS
from deepnode_projections.kernel import ops


class Of(Enum):
    """What a cell is the number of. ``AMOUNT`` and ``NUMBER`` are what they are; an amount has two cells."""

    ID = auto()
    HASH = auto()
    NAME = auto()
    EVENT = auto()
    HOLDER = auto()
    AMOUNT = auto()
    NUMBER = auto()


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell, by the ``name`` of the argument or member that it holds; bounds are those of a number, both included.

    What is left out is ``layout.NONE``.
    """

    name: str
    of: Of
    low: int = 0
    high: int = 0
    may_be_left_out: bool = False

    @property
    def width(self) -> int:
        """How many cells it really is."""
        return 2 if self.of is Of.AMOUNT else 1


def _all(of: Of, names: str) -> tuple[Cell, ...]:
    return tuple(Cell(name, of) for name in names.split())


_ATTEMPT: Final = Cell("attempt", Of.NUMBER, 1, 2**31 - 1)
_SLOT: Final = Cell("slot", Of.NUMBER, 1, 64)
_DIFFICULTY: Final = Cell("difficulty_ppm", Of.NUMBER, 1, 10_000_000)
_SOURCE: Final = (Cell("producer", Of.NAME), Cell("event_id", Of.EVENT))
_FOUND_SOURCE: Final = (Cell("producer", Of.NAME), Cell("event_id", Of.NAME))

CELLS: Final[Mapping[int, tuple[Cell, ...]]] = MappingProxyType(
    {
        ops.RULES: (),
        ops.NOTHING: (),
        ops.TRANSFER: (*_all(Of.ID, "token"), *_all(Of.HOLDER, "from to"), *_all(Of.AMOUNT, "value")),
        ops.RECEIVED: (*_all(Of.ID, "contract receipt model asset payer ref"), *_all(Of.AMOUNT, "amount")),
        ops.SPLIT: (
            *_all(Of.ID, "contract receipt model asset ruleset"),
            *_all(Of.AMOUNT, " ".join(["gross", *LEGS])),
        ),
        ops.CREATED: (
            *_all(Of.ID, "task domain model"),
            Cell("version", Of.NUMBER, 0, 2**32 - 1),
            *_all(Of.HASH, "consumer_hash"),
            *_all(Of.AMOUNT, "price"),
            *_all(Of.ID, "asset"),
            _DIFFICULTY,
            *_all(Of.HASH, "input_hash"),
            *_SOURCE,
        ),
        ops.ASSIGNED: (
            *_all(Of.ID, "task"),
            *(_ATTEMPT, _SLOT),
            *_all(Of.ID, "node"),
            Cell("trust_ppm", Of.NUMBER, 0, 1_000_000),
            *_all(Of.AMOUNT, "collateral"),
        ),
        ops.ANSWERED: (
            *_all(Of.ID, "task"),
            *(_ATTEMPT, _SLOT),
            *_all(Of.ID, "node"),
            *_all(Of.HASH, "output_hash"),
            *(Cell(name, Of.NUMBER, 0, 2**53, True) for name in ("latency_ms", "input_tokens", "output_tokens")),
        ),
        ops.VALIDATED: (
            *_all(Of.ID, "task"),
            *(_ATTEMPT, _SLOT),
            *_all(Of.ID, "validator"),
            Cell("verdict", Of.NUMBER, 0, 1),
            Cell("score", Of.NUMBER, 0, 100),
            *_all(Of.HASH, "report_hash"),
        ),
        ops.AGREED: (
            *_all(Of.ID, "task"),
            _ATTEMPT,
            Cell("verdict", Of.NUMBER, 0, 1),
            Cell("accepted", Of.NUMBER, -(2**63), 2**63 - 1),
        ),
        ops.CREDITED: (
            *_all(Of.ID, "task"),
            *(_ATTEMPT, _SLOT),
            *_all(Of.ID, "node"),
            Cell("vwu", Of.NUMBER, 1, 10**12),
            _DIFFICULTY,
            *_SOURCE,
        ),
        ops.RATED: (
            *_all(Of.ID, "task"),
            Cell("rating", Of.NUMBER, 1, RATING_MAX),
            Cell("comment_hash", Of.HASH, may_be_left_out=True),
            *_FOUND_SOURCE,
        ),
        ops.SETTLED: (
            *_all(Of.ID, "task asset"),
            *_all(Of.AMOUNT, "amount"),
            *_all(Of.ID, "processor"),
            Cell("reference_hash", Of.HASH, may_be_left_out=True),
            *_FOUND_SOURCE,
        ),
        ops.REPORTED: (
            *_all(Of.ID, "task"),
            *(_ATTEMPT, _SLOT),
            *_all(Of.ID, "node validator"),
            Cell("severity", Of.NUMBER, 1, SEVERITY_MAX),
            *_all(Of.HASH, "evidence_hash"),
        ),
        ops.RETRIED: (*_all(Of.ID, "task"), _ATTEMPT, replace(_ATTEMPT, name="next_attempt")),
        ops.REJECTED: (*_all(Of.ID, "task"), _ATTEMPT),
        ops.EXPIRED: (*_all(Of.ID, "task"), _ATTEMPT),
        ops.PRICED: (
            *_all(Of.ID, "asset"),
            *_all(Of.NAME, "fiat source"),
            *_all(Of.AMOUNT, "price_ppm"),
            *_FOUND_SOURCE,
            *_all(Of.EVENT, "time"),
        ),
    }
)
"""The cells of every operation, in their order."""

WIDTHS: Final[Mapping[int, int]] = MappingProxyType(
    {op: sum(cell.width for cell in cells) for op, cells in CELLS.items()}
)
"""How many cells every operation has."""
