"""Evidence: what shows that the logs of covered blocks are all there, and what is held back until it does.

A provider can leave logs out without a word, so "covered" is a claim that needs reasons. Each reason is a row that is
never changed. Blocks whose reasons stand against each other are *held*: their logs are not sealed, and neither is
anything behind them. The functions run in the caller's transaction, which holds the log's lock where it writes.

Source: DESIGN section 9.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from psycopg import Cursor
from psycopg.rows import DictRow

from deepnode_ledger.errors import BadInput, TryAgain
from deepnode_ledger.hexadecimal import to_hex

REASON_CHARACTERS_MAX: Final = 1_000


class EvidenceKind(StrEnum):
    """How completeness was shown, weakest first. The names are stored and never change."""

    END = "end-header"
    """The header of the range's end came in the same batch as its logs: the node had the range."""
    HEADERS = "headers"
    """Every block's header hashes to the block's hash and names the block before it, up to a final block."""
    BLOOM = "bloom"
    """No header's logsBloom speaks of a contract whose logs did not come."""
    AGREEMENT = "agreement"
    """Another provider gave the same logs: as many, with the same digest."""
    RECEIPTS = "receipts"
    """The logs are those of receipts whose trie has the root that the header commits to."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One reason to believe that blocks ``first`` to ``last`` are complete.

    ``blocks``: for how many of them it was looked at (receipts may be sampled); ``provider``: who said so, without
    secrets; ``logs``: how many logs the range has by it; ``digest``: their SHA-256 (32 bytes), where it was compared.
    """

    kind: EvidenceKind
    first: int
    last: int
    blocks: int
    provider: str
    logs: int
    digest: bytes | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """Blocks ``first`` to ``last`` are not sealed, because of ``reason``."""

    first: int
    last: int
    reason: str


class Held(TryAgain):
    """The blocks are held: their logs are in doubt. Nothing was changed; once the hold is released the call works."""


class UncoveredContract(BadInput):
    """A contract's logs were not asked for in blocks that the log has covered already. Nothing was changed."""


def describe(evidence: Sequence[Evidence]) -> str:
    """Write the kinds of evidence as the coverage table names them: ``end-header+headers``, in the enum's order."""
    kinds = {each.kind for each in evidence}
    return "+".join(kind for kind in EvidenceKind if kind in kinds)


def record(cursor: Cursor[DictRow], chain_id: int, evidence: Sequence[Evidence]) -> None:
    """Keep evidence for good."""
    cursor.executemany(
        "INSERT INTO log.evidence (chain_id, first_block, last_block, kind, blocks, provider, logs, digest)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
        [(chain_id, e.first, e.last, e.kind, e.blocks, e.provider, e.logs, e.digest) for e in evidence],
    )


def found(cursor: Cursor[DictRow], chain_id: int, first: int, last: int) -> list[Evidence]:
    """Return the evidence that speaks of a block from ``first`` to ``last``, oldest first."""
    cursor.execute(
        "SELECT * FROM log.evidence WHERE chain_id = %s AND first_block <= %s AND last_block >= %s ORDER BY number",
        (chain_id, last, first),
    )
    return [_evidence(row) for row in cursor.fetchall()]


def hold(cursor: Cursor[DictRow], chain_id: int, held: Hold) -> bool:
    """Hold blocks back; say whether they were not held before."""
    cursor.execute(
        "INSERT INTO log.hold VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (chain_id, held.first, held.last, held.reason[:REASON_CHARACTERS_MAX]),
    )
    return cursor.rowcount == 1


def release(cursor: Cursor[DictRow], chain_id: int, first: int, last: int) -> None:
    """Let go of what ``first`` to ``last`` is held by: what was in doubt there has been shown.

    A hold that reaches further keeps the blocks outside the range.
    """
    for held in holds(cursor, chain_id):
        if held.last < first or held.first > last:
            continue
        cursor.execute(
            "DELETE FROM log.hold WHERE chain_id = %s AND first_block = %s AND last_block = %s",
            (chain_id, held.first, held.last),
        )
        for rest in (Hold(held.first, first - 1, held.reason), Hold(last + 1, held.last, held.reason)):
            if rest.first <= rest.last:
                hold(cursor, chain_id, rest)


def holds(cursor: Cursor[DictRow], chain_id: int) -> list[Hold]:
    """Return what is held, in the order of the blocks."""
    cursor.execute("SELECT * FROM log.hold WHERE chain_id = %s ORDER BY first_block, last_block", (chain_id,))
    return [Hold(row["first_block"], row["last_block"], row["reason"]) for row in cursor.fetchall()]


def check_free(cursor: Cursor[DictRow], chain_id: int, first: int, last: int) -> None:
    """Refuse to go on where a block of the range is held.

    Raises:
        Held: one is (the range and the reason named).
    """
    for held in holds(cursor, chain_id):
        if held.first <= last and held.last >= first:
            raise Held(f"blocks {held.first} to {held.last} are held: {held.reason}")


def enrol_contracts(cursor: Cursor[DictRow], chain_id: int, contracts: Sequence[tuple[bytes, int]]) -> None:
    """Note whose logs are asked for from now on: pairs of an address (20 bytes) and its first block.

    Raises:
        UncoveredContract: a new one begins in blocks that are covered already, without its logs.
    """
    cursor.execute("SELECT address FROM log.contract WHERE chain_id = %s", (chain_id,))
    known = {bytes(row["address"]) for row in cursor.fetchall()}
    cursor.execute("SELECT tip_number FROM log.chain WHERE chain_id = %s", (chain_id,))
    row = cursor.fetchone()
    tip = None if row is None else row["tip_number"]
    new = [(address, first) for address, first in contracts if address not in known]
    for address, first in new:
        # A log from before contracts were noted has covered those of its manifest.
        if known and tip is not None and first <= tip:
            raise UncoveredContract(
                f"the contract {to_hex(address)} begins at block {first}, and the blocks up to {tip} are covered "
                f"without its logs: a log is not extended backwards. Begin a new log, or let it start at {tip + 1}"
            )
    cursor.executemany("INSERT INTO log.contract VALUES (%s, %s, %s)", [(chain_id, *each) for each in new])


def _evidence(row: dict[str, Any]) -> Evidence:
    return Evidence(
        EvidenceKind(row["kind"]),
        row["first_block"],
        row["last_block"],
        row["blocks"],
        row["provider"],
        row["logs"],
        row["digest"],
    )
