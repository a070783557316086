"""What can be said of a log as a whole, for an operator: its chains, what shows them to be complete, what waits.

One look of one transaction, so that the figures fit together. It changes nothing, and makes no tables.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from psycopg import Cursor, IsolationLevel
from psycopg.rows import DictRow

from deepnode_ledger import chain as chains
from deepnode_ledger import evidence as evidences
from deepnode_ledger import producer_state
from deepnode_ledger.chain import Chain
from deepnode_ledger.database import become_role, database_errors
from deepnode_ledger.database_state import connected
from deepnode_ledger.evidence import EvidenceKind, Hold
from deepnode_ledger.head import Head, load_head
from deepnode_ledger.producer_state import Gap, ProducerState

CONVINCING: Final = frozenset({EvidenceKind.BLOOM, EvidenceKind.AGREEMENT, EvidenceKind.RECEIPTS})
"""What speaks of a range's logs. The other kinds speak of its blocks alone: a provider can still have left logs out."""

# Receipts of a sample convince nobody. What was shown better later, as a part of a longer range, is no longer weak.
UNCONVINCING: Final = """
    WITH shown AS (
        SELECT first_block, last_block, bool_or(
            kind IN ('bloom', 'agreement') OR (kind = 'receipts' AND blocks > last_block - first_block)
        ) AS convincing
        FROM log.evidence WHERE chain_id = %s GROUP BY first_block, last_block
    )
    SELECT first_block, last_block FROM shown weak WHERE NOT convincing AND NOT EXISTS (
        SELECT FROM shown better WHERE better.convincing
        AND better.first_block <= weak.first_block AND better.last_block >= weak.last_block
    ) ORDER BY first_block"""

GAPS_MAX: Final = 20
"""Gaps of producers that are told."""


@dataclass(frozen=True, slots=True)
class Covered:
    """Blocks ``first`` to ``last`` are sealed; ``evidence`` is why they count as complete, as the log names it."""

    first: int
    last: int
    evidence: str

    @property
    def is_weak(self) -> bool:
        """Whether this says of no log that it is there: what shows it is of blocks alone."""
        return CONVINCING.isdisjoint(self.evidence.split("+"))


@dataclass(frozen=True, slots=True)
class ChainState:
    """One chain of the log.

    ``covered`` are its sealed ranges by block, ``weak`` the blocks that rest on one provider's word (first and last of
    each run), ``holds`` what is held back, ``contracts`` whose logs were asked for.
    """

    chain: Chain
    covered: tuple[Covered, ...]
    weak: tuple[tuple[int, int], ...]
    holds: tuple[Hold, ...]
    contracts: frozenset[bytes]

    @property
    def first_unsealed(self) -> int:
        """The number of the first block that is not sealed."""
        return self.covered[-1].last + 1 if self.covered else self.chain.first_block

    @property
    def gaps(self) -> list[tuple[int, int]]:
        """The blocks between what is covered, by first and last one."""
        return gaps_between(self.chain.first_block, self.covered)


@dataclass(frozen=True, slots=True)
class LogState:
    """A log as one look found it."""

    head: Head
    chains: tuple[ChainState, ...]

    @property
    def pending(self) -> int:
        """How many entries are not sealed."""
        return self.head.last_position - self.head.sealed_position


@dataclass(frozen=True, slots=True)
class ProducersState:
    """How far producers have counted, and up to ``GAPS_MAX`` runs of numbers that never came."""

    producers: tuple[ProducerState, ...]
    gaps: tuple[Gap, ...]


def look_at_log(url: str, *, timeout_seconds: float) -> LogState:
    """Look at a log.

    Raises:
        TryAgain: the database is away.
        psycopg.Error: there is no log of this version in it.
    """
    with _one_moment(url, timeout_seconds) as cursor:
        states = [_chain(cursor, chain) for chain in chains.load_all(cursor)]
        return LogState(load_head(cursor), tuple(states))


def look_at_producers(url: str, *, timeout_seconds: float) -> ProducersState:
    """Count what producers sent: this reads a row of every task event.

    Raises:
        TryAgain: the database is away.
        psycopg.Error: there is no log of this version in it.
    """
    with _one_moment(url, timeout_seconds) as cursor:
        found = producer_state.producers(cursor)
        gaps = producer_state.gaps(cursor, GAPS_MAX) if any(each.missing for each in found) else []
        return ProducersState(tuple(found), tuple(gaps))


def gaps_between(first_block: int, covered: Sequence[Covered]) -> list[tuple[int, int]]:
    """Return the blocks from ``first_block`` on that ranges in the order of their blocks leave out before the last."""
    gaps, expected = [], first_block
    for each in covered:
        if each.first > expected:
            gaps.append((expected, each.first - 1))
        expected = max(expected, each.last + 1)
    return gaps


def merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the same blocks as few ranges, in order: what overlaps or follows on is one."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return joined


@contextmanager
def _one_moment(url: str, timeout_seconds: float) -> Iterator[Cursor[DictRow]]:
    """Open a cursor in one read-only transaction, as the role that programs work as."""
    with database_errors(url), connected(url, timeout_seconds=timeout_seconds) as connection:
        become_role(connection)
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        with connection.transaction():
            yield connection.cursor()


def _chain(cursor: Cursor[DictRow], chain: Chain) -> ChainState:
    cursor.execute(
        "SELECT first_block, last_block, evidence FROM log.coverage WHERE chain_id = %s ORDER BY first_block",
        (chain.chain_id,),
    )
    covered = tuple(Covered(row["first_block"], row["last_block"], row["evidence"]) for row in cursor.fetchall())
    cursor.execute(UNCONVINCING, (chain.chain_id,))
    unconvincing = [(row["first_block"], row["last_block"]) for row in cursor.fetchall()]
    weak = tuple(merged([*unconvincing, *((each.first, each.last) for each in covered if each.is_weak)]))
    holds = tuple(evidences.holds(cursor, chain.chain_id))
    cursor.execute("SELECT address FROM log.contract WHERE chain_id = %s", (chain.chain_id,))
    return ChainState(chain, covered, weak, holds, frozenset(bytes(row["address"]) for row in cursor.fetchall()))
