"""Up to where a bundle reaches: a position, found from what was asked for.

An epoch's end is known to the books alone, so it is found elsewhere.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
from psycopg import Connection
from psycopg.rows import dict_row
from typing_extensions import override

from deepnode_ledger import stored
from deepnode_ledger.bundle.contents import ChainPart
from deepnode_ledger.errors import BadInput, Damaged
from deepnode_ledger.fsck.one_state import state_of_log
from deepnode_ledger.fsck.rows import every, one
from deepnode_ledger.hexadecimal import to_hex

_ASKED: Final = re.compile(r"(epoch|block|position):(0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class Asked:
    """``kind`` is epoch, block or position, and ``number`` which one."""

    kind: str
    number: int

    @classmethod
    def parse(cls, text: str) -> "Asked":
        """Read what stands on the command line, such as ``epoch:7``.

        Raises:
            BadInput: it is nothing of that kind.
        """
        match = _ASKED.fullmatch(text)
        if match is None:
            raise BadInput(f"a bundle goes to epoch:N, block:N or position:N, not to {text!r:.80}")
        return cls(match[1], int(match[2]))

    @override
    def __str__(self) -> str:
        return f"{self.kind}:{self.number}"


def last_signed(url: str) -> int | None:
    """Return how many entries the newest signed checkpoint speaks of, or None if none was signed.

    Raises:
        BadInput: there is no log.
        TryAgain: the database is away.
    """
    with state_of_log(url) as connection:
        row = one(connection, "SELECT max(size) FROM log.checkpoint WHERE size > 0")
    return None if row is None else row[0]


def last_sealed(url: str) -> int:
    """Return the last sealed position.

    Raises:
        BadInput: there is no log.
        TryAgain: the database is away.
    """
    with state_of_log(url) as connection:
        row = one(connection, "SELECT sealed_position FROM log.head")
    assert row is not None
    return int(row[0])


def position_of_block(url: str, chain_id: int, block: int) -> int:
    """Return the last position that a chain's blocks up to one have: the one before the first entry behind it.

    Raises:
        BadInput: there is no log, or the block is not sealed yet.
        TryAgain: the database is away.
    """
    with state_of_log(url) as connection:
        row = one(
            connection,
            "SELECT max(b.block_number), (SELECT sealed_position FROM log.head) FROM log.sealing_block b"
            " WHERE b.chain_id = %s",
            (chain_id,),
        )
        if row is None or row[0] is None or block > row[0]:
            sealed = "none" if row is None or row[0] is None else row[0]
            raise BadInput(f"block {block} of chain {chain_id} is not sealed: the last that is has number {sealed}")
        first = one(
            connection,
            "SELECT min(number) FROM log.batch_block WHERE chain_id = %s AND last_block > %s",
            (chain_id, block),
        )
        if first is None or first[0] is None:
            return int(row[1])
        batch = _batch(connection, first[0])
        behind = [
            position
            for position, chain, number in zip(
                *(batch.column(name).to_pylist() for name in ("position", "chain_id", "block_number")), strict=True
            )
            if chain == chain_id and number > block
        ]
        if not behind:
            raise Damaged(f"batch {first[0]} has no entry behind block {block}: run `deepnode log fsck`")
        return int(behind[0]) - 1


def chains_at(connection: Connection[Any], position: int) -> tuple[ChainPart, ...]:
    """Return the log's chains, each with the block under which its last entry up to a position stands."""
    parts = []
    for chain_id, genesis, first in every(
        connection, "SELECT chain_id, genesis_hash, first_block FROM log.chain ORDER BY chain_id"
    ):
        last = _last_block(connection, chain_id, position)
        number, block_hash = (None, None) if last is None else (last[0], to_hex(last[1]))
        parts.append(ChainPart(chain_id, to_hex(bytes(genesis)), first, number, block_hash))
    return tuple(parts)


def _last_block(connection: Connection[Any], chain_id: int, position: int) -> tuple[int, bytes] | None:
    numbers = every(
        connection,
        "SELECT b.number FROM log.batch b JOIN log.batch_block c ON c.number = b.number AND c.chain_id = %s"
        " WHERE b.first_position <= %s ORDER BY b.number DESC LIMIT 2",
        (chain_id, position),
    )
    # In the batch that the position cuts, the chain may have entries behind it alone: then it is the one before.
    for (number,) in numbers:
        batch = _batch(connection, number)
        rows = list(
            zip(
                *(batch.column(name).to_pylist() for name in ("position", "chain_id", "block_number", "block_hash")),
                strict=True,
            )
        )
        for at, chain, block, block_hash in reversed(rows):
            if chain == chain_id and at <= position:
                return block, block_hash
    return None


def _batch(connection: Connection[Any], number: int) -> pa.RecordBatch:
    return stored.stored_batch(connection.cursor(row_factory=dict_row), number)
