"""Completeness: a range of final blocks with what shows that none of its logs is missing.

A provider that leaves logs out says nothing of it, and its answer looks like any other. So an answer is held against
things that the provider cannot make up: headers that hash to the chain's own hashes, their blooms, the receipts that
they commit to, another provider. Where they stand against each other, the receipts of every block decide; where there
are none to be had, nobody does, and the range is ``Disputed``.

Source: DESIGN section 9.
"""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa

from deepnode_indexer import chain_logs
from deepnode_indexer.evidence import HeaderDiffers, ReceiptsDiffer, VerifiedHeader, bloom, header, receipt
from deepnode_indexer.level import Level
from deepnode_indexer.pool import Providers
from deepnode_indexer.provider import BlockRange, Provider
from deepnode_indexer.rpc import BadAnswer, MethodMissing, NodeFailure
from deepnode_ledger.batch import EMPTY, from_rows, row_of
from deepnode_ledger.batch_versions import SCHEMA
from deepnode_ledger.errors import TryAgain
from deepnode_ledger.evidence import Evidence, EvidenceKind
from deepnode_ledger.record import Header

SUSPECTS_MAX: Final = 64
"""Blocks of a range whose receipts are asked for because their blooms speak of logs that did not come."""

FULL_BLOOM_BITS: Final = 1_024
"""A bloom with at least so many of its 2 048 bits set speaks of anything, so it accuses nobody by itself."""

SAMPLED: Final = 1_000
"""One block in so many has its receipts checked, where nothing else is asked for."""


class Disputed(TryAgain):
    """What shows the logs of blocks ``first`` to ``last`` does not fit together. Nothing of them was taken in."""

    def __init__(self, first: int, last: int, reason: str) -> None:
        super().__init__(f"blocks {first} to {last} are in doubt: {reason}")
        self.first = first
        self.last = last
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Shown:
    """A range and its evidence.

    ``proof``: the logs are the receipts' own, or two providers', so the range can be believed after a dispute.
    ``dispute``: it was in doubt until the proof decided.
    """

    range: BlockRange
    evidence: tuple[Evidence, ...]
    proof: bool = False
    dispute: Disputed | None = None


