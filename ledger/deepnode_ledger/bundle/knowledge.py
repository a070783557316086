"""``coverage.json``: why the log is believed to be complete, and whose logs were asked for.

The rows are those of the log's tables, cut to the blocks that the bundle reaches. Ranges that follow one another and
say the same are joined, because in how many pieces blocks came in is nobody's business and another ledger's are others.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from psycopg import Connection
from psycopg.rows import dict_row

from deepnode_ledger.backup.manifest import ContractRow, CoverageRow, EvidencePart, ReorgPart, RowType, row_of
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
    coverage = _reached(connection, ends, CoverageRow, "coverage", "first_block", order)
    evidence = _reached(connection, ends, EvidencePart, "evidence", "first_block", reasons)
    return Coverage(
        tuple(_reached(connection, ends, ContractRow, "contract", "first_block", "address")),
        tuple(_joined((_cut(ends, each) for each in coverage), _join_coverage)),
        tuple(_joined(evidence, _join_evidence)),
        tuple(_reached(connection, ends, ReorgPart, "reorg", "kept_block", "number")),
    )


def _reached(
    connection: Connection[Any],
    ends: Mapping[int, ChainPart],
    kind: type[RowType],
    table: str,
    column: str,
    order: str,
) -> Iterator[RowType]:
    cursor = connection.cursor(row_factory=dict_row)
    query = f"SELECT * FROM log.{table} WHERE chain_id = %s AND {column} <= %s ORDER BY {order}"  # noqa: S608 (constants)
    for chain_id, end in sorted(ends.items()):
        for values in cursor.execute(query.encode(), (chain_id, end.last_block)):
            yield row_of(kind, values)


def _cut(ends: Mapping[int, ChainPart], row: CoverageRow) -> CoverageRow:
    """Let a range end with the last block that the bundle reaches."""
    end = ends[row.chain_id]
    assert end.last_block is not None
    assert end.last_hash is not None
    if row.last_block <= end.last_block:
        return row
    return msgspec.structs.replace(row, last_block=end.last_block, last_hash=end.last_hash)


def _joined(rows: Iterable[RowType], join: Callable[[RowType, RowType], RowType | None]) -> Iterator[RowType]:
    """Yield rows, with each run of which ``join`` makes one row in the place of its rows."""
    before: RowType | None = None
    for row in rows:
        both = None if before is None else join(before, row)
        if before is not None and both is None:
            yield before
        before = row if both is None else both
    if before is not None:
        yield before


def _join_coverage(before: CoverageRow, row: CoverageRow) -> CoverageRow | None:
    if (before.chain_id, before.last_block + 1, before.evidence) != (row.chain_id, row.first_block, row.evidence):
        return None
    return msgspec.structs.replace(row, first_block=before.first_block)


def _join_evidence(before: EvidencePart, row: EvidencePart) -> EvidencePart | None:
    ends, begins = (before.chain_id, before.last_block + 1), (row.chain_id, row.first_block)
    # What was compared by a digest was compared as a whole.
    if ends != begins or before.digest is not None or row.digest is not None:
        return None
    if (before.kind, before.provider) != (row.kind, row.provider):
        return None
    blocks, logs = before.blocks + row.blocks, before.logs + row.logs
    return msgspec.structs.replace(row, first_block=before.first_block, blocks=blocks, logs=logs)
