"""Gathering the evidence of a bundle: every header of the covered ranges and the receipts that concern us, from nodes.

Nothing is written that was not checked: a header hashes to what it is called and names the one before it, receipts have
the root of their header. A file that is there and right is kept, so that gathering goes on where it was ended. The
files hold no clock and no name of a node: who gathers the same blocks gets the same bytes.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from deepnode_cli.asking import side_by_side
from deepnode_indexer.evidence import HeaderDiffers, ReceiptsDiffer, VerifiedHeader, field, header, receipt
from deepnode_indexer.evidence.counting import Counting, rows_of
from deepnode_indexer.evidence.kept import (
    BATCH_ROWS,
    HEADERS,
    RECEIPTS,
    UNPACKED_BYTES_MAX,
    Covered,
    Part,
    Writer,
    covered_of,
    parts,
)
from deepnode_indexer.evidence.kept_reading import Headers, Problems, read_headers, read_receipts
from deepnode_indexer.failures import BadAnswer
from deepnode_indexer.pool import Providers
from deepnode_indexer.provider import Provider
from deepnode_ledger.bundle import ChainPart, arrow_file
from deepnode_ledger.bundle.files import FolderFiles
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.record import Kind
from deepnode_ledger.roster import Roster

ASKED_HEADERS: Final = 256
"""Headers of one question; with the names of its transactions one of Base has some 15 KB."""

_BLOCK: Final = ("chain_id", "block_number", "block_hash")


def gather(
    directory: Path,
    manifest: Manifest,
    chains: Sequence[ChainPart],
    batches: Callable[[], Iterable[pa.RecordBatch]],
    providers: Mapping[int, Providers],
    progress: Callable[[str], None] = lambda _line: None,
) -> list[str]:
    """Write the evidence of covered ranges into a bundle's directory; return the files' names in their order.

    Args:
        directory: the bundle's; the files lie in ``evidence`` below it.
        manifest: whose contracts they are.
        chains: those of the bundle, up to their last blocks; the files are numbered in their order.
        batches: gives all entries of the bundle, in their order.
        providers: the nodes of each chain.
        progress: is told a line after each file.

    Raises:
        BadInput: a chain has no node, or its node serves another chain: another last block, or other blocks than those
            of the entries.
        TryAgain: no node answers, or not as it should.
    """
    covered = covered_of(chains)
    for each in covered:
        if each.chain_id not in providers:
            raise BadInput(f"evidence of chain {each.chain_id} needs a node of it: --rpc {each.chain_id}=URL")
        providers[each.chain_id].check_chain()
    counting, entries = _of_entries(manifest, covered, batches())
    (directory / "evidence").mkdir(parents=True, exist_ok=True)
    names, parents = [], dict.fromkeys(providers, b"")
    all_parts = list(parts(covered))
    for part in all_parts:
        chain_id = part.chain_id
        gathering = _Gathering(directory, part, providers[chain_id], counting[chain_id], entries[chain_id])
        headers, kept = gathering.headers()
        if parents[chain_id] not in (b"", headers.parent):
            raise BadAnswer(f"block {part.first} of chain {chain_id} is not the child of the block before it")
        entries[chain_id].check(headers)
        kept = gathering.receipts(headers) and kept
        parents[chain_id] = headers.last_hash or b""
        names += [part.headers, part.receipts]
        progress(
            f"evidence: file {part.number + 1} of {len(all_parts)}, chain {chain_id} up to block {part.last}"
            f"{', as it was' if kept else ''}"
        )
    return names


class _Gathering:
    """Two files of one part, from the nodes of its chain or as they are there."""

    def __init__(
        self, directory: Path, part: Part, providers: Providers, counting: Counting, entries: "_Blocks"
    ) -> None:
        self._directory = directory
        self._part = part
        self._providers = providers
        self._counting = counting
        self._entries = entries

    def headers(self) -> tuple[Headers, bool]:
        """Make the file of headers if it is not right already; return what it holds, and whether it was."""
        part = self._part
        found, problems = self._read_headers()
        if not problems.count and self._is_of_the_log(found):
            return found, True
        chunks = [
            range(first, min(first + ASKED_HEADERS, part.last + 1))
            for first in range(part.first, part.last + 1, ASKED_HEADERS)
        ]

        def rows() -> Iterator[tuple[tuple[object, ...], int]]:
            for each in side_by_side(self._asked_headers, chunks):
                for number, block_hash, rlp in each:
                    yield (part.chain_id, number, block_hash, rlp), len(rlp)

        _write(self._directory / part.headers, HEADERS, rows())
        found, problems = self._read_headers()
        if problems.count:
            raise BadAnswer(f"{self._providers.order()[0].where}: {problems.found[0].said}")
        return found, False

    def receipts(self, headers: Headers) -> bool:
        """Make the file of receipts if it is not right already; return whether it was."""
        part = self._part
        concerned = self._counting.spoken_of(headers.blooms, part.first)
        wanted = sorted(
            {part.first + row for row in np.flatnonzero(concerned).tolist()} | {*self._entries.logged_within(part)}
        )
        problems = Problems()
        there = self._batches(part.receipts, RECEIPTS)
        if [each.number for each in read_receipts(headers, there, problems)] == wanted and not problems.count:
            return True

        def rows() -> Iterator[tuple[tuple[object, ...], int]]:
            answers = side_by_side(self._asked_receipts, map(headers.of, wanted))
            for number, each in zip(wanted, answers, strict=True):
                for index, (encoded, transaction) in enumerate(each):
                    yield (part.chain_id, number, index, encoded, transaction), len(encoded)

        _write(self._directory / part.receipts, RECEIPTS, rows())
        return False

    def _is_of_the_log(self, headers: Headers) -> bool:
        try:
            self._entries.check(headers)
        except BadInput:
            return False
        return True

    def _read_headers(self) -> tuple[Headers, Problems]:
        problems = Problems()
        return read_headers(self._part, self._batches(self._part.headers, HEADERS), problems), problems

    def _batches(self, name: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        files = FolderFiles(self._directory)
        try:
            with files.open(name) as span:
                yield from arrow_file.read(span, schema, rows_max=BATCH_ROWS, bytes_max=UNPACKED_BYTES_MAX)
        finally:
            files.close()

    def _asked_headers(self, numbers: range) -> list[tuple[int, bytes, bytes]]:
        def ask(provider: Provider) -> list[tuple[int, bytes, bytes]]:
            found = []
            for number, raw in zip(numbers, provider.raw_headers(numbers), strict=True):
                try:
                    block_hash = header.verified(raw).header.block.hash
                except HeaderDiffers as error:
                    raise BadAnswer(f"{provider.where}: {error}") from error
                found.append((number, block_hash, header.rlp_of(raw)))
            return found

        return self._providers.call(ask)

    def _asked_receipts(self, against: VerifiedHeader) -> list[tuple[bytes, bytes]]:
        def ask(provider: Provider) -> list[tuple[bytes, bytes]]:
            found = provider.receipts(against.header.block.hash)
            try:
                receipt.check(found, against)
            except ReceiptsDiffer as error:
                raise BadAnswer(f"{provider.where}: {error}") from error
            return [(receipt.encoded(one), field.octets(one, "transactionHash", 32)) for one in found]

        return self._providers.call(ask)


@dataclass(frozen=True, slots=True)
class _Blocks:
    """The blocks of a chain that have logs in the log, and the last one: ascending numbers, and their hashes.

    ``logged`` says which have logs.
    """

    numbers: NDArray[np.int64]
    hashes: pa.ChunkedArray
    logged: NDArray[np.bool_]

    @classmethod
    def of(cls, tables: Sequence[pa.Table], covered: Covered) -> Self:
        """Put together what the batches have; a block that is in two of them is there once."""
        end = pa.table([pa.array([covered.last]), pa.array([covered.hash], pa.binary(32))], names=list(_BLOCK[1:]))
        flagged = [
            table.append_column("logged", pa.array(np.full(table.num_rows, fill)))
            for table, fill in [*((table, True) for table in tables), (end, False)]
        ]
        merged = pa.concat_tables(flagged).group_by(list(_BLOCK[1:])).aggregate([("logged", "max")])
        merged = merged.sort_by(_BLOCK[1])
        logged = merged.column("logged_max").to_numpy()
        return cls(merged.column(_BLOCK[1]).to_numpy(), merged.column(_BLOCK[2]), logged)

    def logged_within(self, part: Part) -> list[int]:
        """The numbers of a part's blocks that have logs, ascending."""
        rows = self._rows(part)
        numbers: list[int] = self.numbers[rows][self.logged[rows]].tolist()
        return numbers

    def check(self, headers: Headers) -> None:
        """See that the blocks of a part are those of the log.

        Raises:
            BadInput: one has another hash (both named).
        """
        part = headers.part
        rows = self._rows(part)
        hashes = self.hashes.slice(rows.start, rows.stop - rows.start).to_pylist()
        for number, block_hash in zip(self.numbers[rows].tolist(), hashes, strict=True):
            found = headers.hashes[number - part.first].tobytes()
            if found != block_hash:
                raise BadInput(
                    f"block {number} of chain {part.chain_id} is {to_hex(found)} by the node and {to_hex(block_hash)} "
                    "in the log: the node has another chain, or the log does"
                )

    def _rows(self, part: Part) -> slice:
        first, end = np.searchsorted(self.numbers, [part.first, part.last + 1]).tolist()
        return slice(first, end)


