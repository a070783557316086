"""A provider: what the indexer asks a node, and how far the answers are believed.

Everything is asked for by block hash where the method allows it, so that two answers cannot be of two branches. Each
answer is checked against the question: the block, the addresses, the order of the logs. A node that breaks a rule gets
a ``BadAnswer`` that names it; nothing of that answer is used.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from deepnode_indexer.rpc import BadAnswer, Call, JsonRpc
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import from_hex, to_hex
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.record import DATA_BYTES_MAX, TOPICS_MAX, Block, BlockRef, ChainLog, Header

BATCH_CALLS: Final = 64
"""Calls in one request; common providers refuse more than 100."""

_T = TypeVar("_T")


class WrongChain(BadInput):
    """The node serves another chain than the manifest names."""


class _Header(msgspec.Struct, rename="camel"):
    number: str
    hash: str
    parent_hash: str
    timestamp: str


class _Log(msgspec.Struct, rename="camel"):
    address: str
    topics: list[str]
    data: str
    block_number: str
    block_hash: str
    transaction_hash: str
    transaction_index: str
    log_index: str
    block_timestamp: str | None = None
    removed: bool = False


@dataclass(frozen=True, slots=True)
class Tags:
    """The newest block and the newest final one; ``finalized`` is None on a chain that has none yet."""

    head: Header
    finalized: Header | None


@dataclass(frozen=True, slots=True)
class BlockRange:
    """The logs of final blocks, in the order of the chain, and the headers of the first and the last of the blocks."""

    first: Header
    last: Header
    logs: tuple[tuple[BlockRef, ChainLog], ...]

    def joined(self, following: "BlockRange") -> "BlockRange":
        """Return this range and the one behind it as one.

        Raises:
            BadAnswer: the other does not begin with the child of this one's last block.
        """
        if following.first.parent_hash != self.last.block.hash:
            raise BadAnswer(f"block {following.first.block.number} is not the child of the block before it")
        return BlockRange(self.first, following.last, self.logs + following.logs)


class Provider:
    """One node, asked about the contracts of one manifest."""

    def __init__(self, rpc: JsonRpc, manifest: Manifest) -> None:
        self.rpc = rpc
        self._manifest = manifest
        self._addresses = [to_hex(address) for address in manifest.contracts]

    def check_chain(self) -> None:
        """Compare the node's chain id and genesis hash with the manifest's.

        Raises:
            WrongChain: one of them differs (both named).
            TryAgain: the node does not answer.
        """
        chain_id, genesis = self.rpc.batch([("eth_chainId", ()), ("eth_getBlockByNumber", ("0x0", False))])
        found = self._quantity(self._decode(chain_id, str, "eth_chainId"))
        if found != self._manifest.chain_id:
            raise WrongChain(
                f"the node at {self.rpc.where} serves chain {found}, "
                f"the manifest is for chain {self._manifest.chain_id}"
            )
        header = self._header(genesis)
        if header is None or header.block.hash != self._manifest.genesis_hash:
            there = "none" if header is None else to_hex(header.block.hash)
            raise WrongChain(
                f"the genesis block at {self.rpc.where} is {there}, "
                f"the manifest's genesis_hash is {to_hex(self._manifest.genesis_hash)}"
            )

    def tags(self) -> Tags:
        """Ask for the head and the finalized block."""
        head, finalized = self.rpc.batch(
            [("eth_getBlockByNumber", ("latest", False)), ("eth_getBlockByNumber", ("finalized", False))]
        )
        newest = self._header(head)
        if newest is None:
            raise BadAnswer(f"{self.rpc.where}: there is no latest block")
        return Tags(newest, self._header(finalized))

    def headers(self, numbers: Sequence[int]) -> list[Header | None]:
        """Ask for blocks by number; None where the node has no such block."""
        found: list[Header | None] = []
        for start in range(0, len(numbers), BATCH_CALLS):
            wanted = numbers[start : start + BATCH_CALLS]
            calls: list[Call] = [("eth_getBlockByNumber", (hex(number), False)) for number in wanted]
            for number, raw in zip(wanted, self.rpc.batch(calls), strict=True):
                header = self._header(raw)
                if header is not None and header.block.number != number:
                    raise BadAnswer(f"{self.rpc.where}: asked for block {number}, got {header.block.number}")
                found.append(header)
        return found

    def blocks(self, headers: Sequence[Header]) -> list[Block]:
        """Ask for the logs of each block by its hash."""
        blocks: list[Block] = []
        for start in range(0, len(headers), BATCH_CALLS):
            wanted = headers[start : start + BATCH_CALLS]
            calls: list[Call] = [
                ("eth_getLogs", ({"blockHash": to_hex(header.block.hash), "address": self._addresses},))
                for header in wanted
            ]
            for header, raw in zip(wanted, self.rpc.batch(calls), strict=True):
                logs = self._logs(raw, header.block.number, header.block.number)
                for block, _ in logs:
                    if block.hash != header.block.hash:
                        raise BadAnswer(f"{self.rpc.where}: asked for the logs of another block than {header.block}")
                blocks.append(Block(header, tuple(log for _, log in logs)))
        return blocks

    def range_logs(self, first: int, last: int) -> BlockRange:
        """Ask for the logs of a range of final blocks and, in the same request, for the headers of its two ends.

        The last header shows that the node which answered had the range's end: a node that is behind answers ``[]``.
        The first one names its parent, by which the range is tied to what is covered before it.
        """
        where = {"fromBlock": hex(first), "toBlock": hex(last), "address": self._addresses}
        calls: list[Call] = [("eth_getBlockByNumber", (hex(number), False)) for number in (first, last)]
        raw_logs, raw_first, raw_last = self.rpc.batch([("eth_getLogs", (where,)), *calls])
        ends = [self._header(raw_first), self._header(raw_last)]
        hashes: dict[int, bytes] = {}
        for number, header in ((last, ends[1]), (first, ends[0])):
            if header is None or header.block.number != number:
                raise BadAnswer(
                    f"{self.rpc.where}: the node has no block {number}, so the logs up to {last} are not all"
                )
            hashes[number] = header.block.hash
        logs = self._logs(raw_logs, first, last)
        for block, _ in logs:
            if hashes.setdefault(block.number, block.hash) != block.hash:
                raise BadAnswer(f"{self.rpc.where}: block {block.number} has two hashes in one answer")
        found = [header for header in ends if header is not None]
        return BlockRange(found[0], found[1], tuple(logs))

    def _logs(self, raw: msgspec.Raw, first: int, last: int) -> list[tuple[BlockRef, ChainLog]]:
        logs = []
        before = (-1, -1)
        for found in self._decode(raw, list[_Log], "eth_getLogs"):
            block, log = self._log(found)
            if not first <= block.number <= last:
                raise BadAnswer(f"{self.rpc.where}: a log of block {block.number} came for {first} to {last}")
            if log.address not in self._manifest.contracts:
                raise BadAnswer(f"{self.rpc.where}: a log of {found.address} came, which was not asked for")
            place = (block.number, log.log_index)
            if place <= before:
                raise BadAnswer(f"{self.rpc.where}: log {place} came behind log {before}")
            before = place
            logs.append((block, log))
        return self._with_times(logs)

    def _with_times(self, logs: list[tuple[BlockRef, ChainLog]]) -> list[tuple[BlockRef, ChainLog]]:
        """Ask for the headers of blocks whose logs came without their time: not every node sends it with a log."""
        untimed = sorted({block.number for block, _ in logs if block.time == 0})
        if not untimed:
            return logs
        headers = {h.block.number: h.block for h in self.headers(untimed) if h is not None}
        timed = []
        for block, log in logs:
            known = headers.get(block.number)
            if known is None:
                raise BadAnswer(f"{self.rpc.where}: block {block.number} has logs and cannot be asked for")
            if known.hash != block.hash:
                raise BadAnswer(f"{self.rpc.where}: block {block.number} has two hashes in two answers")
            timed.append((known, log))
        return timed

    def _log(self, found: _Log) -> tuple[BlockRef, ChainLog]:
        if found.removed:
            raise BadAnswer(f"{self.rpc.where}: a log of block {found.block_hash} is marked as removed")
        if len(found.topics) > TOPICS_MAX or len(found.data) > 2 + 2 * DATA_BYTES_MAX:
            raise BadAnswer(
                f"{self.rpc.where}: a log with {len(found.topics)} topics, {len(found.data)} digits of data"
            )
        time = 0 if found.block_timestamp is None else self._quantity(found.block_timestamp)
        try:
            block = BlockRef(self._quantity(found.block_number), from_hex(found.block_hash, 32), time)
            log = ChainLog(
                from_hex(found.transaction_hash, 32),
                self._quantity(found.transaction_index),
                self._quantity(found.log_index),
                from_hex(found.address, 20),
                tuple(from_hex(topic, 32) for topic in found.topics),
                from_hex(found.data),
            )
        except BadInput as error:
            raise BadAnswer(f"{self.rpc.where}: a log of eth_getLogs: {error}") from error
        return block, log

    def _header(self, raw: msgspec.Raw) -> Header | None:
        if bytes(raw) == b"null":
            return None
        found = self._decode(raw, _Header, "eth_getBlockByNumber")
        try:
            block = BlockRef(self._quantity(found.number), from_hex(found.hash, 32), self._quantity(found.timestamp))
            return Header(block, from_hex(found.parent_hash, 32))
        except BadInput as error:
            raise BadAnswer(f"{self.rpc.where}: a block of eth_getBlockByNumber: {error}") from error

    def _quantity(self, text: str) -> int:
        """Read a JSON-RPC quantity: 0x and digits, at most 2**63 - 1, which is all that blocks and indexes need."""
        try:
            value = int(text, 16) if text.startswith("0x") else -1
        except ValueError:
            value = -1
        if not 0 <= value < 2**63:
            raise BadAnswer(f"{self.rpc.where}: {text!r:.80} is no quantity")
        return value

    def _decode(self, raw: msgspec.Raw, shape: type[_T], method: str) -> _T:
        try:
            return msgspec.json.decode(raw, type=shape)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise BadAnswer(f"{self.rpc.where}: {method}: {error}") from error
