"""What the manifest's ABIs cannot read, by contract and topic: what an operator has to mend the manifest for."""

from dataclasses import dataclass
from typing import Any, Final

from psycopg import Connection
from psycopg.rows import tuple_row

COUNTS_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class QuarantineCount:
    """So many ``logs`` of the contract at ``address`` (20 bytes) with this first topic (None: without any topic).

    ``reason`` and ``position`` are the newest one's.
    """

    address: bytes
    topic0: bytes | None
    logs: int
    position: int
    reason: str


def counts(connection: Connection[Any], *, limit: int = COUNTS_MAX) -> list[QuarantineCount]:
    """Count the logs in quarantine, the most frequent first, up to ``limit`` pairs of contract and topic.

    The connection's ``search_path`` chooses the books. Reads the whole quarantine: for a look, not for every second.
    """
    rows = connection.cursor(row_factory=tuple_row).execute(
        "SELECT c.address, c.topic0, c.logs, c.position, q.reason FROM ("
        "  SELECT address, topic0, count(*) AS logs, max(position) AS position FROM quarantine GROUP BY address, topic0"
        ") c JOIN quarantine q USING (position) ORDER BY c.logs DESC, c.position DESC LIMIT %s",
        (limit,),
    )
    return [QuarantineCount(*row) for row in rows]
