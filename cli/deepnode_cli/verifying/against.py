"""The stage that compares a bundle with nodes of the auditor's own: it is the only one that uses a network.

A node is believed no more than a bundle is. Where its logs are others than the bundle's, it is asked for the header
and the receipts of that block: what they prove is held against the bundle, and a node whose own receipts contradict its
logs is told of. A node that lags, refuses or does not answer leaves blocks that were not compared, which is a warning.
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from deepnode_cli.asking import side_by_side
from deepnode_cli.nodes import chain_and_url
from deepnode_cli.verifying.chain_entries import placed_logs
from deepnode_cli.verifying.chain_evidence import may_end_within_a_block, scanned
from deepnode_cli.verifying.chain_windows import Window, windows
from deepnode_cli.verifying.finding import Examination, Finding, Stage
from deepnode_cli.verifying.logs_compared import PlacedLog, Said, block_of, compared, error, note, warning
from deepnode_indexer import chain_logs
from deepnode_indexer.completeness import Examiner
from deepnode_indexer.evidence import HeaderDiffers, VerifiedHeader, header
from deepnode_indexer.evidence.counting import Counting, Counts, rows_of
from deepnode_indexer.evidence.kept import Covered, covered_of
from deepnode_indexer.failures import NodeFailure
from deepnode_indexer.level import Level
from deepnode_indexer.pool import Providers
from deepnode_indexer.provider import Provider, WrongChain
from deepnode_indexer.rpc import JsonRpc, shown
from deepnode_ledger.errors import TryAgain
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.record import Kind
from deepnode_ledger.roster import Roster

STAGE: Final = "against"

HEADERS: Final = 64
"""Headers of a window that are asked for: all that have entries, or so many of them, drawn at random."""

PROVEN_MAX: Final = 64
"""Blocks of one window whose receipts are asked for because their logs differ."""

FAILED_MAX: Final = 3
"""After so many windows in a row without an answer a node is asked no more."""

Entries = list[tuple[int, PlacedLog]]


def against(urls: Sequence[str]) -> Stage:
    """Make the stage that compares with nodes.

    Args:
        urls: each as ``--against`` has it: a URL of the home chain's, or ``CHAIN=URL``.

    Raises:
        BadInput: one is no URL of a node; it is not repeated.
    """
    for each in urls:
        shown(chain_and_url(each)[1])

    def stage(examination: Examination) -> Iterator[Finding]:
        for said in _said(examination, urls):
            yield said.finding(STAGE)

    return stage


def _said(examination: Examination, urls: Sequence[str]) -> Iterator[Said]:
    bundle = examination.bundle
    manifest = bundle.manifest()
    covered = {each.chain_id: each for each in covered_of(bundle.contents.chains)}
    nodes: dict[int, list[str]] = {chain_id: [] for chain_id in covered}
    for each in urls:
        named, url = chain_and_url(each)
        chain_id = manifest.chain_id if named is None else named
        if chain_id in nodes and chain_id in manifest.chains:
            nodes[chain_id].append(url)
        else:
            yield warning(shown(url), f"the bundle has no blocks of chain {chain_id}, for which this node was named")
    roster = Roster(manifest)
    if manifest.has_factories:
        for _, found in scanned(examination):
            for announcement in found.announcements:
                announcement.learned_by(roster)
    examination.total(sum((own.last - own.first + 1) * len(nodes[own.chain_id]) for own in covered.values()), "blocks")
    for chain_id, own in covered.items():
        counting = Counting(rows_of(roster, chain_id))
        if not nodes[chain_id]:
            said = f"no node of chain {chain_id} was named: its blocks {own.first} to {own.last} were not compared"
            yield note(f"chain {chain_id}", said)
        for url in nodes[chain_id]:
            with closing(JsonRpc(url)) as rpc:
                provider = Provider(rpc, manifest, chain_id)
                yield from _Comparison(examination, own, counting, provider).said()


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a node says of a window: its logs that count, the headers that were drawn, or why there is nothing."""

    window: Window
    logs: pa.RecordBatch | None = None
    headers: Sequence[VerifiedHeader] = ()
    failure: str = ""


