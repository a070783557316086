"""The manifest of a backup: what the log was, in JSON, with a hash over itself.

A manifest holds the rows that are new since the backup before it, and in whole what changes in place: head, chains,
coverage, headers, the tail, and a few short tables. It names no path: where a file lies follows from its number. What
is malformed, spelled in another way than this program writes it, or edited, is refused.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, TypeVar

import msgspec

from deepnode_ledger.errors import BadInput, Damaged
from deepnode_ledger.hexadecimal import from_hex, to_hex
from deepnode_ledger.transparency import Edge
from deepnode_ledger.transparency.line import HASH_BYTES

FORMAT: Final = "deepnode.log.backup/2"

Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Hash = Annotated[str, msgspec.Meta(pattern=r"\A0x[0-9a-f]{64}\Z")]
Address = Annotated[str, msgspec.Meta(pattern=r"\A0x[0-9a-f]{40}\Z")]
KeyId = Annotated[str, msgspec.Meta(pattern=r"\A0x[0-9a-f]{8}\Z")]
Hashes = Annotated[str, msgspec.Meta(pattern=r"\A0x(?:[0-9a-f]{64})*\Z")]

BYTES_OF: Final = ("hash", "root", "sha256", "key_id", "address", "digest")
"""A field whose name ends so holds bytes, written as hexadecimal digits."""

_HEAD: Final = b'{"manifest":'
_FOOT: Final = b',"sha256":"0x%b"}\n'
_FOOT_BYTES: Final = len(_FOOT % (b"0" * 64))


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of a table of the log; the fields are its columns."""


class ChainRow(Row, frozen=True, forbid_unknown_fields=True):
    """``log.chain``."""

    chain_id: Number
    genesis_hash: Hash
    first_block: Number
    tip_number: Number | None
    tip_hash: Hash | None
    tip_time: Number | None
    finalized_number: Number | None
    finalized_hash: Hash | None
    finalized_time: Number | None
    sealable_number: Number | None
    sealable_hash: Hash | None
    sealable_evidence: str | None


class HeadRow(Row, frozen=True, forbid_unknown_fields=True):
    """``log.head``."""

    last_position: Number
    sealed_position: Number
    batches: Number


class BatchFile(Row, frozen=True, forbid_unknown_fields=True):
    """A stored batch, whose bytes are a file: ``log.sealed`` but for them, and their size."""

    topic: str
    notification_id: Number
    size_bytes: Number
    sha256: Hash


class SealingRow(Row, frozen=True, forbid_unknown_fields=True):
    """``log.sealing``, and the root of the tree over the entries that were sealed by then."""

    number: Number
    sealed_position: Number
    batches: Number
    root: Hash


class SealingBlockRow(Row, frozen=True, forbid_unknown_fields=True):
    """``log.sealing_block``."""

    number: Number
    chain_id: Number
    block_number: Number
    block_hash: Hash
    parent_hash: Hash
    block_time: Number


class CheckpointRow(Row, frozen=True, forbid_unknown_fields=True):
    """``log.checkpoint``."""

    size: Number
    root: Hash
    note: str


class CosignatureRow(Row, frozen=True, forbid_unknown_fields=True):
    """``log.cosignature``."""

    size: Number
    name: str
    key_id: KeyId
    line: str


class ReorgPart(Row, frozen=True, forbid_unknown_fields=True):
    """``log.reorg`` but for its number."""

    chain_id: Number
    kept_position: Number
    kept_block: int
    old_tip_number: Number
    old_tip_hash: Hash
    new_tip_number: Number
    new_tip_hash: Hash


class ReorgRow(ReorgPart, frozen=True, forbid_unknown_fields=True):
    """``log.reorg``."""

    number: Number


class CoverageRow(Row, frozen=True, forbid_unknown_fields=True):
    """``log.coverage``."""

    chain_id: Number
    first_block: Number
    last_block: Number
    last_hash: Hash
    evidence: str


class EvidencePart(Row, frozen=True, forbid_unknown_fields=True):
    """``log.evidence`` but for its number."""

    chain_id: Number
    first_block: Number
    last_block: Number
    kind: str
    blocks: Number
    provider: str
    logs: Number
    digest: Hash | None


class EvidenceRow(EvidencePart, frozen=True, forbid_unknown_fields=True):
    """``log.evidence``."""

    number: Number


class HoldRow(Row, frozen=True, forbid_unknown_fields=True):
    """``log.hold``."""

    chain_id: Number
    first_block: Number
    last_block: Number
    reason: str


class ContractRow(Row, frozen=True, forbid_unknown_fields=True):
    """``log.contract``."""

    chain_id: Number
    address: Address
    first_block: Number


class OffsetRow(Row, frozen=True, forbid_unknown_fields=True):
    """``log.intake_offset``."""

    source: str
    partition: int
    next_offset: Number


class HeaderRow(Row, frozen=True, forbid_unknown_fields=True):
    """``log.header``."""

    chain_id: Number
    number: Number
    hash: Hash
    parent_hash: Hash
    time: Number


