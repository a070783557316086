"""What a bundle takes from the books: where epochs end, their state roots, and which rulesets were in force."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from deepnode_cli.epoch_ends import end_of_epoch, epoch_ends
from deepnode_ledger.bundle import EpochPart
from deepnode_ledger.errors import BadInput, TryAgain
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import Manifest

if TYPE_CHECKING:
    from psycopg import Connection


@dataclass(frozen=True, slots=True)
class OfBooks:
    """The epochs that are over at a position, and the texts of rulesets by their hashes (``0x`` and 64 digits)."""

    epochs: tuple[EpochPart, ...]
    rulesets: dict[str, bytes]


def bundle_to_epoch(database: str, manifest: Manifest, epoch: int) -> int:
    """Return the last position of an epoch, up to which a bundle can be made.

    Raises:
        BadInput: it is not over by the books, is empty, or the books are of another manifest.
        TryAgain: the database is away.
    """
    with closing(_books(database, manifest)) as connection, connection.transaction():
        end = end_of_epoch(connection, epoch)
    if end < 1:
        raise BadInput(f"epoch {epoch} has no entries: the first entry of the log opens epoch {epoch + 1}")
    return end


def of_books(
    database: str, manifest: Manifest, entries: int, asked: int | None, progress: Callable[[str], None]
) -> OfBooks:
    """Read what the books say of the first ``entries`` entries.

    Args:
        database: its URL.
        manifest: the deployment's.
        entries: the last position of the bundle.
        asked: the epoch that the bundle was asked to end with, if it was: it is over although no entry says so.
        progress: is told a line for each root.

    Raises:
        BadInput: there are no books, or they are of another manifest.
        TryAgain: they are not as far as the bundle, or the database is away.
    """
    from deepnode_projections import rulesets
    from deepnode_projections.checkpoint import load_checkpoint
    from deepnode_projections.state_root import state_root

    with closing(_books(database, manifest)) as connection, connection.transaction():
        at = load_checkpoint(connection.cursor(), manifest).position
        if at < entries:
            raise TryAgain(f"the books are at position {at}, the bundle ends at {entries}: let `deepnode project` run")
        # That an epoch is over is said by the entry that opens the next: it must be in the bundle, too.
        over = [
            (epoch, end)
            for epoch, end in epoch_ends(connection).items()
            if end >= 1 and (end < entries or (epoch, end) == (asked, entries))
        ]
        epochs = []
        for epoch, end in over:
            epochs.append(EpochPart(epoch, end, to_hex(state_root(connection, end))))
            progress(f"state root of epoch {epoch}, {len(epochs)} of {len(over)}")
        rows = connection.execute(
            "SELECT DISTINCT spec_hash FROM ruleset_in_force WHERE position <= %s", (entries,)
        ).fetchall()
    wanted = {rulesets.DEFAULT}
    wanted |= {found.name for row in rows if (found := rulesets.by_hash(bytes(row["spec_hash"]))) is not None}
    texts = {}
    for name in sorted(wanted):
        text = files("deepnode_projections.rulesets").joinpath("data", f"{name}.toml").read_bytes()
        texts[to_hex(rulesets.by_name(name).spec_hash)] = text
    return OfBooks(tuple(epochs), texts)


def _books(database: str, manifest: Manifest) -> "Connection[dict[str, Any]]":
    from deepnode_projections.books_state import look_at_books
    from deepnode_projections.projector import connect
    from deepnode_projections.tables import SCHEMA

    books = look_at_books(database)
    if books is None:
        raise BadInput("there are no books in this database, and a bundle needs their state roots: `deepnode project`")
    if (books.chain_id, books.manifest_digest) != (manifest.chain_id, manifest.digest):
        raise BadInput(
            f"the books were made with the manifest {to_hex(books.manifest_digest)}, this one is "
            f"{to_hex(manifest.digest)}: run `deepnode rebuild`, or name the other one by --manifest"
        )
    return connect(database, SCHEMA)
