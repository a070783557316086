"""Where epochs end by the books: an epoch's last position is the one before the next one's opening."""

from typing import TYPE_CHECKING, Any

from deepnode_ledger.errors import BadInput

if TYPE_CHECKING:
    from psycopg import Connection


def epoch_ends(connection: "Connection[dict[str, Any]]") -> dict[int, int]:
    """Return the last position of each epoch that is over by the books, in the order of epochs."""
    rows = connection.execute("SELECT epoch, opened_position FROM epoch WHERE until IS NULL ORDER BY epoch").fetchall()
    return {row["epoch"] - 1: row["opened_position"] - 1 for row in rows}


def end_of_epoch(connection: "Connection[dict[str, Any]]", epoch: int) -> int:
    """Return the last position of an epoch; 0 if it ended before the log's first entry.

    Raises:
        BadInput: it is not over by the books.
    """
    ends = epoch_ends(connection)
    if epoch not in ends:
        raise BadInput(f"epoch {epoch} is not over by the books: epoch {epoch + 1} is not in them")
    return ends[epoch]