class TailFile(Row, frozen=True, forbid_unknown_fields=True):
    """``log.pending``, whose rows are a file."""

    entries: Number
    size_bytes: Number
    sha256: Hash


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Backup ``number`` (from 1); ``previous`` is the hash of the one before it, None for the first.

    ``batches``, ``sealings`` with their blocks, ``checkpoints``, ``cosignatures``, ``reorgs`` and ``evidence`` are new
    since then; the rest is all of it. ``edge`` and ``root`` are those of the tree over everything sealed; the edge has
    one text a level.
    """

    format: str
    number: Number
    previous: Hash | None
    tables: str
    head: HeadRow
    chains: tuple[ChainRow, ...]
    batches: tuple[BatchFile, ...]
    sealings: tuple[SealingRow, ...]
    sealing_blocks: tuple[SealingBlockRow, ...]
    checkpoints: tuple[CheckpointRow, ...]
    cosignatures: tuple[CosignatureRow, ...]
    reorgs: tuple[ReorgRow, ...]
    evidence: tuple[EvidenceRow, ...]
    holds: tuple[HoldRow, ...]
    contracts: tuple[ContractRow, ...]
    offsets: tuple[OffsetRow, ...]
    coverage: tuple[CoverageRow, ...]
    headers: tuple[HeaderRow, ...]
    tail: TailFile | None
    edge: tuple[Hashes, ...]
    root: Hash


RowType = TypeVar("RowType", bound=Row)


def row_of(kind: type[RowType], values: Mapping[str, Any]) -> RowType:
    """Make a row from a table's columns, of which it takes those that it has.

    Raises:
        Damaged: a value that the column cannot have.
    """
    fields = {}
    for name in kind.__struct_fields__:
        value = values[name]
        fields[name] = to_hex(bytes(value)) if isinstance(value, bytes | memoryview) else value
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        raise Damaged(f"a {kind.__doc__} row {fields} is none: {error}; run `deepnode log fsck`") from error


def columns_of(row: Row) -> dict[str, Any]:
    """Return a row's columns as the table has them."""
    return {
        name: bytes_of(value) if isinstance(value, str) and name.endswith(BYTES_OF) else value
        for name, value in ((name, getattr(row, name)) for name in row.__struct_fields__)
    }


def bytes_of(text: str) -> bytes:
    """Read a field that holds bytes; its form was checked when the manifest was read."""
    return from_hex(text)


def encode(manifest: Manifest) -> tuple[bytes, str]:
    """Return the bytes of a manifest's file, and the hash by which the next one names it."""
    body = msgspec.json.encode(manifest, order="sorted")
    digest = hashlib.sha256(body).hexdigest()
    return _HEAD + body + _FOOT % digest.encode(), f"0x{digest}"


def decode(raw: bytes) -> tuple[Manifest, str]:
    """Read the bytes of a manifest's file; return it with its hash.

    Raises:
        BadInput: it is of another format.
        Damaged: it is not what ``encode`` wrote.
    """
    body, foot = raw[len(_HEAD) : -_FOOT_BYTES], raw[-_FOOT_BYTES:]
    digest = hashlib.sha256(body).hexdigest()
    if not raw.startswith(_HEAD) or foot != _FOOT % digest.encode():
        raise Damaged("its hash is not that of its content: it was cut off or edited")
    try:
        manifest = msgspec.json.decode(body, type=Manifest)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise Damaged(f"it is no manifest of {FORMAT}: {error}") from error
    if manifest.format != FORMAT:
        raise BadInput(f"it is of the format {manifest.format!r:.80}, this program reads {FORMAT}")
    if msgspec.json.encode(manifest, order="sorted") != body:
        raise Damaged("it is spelled in another way than this program writes it")
    edge = edge_of(manifest)
    if edge.size != manifest.head.sealed_position or to_hex(edge.root) != manifest.root:
        raise Damaged(f"its tree has {edge.size} leaves and another root than it says")
    return manifest, f"0x{digest}"


def edge_of(manifest: Manifest) -> Edge:
    """Return the tree's edge.

    Raises:
        Damaged: it is none.
    """
    try:
        return Edge(tuple(_split(bytes_of(level)) for level in manifest.edge))
    except BadInput as error:
        raise Damaged(f"its edge is none: {error}") from error


def edge_texts(edge: Edge) -> tuple[str, ...]:
    """Write a tree's edge."""
    return tuple(to_hex(b"".join(level)) for level in edge.levels)


def rows_of(kind: type[RowType], rows: Sequence[Mapping[str, Any]]) -> tuple[RowType, ...]:
    """Make rows from a table's columns."""
    return tuple(row_of(kind, row) for row in rows)


def _split(level: bytes) -> tuple[bytes, ...]:
    return tuple(level[at : at + HASH_BYTES] for at in range(0, len(level), HASH_BYTES))
