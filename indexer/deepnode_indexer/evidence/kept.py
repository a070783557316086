"""Kept evidence: headers and receipts of a covered range as Arrow files, which anyone can check without a node.

Every header of the range is there, as the RLP that its hash is made of; and for each block that concerns us the
receipts of all its transactions, as the bytes that the receipts' trie holds. The files are numbered chain by chain and
hold ``FILE_BLOCKS`` blocks each, so that which block is in which file follows from the chains' ranges alone. A file
with headers and the one with receipts of the same number are of the same blocks.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Final

import pyarrow as pa

from deepnode_ledger.bundle import ChainPart
from deepnode_ledger.hexadecimal import from_hex

FILE_BLOCKS: Final = 8_192
"""Blocks of one file: five megabytes of headers, four and a half hours of Base."""

FILES_MAX: Final = 1_000_000
"""The names have six digits."""

BATCH_ROWS: Final = 1_024
BATCH_BYTES: Final = 8 * 1024 * 1024
"""A record batch of a file ends with the row that makes it so large; a block of Base has some 200 KB of receipts."""

UNPACKED_BYTES_MAX: Final = 256 * 1024 * 1024
"""Of a record batch: the largest receipt behind all that are allowed before it is far less."""

HEADERS: Final = pa.schema(
    [
        pa.field("chain_id", pa.int64(), nullable=False),
        pa.field("number", pa.int64(), nullable=False),
        pa.field("hash", pa.binary(32), nullable=False),
        pa.field("rlp", pa.binary(), nullable=False),
    ]
)
"""A header: ``hash`` is the keccak-256 of ``rlp``."""

RECEIPTS: Final = pa.schema(
    [
        pa.field("chain_id", pa.int64(), nullable=False),
        pa.field("number", pa.int64(), nullable=False),
        pa.field("index", pa.int32(), nullable=False),
        pa.field("receipt", pa.binary(), nullable=False),
        pa.field("transaction_hash", pa.binary(32), nullable=False),
    ]
)
"""A receipt: ``index`` is its transaction's place in the block, ``receipt`` what the trie holds of it."""


@dataclass(frozen=True, slots=True)
class Covered:
    """Blocks ``first`` to ``last`` of a chain are covered; ``hash`` (32 bytes) is that of the last one."""

    chain_id: int
    first: int
    last: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Part:
    """The blocks ``first`` to ``last`` of a chain, which are in the files of this number."""

    number: int
    chain_id: int
    first: int
    last: int

    @property
    def headers(self) -> str:
        """The name of the file with the headers."""
        return f"evidence/headers-{self.number:06}.arrow"

    @property
    def receipts(self) -> str:
        """The name of the file with the receipts."""
        return f"evidence/receipts-{self.number:06}.arrow"


def covered_of(chains: Iterable[ChainPart]) -> list[Covered]:
    """Return the ranges that a bundle covers, in the order in which its evidence is numbered."""
    return [
        Covered(each.chain_id, each.first_block, each.last_block, from_hex(each.last_hash, 32))
        for each in chains
        if each.last_block is not None and each.last_hash is not None
    ]


def parts(covered: Sequence[Covered]) -> Iterator[Part]:
    """Yield the parts of covered ranges, in the order of the files."""
    number = 0
    for each in covered:
        for first in range(each.first, each.last + 1, FILE_BLOCKS):
            yield Part(number, each.chain_id, first, min(each.last, first + FILE_BLOCKS - 1))
            number += 1


class Writer:
    """Writes rows of one schema as an Arrow IPC file with zstd buffers; the same rows give the same bytes."""

    def __init__(self, file: IO[bytes], schema: pa.Schema) -> None:
        options = pa.ipc.IpcWriteOptions(compression="zstd", metadata_version=pa.ipc.MetadataVersion.V5)
        self._schema = schema
        self._writer = pa.ipc.new_file(file, schema, options=options)
        self._rows: list[tuple[object, ...]] = []
        self._bytes = 0

    def add(self, row: tuple[object, ...], size_bytes: int) -> None:
        """Add a row, whose largest value has so many bytes."""
        self._rows.append(row)
        self._bytes += size_bytes
        if len(self._rows) == BATCH_ROWS or self._bytes >= BATCH_BYTES:
            self._flush()

    def close(self) -> None:
        """Write what is left and the file's end; the file itself stays open."""
        if self._rows:
            self._flush()
        self._writer.close()

    def _flush(self) -> None:
        values = zip(*self._rows, strict=True)
        columns = [pa.array(each, field.type) for each, field in zip(values, self._schema, strict=True)]
        self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=self._schema))
        self._rows, self._bytes = [], 0
