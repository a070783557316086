"""Following the chain: backfill what is final, then the tail, with its reorgs.

``sync`` takes the log one step further and is all there is to a restart: it looks at what the log covers, at what the
node has, and does the next thing. Nothing is remembered between steps but what the log holds.
"""

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from deepnode_indexer.provider import BlockRange, Provider, Tags
from deepnode_indexer.rpc import AnswerTooLarge, BadAnswer, NodeError
from deepnode_ledger.chain import Chain
from deepnode_ledger.log import Log
from deepnode_ledger.record import BlockRef, Header
from deepnode_ledger.sealing import Sealed
from deepnode_ledger.tail import NotContiguous, ReorgBelowSealed

TAIL_BLOCKS: Final = 256
"""Blocks of the tail in one transaction."""

RANGE_BLOCKS: Final = 1_000
"""Blocks asked for in one request of the backfill, where the provider allows as many."""

WINDOW: Final = 8
"""Requests of the backfill under way at once."""

SEAL_ENTRIES: Final = 1_000
SEAL_BLOCKS: Final = 150
"""A sealed batch holds at least so many entries, or what came in so many blocks (five minutes on Base): tiny batches
cost space, and waiting longer serves nobody."""

ANCESTOR_BLOCKS: Final = 32
"""Headers asked for in one step of the search for the block that a reorg left standing."""

RANGE_EVIDENCE: Final = "ends linked by parent hash, asked for with the logs"


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


Change = Covered | Reorged | Sealed
"""What a step of ``sync`` did."""


