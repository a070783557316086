"""The work that the economy has played: what was credited and judged, by the block behind which it was said.

The producer's statements have no place on the chain. An indexer that keeps up takes those of a step in behind the
step's block, and puts them behind the new blocks if a reorg replaces that one; so they are counted here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from eth_utils.crypto import keccak

from deepnode_indexer.devnet.entitlements import DomainWork
from deepnode_indexer.devnet.history import History

SPLIT_CREDIT = bytes.fromhex("500186a5972a1d84e438c5c54477f6c8caa108503724ddb6f10bcc2d15953b1f")
"""The hash of the ledger's ruleset ``split_credit``: nodes that did one task right share the credit of one."""

FULL_CREDIT = keccak(text="deepnode/ruleset/1")
"""What the ledger's default ruleset is called on chain: each node that did a task right is credited in full."""


@dataclass(frozen=True, slots=True)
class Credit:
    """A task that was approved: VWU were assigned to its correct outputs, whose nodes are in the order of slots."""

    domain: int
    model: bytes
    difficulty_ppm: int
    nodes: tuple[bytes, ...]
    vwu: int


@dataclass(frozen=True, slots=True)
class Judgement:
    """A consensus about an output: the validators that judged in line with it."""

    domain: int
    difficulty_ppm: int
    in_line: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Rating:
    """What a user said of a model: one to five stars."""

    domain: int
    model: bytes
    stars: int


Entry = Credit | Judgement | Rating


@dataclass(slots=True)
class Workbook:
    """All work, and what was written down since the last block was closed."""

    _entries: dict[int, list[Entry]] = field(default_factory=dict)
    _open: list[Entry] = field(default_factory=list)

    def write(self, entry: Entry) -> None:
        """Write down what is being said."""
        self._open.append(entry)

    def close(self, block: int) -> None:
        """What was written down since was said behind this block."""
        if self._open:
            self._entries.setdefault(block, []).extend(self._open)
            self._open = []

    def reopen(self, first_block: int) -> None:
        """Blocks from this one on were replaced: what was said behind them stands behind the block closed next."""
        moved = [entry for block in sorted(self._entries) if block >= first_block for entry in self._entries.pop(block)]
        self._open = moved + self._open

    def forget(self, before_block: int) -> None:
        """Forget the work said behind blocks before this one: nobody counts it again."""
        self._entries = {block: entries for block, entries in self._entries.items() if block >= before_block}

    def of_epoch(self, history: History, epoch: int, domains: Sequence[bytes]) -> Mapping[bytes, DomainWork]:
        """The work of an epoch by domain, those without any included."""
        first, behind = history.start_of(epoch), history.start_of(epoch + 1)
        assert first is not None, epoch
        shares = history.ruleset(epoch) == SPLIT_CREDIT
        found: dict[bytes, DomainWork] = defaultdict(DomainWork, {domain: DomainWork() for domain in domains})
        for block, entries in self._entries.items():
            if first[0] <= block and (behind is None or block < behind[0]):
                for entry in entries:
                    _count(entry, found[domains[entry.domain]], shares=shares)
        return found


def _count(entry: Entry, work: DomainWork, *, shares: bool) -> None:
    if isinstance(entry, Judgement):
        for validator in entry.in_line:
            work.validators[validator] += entry.difficulty_ppm
        return
    if isinstance(entry, Rating):
        work.ratings[entry.model] += 1
        work.stars[entry.model] += entry.stars
        return
    counted = len(entry.nodes) if not shares else 1
    work.models[entry.model] += entry.vwu * counted * entry.difficulty_ppm
    for place, node in enumerate(entry.nodes):
        vwu = entry.vwu if not shares else (entry.vwu + len(entry.nodes) - 1 - place) // len(entry.nodes)
        work.miners[node] += vwu * entry.difficulty_ppm
