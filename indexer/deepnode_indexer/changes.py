"""What the follower of a chain did: the values that it reports, for people, for metrics and for tests."""

from dataclasses import dataclass, field

from deepnode_ledger.record import BlockRef
from deepnode_ledger.sealing import Sealed


@dataclass(frozen=True, slots=True)
class Covered:
    """Blocks up to ``last`` are in the log; they held ``logs`` logs. ``finalized`` if they came by the backfill."""

    last: BlockRef
    logs: int
    head: int
    finalized: bool


@dataclass(frozen=True, slots=True)
class Reorged:
    """The log left its old tip and stands on ``kept`` (None: nothing was kept) before the new blocks join."""

    kept: BlockRef | None
    old_tip: BlockRef
    first_block: int = field(default=0, compare=False)

    @property
    def depth(self) -> int:
        """How many blocks of the log were replaced."""
        return self.old_tip.number - (self.first_block - 1 if self.kept is None else self.kept.number)


@dataclass(frozen=True, slots=True)
class Doubted:
    """What shows blocks ``first`` to ``last`` did not fit together; ``settled`` if the receipts decided at once.

    Otherwise they are held: not sealed until the next attempt, or ``deepnode repair``, shows what they hold.
    """

    first: int
    last: int
    reason: str
    settled: bool


@dataclass(frozen=True, slots=True)
class Repaired:
    """The pending logs of blocks ``first`` to ``last`` were ``before`` many and are ``after``, as was proven."""

    first: int
    last: int
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Finalized:
    """The node's newest final block."""

    number: int


Change = Covered | Reorged | Sealed | Doubted | Repaired | Finalized
"""What a step did."""