class Follower:
    """Takes one chain from one provider into one log."""

    def __init__(self, provider: Provider, log: Log, *, seal_entries: int = SEAL_ENTRIES) -> None:
        self._provider = provider
        self._log = log
        self._seal_entries = seal_entries

    def sync(self) -> Iterator[Change]:
        """Bring the log to the node's head, step by step; ends when it is there.

        Raises:
            ReorgBelowSealed: the chain replaced what is sealed. The log is unchanged; an operator has to look.
            TryAgain: the node or the database is away, or the node's answers do not fit together. The log is unchanged
                since the last step; call again.
        """
        tags = self._provider.tags()
        chain = self._log.chain()
        kept = self._common_ancestor(chain, tags)
        if tags.finalized is not None and tags.finalized.block.number > _next_block(chain, kept) - 1:
            if kept != chain.tip:
                # What the reorg replaced goes by the tail's way; the rest, which may be long, by the backfill's.
                replaced = _next_block(chain, kept) + TAIL_BLOCKS - 1
                yield from self._extend(chain, kept, tags, until=min(tags.finalized.block.number, replaced))
                chain = self._log.chain()
            yield from self._backfill(chain, tags.finalized, tags.head.block.number)
            chain = self._log.chain()
            kept = chain.tip
        yield from self._extend(chain, kept, tags, until=tags.head.block.number)
        if tags.finalized is not None:
            yield from self._seal(tags.finalized.block)

    def _common_ancestor(self, chain: Chain, tags: Tags) -> BlockRef | None:
        """Find the newest covered block that is on the node's chain."""
        if chain.tip is None:
            return None
        stored = [header.block for header in self._log.headers()]
        at_head = [block for block in stored if block.number == tags.head.block.number]
        if at_head and at_head[0].hash == tags.head.block.hash:
            # The node stands where the log stands, or is a little behind it on the same branch.
            return chain.tip
        for page in _pages(stored):
            for block, found in zip(page, self._provider.headers([b.number for b in page]), strict=True):
                if found is not None and found.block.hash == block.hash:
                    return block
        if tags.head.block.number < stored[-1].number:
            raise BadAnswer(f"the node lags: its head is {tags.head.block.number}, block {stored[-1].number} is sealed")
        if self._is_sealed(stored[-1], chain):
            raise ReorgBelowSealed(
                f"block {stored[-1].number} is sealed, and the node has another block at that height: "
                "the provider serves another chain, or the chain broke its finality; nothing was changed"
            )
        return None

    def _is_sealed(self, oldest: BlockRef, chain: Chain) -> bool:
        return chain.finalized is not None and oldest.number <= chain.finalized.number

    def _extend(self, chain: Chain, kept: BlockRef | None, tags: Tags, *, until: int) -> Iterator[Change]:
        first = _next_block(chain, kept)
        if chain.tip is not None and kept != chain.tip and until >= first:
            yield Reorged(kept, chain.tip, chain.first_block)
        while first <= until:
            last = min(until, first + TAIL_BLOCKS - 1)
            headers = self._whole(self._provider.headers(range(first, last + 1)))
            _check_links(kept, headers)
            blocks = self._provider.blocks(headers)
            with _looked_too_early():
                self._log.extend(kept, blocks)
            kept = headers[-1].block
            yield Covered(kept, sum(len(block.logs) for block in blocks), tags.head.block.number, finalized=False)
            first = last + 1

    def _whole(self, headers: Sequence[Header | None]) -> list[Header]:
        found = [header for header in headers if header is not None]
        if len(found) != len(headers):
            raise BadAnswer(f"the node has {len(found)} of the {len(headers)} blocks up to its head")
        return found

    def _backfill(self, chain: Chain, finalized: Header, head: int) -> Iterator[Change]:
        first = _next_block(chain, chain.tip)
        parent = chain.tip
        ranges = [
            (start, min(start + RANGE_BLOCKS - 1, finalized.block.number))
            for start in range(first, finalized.block.number + 1, RANGE_BLOCKS)
        ]
        with ThreadPoolExecutor(max_workers=WINDOW, thread_name_prefix="backfill") as pool:
            waiting = iter(ranges)
            # An ordered window: at most WINDOW answers are held, and they are used in the order of the chain.
            window = [pool.submit(self._range, *each) for each in itertools.islice(waiting, WINDOW)]
            while window:
                answer = window.pop(0).result()
                window += [pool.submit(self._range, *each) for each in itertools.islice(waiting, 1)]
                low, last = answer.first.block.number, answer.last
                if last.block.number == finalized.block.number and last.block.hash != finalized.block.hash:
                    raise BadAnswer(f"block {last.block.number} is not the block that was final a moment ago")
                if parent is not None and answer.first.parent_hash != parent.hash:
                    raise BadAnswer(f"block {low} is not the child of the covered block {parent.number}")
                with _looked_too_early():
                    self._log.append_finalized(low, last, answer.logs, RANGE_EVIDENCE)
                parent = last.block
                yield Covered(last.block, len(answer.logs), head, finalized=True)

    def _range(self, first: int, last: int) -> BlockRange:
        """Ask for a range; where the provider finds it too large, ask for its halves."""
        try:
            return self._provider.range_logs(first, last)
        except (NodeError, AnswerTooLarge):
            if first == last:
                raise
            middle = (first + last) // 2
            return self._range(first, middle).joined(self._range(middle + 1, last))

    def _seal(self, finalized: BlockRef) -> Iterator[Change]:
        headers = self._log.headers()
        if not headers:
            # The chain has not come to the first contract's block yet.
            return
        ripe = finalized.number - headers[-1].block.number >= SEAL_BLOCKS
        sealed = self._log.seal(finalized, entries_min=1 if ripe else self._seal_entries)
        if sealed is not None:
            yield sealed


def _next_block(chain: Chain, kept: BlockRef | None) -> int:
    return chain.first_block if kept is None else kept.number + 1


def _check_links(kept: BlockRef | None, headers: Sequence[Header]) -> None:
    parent = kept
    for header in headers:
        if parent is not None and header.parent_hash != parent.hash:
            raise BadAnswer(f"block {header.block.number} is not the child of the block before it: the chain changed")
        parent = header.block


@contextmanager
def _looked_too_early() -> Iterator[None]:
    """Another process wrote since we looked, or the chain changed between two answers: look again."""
    try:
        yield
    except NotContiguous as error:
        raise BadAnswer(str(error)) from error


def _pages(blocks: list[BlockRef]) -> Iterator[list[BlockRef]]:
    """Most often the tip is still there, and one question answers; if not, ask for more at once."""
    yield blocks[:1]
    for start in range(1, len(blocks), ANCESTOR_BLOCKS):
        yield blocks[start : start + ANCESTOR_BLOCKS]
