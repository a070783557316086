"""Kept evidence read back and checked against itself: hashes, links, numbers, and the receipts' roots.

Nothing raises for what a file holds: what is wrong is a ``Problem`` with its block, and the reading goes on, so that
whoever changed three headers is told of three. What comes out is right as far as no problem speaks of it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from deepnode_indexer.evidence import header_bytes, receipt_bytes
from deepnode_indexer.evidence.bloom import BLOOM_BYTES
from deepnode_indexer.evidence.header import VerifiedHeader
from deepnode_indexer.evidence.header_bytes import HeaderFields
from deepnode_indexer.evidence.kept import Part
from deepnode_ledger.errors import Damaged
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.record import BlockRef, Header

BLOCK_RECEIPTS_MAX: Final = 1_000_000
"""More transactions than a block of any chain has gas for."""

BLOCK_BYTES_MAX: Final = 256 * 1024 * 1024
"""More bytes than the receipts of any block have."""

PROBLEMS_MAX: Final = 100
"""Problems that are told of one file; behind them they are only counted."""

GAS_MAX: Final = 2**64 - 1
"""No block has more gas; what claims it is kept as this."""

Batches = Iterable[pa.RecordBatch]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a block's evidence, or with the file (``block`` is None)."""

    block: int | None
    said: str


@dataclass(slots=True)
class Problems:
    """What was found in one file: the first of it, and how much there is."""

    found: list[Problem] = field(default_factory=list)
    count: int = 0

    def add(self, block: int | None, said: str) -> None:
        """Note a problem."""
        self.count += 1
        if len(self.found) < PROBLEMS_MAX:
            self.found.append(Problem(block, said))


@dataclass(frozen=True, slots=True)
class Headers:
    """The headers of a part, one row a block: what the rows say whose bytes hash to a header of that number.

    ``known`` says which those are; the others' rows are zeros. ``parent`` is the first one's parent, ``hashes`` and
    ``receipts_roots`` have 32 bytes a row, ``blooms`` 256.
    """

    part: Part
    parent: bytes | None
    known: NDArray[np.bool_]
    hashes: NDArray[np.uint8]
    times: NDArray[np.int64]
    receipts_roots: NDArray[np.uint8]
    blooms: NDArray[np.uint8]
    gas_used: NDArray[np.uint64]

    def of(self, number: int) -> VerifiedHeader:
        """Return the header of a block that is known."""
        row = number - self.part.first
        assert self.known[row], number
        parent = self.parent if row == 0 else self.hashes[row - 1].tobytes()
        assert parent is not None, number
        return VerifiedHeader(
            Header(BlockRef(number, self.hashes[row].tobytes(), int(self.times[row])), parent),
            self.receipts_roots[row].tobytes(),
            self.blooms[row].tobytes(),
            int(self.gas_used[row]),
        )

    @property
    def last_hash(self) -> bytes | None:
        """The hash of the last block, if its header is known."""
        return self.hashes[-1].tobytes() if self.known[-1] else None


@dataclass(frozen=True, slots=True)
class BlockReceipts:
    """The receipts of a block, with their transactions' hashes; ``proven`` says whether their root is the header's."""

    number: int
    receipts: list[bytes]
    transactions: list[bytes]
    proven: bool


def read_headers(part: Part, batches: Batches, problems: Problems) -> Headers:
    """Read the rows of a part's file of headers.

    Args:
        part: which blocks it must hold, each once and in order.
        batches: the file's rows, of the schema ``kept.HEADERS``; may raise ``Damaged``.
        problems: where to put what is wrong.
    """
    parent, expected, before = b"", part.first, None
    rows: list[int] = []
    found: list[HeaderFields] = []
    for chain_id, number, block_hash, rlp in _rows(batches, problems):
        if chain_id != part.chain_id or not expected <= number <= part.last:
            should = f"block {expected} of chain {part.chain_id}" if expected <= part.last else "the file's end"
            problems.add(number, f"a header of block {number} of chain {chain_id} stands where {should} should be")
            continue
        if number > expected:
            problems.add(expected, f"the headers of blocks {expected} to {number - 1} are missing")
            before = None
        expected = number + 1
        try:
            header = header_bytes.fields_of(rlp)
        except Damaged as damage:
            problems.add(number, f"the header of block {number} cannot be read: {damage}")
            before = None
            continue
        if header.hash != block_hash or header.number != number:
            if header.hash != block_hash:
                said = f"the header of block {number} hashes to {to_hex(header.hash)}, not {to_hex(block_hash)}"
            else:
                said = f"the header kept as block {number} says that it is block {header.number}"
            problems.add(number, said)
            before = None
            continue
        if before is not None and header.parent_hash != before:
            parents = f"{to_hex(header.parent_hash)} as its parent, and block {number - 1} is {to_hex(before)}"
            problems.add(number, f"block {number} names {parents}")
        before = header.hash
        parent = header.parent_hash if number == part.first else parent
        rows.append(number - part.first)
        found.append(header)
    if expected <= part.last:
        problems.add(expected, f"the headers of blocks {expected} to {part.last} are missing")
    return _headers(part, parent or None, rows, found)


