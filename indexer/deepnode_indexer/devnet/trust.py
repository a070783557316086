"""Trust in a node: the steps by which it came about, in the order in which a ledger has them.

Outcomes that the producer says and cases that the chain decides move the same score, each step a part of the way to its
target, so their order counts. A block's logs stand before what was said in its step. A reorg takes back what replaced
blocks have decided, and nothing that was said: that then stands behind the new blocks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from deepnode_indexer.devnet.anvil import STATES_KEPT

TRUST_START_PPM: Final = 500_000
PPM: Final = 10**6


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a score: `alpha_ppm` of the way to `target_ppm`."""

    target_ppm: int
    alpha_ppm: int

    def behind(self, ppm: int) -> int:
        """The score behind this step."""
        return (ppm * (PPM - self.alpha_ppm) + self.target_ppm * self.alpha_ppm) // PPM


@dataclass(frozen=True, slots=True)
class _Placed:
    """A step that has its block; `said` tells those of the producer from those of the chain."""

    block: int
    step: Step
    said: bool


@dataclass(slots=True, eq=False)
class Trust:
    """The trust in one node, and as many of its last steps as a reorg can reach.

    Attributes:
        ppm: the score behind all steps.
    """

    ppm: int = TRUST_START_PPM
    _settled_ppm: int = TRUST_START_PPM
    _placed: list[_Placed] = field(default_factory=list)
    _open: list[Step] = field(default_factory=list)

    def say(self, step: Step) -> None:
        """The producer says an outcome; its block is the one that is closed next."""
        self._open.append(step)
        self.ppm = step.behind(self.ppm)

    def decide(self, block: int, step: Step) -> None:
        """The chain has decided a case in a block that is not closed yet: before what waits for that block."""
        assert not self._placed or self._placed[-1].block <= block, (self._placed[-1], block)
        self._placed.append(_Placed(block, step, said=False))
        self._fold()

    def close(self, block: int) -> None:
        """What was said since the last block, or lost its own, stands behind this one."""
        if self._open:
            self._placed += [_Placed(block, step, said=True) for step in self._open]
            self._open = []
            self._settle(block)

    def forget(self, first_block: int) -> None:
        """Blocks from this one on were replaced: their decisions are void, what was said waits for another block."""
        dropped = [placed for placed in self._placed if placed.block >= first_block]
        if dropped:
            del self._placed[-len(dropped) :]
            self._open = [placed.step for placed in dropped if placed.said] + self._open
            self._fold()

    def _fold(self) -> None:
        ppm = self._settled_ppm
        for step in (*(placed.step for placed in self._placed), *self._open):
            ppm = step.behind(ppm)
        self.ppm = ppm

    def _settle(self, head: int) -> None:
        """Let go of steps that no reorg can reach, many at a time."""
        if self._placed[0].block < head - 2 * STATES_KEPT:
            for placed in self._placed:
                if placed.block < head - STATES_KEPT:
                    self._settled_ppm = placed.step.behind(self._settled_ppm)
            self._placed = [placed for placed in self._placed if placed.block >= head - STATES_KEPT]


@dataclass(frozen=True, slots=True)
class Lesson:
    """Whose trust takes which step."""

    trust: Trust
    step: Step