class _Comparison:
    """One chain of the bundle, compared with one node."""

    def __init__(self, examination: Examination, covered: Covered, counting: Counting, provider: Provider) -> None:
        self._examination = examination
        self._covered = covered
        self._counting = counting
        self._provider = provider
        self._where = provider.where
        self._cut = may_end_within_a_block(examination.bundle.contents)
        self._draw = random.SystemRandom()

    def said(self) -> Iterator[Said]:
        """Compare, and say what was found."""
        own = self._covered
        try:
            self._provider.check_chain()
            final = self._provider.tags().finalized
        except WrongChain as wrong:
            yield error(self._where, str(wrong))
            return
        except NodeFailure as failure:
            yield warning(self._where, f"the node cannot be compared with: {failure}")
            return
        reached = -1 if final is None else final.block.number
        last = min(own.last, reached)
        if last < own.last:
            newest = "it has no final block" if final is None else f"its newest final block is {reached}"
            left_out = f"blocks {max(own.first, last + 1)} to {own.last} are not compared"
            said = f"the node is behind the bundle, {newest}: {left_out}"
            yield warning(self._where, said, newest_final=reached, last_block=own.last)
        if last < own.first:
            return
        blocks, logs, failed = 0, 0, 0
        entries = windows(self._examination.bundle.batches(), own.chain_id, own.first, last)
        with closing(side_by_side(self._asked, entries)) as answers:
            for answer in answers:
                window = answer.window
                self._examination.done(window.last - window.first + 1)
                if answer.logs is None:
                    failed += 1
                    said = f"blocks {window.first} to {window.last} could not be compared: {answer.failure}"
                    yield warning(self._where, said, first=window.first, last=window.last)
                    if failed == FAILED_MAX:
                        yield warning(
                            self._where, f"blocks from {window.last + 1} on are not compared: it answers no more"
                        )
                        return
                    continue
                failed = 0
                blocks += window.last - window.first + 1
                logs += answer.logs.num_rows
                self._count(answer)
                yield from self._headers(answer)
                yield from self._logs(answer)
        said = f"the node was compared up to block {last} of chain {own.chain_id}: {blocks} blocks with {logs} logs"
        beyond = "" if reached <= own.last else f"; {reached - own.last} newer blocks are final there"
        yield note(self._where, said + beyond)

    def _asked(self, window: Window) -> _Answer:
        """Ask for a window; that nothing comes is an answer, too."""
        try:
            found = self._provider.fetch(window.first, window.last, self._counting.addresses)
            numbers = pc.unique(window.entries.column("block_number")).to_pylist()
            drawn = set(numbers if len(numbers) <= HEADERS else self._draw.sample(numbers, HEADERS))
            if window.last == self._covered.last:
                drawn.add(window.last)
            headers = [header.verified(raw) for raw in self._provider.raw_headers(sorted(drawn))] if drawn else []
        except HeaderDiffers as lie:
            return _Answer(window, failure=f"the node does not tell the truth: {lie}")
        except NodeFailure as failure:
            return _Answer(window, failure=str(failure))
        return _Answer(window, self._counted(found.logs), headers)

    def _counted(self, logs: pa.RecordBatch) -> pa.RecordBatch:
        """Leave out what a child's address logged before it was announced."""
        keep = [
            self._counting.of(log.address, block, log.log_index) is not Counts.NOT
            for _, block, log in placed_logs(logs)
        ]
        return logs if all(keep) else logs.filter(pa.array(keep))

    def _count(self, answer: _Answer) -> None:
        assert answer.logs is not None
        self._examination.count("blocks", answer.window.last - answer.window.first + 1)
        self._examination.count("headers", len(answer.headers))
        self._examination.count("logs", answer.logs.num_rows)

    def _headers(self, answer: _Answer) -> Iterator[Said]:
        """Hold the hashes and times of the entries' blocks, and the last block's hash, against the node's headers."""
        chain_id = self._covered.chain_id
        names = ("block_number", "block_hash", "block_time", "position")
        rows = zip(*(answer.window.entries.column(name).to_pylist() for name in names), strict=True)
        of_block: dict[int, list[tuple[bytes, int, int]]] = {}
        for number, block_hash, time, position in rows:
            of_block.setdefault(number, []).append((block_hash, time, position))
        for each in answer.headers:
            block = each.header.block
            wrong = [
                position
                for block_hash, time, position in of_block.get(block.number, ())
                if (block_hash, time) != (block.hash, block.time)
            ]
            if wrong:
                said = (
                    f"block {block.number} is {to_hex(block.hash)} at {block.time} by {self._where}, and "
                    f"{len(wrong)} entries name another hash or time"
                )
                yield error(block_of(chain_id, block.number), said, wrong)
            if block.number == self._covered.last and block.hash != self._covered.hash:
                said = (
                    f"block {block.number}, the bundle's last, is {to_hex(block.hash)} by {self._where}, and "
                    f"{to_hex(self._covered.hash)} by bundle.json"
                )
                yield error(block_of(chain_id, block.number), said)

    def _logs(self, answer: _Answer) -> Iterator[Said]:
        """Hold the logs of a window against the entries: by their digests, and where these differ block by block."""
        assert answer.logs is not None
        entries = answer.window.entries
        ours = entries.filter(pc.equal(entries.column("kind"), int(Kind.CHAIN_LOG)))
        if chain_logs.digest(ours) == chain_logs.digest(answer.logs):
            return
        theirs = _by_block(answer.logs)
        own = _by_block(ours)
        hashes = _hashes(answer.logs)
        proven = 0
        for number in sorted({*theirs, *own}):
            expected = [log for _, log in theirs.get(number, [])]
            found = own.get(number, [])
            differing = list(self._compared(number, expected, found, "the node's logs"))
            if not differing:
                yield from self._other_hash(number, hashes, ours)
            elif proven < PROVEN_MAX:
                proven += 1
                yield from self._settled(number, found, differing)
            else:
                yield from differing

    def _settled(self, number: int, found: Entries, differing: Sequence[Said]) -> Iterator[Said]:
        """Ask for header and receipts of a block whose logs differ, and say what they show."""
        examiner = Examiner(Providers([self._provider]), level=Level.RECEIPTS)
        try:
            shown_logs = examiner.prove(number, number, self._counting.addresses).range.logs
        except TryAgain as failure:
            where = block_of(self._covered.chain_id, number)
            yield from differing
            yield warning(
                where, f"{self._where} has no receipts that would show block {number} as it says it is: {failure}"
            )
            return
        expected = [log for _, _, log in placed_logs(self._counted(shown_logs))]
        by_receipts = list(self._compared(number, expected, found, "the node's receipts"))
        yield from by_receipts
        if not by_receipts:
            said = (
                f"the logs that {self._where} serves of block {number} are not those of its own receipts, which the "
                f"bundle agrees with; of its logs: {differing[0].said}"
            )
            yield warning(block_of(self._covered.chain_id, number), said)

    def _compared(self, number: int, expected: Sequence[PlacedLog], found: Entries, source: str) -> Iterator[Said]:
        optional = frozenset(
            log.log_index for log in expected if self._counting.of(log.address, number, log.log_index) is Counts.MAY
        )
        cut = self._cut and number == self._covered.last
        return compared(self._covered.chain_id, number, expected, optional, found, source, cut=cut)

    def _other_hash(self, number: int, hashes: dict[int, bytes], ours: pa.RecordBatch) -> Iterator[Said]:
        """The same logs, under a block of another hash: another branch, or a forged hash."""
        told = hashes.get(number)
        rows = ours.filter(pc.equal(ours.column("block_number"), number))
        wrong = [
            position
            for position, block_hash in zip(
                rows.column("position").to_pylist(), rows.column("block_hash").to_pylist(), strict=True
            )
            if told is not None and block_hash != told
        ]
        if wrong:
            assert told is not None
            said = f"block {number} is {to_hex(told)} by {self._where}, and {len(wrong)} entries name another hash"
            yield error(block_of(self._covered.chain_id, number), said, wrong)


def _by_block(logs: pa.RecordBatch) -> dict[int, Entries]:
    found: dict[int, Entries] = {}
    for position, block, log in placed_logs(logs):
        found.setdefault(block, []).append((position, log))
    return found


def _hashes(logs: pa.RecordBatch) -> dict[int, bytes]:
    return dict(zip(logs.column("block_number").to_pylist(), logs.column("block_hash").to_pylist(), strict=True))