def _headers(part: Part, parent: bytes | None, rows: list[int], found: list[HeaderFields]) -> Headers:
    """Lay headers out as columns, each at the row of its block."""
    blocks = part.last - part.first + 1

    def octets(name: str, width: int) -> NDArray[np.uint8]:
        column = np.zeros((blocks, width), np.uint8)
        joined = b"".join([getattr(each, name) for each in found])
        column[rows] = np.frombuffer(joined, np.uint8).reshape(len(found), width)
        return column

    known, times, gas_used = np.zeros(blocks, np.bool_), np.zeros(blocks, np.int64), np.zeros(blocks, np.uint64)
    known[rows] = True
    times[rows] = [each.time for each in found]
    gas_used[rows] = [min(each.gas_used, GAS_MAX) for each in found]
    hashes, roots, blooms = octets("hash", 32), octets("receipts_root", 32), octets("logs_bloom", BLOOM_BYTES)
    return Headers(part, parent, known, hashes, times, roots, blooms, gas_used)


def read_receipts(headers: Headers, batches: Batches, problems: Problems) -> Iterator[BlockReceipts]:
    """Yield the receipts of a part's file, block by block in ascending order; each block once.

    Args:
        headers: of the same part.
        batches: the file's rows, of the schema ``kept.RECEIPTS``; may raise ``Damaged``.
        problems: where to put what is wrong.
    """
    part = headers.part
    number = part.first - 1
    receipts: list[bytes] = []
    transactions: list[bytes] = []
    size_bytes = 0
    for chain_id, of_block, index, receipt, transaction in _rows(batches, problems):
        if of_block != number or chain_id != part.chain_id:
            if chain_id != part.chain_id or not number < of_block <= part.last:
                problems.add(
                    of_block,
                    f"a receipt of block {of_block} of chain {chain_id} stands behind those of block {number} of chain "
                    f"{part.chain_id}, in a file that ends with block {part.last}",
                )
                continue
            if receipts:
                yield _proven(headers, number, receipts, transactions, problems)
            number, receipts, transactions, size_bytes = of_block, [], [], 0
        size_bytes += len(receipt)
        if len(receipts) == BLOCK_RECEIPTS_MAX or size_bytes > BLOCK_BYTES_MAX:
            problems.add(number, f"block {number} has more receipts than a block can have")
            return
        if index != len(receipts):
            problems.add(number, f"receipt {len(receipts)} of block {number} is kept as receipt {index}")
        receipts.append(receipt)
        transactions.append(transaction)
    if receipts:
        yield _proven(headers, number, receipts, transactions, problems)


def _rows(batches: Batches, problems: Problems) -> Iterator[tuple[Any, ...]]:
    try:
        for batch in batches:
            if any(column.null_count for column in batch.columns):
                problems.add(None, "a value is missing")
                return
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
    except Damaged as damage:
        problems.add(None, str(damage))


def _proven(
    headers: Headers, number: int, receipts: list[bytes], transactions: list[bytes], problems: Problems
) -> BlockReceipts:
    row = number - headers.part.first
    if not headers.known[row]:
        return BlockReceipts(number, receipts, transactions, proven=False)
    try:
        found = receipt_bytes.root(receipts)
    except Damaged as damage:
        problems.add(number, f"the receipts of block {number} cannot be read: {damage}")
        return BlockReceipts(number, receipts, transactions, proven=False)
    root = headers.receipts_roots[row].tobytes()
    if found != root:
        problems.add(
            number,
            f"the {len(receipts)} receipts of block {number} have the root {to_hex(found)}, its header says "
            f"{to_hex(root)}",
        )
    return BlockReceipts(number, receipts, transactions, proven=found == root)
