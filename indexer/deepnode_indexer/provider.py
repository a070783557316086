"""A provider: what the indexer asks a node, and how far the answers are believed.

Everything is asked for by block hash where the method allows it, so that two answers cannot be of two branches. Each
answer is checked against the question: the block, the addresses, the order of the logs. A node that breaks a rule gets
a ``BadAnswer`` that names it; nothing of that answer is used.
"""

import hashlib
import itertools
import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import pyarrow as pa

from deepnode_indexer import chain_logs
from deepnode_indexer.chain_logs import Asked, Columns
from deepnode_indexer.envelope import Call
from deepnode_indexer.failures import BadAnswer, BatchRefused, MethodMissing, NodeError
from deepnode_indexer.hex_columns import quantity
from deepnode_indexer.ranges import Sizes, in_pieces
from deepnode_indexer.rpc import Rpc
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import from_hex, to_hex
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.record import Block, BlockRef, Header

BATCH_CALLS: Final = 64
"""Calls in one request; common providers refuse more than 100."""

FILTER_ADDRESSES: Final = 500
"""Addresses in one filter; common providers refuse more than 1 000."""

_TAG_UNKNOWN: Final = re.compile("(finalized|safe) block|unknown block|block not found", re.IGNORECASE)

_NULL: Final = msgspec.Raw(b"null")


class WrongChain(BadInput):
    """The node serves another chain than the manifest names."""


class _Header(msgspec.Struct, rename="camel"):
    number: str
    hash: str
    parent_hash: str
    timestamp: str


@dataclass(frozen=True, slots=True)
class Tags:
    """The newest block, the newest final one and the newest safe one; None on a chain that has none yet."""

    head: Header
    finalized: Header | None
    safe: Header | None = None


@dataclass(frozen=True, slots=True)
class BlockRange:
    """The logs of final blocks, in the order of the chain, and the headers of the first and the last of the blocks.

    ``logs`` is a batch of ``batch_versions.SCHEMA`` with positions from 1 on; ``answer_bytes`` is what the node sent.
    """

    first: Header
    last: Header
    logs: pa.RecordBatch
    answer_bytes: int = field(default=0, compare=False)

    def joined(self, following: "BlockRange") -> "BlockRange":
        """Return this range and the one behind it as one.

        Raises:
            BadAnswer: the other does not begin with the child of this one's last block.
        """
        return join([self, following])

    def digest(self) -> bytes:
        """Return the SHA-256 of both ends and of all logs (32 bytes): equal from two nodes that agree."""
        ends = [(h.block.number.to_bytes(8, "big"), h.block.hash, h.parent_hash) for h in (self.first, self.last)]
        return hashlib.sha256(b"".join([*ends[0], *ends[1], chain_logs.digest(self.logs)])).digest()


def join(ranges: Sequence[BlockRange]) -> BlockRange:
    """Put ranges that follow one another together as one.

    Raises:
        BadAnswer: one does not begin with the child of the last block of the one before it.
    """
    for before, behind in itertools.pairwise(ranges):
        if behind.first.parent_hash != before.last.block.hash:
            raise BadAnswer(f"block {behind.first.block.number} is not the child of the block before it")
    if len(ranges) == 1:
        return ranges[0]
    logs = chain_logs.joined([each.logs for each in ranges])
    return BlockRange(ranges[0].first, ranges[-1].last, logs, sum(each.answer_bytes for each in ranges))