class Examiner:
    """Fetches ranges of final blocks from providers and shows them to be complete. Threads may share one."""

    def __init__(self, providers: Providers, *, level: Level = Level.HEADERS, sampled: int = SAMPLED) -> None:
        """Wire an examiner.

        Args:
            providers: asked in their order; a second one is asked for agreement.
            level: how much is asked for.
            sampled: at level ``HEADERS`` the receipts of one block in so many are checked, drawn at random; 0: none.
        """
        self.providers = providers
        self._level = level
        self._sampled = sampled

    def show(self, first: int, last: int, addresses: Collection[bytes]) -> Shown:
        """Fetch a range and show it to be complete.

        Raises:
            Disputed: it could not be shown, and nobody has the receipts that would decide.
            TryAgain: no provider answers, or not as it should.
        """
        try:
            return self.providers.call(lambda provider: self._examined(provider, first, last, addresses))
        except Disputed as dispute:
            proven = self._settled(dispute, addresses)
            return Shown(proven.range, proven.evidence, proof=True, dispute=dispute)

    def prove(self, first: int, last: int, addresses: Collection[bytes]) -> Shown:
        """Fetch a range by the receipts of every block; where nobody has any, by two providers that agree.

        Raises:
            Disputed: neither can be had, or two providers differ.
            TryAgain: no provider answers, or not as it should.
        """
        try:
            return self.providers.call(lambda provider: self._proven(provider, first, last, addresses))
        except (HeaderDiffers, ReceiptsDiffer) as error:
            raise Disputed(first, last, str(error)) from error
        except MethodMissing as missing:
            reason = f"one provider alone, and it has no receipts ({missing})"
            return self.providers.call(lambda provider: self._agreed(provider, first, last, addresses, reason))

    def headers(self, provider: Provider, numbers: Sequence[int]) -> list[Header]:
        """Ask for the headers of young blocks, whose hashes are recomputed unless only ends are looked at.

        Raises:
            TryAgain: the provider lacks a block, or a header is not that of its hash.
        """
        if self._level is not Level.ENDS:
            return [header.verified(raw).header for raw in provider.raw_headers(numbers)]
        found = [each for each in provider.headers(numbers) if each is not None]
        if len(found) != len(numbers):
            raise BadAnswer(f"{provider.where}: the node has {len(found)} of the {len(numbers)} blocks up to its head")
        return found

    def _settled(self, dispute: Disputed, addresses: Collection[bytes]) -> Shown:
        try:
            return self.prove(dispute.first, dispute.last, addresses)
        except TryAgain as error:
            raise Disputed(dispute.first, dispute.last, f"{dispute.reason}; nothing decides: {error}") from error

    def _examined(self, provider: Provider, first: int, last: int, addresses: Collection[bytes]) -> Shown:
        answer = provider.fetch(first, last, addresses)
        evidence = [_evidence(EvidenceKind.END, provider, answer, 1)]
        if self._level is not Level.ENDS:
            headers = _verified_headers(provider, answer)
            answer = _timed(answer, headers)
            evidence.append(_evidence(EvidenceKind.HEADERS, provider, answer, len(headers)))
            evidence += self._by_receipts(provider, answer, headers, addresses)
        agreement = self._agreement(provider, answer, addresses)
        return Shown(answer, _digested(evidence if agreement is None else [*evidence, agreement], answer))

    def _agreed(self, provider: Provider, first: int, last: int, addresses: Collection[bytes], otherwise: str) -> Shown:
        answer = provider.fetch(first, last, addresses)
        headers = _verified_headers(provider, answer)
        answer = _timed(answer, headers)
        agreement = self._agreement(provider, answer, addresses)
        if agreement is None:
            raise Disputed(first, last, otherwise)
        whole = _evidence(EvidenceKind.HEADERS, provider, answer, len(headers))
        evidence = (_evidence(EvidenceKind.END, provider, answer, 1), whole, agreement)
        return Shown(answer, _digested(evidence, answer), proof=True)

    def _proven(self, provider: Provider, first: int, last: int, addresses: Collection[bytes]) -> Shown:
        """Build the range from headers and receipts alone, whatever the provider's logs are."""
        headers = [header.verified(raw) for raw in provider.raw_headers(range(first, last + 1))]
        _check_links(provider, headers, first)
        watch = bloom.Watch(addresses)
        rows = [
            row_of(0, provider.chain_id, block, log)
            for each in headers
            # A bloom without our contracts proves as much as the receipts would.
            if watch.any_in(each.logs_bloom)
            for block, log in receipt.proven_logs(provider.receipts(each.header.block.hash), each, addresses)
        ]
        answer = BlockRange(headers[0].header, headers[-1].header, _batch(rows), 0)
        counted = ((EvidenceKind.END, 1), (EvidenceKind.HEADERS, len(headers)), (EvidenceKind.RECEIPTS, len(headers)))
        evidence = [_evidence(kind, provider, answer, blocks) for kind, blocks in counted]
        return Shown(answer, _digested(evidence, answer), proof=True)

    def _by_receipts(
        self, provider: Provider, answer: BlockRange, headers: Sequence[VerifiedHeader], addresses: Collection[bytes]
    ) -> list[Evidence]:
        """Look at the receipts of every block, or of those that a bloom accuses and of a sample."""
        suspects = [] if self._level is Level.RECEIPTS else _suspects(provider, answer, headers, addresses)
        wanted = list(headers)
        if self._level is not Level.RECEIPTS:
            # A provider must not know beforehand which blocks are looked at.
            wanted = suspects[:SUSPECTS_MAX] + [each for each in self._sample(headers) if each not in suspects]
        try:
            for each in wanted:
                _check_receipts(provider, answer, each, addresses)
        except MethodMissing:
            if self._level is Level.RECEIPTS:
                raise
            accusing = [each for each in suspects if int.from_bytes(each.logs_bloom).bit_count() < FULL_BLOOM_BITS]
            if accusing:
                number = accusing[0].header.block.number
                raise _disputed(answer, f"the bloom of block {number} speaks of logs that did not come") from None
            return []
        evidence = []
        if self._level is Level.HEADERS and len(suspects) <= SUSPECTS_MAX:
            evidence.append(_evidence(EvidenceKind.BLOOM, provider, answer, len(headers)))
        if wanted:
            evidence.append(_evidence(EvidenceKind.RECEIPTS, provider, answer, len(wanted)))
        return evidence

    def _sample(self, headers: Sequence[VerifiedHeader]) -> list[VerifiedHeader]:
        draw = random.SystemRandom().randrange
        return [each for each in headers if draw(self._sampled) == 0] if self._sampled else []

    def _agreement(self, provider: Provider, answer: BlockRange, addresses: Collection[bytes]) -> Evidence | None:
        """Ask another provider for the same range; None if there is none, or none answers now."""
        first, last = answer.first.block.number, answer.last.block.number
        for other in self.providers.others(provider):
            try:
                theirs = other.fetch(first, last, addresses)
            except NodeFailure:
                continue
            if theirs.digest() != answer.digest():
                counts = f"{len(answer.logs)} logs by {provider.where}, {len(theirs.logs)} by {other.where}"
                raise _disputed(answer, f"two providers differ: {counts}")
            return _evidence(EvidenceKind.AGREEMENT, other, answer, last - first + 1)
        return None


