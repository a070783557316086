"""The backfill: ranges of final blocks, fetched side by side and put into the log in the order of the chain.

A fixed number of ranges is under way at once, so memory does not grow with the chain. Answers that are ready together
are written together, because a transaction costs the same for a few logs as for many.
"""

import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from deepnode_indexer.changes import Change, Covered, Doubted
from deepnode_indexer.completeness import Disputed, Examiner, Shown
from deepnode_indexer.provider import Tags, join
from deepnode_indexer.rpc import BadAnswer
from deepnode_indexer.watched import Watched
from deepnode_ledger.evidence import Evidence, Hold, describe
from deepnode_ledger.log import Behind, Log
from deepnode_ledger.record import BlockRef

WINDOW: Final = 8
"""Ranges under way at once."""

RANGE_BLOCKS_MAX: Final = 2_000
"""Blocks in one range, however few logs they hold: all their headers are looked at together."""

WRITTEN_LOGS: Final = 16_384
"""Ranges that are ready are written in one transaction until they have so many logs."""


@dataclass(frozen=True, slots=True)
class _Asked:
    first: int
    last: int
    addresses: list[bytes]
    is_held: bool
    answer: Future[Shown]


class Backfill:
    """Takes the final blocks of one chain into the sealed part of the log."""

    def __init__(self, examiner: Examiner, log: Log, watched: Watched) -> None:
        self._examiner = examiner
        self._log = log
        self._watched = watched

    def run(self, tags: Tags) -> Iterator[Change]:
        """Cover the chain up to its final block; ends early where another chain's tail stands before.

        Raises:
            Disputed: a range could not be shown to be complete; it is held.
            TryAgain: as for ``Follower.sync``.
        """
        assert tags.finalized is not None, "there is nothing to backfill without a final block"
        chain = self._log.chain()
        with ThreadPoolExecutor(max_workers=WINDOW, thread_name_prefix="backfill") as pool:
            first = chain.first_block if chain.tip is None else chain.tip.number + 1
            waiting = _Ranges(self, pool, first, tags, self._log.holds())
            parent = chain.tip
            try:
                while (asked := waiting.next()) is not None:
                    shown = [self._shown(asked)]
                    while sum(len(each.range.logs) for each in shown) < WRITTEN_LOGS and waiting.is_ready():
                        following = waiting.next()
                        assert following is not None
                        shown.append(self._shown(following))
                    for each in shown:
                        if each.dispute is not None:
                            dispute = each.dispute
                            yield Doubted(dispute.first, dispute.last, dispute.reason, settled=True)
                    # What is held is let go of by proofs alone, so they are written by themselves.
                    for is_proof, together in itertools.groupby(shown, key=lambda each: each.proof):
                        parent = self._write(parent, list(together), tags, release=is_proof)
                    assert parent is not None
                    logs = sum(len(each.range.logs) for each in shown)
                    yield Covered(parent, logs, tags.head.block.number, finalized=True)
            except Disputed as dispute:
                if self._log.hold(Hold(dispute.first, dispute.last, dispute.reason)):
                    yield Doubted(dispute.first, dispute.last, dispute.reason, settled=False)
                raise
            except Behind:
                # The other chain's tail goes first; until then this one follows block by block.
                return
            finally:
                waiting.cancel()

    def ask(self, first: int, last: int, addresses: list[bytes], *, is_held: bool) -> Shown:
        """Fetch a range; one that is held is believed on a proof alone."""
        examine = self._examiner.prove if is_held else self._examiner.show
        return examine(first, last, addresses)

    @property
    def addresses(self) -> list[bytes]:
        """Who is watched now."""
        return self._watched.addresses

    @property
    def range_blocks(self) -> int:
        """How long a range to ask for now."""
        return min(RANGE_BLOCKS_MAX, self._examiner.providers.order()[0].sizes.blocks)

    def _shown(self, asked: _Asked) -> Shown:
        """Wait for an answer, and ask again while its logs make children whose logs were not asked for."""
        shown, addresses = asked.answer.result(), asked.addresses
        while True:
            self._watched.learn(shown.range.logs)
            if self._watched.addresses == addresses:
                return shown
            addresses = self._watched.addresses
            shown = self.ask(asked.first, asked.last, addresses, is_held=asked.is_held)

    def _write(self, parent: BlockRef | None, shown: list[Shown], tags: Tags, *, release: bool) -> BlockRef:
        assert tags.finalized is not None
        whole = join([each.range for each in shown])
        final, last = tags.finalized.block, whole.last.block
        if last.number == final.number and last.hash != final.hash:
            raise BadAnswer(f"block {last.number} is not the block that was final a moment ago")
        if parent is not None and whole.first.parent_hash != parent.hash:
            raise BadAnswer(f"block {whole.first.block.number} is not the child of the covered block {parent.number}")
        logs = self._watched.counting(whole.logs)
        self._watched.count_unknown(logs)
        evidence = [one for each in shown for one in each.evidence]
        self._log.append_finalized(
            whole.first.block.number,
            whole.last,
            logs,
            describe(_common(shown)),
            evidence=evidence,
            release=release,
        )
        return last


def _common(shown: Sequence[Shown]) -> list[Evidence]:
    """Return evidence of the kinds that every range has: what can be said of all of them together."""
    kinds = set.intersection(*({one.kind for one in each.evidence} for each in shown))
    return [one for one in shown[0].evidence if one.kind in kinds]


class _Ranges:
    """The window: ranges asked for ahead, handed out in the order of the chain."""

    def __init__(
        self, backfill: Backfill, pool: ThreadPoolExecutor, first: int, tags: Tags, holds: Sequence[Hold]
    ) -> None:
        assert tags.finalized is not None
        self._backfill = backfill
        self._pool = pool
        self._next = first
        self._last = tags.finalized.block.number
        self._holds = holds
        self._window: deque[_Asked] = deque()

    def next(self) -> _Asked | None:
        """Hand out the oldest range that was asked for, and ask for another; None at the end."""
        self._fill()
        if not self._window:
            return None
        return self._window.popleft()

    def is_ready(self) -> bool:
        """Say whether the next range can be had without waiting."""
        self._fill()
        return bool(self._window) and self._window[0].answer.done() and self._window[0].answer.exception() is None

    def cancel(self) -> None:
        """Ask for nothing more."""
        for asked in self._window:
            asked.answer.cancel()

    def _fill(self) -> None:
        while len(self._window) < WINDOW and self._next <= self._last:
            first = self._next
            last = min(first + self._backfill.range_blocks - 1, self._last)
            # A range is held as a whole or not at all, so that a doubt does not spread over its neighbours.
            is_held = any(held.first <= first <= held.last for held in self._holds)
            edges = (edge for held in self._holds for edge in (held.first - 1, held.last))
            last = min((edge for edge in edges if first <= edge <= last), default=last)
            addresses = self._backfill.addresses
            answer = self._pool.submit(self._backfill.ask, first, last, addresses, is_held=is_held)
            self._window.append(_Asked(first, last, addresses, is_held, answer))
            self._next = last + 1