def _of_entries(
    manifest: Manifest, covered: Sequence[Covered], batches: Iterable[pa.RecordBatch]
) -> tuple[dict[int, Counting], dict[int, _Blocks]]:
    """Learn from the entries who counts on each chain, and which blocks have logs, with their hashes."""
    roster = Roster(manifest)
    found: dict[int, list[pa.Table]] = {each.chain_id: [] for each in covered}
    for batch in batches:
        roster.learn(batch)
        logs = batch.filter(pc.equal(batch.column("kind"), int(Kind.CHAIN_LOG)))
        named = pa.table([logs.column(name) for name in _BLOCK], names=list(_BLOCK)).group_by(list(_BLOCK))
        blocks = named.aggregate([])
        for chain_id, tables in found.items():
            tables.append(blocks.filter(pc.equal(blocks.column("chain_id"), chain_id)).select(_BLOCK[1:]))
    counting = {each.chain_id: Counting(rows_of(roster, each.chain_id)) for each in covered}
    return counting, {each.chain_id: _Blocks.of(found[each.chain_id], each) for each in covered}


def _write(path: Path, schema: pa.Schema, rows: Iterable[tuple[tuple[object, ...], int]]) -> None:
    """Write a file whole or not at all."""
    beside = path.with_name(f".{path.name}.new")
    try:
        with beside.open("wb") as file:
            writer = Writer(file, schema)
            for row, size_bytes in rows:
                writer.add(row, size_bytes)
            writer.close()
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
