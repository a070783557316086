"""Logs to be published, of any size, sealed in any way, and what was published of them."""

from pathlib import Path

from deepnode_ledger.database import url_of
from deepnode_ledger.log import Log
from deepnode_ledger.publishing import Published, Publisher
from deepnode_ledger.record import Header
from deepnode_ledger.transparency import Signer, TreeHead, open_checkpoint
from tests.ledger.histories import FIRST_BLOCK, chain_log, ref

# A key for tests alone: everybody knows it.
SIGNER = Signer("log.example/deepnode", bytes(range(32)))
OTHER_KEY = Signer("log.example/deepnode", bytes(range(1, 33)))
VKEY = str(SIGNER.verifier)


def seal(log: Log, *counts: int) -> None:
    """Seal that many entries more, each count as a final range of two blocks."""
    for count in counts:
        tip = log.chain().tip
        first = FIRST_BLOCK if tip is None else tip.number + 1
        last = Header(ref(first + 1), ref(first).hash)
        logs = [(last.block, chain_log(last.block, index, b"\x01" * (index % 70))) for index in range(count)]
        log.append_finalized(first, last, logs, "a test")


def publish(log: Log, folder: Path, **settings: object) -> Published | None:
    """One round of a publisher that starts for it and ends behind it."""
    with publisher(log, folder, **settings) as each:
        return each.publish()


def publisher(log: Log, folder: Path, **settings: object) -> Publisher:
    """A publisher of the log, with the tests' key."""
    return Publisher(url_of(log.datastore), folder, SIGNER, **settings)  # type: ignore[arg-type] # passed on as they come


def head(folder: Path) -> TreeHead:
    """The tree head that readers see."""
    return open_checkpoint((folder / "checkpoint").read_bytes(), SIGNER.verifier).head


def files(folder: Path) -> dict[str, bytes]:
    """Every published file, by its path, and its bytes."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def checkpoints(log: Log) -> list[int]:
    """The sizes that were signed."""
    with log.datastore.cursor() as cursor:
        cursor.execute("SELECT size FROM log.checkpoint ORDER BY size")
        return [row["size"] for row in cursor.fetchall()]