def _verified_headers(provider: Provider, answer: BlockRange) -> list[VerifiedHeader]:
    """Ask for every header of the range; check hashes and links, and that the logs are of these very blocks."""
    first = answer.first.block.number
    try:
        headers = [header.verified(raw) for raw in provider.raw_headers(range(first, answer.last.block.number + 1))]
    except HeaderDiffers as error:
        raise _disputed(answer, str(error)) from error
    _check_links(provider, headers, first)
    if headers[0].header != answer.first or headers[-1].header != answer.last:
        raise BadAnswer(f"{provider.where}: the ends of {first} to {answer.last.block.number} came in two versions")
    numbers = answer.logs.column("block_number").to_numpy()
    of_blocks, rows = np.unique(numbers, return_index=True)
    hashes = answer.logs.column("block_hash")
    for number, row in zip(of_blocks.tolist(), rows.tolist(), strict=True):
        if hashes[row].as_py() != headers[number - first].header.block.hash:
            raise BadAnswer(f"{provider.where}: the logs of block {number} are of another block than its header")
    return headers


def _timed(answer: BlockRange, headers: Sequence[VerifiedHeader]) -> BlockRange:
    """Give each log the time that its block's header commits to: what came with the log may be anything."""
    times = np.array([each.header.block.time for each in headers], dtype=np.int64)
    rows = answer.logs.column("block_number").to_numpy() - answer.first.block.number
    place = SCHEMA.get_field_index("block_time")
    logs = answer.logs.set_column(place, SCHEMA.field(place), pa.array(times[rows]))
    return BlockRange(answer.first, answer.last, logs, answer.answer_bytes)


def _check_links(provider: Provider, headers: Sequence[VerifiedHeader], first: int) -> None:
    for number, each in enumerate(headers, start=first):
        before = headers[number - first - 1].header if number > first else None
        if each.header.block.number != number or (before and each.header.parent_hash != before.block.hash):
            raise BadAnswer(f"{provider.where}: header {number} is not the child of the header before it")


def _suspects(
    provider: Provider, answer: BlockRange, headers: Sequence[VerifiedHeader], addresses: Collection[bytes]
) -> list[VerifiedHeader]:
    """Find blocks whose bloom speaks of a contract of which no log came; emptiest bloom first."""
    watch = bloom.Watch(addresses)
    pairs = pa.table([answer.logs.column("block_number"), answer.logs.column("address")], names=["block", "address"])
    came = {tuple(pair.values()) for pair in pairs.group_by(["block", "address"]).aggregate([]).to_pylist()}
    suspects = [
        each
        for each in headers
        if any((each.header.block.number, address) not in came for address in watch.found_in(each.logs_bloom))
    ]
    return sorted(suspects, key=lambda each: int.from_bytes(each.logs_bloom).bit_count())


def _check_receipts(provider: Provider, answer: BlockRange, each: VerifiedHeader, addresses: Collection[bytes]) -> None:
    number = each.header.block.number
    try:
        proven = receipt.proven_logs(provider.receipts(each.header.block.hash), each, addresses)
    except ReceiptsDiffer as error:
        raise _disputed(answer, str(error)) from error
    came = _of_block(answer.logs, number)
    rows = [row_of(0, provider.chain_id, block, log) for block, log in proven]
    if chain_logs.digest(_batch(rows)) != chain_logs.digest(came):
        counts = f"{len(rows)} logs by its receipts, {came.num_rows} by {provider.where}"
        raise _disputed(answer, f"block {number} has {counts}")


def _of_block(logs: pa.RecordBatch, number: int) -> pa.RecordBatch:
    numbers = logs.column("block_number").to_numpy()
    start, end = np.searchsorted(numbers, [number, number + 1]).tolist()
    return logs.slice(start, end - start)


def _batch(rows: Sequence[tuple[object, ...]]) -> pa.RecordBatch:
    if not rows:
        return EMPTY
    return from_rows([(position, *row[1:]) for position, row in enumerate(rows, start=1)])


def _evidence(kind: EvidenceKind, provider: Provider, answer: BlockRange, blocks: int) -> Evidence:
    first, last = answer.first.block.number, answer.last.block.number
    return Evidence(kind, first, last, blocks, provider.where, answer.logs.num_rows)


def _digested(evidence: Sequence[Evidence], answer: BlockRange) -> tuple[Evidence, ...]:
    """Put the logs' digest to each piece of evidence, computed once."""
    digest = chain_logs.digest(answer.logs)
    return tuple(replace(each, digest=digest) for each in evidence)


def _disputed(answer: BlockRange, reason: str) -> Disputed:
    return Disputed(answer.first.block.number, answer.last.block.number, reason)
