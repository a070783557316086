"""The stage of the chain's evidence: whether the log has what the chain has, all of it and nothing else.

Each header hashes to its block's hash and names the one before it, so the last one's hash, which anyone can look up
elsewhere, commits to all of them. Each header commits to its block's receipts and they to every log. Where a block has
no receipts here, its bloom must speak of none of our contracts: so nothing was left out, and no node has to be asked.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from deepnode_cli.verifying.block_evidence import Checked, EvidencePiece, check_piece
from deepnode_cli.verifying.chain_entries import Scanned, ScanPiece, scan
from deepnode_cli.verifying.finding import Examination, Finding
from deepnode_cli.verifying.logs_compared import Said, block_of, error, note
from deepnode_indexer.evidence.counting import Row, rows_of
from deepnode_indexer.evidence.kept import FILE_BLOCKS, FILES_MAX, Covered, Part, covered_of, parts
from deepnode_ledger.backup.manifest import CoverageRow
from deepnode_ledger.bundle import Contents, LogFile, knowledge
from deepnode_ledger.bundle.layout import COVERAGE
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import from_hex, to_hex
from deepnode_ledger.roster import Roster

STAGE: Final = "chain evidence"

MISSING_MAX: Final = 500
"""Missing files that are named; behind them they are only counted."""

_FOLDER: Final = "evidence/"


def chain_evidence(examination: Examination) -> Iterator[Finding]:
    """Check headers and receipts against each other and against the entries; a stage of the examination."""
    for said in _said(examination):
        yield said.finding(STAGE)


def may_end_within_a_block(contents: Contents) -> bool:
    """Whether the log goes on behind the bundle, so that further logs of its last blocks may stand there."""
    return contents.checkpoint_size is None or contents.checkpoint_size > contents.entries


def scanned(examination: Examination) -> Iterator[tuple[LogFile, Scanned]]:
    """Look through every log file on all cores."""
    bundle = examination.bundle
    topics = Roster(bundle.manifest()).topics
    pieces = [ScanPiece(each.path, each.first, each.last, tuple(topics)) for each in bundle.log_files()]
    found = examination.each(scan, pieces, Scanned, key=lambda piece: f"blocks of {piece.path}")
    for piece, each in zip(pieces, found, strict=True):
        yield piece.file, each


def _said(examination: Examination) -> Iterator[Said]:
    bundle = examination.bundle
    covered = covered_of(bundle.contents.chains)
    blocks = sum(max(0, each.last - each.first + 1) for each in covered)
    if blocks > FILES_MAX * FILE_BLOCKS:
        yield error("bundle.json", f"its chains have {blocks} blocks, of {FILES_MAX * FILE_BLOCKS} at most")
        return
    listed = {name for name in bundle.names() if name.startswith(_FOLDER)}
    if not listed:
        said = f"there is no evidence of the chain: of {blocks} blocks only the log itself says what they hold"
        yield note("bundle.json", said, blocks=blocks)
        return
    examination.total(blocks, "blocks")
    yield from _listing(listed, covered)
    try:
        roster = Roster(bundle.manifest())
    except BadInput as damage:
        yield error("manifest/manifest.toml", f"whose logs count cannot be told: {damage}")
        return
    try:
        coverage = knowledge.decode(bundle.read(COVERAGE)).coverage
    except BadInput as damage:
        yield error(COVERAGE, f"the ends of its ranges cannot be compared: {damage}")
        coverage = ()
    named = {each.chain_id: _ends(coverage, each.chain_id) for each in covered}
    files: list[tuple[LogFile, Scanned]] = []
    for file, found in scanned(examination):
        if found.damage:
            yield error(file.path, f"its entries cannot be compared: {found.damage}")
        for each in found.announcements:
            each.learned_by(roster)
        files.append((file, msgspec.structs.replace(found, announcements=())))
    yield from _outside(files, covered)
    rows = {each.chain_id: rows_of(roster, each.chain_id) for each in covered}
    yield from _checked(examination, covered, _Known(rows, named, files, listed))


def _listing(listed: set[str], covered: Sequence[Covered]) -> Iterator[Said]:
    """Say which files are missing, and which have no blocks that they could be of."""
    files = missing = 0
    for part in parts(covered):
        files += 1
        for name, what in ((part.headers, "headers"), (part.receipts, "receipts")):
            missing += name not in listed
            if name not in listed and missing <= MISSING_MAX:
                said = f"{name} is missing: the {what} of blocks {part.first} to {part.last} of chain {part.chain_id}"
                yield error(name, said, blocks=part.last - part.first + 1)
    if missing > MISSING_MAX:
        yield error("bundle.json", f"{missing - MISSING_MAX} further files of evidence are missing", files=missing)
    for name in sorted(listed):
        if int(name[-len("000000.arrow") : -len(".arrow")]) >= files:
            yield error(name, f"{name} is there, and the bundle's chains end before the blocks that it would hold")


def _outside(files: Sequence[tuple[LogFile, Scanned]], covered: Sequence[Covered]) -> Iterator[Said]:
    """Say which files have entries under blocks that are not covered."""
    ranges = {each.chain_id: each for each in covered}
    for file, found in files:
        for span in found.spans:
            own = ranges.get(span.chain_id)
            if own is None or span.low < own.first or span.high > own.last:
                known = "is not covered" if own is None else f"is covered from {own.first} to {own.last}"
                said = f"it has entries of blocks {span.low} to {span.high} of chain {span.chain_id}, which {known}"
                yield error(file.path, said, lowest=span.low, highest=span.high)


@dataclass(frozen=True, slots=True)
class _Known:
    """What the pieces are made of: who counts and which blocks coverage names, by chain; log files; evidence files."""

    rows: Mapping[int, Sequence[Row]]
    ends: Mapping[int, Sequence[tuple[int, bytes]]]
    files: Sequence[tuple[LogFile, Scanned]]
    listed: set[str]

    def piece(self, part: Part, *, cut: bool) -> EvidencePiece:
        own = [
            (file.path, file.first, file.last)
            for file, found in self.files
            if any(s.chain_id == part.chain_id and s.low <= part.last and s.high >= part.first for s in found.spans)
        ]
        return EvidencePiece(
            number=part.number,
            chain_id=part.chain_id,
            first=part.first,
            last=part.last,
            receipts=part.receipts in self.listed,
            log_files=tuple(own),
            counting=tuple(row for row in self.rows[part.chain_id] if row[1] <= part.last),
            ends=tuple(end for end in self.ends[part.chain_id] if part.first <= end[0] <= part.last),
            cut=cut,
        )


def _ends(coverage: Sequence[CoverageRow], chain_id: int) -> list[tuple[int, bytes]]:
    return [(row.last_block, from_hex(row.last_hash, 32)) for row in coverage if row.chain_id == chain_id]


def _checked(examination: Examination, covered: Sequence[Covered], known: _Known) -> Iterator[Said]:
    ends = {each.chain_id: each for each in covered}
    cut = may_end_within_a_block(examination.bundle.contents)
    shown = [part for part in parts(covered) if part.headers in known.listed]
    pieces = (known.piece(part, cut=cut and part.last == ends[part.chain_id].last) for part in shown)
    results = examination.each(check_piece, pieces, Checked, key=lambda piece: f"evidence {piece.number}")
    before: tuple[Part, Checked] | None = None
    for part, result in zip(shown, results, strict=True):
        yield from result.said
        if before is not None:
            yield from _link(before, (part, result))
        _count(examination, part, result)
        end = ends[part.chain_id]
        if part.last == end.last:
            yield _end(end, result, examination.brought.blocks.get(part.chain_id))
        before = part, result


def _link(before: tuple[Part, Checked], behind: tuple[Part, Checked]) -> Iterator[Said]:
    """Say whether one file goes on where the one before it ends."""
    (earlier, one), (later, other) = before, behind
    adjoining = earlier.chain_id == later.chain_id and earlier.last + 1 == later.first
    if adjoining and one.last_hash and other.parent and one.last_hash != other.parent:
        yield error(
            block_of(later.chain_id, later.first),
            f"block {later.first} names {to_hex(other.parent)} as its parent, and block {earlier.last}, the last of "
            f"{earlier.headers}, is {to_hex(one.last_hash)}",
        )


def _count(examination: Examination, part: Part, result: Checked) -> None:
    examination.done(part.last - part.first + 1)
    for what, number in _counted(result).items():
        examination.count(what, number)


def _counted(result: Checked) -> Mapping[str, int]:
    return {
        "headers": result.headers,
        "blocks shown by their receipts": result.blocks,
        "blocks shown by their blooms": result.silent,
        "receipts": result.receipts,
        "logs": result.logs,
    }


def _end(end: Covered, result: Checked, brought: bytes | None) -> Said:
    """Tell the hash that everything hangs by, or that it is not the one that it should be."""
    where = block_of(end.chain_id, end.last)
    if not result.last_hash:
        return error(where, f"block {end.last}, the last one of chain {end.chain_id}, has no header that hashes to it")
    if result.last_hash != end.hash:
        said = f"block {end.last} is {to_hex(result.last_hash)} by its header, bundle.json says {to_hex(end.hash)}"
        return error(where, said)
    if brought is not None and brought != end.hash:
        said = f"block {end.last} is {to_hex(end.hash)} here, and {to_hex(brought)} is the hash that was brought"
        return error(where, said)
    if brought is not None:
        said = f"block {end.last} of chain {end.chain_id} has the hash that was brought, {to_hex(brought)}"
        return note(where, said, block=end.last)
    said = (
        f"the evidence of chain {end.chain_id} ends with block {end.last}, {to_hex(end.hash)}: compare this hash with "
        f"any explorer or node of the chain; if it is the chain's, so are all {end.last - end.first + 1} headers"
    )
    return note(where, said, block=end.last)
