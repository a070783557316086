"""How many blocks to ask a provider for at once: as many as fit into one or two megabytes, and as it allows.

Every provider has limits of its own, of blocks, logs, bytes and seconds, most of which it tells only by refusing. So
the length of a range is learned: a refusal makes it shorter, by the range that it names or by half; answers make it
longer again, up to a ceiling that is raised now and then, as most refusals are about the logs that were there.
"""

import threading
from collections.abc import Callable
from typing import Final, TypeVar

from deepnode_indexer.failures import (
    AnswerTooLarge,
    BatchRefused,
    MethodMissing,
    NodeError,
    NodeFailure,
    RangeRefused,
    TimedOut,
)

BLOCKS: Final = 4
"""Blocks in the first range that a provider is asked for: few, as nobody knows yet how many logs are in a block."""

BLOCKS_MAX: Final = 100_000
"""A longer range would keep its memory and its failure for too long, however empty it is."""

ANSWER_BYTES: Final = 1_500_000
"""The size of answer that is aimed at: about 2 000 logs. Nodes serve these quickest."""

GROWTH_MAX: Final = 4
"""How much longer than the last one a range may be."""

NAMED_ANSWERS: Final = 1_024
REFUSED_ANSWERS: Final = 64
FAILED_ANSWERS: Final = 8
"""After so many answers at the ceiling it is tried whether the provider allows more by now: where it named a limit of
blocks, where it refused for another reason, and where it failed in words that we do not know."""

TIME_OUTS_MAX: Final = 2
"""So often a piece is asked for in a shorter form because the answer took too long; a node that hangs is given up."""

_T = TypeVar("_T")


class Sizes:
    """The length of the next range for one provider. Used by several threads at once."""

    def __init__(self, blocks: int = BLOCKS) -> None:
        assert 1 <= blocks <= BLOCKS_MAX, blocks
        self._blocks = blocks
        self._answered = 0
        self._ceiling = BLOCKS_MAX
        self._is_named = False
        self._wait_answers = 0
        self._answers_until_raised = 0
        self._raised_from: int | None = None
        self._lock = threading.Lock()

    @property
    def blocks(self) -> int:
        """How many blocks to ask for."""
        with self._lock:
            return self._blocks

    def answered(self, blocks: int, answer_bytes: int) -> None:
        """Learn from an answer: ``blocks`` took ``answer_bytes``."""
        assert blocks >= 1, blocks
        with self._lock:
            if blocks * 2 < self._blocks and answer_bytes < ANSWER_BYTES:
                # The short rest of a range says little of what a whole one would take.
                return
            self._answered = blocks
            if self._raised_from is not None and blocks > self._raised_from:
                # The provider allows more than it did, so the next look may come soon.
                self._wait_answers, self._raised_from = FAILED_ANSWERS, None
            if self._ceiling < BLOCKS_MAX:
                self._raise_ceiling()
            fitting = blocks * ANSWER_BYTES // max(answer_bytes, 1)
            self._blocks = max(1, min(fitting, blocks * GROWTH_MAX, self._ceiling, self._halfway(blocks)))

    def refused(self, blocks: int, failure: NodeFailure) -> int:
        """Learn from a refusal of a range of so many blocks; return how many to ask for instead, which is less."""
        assert blocks >= 2, blocks
        fitting = _fitting(blocks, failure)
        named = isinstance(failure, RangeRefused) and failure.suggested is None and fitting is not None
        with self._lock:
            if fitting is None:
                # What was answered before will be again, unless it is very little.
                before = self._answered
                fitting = before if blocks // 4 <= before < blocks else blocks // 2
            shorter = max(1, min(fitting, blocks - 1))
            self._blocks = min(self._blocks, shorter)
            if not isinstance(failure, TimedOut):
                # A slow moment says nothing of what is allowed; a refusal does.
                refused = REFUSED_ANSWERS if isinstance(failure, RangeRefused) else FAILED_ANSWERS
                self._ceiling, self._is_named = (shorter, True) if named else (blocks - 1, False)
                self._wait_answers = max(self._wait_answers, NAMED_ANSWERS if named else refused)
                self._answers_until_raised = self._wait_answers
        return shorter

    def forget(self) -> None:
        """Begin anew: where even one block is refused, the length was not what the node minded."""
        with self._lock:
            self._blocks, self._answered, self._ceiling, self._wait_answers = BLOCKS, 0, BLOCKS_MAX, 0

    def _raise_ceiling(self) -> None:
        self._answers_until_raised -= 1
        if self._answers_until_raised <= 0:
            self._raised_from, self._is_named = self._ceiling, False
            self._ceiling = min(self._ceiling * 2, BLOCKS_MAX)
            # Each look that is refused makes the next one come later.
            self._wait_answers = min(self._wait_answers * 2, NAMED_ANSWERS)
            self._answers_until_raised = self._wait_answers

    def _halfway(self, blocks: int) -> int:
        """Where a limit was found by being refused, come nearer to it by halves, and not for the last eighth."""
        if self._ceiling == BLOCKS_MAX or self._is_named:
            return self._ceiling
        room = self._ceiling - blocks
        return blocks if room <= blocks // 8 else blocks + (room + 1) // 2


def in_pieces(
    ask: Callable[[int, int], _T], size_of: Callable[[_T], int], sizes: Sizes, first: int, last: int
) -> list[_T]:
    """Ask for a range of any length in pieces of the length that suits the provider; return the pieces in order.

    Each answer goes further by at least one block, and each refusal makes the piece shorter, so this ends.

    Args:
        ask: asks for a piece by its first and last block.
        size_of: an answer's bytes.
        sizes: the provider's.
        first: the range's first block.
        last: its last one.

    Raises:
        NodeFailure: what ``ask`` raises: no refusal, the refusal of a single block, or one time-out too many.
    """
    assert first <= last, (first, last)
    found: list[_T] = []
    while first <= last:
        blocks = min(sizes.blocks, last - first + 1)
        time_outs = 0
        while True:
            try:
                found.append(ask(first, first + blocks - 1))
                break
            except NodeFailure as failure:
                time_outs += isinstance(failure, TimedOut)
                if not is_refusal(failure) or time_outs > TIME_OUTS_MAX:
                    raise
                if blocks == 1:
                    sizes.forget()
                    raise
                blocks = sizes.refused(blocks, failure)
        sizes.answered(blocks, size_of(found[-1]))
        first += blocks
    return found


def is_refusal(failure: Exception) -> bool:
    """Whether a smaller question may be answered by the same node. An error in words that nobody knows may be one."""
    if isinstance(failure, NodeError):
        return not isinstance(failure, MethodMissing | BatchRefused)
    return isinstance(failure, AnswerTooLarge | TimedOut)


def _fitting(blocks: int, failure: NodeFailure) -> int | None:
    """The length that the refusal names, if that is any help."""
    if not isinstance(failure, RangeRefused):
        return None
    if failure.suggested is not None:
        suggested = failure.suggested[1] - failure.suggested[0] + 1
        # Some nodes suggest the very range that they refused.
        return suggested if suggested < blocks else None
    if failure.blocks_max is None or failure.blocks_max > blocks:
        return None
    # Some count blocks and some the steps between them: a limit that was not passed means one less.
    return failure.blocks_max - (failure.blocks_max == blocks)
