"""Following the chain: backfill what is final, then the tail, with its reorgs.

``sync`` takes the log one step further and is all there is to a restart: it looks at what the log covers, at what the
node has, and does the next thing. Nothing is remembered between steps but what the log holds.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from deepnode_indexer.backfill import Backfill
from deepnode_indexer.changes import Change, Covered, Finalized, Reorged
from deepnode_indexer.completeness import Examiner
from deepnode_indexer.confirming import Confirmer
from deepnode_indexer.provider import Provider, Tags
from deepnode_indexer.rpc import BadAnswer, NodeFailure
from deepnode_indexer.watched import Watched
from deepnode_ledger.chain import Chain
from deepnode_ledger.log import Log
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.record import Block, BlockRef, Header
from deepnode_ledger.tail import NotContiguous, ReorgBelowSealed

TAIL_BLOCKS: Final = 256
"""Blocks of the tail in one transaction."""

SEAL_ENTRIES: Final = 1_000
"""A sealed batch holds at least so many entries, unless they waited long (see ``confirming``)."""

ANCESTOR_BLOCKS: Final = 32
"""Headers asked for in one step of the search for the block that a reorg left standing."""


class Follower:
    """Takes one chain from its providers into one log."""

    def __init__(
        self,
        examiner: Examiner,
        log: Log,
        manifest: Manifest,
        *,
        seal_entries: int = SEAL_ENTRIES,
        unknown: Callable[[Counter[tuple[bytes, bytes | None]]], None] = lambda _unknown: None,
    ) -> None:
        """Wire a follower.

        Args:
            examiner: asks the chain's providers.
            log: of the chain.
            manifest: says whose logs are asked for.
            seal_entries: see ``confirming``.
            unknown: told how many new logs no ABI gives a meaning, by contract and first topic.
        """
        self._examiner = examiner
        self._log = log
        self._watched = Watched(log, manifest, unknown)
        self._backfill = Backfill(examiner, log, self._watched)
        self._confirmer = Confirmer(examiner, log, self._watched, seal_entries=seal_entries)

    def sync(self) -> Iterator[Change]:
        """Bring the log to the node's head, step by step; ends when it is there.

        Raises:
            ReorgBelowSealed: the chain replaced what is sealed. The log is unchanged; an operator has to look.
            completeness.Disputed: what shows a range of final blocks does not fit together. The range is held.
            TryAgain: the nodes or the database are away, or a node's answers do not fit together. The log is unchanged
                since the last step; call again.
        """
        try:
            with self._examiner.providers.using() as provider:
                yield from self._sync(provider)
        except Exception:
            self._watched.forget()
            raise

    def _sync(self, provider: Provider) -> Iterator[Change]:
        tags = provider.tags()
        finalized = None if tags.finalized is None else tags.finalized.block
        if finalized is not None:
            yield Finalized(finalized.number)
        chain = self._log.chain()
        kept = self._common_ancestor(provider, chain, tags)
        if finalized is not None and finalized.number >= _next_block(chain, kept):
            if kept != chain.tip:
                # What the reorg replaced goes by the tail's way; the rest, which may be long, by the backfill's.
                replaced = _next_block(chain, kept) + TAIL_BLOCKS - 1
                yield from self._extend(provider, chain, kept, tags, until=min(finalized.number, replaced))
            yield from self._confirmer.seal(self._reached(finalized), entries_min=1)
            chain = self._log.chain()
            if self._log.all_sealed():
                with _looked_too_early():
                    yield from self._backfill.run(tags)
            chain = self._log.chain()
            kept = chain.tip
        yield from self._extend(provider, chain, kept, tags, until=tags.head.block.number)
        if finalized is not None:
            yield from self._confirmer.seal(self._reached(finalized))

    def _reached(self, finalized: BlockRef) -> BlockRef | None:
        """Return the newest covered block that is final."""
        tip = self._log.chain().tip
        return finalized if tip is not None and finalized.number < tip.number else tip

    def _common_ancestor(self, provider: Provider, chain: Chain, tags: Tags) -> BlockRef | None:
        """Find the newest covered block that is on the node's chain."""
        if chain.tip is None:
            return None
        stored = [header.block for header in self._log.headers()]
        at_head = [block for block in stored if block.number == tags.head.block.number]
        if at_head and at_head[0].hash == tags.head.block.hash:
            # The node stands where the log stands, or is a little behind it on the same branch.
            return chain.tip
        for page in _pages(stored):
            for block, found in zip(page, provider.headers([b.number for b in page]), strict=True):
                if found is not None and found.block.hash == block.hash:
                    return block
        if tags.head.block.number < stored[-1].number:
            raise BadAnswer(f"the node lags: its head is {tags.head.block.number}, block {stored[-1].number} is sealed")
        if self._is_sealed(stored[-1], chain):
            self._make_sure(provider, stored[-1])
            raise ReorgBelowSealed(
                f"block {stored[-1].number} is sealed, and the node has another block at that height: "
                "the provider serves another chain, or the chain broke its finality; nothing was changed"
            )
        return None

    def _make_sure(self, provider: Provider, sealed: BlockRef) -> None:
        """Give the node, or any other, the chance to have told a falsehood: what follows stops the intake."""
        if self._examiner.headers(provider, [sealed.number])[0].block.hash == sealed.hash:
            raise BadAnswer(f"{provider.where}: block {sealed.number} came with two hashes")
        for other in self._examiner.providers.others(provider):
            try:
                [theirs] = self._examiner.headers(other, [sealed.number])
            except NodeFailure:
                continue
            if theirs.block.hash == sealed.hash:
                where = f"{provider.where} and {other.where}"
                raise BadAnswer(f"{where} differ about block {sealed.number}, which is sealed")

    def _is_sealed(self, oldest: BlockRef, chain: Chain) -> bool:
        return chain.finalized is not None and oldest.number <= chain.finalized.number

    def _extend(
        self, provider: Provider, chain: Chain, kept: BlockRef | None, tags: Tags, *, until: int
    ) -> Iterator[Change]:
        first = _next_block(chain, kept)
        if chain.tip is not None and kept != chain.tip and until >= first:
            self._watched.reorged(first - 1)
            yield Reorged(kept, chain.tip, chain.first_block)
        while first <= until:
            last = min(until, first + TAIL_BLOCKS - 1)
            headers = self._examiner.headers(provider, range(first, last + 1))
            _check_links(kept, headers)
            blocks = self._blocks(provider, headers)
            self._watched.count_unknown_blocks(blocks)
            with _looked_too_early():
                self._log.extend(kept, blocks)
            kept = headers[-1].block
            yield Covered(kept, sum(len(block.logs) for block in blocks), tags.head.block.number, finalized=False)
            first = last + 1

    def _blocks(self, provider: Provider, headers: list[Header]) -> list[Block]:
        """Ask for blocks, and once more while their logs make children whose logs were not asked for."""
        while True:
            asked = self._watched.addresses
            blocks = provider.blocks(headers, asked)
            self._watched.learn_blocks(blocks)
            if self._watched.addresses == asked:
                return self._watched.counting_blocks(blocks)


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
