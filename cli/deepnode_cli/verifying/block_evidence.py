"""One piece of the chain's evidence: some thousand blocks, their headers, receipts and entries against each other.

A piece is a file of headers, the file of receipts of the same blocks, and the log files that have entries of them. It
is read in one pass: receipts and entries both go up by blocks, so no more than one block of each is held at a time.
"""

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

import msgspec
import numpy as np
import pyarrow as pa

from deepnode_cli.verifying.chain_entries import batches_of_blocks, octets, placed_logs
from deepnode_cli.verifying.finding import POSITIONS_MAX
from deepnode_cli.verifying.logs_compared import PlacedLog, Said, block_of, compared, error, missing, note
from deepnode_indexer.evidence import receipt_bytes
from deepnode_indexer.evidence.counting import Counting, Counts, Row
from deepnode_indexer.evidence.kept import BATCH_ROWS, HEADERS, RECEIPTS, UNPACKED_BYTES_MAX, Part
from deepnode_indexer.evidence.kept_reading import BlockReceipts, Headers, Problems, read_headers, read_receipts
from deepnode_ledger.bundle import Bundle, LogFile
from deepnode_ledger.errors import Damaged
from deepnode_ledger.hexadecimal import to_hex

SAID_MAX = 200
"""Findings of one piece that are told."""

Entries = list[tuple[int, PlacedLog]]
"""The logs of a block with their positions."""


class EvidencePiece(msgspec.Struct, frozen=True):
    """Blocks ``first`` to ``last`` of a chain: what to check, and what must be known of the rest for it.

    Attributes:
        number: of the evidence files.
        chain_id: of the chain.
        first: number of the first block.
        last: number of the last one.
        receipts: whether there is a file of receipts.
        log_files: path, first and last position of each log file that has entries of these blocks.
        counting: whose logs count, from where on.
        ends: number and hash of the blocks with which the coverage of these blocks says that a range ended.
        cut: whether the bundle may end within the last block.
    """

    number: int
    chain_id: int
    first: int
    last: int
    receipts: bool
    log_files: tuple[tuple[str, int, int], ...]
    counting: tuple[Row, ...]
    ends: tuple[tuple[int, bytes], ...]
    cut: bool

    @property
    def part(self) -> Part:
        """The piece as the evidence files are numbered."""
        return Part(self.number, self.chain_id, self.first, self.last)

    @property
    def files(self) -> list[LogFile]:
        """The log files."""
        return [LogFile(*each) for each in self.log_files]


class Checked(msgspec.Struct, frozen=True):
    """What a piece came to.

    Attributes:
        parent: what the first header names as its parent, empty if it is not known.
        last_hash: of the last block, empty if it is not known.
        headers: how many there are that hash to their block's hash.
        blocks: how many have receipts with the root of their header.
        silent: how many have none, and a bloom that speaks of no contract of ours.
        receipts: how many there are in those.
        logs: how many entries of the log were compared with them.
        said: what was found.
    """

    parent: bytes
    last_hash: bytes
    headers: int
    blocks: int
    silent: int
    receipts: int
    logs: int
    said: tuple[Said, ...]


def check_piece(bundle: Bundle, piece: EvidencePiece) -> Checked:
    """Check one piece."""
    return _Piece(bundle, piece).checked()