class Provider:
    """One node, asked about the contracts that a manifest has on one chain: the home chain unless another is named."""

    def __init__(self, rpc: Rpc, manifest: Manifest, chain_id: int | None = None) -> None:
        self.rpc = rpc
        self.where = rpc.where
        self.chain_id = manifest.chain_id if chain_id is None else chain_id
        self.sizes = Sizes()
        self.seen: tuple[int, float] | None = None
        """The head that the node told last, and when (on the clock that only goes forward)."""
        if self.chain_id not in manifest.chains:
            raise BadInput(f"the manifest has no chain {self.chain_id}")
        self._genesis_hash = manifest.chains[self.chain_id].genesis_hash
        self._contracts = [contract.address for contract in manifest.on(self.chain_id)]
        self._calls_max = BATCH_CALLS
        self._receipts_by_block = True

    @property
    def head(self) -> int | None:
        """The number of the newest block that the node has told of."""
        return None if self.seen is None else self.seen[0]

    def check_chain(self) -> None:
        """Compare the node's chain id and genesis hash with the manifest's.

        Raises:
            WrongChain: one of them differs (both named).
            TryAgain: the node does not answer.
        """
        chain_id, genesis = self.rpc.batch([("eth_chainId", ()), ("eth_getBlockByNumber", ("0x0", False))])
        found = self._quantity(self._decode(chain_id, str, "eth_chainId"))
        if found != self.chain_id:
            raise WrongChain(
                f"the node at {self.where} serves chain {found}, the manifest is for chain {self.chain_id}"
            )
        header = self._header(genesis)
        if header is None or header.block.hash != self._genesis_hash:
            there = "none" if header is None else to_hex(header.block.hash)
            raise WrongChain(
                f"the genesis block at {self.where} is {there}, "
                f"the manifest's genesis_hash is {to_hex(self._genesis_hash)}"
            )

    def tags(self) -> Tags:
        """Ask for the head, the finalized and the safe block."""
        calls: list[Call] = [("eth_getBlockByNumber", (tag, False)) for tag in ("latest", "finalized", "safe")]
        try:
            head, finalized, safe = self.rpc.batch(calls)
        except NodeError as error:
            if not _TAG_UNKNOWN.search(error.message):
                raise
            # Some nodes answer an error, not null, for a tag that points at no block yet.
            head, finalized, safe = self.rpc.batch(calls[:1])[0], _NULL, _NULL
        newest = self._header(head)
        if newest is None:
            raise BadAnswer(f"{self.where}: there is no latest block")
        self.seen = (newest.block.number, time.monotonic())
        return Tags(newest, self._header(finalized), self._header(safe))

    def headers(self, numbers: Sequence[int]) -> list[Header | None]:
        """Ask for blocks by number; None where the node has no such block."""
        found = [self._header(raw) for raw in self._many(_blocks_by_number(numbers))]
        for number, header in zip(numbers, found, strict=True):
            if header is not None and header.block.number != number:
                raise BadAnswer(f"{self.where}: asked for block {number}, got {header.block.number}")
        return found

    def blocks(self, headers: Sequence[Header], addresses: Collection[bytes] | None = None) -> list[Block]:
        """Ask for the logs of each block by its hash.

        Args:
            headers: the blocks, ascending.
            addresses: whose logs; those of the manifest's contracts unless said otherwise.
        """
        wanted = self._contracts if addresses is None else list(addresses)
        filters = _filters(wanted)
        calls: list[Call] = [
            ("eth_getLogs", ({"blockHash": to_hex(header.block.hash), "address": each},))
            for header in headers
            for each in filters
        ]
        asked = [Asked(h.block.number, h.block.number, h.block.hash) for h in headers for _ in filters]
        columns = self._logs(list(zip(self._many(calls), asked, strict=True)), wanted, len(filters))
        known = {h.block.number: h.block for h in headers}
        logs = chain_logs.chain_logs(columns.agree_with(known, self.where).batch(self.chain_id))
        own: dict[int, list[Any]] = {number: [] for number in known}
        for number, log in zip(columns.block_numbers.tolist(), logs, strict=True):
            own[number].append(log)
        return [Block(header, tuple(own[header.block.number])) for header in headers]

    def range_logs(self, first: int, last: int, addresses: Collection[bytes] | None = None) -> BlockRange:
        """Ask for the logs of a range of final blocks and, in the same request, for the headers of its two ends.

        The last header shows that the node which answered had the range's end: a node that is behind answers ``[]``.
        The first one names its parent, by which the range is tied to what is covered before it.

        Args:
            first: number of the range's first block.
            last: number of its last one.
            addresses: whose logs; those of the manifest's contracts unless said otherwise. Many go in several
                filters of the same request.

        Raises:
            NodeError, AnswerTooLarge, TimedOut: the node may find the range too long (``ranges.is_refusal``).
            BadAnswer: the answer breaks a rule.
        """
        wanted = self._contracts if addresses is None else list(addresses)
        filters = _filters(wanted)
        calls: list[Call] = [
            ("eth_getLogs", ({"fromBlock": hex(first), "toBlock": hex(last), "address": each},)) for each in filters
        ]
        answers = self.rpc.batch([*calls, *_blocks_by_number((first, last))])
        found = []
        for number, raw in ((last, answers[-1]), (first, answers[-2])):
            header = self._header(raw)
            if header is None or header.block.number != number:
                raise BadAnswer(f"{self.where}: the node has no block {number}, so the logs up to {last} are not all")
            found.append(header)
        end, start = found
        if first == last and start != end:
            raise BadAnswer(f"{self.where}: block {first} has two hashes in one answer")
        columns = self._logs([(raw, Asked(first, last)) for raw in answers[:-2]], wanted, len(filters))
        columns = columns.agree_with({header.block.number: header.block for header in found}, self.where)
        answer_bytes = sum(len(memoryview(raw)) for raw in answers)
        return BlockRange(start, end, self._timed(columns).batch(self.chain_id), answer_bytes)

    def fetch(self, first: int, last: int, addresses: Collection[bytes] | None = None) -> BlockRange:
        """Ask for a range of final blocks of any length, in pieces of the length that suits this node.

        Raises:
            BadAnswer: an answer breaks a rule, or two pieces are not of one chain.
            NodeFailure: the node is away, or refuses even a single block.
        """
        return join(
            in_pieces(
                lambda low, high: self.range_logs(low, high, addresses),
                lambda answer: answer.answer_bytes,
                self.sizes,
                first,
                last,
            )
        )

    def raw_headers(self, numbers: Sequence[int]) -> list[dict[str, Any]]:
        """Ask for blocks by number, with every field that the node tells of a header.

        Raises:
            BadAnswer: the node lacks one of them, or tells another one.
        """
        found = []
        for number, raw in zip(numbers, self._many(_blocks_by_number(numbers)), strict=True):
            header = self._decode(raw, dict[str, Any] | None, "eth_getBlockByNumber")
            if header is None:
                raise BadAnswer(f"{self.where}: the node has no block {number}")
            if self._quantity(header.get("number")) != number:
                raise BadAnswer(f"{self.where}: asked for block {number}, got {header.get('number')!r:.80}")
            found.append(header)
        return found

    def receipts(self, block_hash: bytes) -> list[dict[str, Any]]:
        """Ask for the receipts of all transactions of a block, in their order.

        Raises:
            BadAnswer: the node lacks the block or a receipt of it, or tells receipts of another block or out of order.
        """
        if self._receipts_by_block:
            try:
                raw = self.rpc.call("eth_getBlockReceipts", to_hex(block_hash))
            except MethodMissing:
                self._receipts_by_block = False
            else:
                found = self._decode(raw, list[dict[str, Any]] | None, "eth_getBlockReceipts")
                return self._checked_receipts(found, block_hash)
        raw = self.rpc.call("eth_getBlockByHash", to_hex(block_hash), False)
        block = self._decode(raw, dict[str, Any] | None, "eth_getBlockByHash")
        hashes = None if block is None else block.get("transactions")
        if not isinstance(hashes, list):
            raise BadAnswer(f"{self.where}: the node has no block {to_hex(block_hash)}")
        raws = self._many([("eth_getTransactionReceipt", (each,)) for each in hashes])
        return self._checked_receipts(
            [self._decode(raw, dict[str, Any], "eth_getTransactionReceipt") for raw in raws], block_hash
        )

    def _checked_receipts(self, found: list[dict[str, Any]] | None, block_hash: bytes) -> list[dict[str, Any]]:
        if found is None:
            raise BadAnswer(f"{self.where}: the node has no receipts of block {to_hex(block_hash)}")
        for place, receipt in enumerate(found):
            if str(receipt.get("blockHash")).lower() != to_hex(block_hash):
                raise BadAnswer(f"{self.where}: asked for the receipts of another block than {to_hex(block_hash)}")
            if self._quantity(receipt.get("transactionIndex")) != place:
                raise BadAnswer(f"{self.where}: receipt {place} is of transaction {receipt['transactionIndex']!r:.80}")
        return found

    def _many(self, calls: Sequence[Call]) -> Iterator[msgspec.Raw]:
        """Make calls that need not be answered at one moment, in as many requests as the node wants."""
        start = 0
        while start < len(calls):
            some = calls[start : start + self._calls_max]
            try:
                answers = self.rpc.batch(some)
            except BatchRefused as refused:
                if len(some) == 1:
                    raise
                self._calls_max = max(1, min(refused.calls_max or len(some) // 2, len(some) - 1))
                continue
            yield from answers
            start += len(some)

    def _logs(self, answers: list[tuple[msgspec.Raw, Asked]], addresses: Collection[bytes], filters: int) -> Columns:
        return chain_logs.parse(answers, frozenset(addresses), self.where, filters=filters)

    def _timed(self, columns: Columns) -> Columns:
        """Ask for the headers of blocks whose logs came without their time: not every node sends it with a log."""
        untimed = columns.untimed()
        if not untimed:
            return columns
        headers: Mapping[int, Header | None] = dict(zip(untimed, self.headers(untimed), strict=True))
        missing = [number for number, header in headers.items() if header is None]
        if missing:
            raise BadAnswer(f"{self.where}: block {missing[0]} has logs and cannot be asked for")
        return columns.agree_with({n: h.block for n, h in headers.items() if h is not None}, self.where)

    def _header(self, raw: msgspec.Raw) -> Header | None:
        found = self._decode(raw, _Header | None, "eth_getBlockByNumber")
        if found is None:
            return None
        try:
            block = BlockRef(self._quantity(found.number), from_hex(found.hash, 32), self._quantity(found.timestamp))
            return Header(block, from_hex(found.parent_hash, 32))
        except BadInput as error:
            raise BadAnswer(f"{self.where}: a block of eth_getBlockByNumber: {error}") from error

    def _quantity(self, text: object) -> int:
        try:
            return quantity(text)
        except BadInput as error:
            raise BadAnswer(f"{self.where}: {error}") from error

    def _decode(self, raw: msgspec.Raw, shape: Any, method: str) -> Any:
        try:
            return msgspec.json.decode(raw, type=shape)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise BadAnswer(f"{self.where}: {method}: {error}") from error


def _blocks_by_number(numbers: Sequence[int]) -> list[Call]:
    return [("eth_getBlockByNumber", (hex(number), False)) for number in numbers]


def _filters(addresses: Sequence[bytes]) -> list[list[str]]:
    """Addresses as they go into filters. No address at all would mean all of them to a node."""
    assert addresses, "a filter without addresses would ask for the logs of every contract"
    texts = [to_hex(address) for address in addresses]
    return [texts[start : start + FILTER_ADDRESSES] for start in range(0, len(texts), FILTER_ADDRESSES)]
