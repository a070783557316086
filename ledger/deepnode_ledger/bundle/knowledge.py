"""``coverage.json``: why the log is believed to be complete, and whose logs were asked for.

The rows are those of the log's tables, cut to the blocks that the bundle reaches. Ranges that follow one another and
say the same are joined, because in how many pieces blocks came in is nobody's business and another ledger's are others.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from psycopg import Connection
from psycopg.rows import dict_row

from deepnode_ledger.backup.manifest import ContractRow, CoverageRow, EvidencePart, ReorgPart, row_of, rows_of
from deepnode_ledger.bundle import layout
from deepnode_ledger.bundle.contents import ChainPart
from deepnode_ledger.errors import Damaged


class Coverage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of ``coverage.json``: what is covered and by what evidence, whose logs were asked for, what was replaced.

    Evidence that was joined speaks of as many blocks and logs as its parts together.
    """

    contracts: tuple[ContractRow, ...]
    coverage: tuple[CoverageRow, ...]
    evidence: tuple[EvidencePart, ...]
    reorgs: tuple[ReorgPart, ...]


def encode(coverage: Coverage) -> bytes:
    """Return the bytes of ``coverage.json``."""
    return msgspec.json.encode(coverage, order="sorted") + b"\n"


def decode(raw: bytes) -> Coverage:
    """Read the bytes of ``coverage.json``.

    Raises:
        Damaged: it is not what ``encode`` writes.
    """
    try:
        coverage = msgspec.json.decode(raw, type=Coverage)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise Damaged(f"{layout.COVERAGE}: {error}") from error
    if encode(coverage) != raw:
        raise Damaged(f"{layout.COVERAGE} is spelled in another way than a bundle's is: sorted, and without spaces")
    return coverage


def load(connection: Connection[Any], chains: Sequence[ChainPart]) -> Coverage:
    """Read what the log knows of the blocks that a bundle reaches.

    Raises:
        Damaged: a table holds what it cannot hold.
    """
    ends = {chain.chain_id: chain for chain in chains if chain.last_block is not None}
    order = "first_block, last_block"
    reasons = f'kind COLLATE "C", provider COLLATE "C", {order}'
    return Coverage(
        rows_of(ContractRow, list(_reached(connection, ends, "contract", "first_block", "address"))),
        tuple(_joined_coverage(ends, _reached(connection, ends, "coverage", "first_block", order))),
        tuple(_joined_evidence(_reached(connection, ends, "evidence", "first_block", reasons))),
        rows_of(ReorgPart, list(_reached(connection, ends, "reorg", "kept_block", "number"))),
    )


def _reached(
    connection: Connection[Any], ends: Mapping[int, ChainPart], table: str, column: str, order: str
) -> Iterator[dict[str, Any]]:
    cursor = connection.cursor(row_factory=dict_row)
    query = f"SELECT * FROM log.{table} WHERE chain_id = %s AND {column} <= %s ORDER BY {order}"  # noqa: S608 (constants)
    for chain_id, end in sorted(ends.items()):
        yield from cursor.execute(query.encode(), (chain_id, end.last_block)).fetchall()


def _joined_coverage(ends: Mapping[int, ChainPart], rows: Iterator[dict[str, Any]]) -> Iterator[CoverageRow]:
    before: CoverageRow | None = None
    for values in rows:
        row = row_of(CoverageRow, values)
        end = ends[row.chain_id]
        assert end.last_block is not None
        assert end.last_hash is not None
        if row.last_block > end.last_block:
            row = msgspec.structs.replace(row, last_block=end.last_block, last_hash=end.last_hash)
        if before is not None and (before.chain_id, before.last_block + 1, before.evidence) == (
            row.chain_id,
            row.first_block,
            row.evidence,
        ):
            row = msgspec.structs.replace(row, first_block=before.first_block)
        elif before is not None:
            yield before
        before = row
    if before is not None:
        yield before


def _joined_evidence(rows: Iterator[dict[str, Any]]) -> Iterator[EvidencePart]:
    before: EvidencePart | None = None
    for values in rows:
        row = row_of(EvidencePart, values)
        # What was compared by a digest was compared as a whole.
        if before is not None and (before.chain_id, before.last_block + 1, before.kind, before.provider) == (
            row.chain_id,
            row.first_block,
            row.kind,
            row.provider,
        ) and before.digest is None and row.digest is None:  # fmt: skip
            row = msgspec.structs.replace(
                row,
                first_block=before.first_block,
                blocks=before.blocks + row.blocks,
                logs=before.logs + row.logs,
            )
        elif before is not None:
            yield before
        before = row
    if before is not None:
        yield before