class _Piece:
    """A piece that is being checked."""

    def __init__(self, bundle: Bundle, piece: EvidencePiece) -> None:
        self._bundle = bundle
        self._piece = piece
        self._counting = Counting(piece.counting)
        self._said: list[Said] = []
        self._untold = 0
        self._misnamed: dict[int, list[int]] = {}
        self._blocks = self._silent = self._receipts = self._logs = 0

    def checked(self) -> Checked:
        """Do it."""
        part = self._piece.part
        headers = self._headers(part)
        self._coverage_names_its_blocks(headers)
        if self._piece.receipts:
            self._by_receipts(headers)
        else:
            for _ in self._batches(headers):
                pass
        self._tell_misnamed(headers)
        if self._untold:
            said = f"{self._untold} further findings about blocks {part.first} to {part.last} are not told one by one"
            self._said.append(error(part.headers, said))
        return Checked(
            headers.parent or b"",
            headers.last_hash or b"",
            int(headers.known.sum()),
            self._blocks,
            self._silent,
            self._receipts,
            self._logs,
            tuple(self._said),
        )

    def _headers(self, part: Part) -> Headers:
        problems = Problems()
        headers = read_headers(part, self._rows(part.headers, HEADERS), problems)
        self._take(problems, part.headers)
        return headers

    def _by_receipts(self, headers: Headers) -> None:
        """Go through receipts and entries side by side, then through the blooms of what had neither."""
        problems = Problems()
        part = headers.part
        shown = read_receipts(headers, self._rows(part.receipts, RECEIPTS), problems)
        seen = np.zeros(len(headers.known), np.bool_)
        for number, receipts, entries in _joined(shown, self._entries(headers)):
            if receipts is None:
                self._unshown(number, entries)
            else:
                seen[number - part.first] = True
                self._compare(receipts, entries)
        self._take(problems, part.receipts)
        spoken_of = self._counting.spoken_of(headers.blooms, part.first)
        unseen = headers.known & ~seen
        self._silent = int((unseen & ~spoken_of).sum())
        for row in np.flatnonzero(unseen & spoken_of).tolist():
            self._bloom_speaks(part.first + row)

    def _compare(self, receipts: BlockReceipts, entries: Entries) -> None:
        if not receipts.proven:
            # That they are not the block's is said already.
            return
        number, chain_id = receipts.number, self._piece.chain_id
        try:
            expected, optional = self._expected(receipts)
        except Damaged as damage:
            self._add(error(block_of(chain_id, number), f"a receipt of block {number} cannot be read: {damage}"))
            return
        self._blocks += 1
        self._receipts += len(receipts.receipts)
        self._logs += len(entries)
        cut = self._piece.cut and number == self._piece.last
        for each in compared(chain_id, number, expected, optional, entries, "its receipts", cut=cut):
            self._add(each)
        if cut and (left_out := missing(expected, optional, entries)):
            said = f"the bundle ends within block {number}: the block's last {left_out} logs stand behind it in the log"
            where = block_of(chain_id, number)
            self._add(note(where, said, logs=left_out))

    def _expected(self, receipts: BlockReceipts) -> tuple[list[PlacedLog], frozenset[int]]:
        """The logs of the receipts that count, and the indexes of those that need not be in the log."""
        expected, optional, log_index = [], [], -1
        for transaction_index, one in enumerate(receipts.receipts):
            for log in receipt_bytes.logs_of(one, self._counting):
                log_index += 1
                if log is None:
                    continue
                counts = self._counting.of(log.address, receipts.number, log_index)
                if counts is Counts.NOT:
                    continue
                transaction = receipts.transactions[transaction_index]
                expected.append(PlacedLog(log_index, transaction_index, transaction, log.address, log.topics, log.data))
                if counts is Counts.MAY:
                    optional.append(log_index)
        return expected, frozenset(optional)

    def _unshown(self, number: int, entries: Entries) -> None:
        positions = [position for position, _ in entries]
        said = f"block {number} has {len(entries)} logs in the log, and the evidence lacks its receipts"
        self._add(error(block_of(self._piece.chain_id, number), said, positions, logs=len(entries)))

    def _bloom_speaks(self, number: int) -> None:
        said = f"the bloom of block {number} speaks of a contract of ours, and the evidence lacks its receipts"
        self._add(error(block_of(self._piece.chain_id, number), said))

    def _coverage_names_its_blocks(self, headers: Headers) -> None:
        """Hold the ends of the ranges that were covered against the headers."""
        piece = self._piece
        for number, block_hash in piece.ends:
            row = number - piece.first
            if headers.known[row] and headers.hashes[row].tobytes() != block_hash:
                said = (
                    f"coverage.json has a range that ends with block {number}, {to_hex(block_hash)}, and its header "
                    f"hashes to {to_hex(headers.hashes[row].tobytes())}"
                )
                self._add(error(block_of(piece.chain_id, number), said))

    def _note_names(self, batch: pa.RecordBatch, headers: Headers) -> None:
        """Hold hash and time of entries' blocks against the headers, and note the rows and positions of others."""
        rows = batch.column("block_number").to_numpy() - self._piece.first
        other = (octets(batch.column("block_hash")) != headers.hashes[rows]).any(axis=1)
        late = batch.column("block_time").to_numpy() != headers.times[rows]
        positions = batch.column("position").to_numpy()
        for place in np.flatnonzero(headers.known[rows] & (other | late)).tolist():
            told = self._misnamed.setdefault(int(rows[place]), [])
            if len(told) < POSITIONS_MAX:
                told.append(int(positions[place]))

    def _tell_misnamed(self, headers: Headers) -> None:
        for row, positions in self._misnamed.items():
            number = self._piece.first + row
            block = f"{to_hex(headers.hashes[row].tobytes())} at {headers.times[row]}"
            said = f"entries of block {number} name another hash or time than its header, {block}"
            self._add(error(block_of(self._piece.chain_id, number), said, positions))

    def _entries(self, headers: Headers) -> Iterator[tuple[int, Entries]]:
        """Yield the logs of each block that has any, in ascending order."""
        before = self._piece.first - 1
        placed = (each for batch in self._batches(headers) for each in placed_logs(batch))
        for number, group in groupby(placed, key=itemgetter(1)):
            entries = [(position, log) for position, _, log in group]
            if number <= before:
                said = f"logs of block {number} stand behind those of block {before}"
                positions = [position for position, _ in entries]
                self._add(error(block_of(self._piece.chain_id, number), said, positions))
                continue
            before = number
            yield number, entries

    def _batches(self, headers: Headers) -> Iterator[pa.RecordBatch]:
        piece = self._piece
        try:
            for batch in batches_of_blocks(self._bundle, piece.files, piece.chain_id, piece.first, piece.last):
                self._note_names(batch, headers)
                yield batch
        except Damaged:
            # Said when the log files were looked through.
            return

    def _rows(self, name: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        return self._bundle.arrow(name, schema, rows_max=BATCH_ROWS, bytes_max=UNPACKED_BYTES_MAX)

    def _take(self, problems: Problems, name: str) -> None:
        for each in problems.found:
            where = name if each.block is None else block_of(self._piece.chain_id, each.block)
            self._add(error(where, f"{name}: {each.said}"))
        self._untold += problems.count - len(problems.found)

    def _add(self, said: Said) -> None:
        if len(self._said) < SAID_MAX:
            self._said.append(said)
        else:
            self._untold += 1


def _joined(
    receipts: Iterator[BlockReceipts], entries: Iterator[tuple[int, Entries]]
) -> Iterator[tuple[int, BlockReceipts | None, Entries]]:
    """Put the receipts of a block and the entries of it together; both come in ascending order."""
    shown, logged = next(receipts, None), next(entries, None)
    while shown is not None or logged is not None:
        if logged is None or (shown is not None and shown.number < logged[0]):
            assert shown is not None
            yield shown.number, shown, []
            shown = next(receipts, None)
        elif shown is None or logged[0] < shown.number:
            yield logged[0], None, logged[1]
            logged = next(entries, None)
        else:
            yield shown.number, shown, logged[1]
            shown, logged = next(receipts, None), next(entries, None)
