"""``deepnode explain``: an amount, led back to events, ruleset, formula, integers and remainder."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deepnode_cli import settings
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import ADDRESS_BYTES, WORD_BYTES, from_hex
from deepnode_ledger.manifest import load_manifest

if TYPE_CHECKING:
    from psycopg import Connection

    from deepnode_ledger.manifest import Manifest
    from deepnode_ledger.snapshot import Snapshot
    from deepnode_projections.explaining import Asset, Explanation, Past

app = typer.Typer(
    help="Lead an amount back to events, rules and integers.", no_args_is_help=True, rich_markup_mode=None
)

At = Annotated[
    int | None, typer.Option("--at", help="By the books at this log position; the newest if left out.", min=0)
]


@app.callback()
def explain() -> None:
    """Lead an amount back to events, rules and integers."""


@app.command()
def reward(
    database: settings.Database,
    manifest: settings.ManifestPath,
    epoch: Annotated[int, typer.Option("--epoch", help="The epoch that it was earned for.", min=0)],
    earner: Annotated[str, typer.Option("--earner", help="Who has earned it: an address.", metavar="0x…")],
    asset: Annotated[str, typer.Option("--asset", help="The token: its symbol or its address.")] = "DN",
    domain: Annotated[
        str | None, typer.Option("--domain", help="Only the lines of this domain (its id).", metavar="0x…")
    ] = None,
    at: At = None,
    as_json: settings.AsJson = False,
) -> None:
    """Explain what somebody has earned for an epoch: every line, then what it is entitled to altogether."""
    from deepnode_projections.explaining import explain_reward

    who = from_hex(earner, ADDRESS_BYTES, what="--earner")
    where = None if domain is None else from_hex(domain, WORD_BYTES, what="--domain")
    _explain(
        database, manifest, at, as_json, lambda books: explain_reward(books.past, books.asset(asset), epoch, who, where)
    )


@app.command()
def split(
    database: settings.Database,
    manifest: settings.ManifestPath,
    receipt: Annotated[str, typer.Option("--receipt", help="The payment: its receipt's id.", metavar="0x…")],
    at: At = None,
    as_json: settings.AsJson = False,
) -> None:
    """Explain how a payment was split into its nine legs, and what each should have been."""
    from deepnode_projections.explaining import explain_split, receipts

    name = from_hex(receipt, WORD_BYTES, what="--receipt")
    _explain(
        database,
        manifest,
        at,
        as_json,
        lambda books: [
            explain_split(books.past, books.asset_at(each.asset), each) for each in receipts(books.past, name)
        ],
    )


@app.command()
def difference(
    database: settings.Database, manifest: settings.ManifestPath, at: At = None, as_json: settings.AsJson = False
) -> None:
    """List where the chain and the rules disagree, with the reasons, and how much was compared."""
    from deepnode_projections.explaining import explain_differences

    _explain(database, manifest, at, as_json, lambda books: [explain_differences(books.past)])


@dataclass(frozen=True)
class _Books:
    """The books at a position, the tokens that they know, and the log that they are of."""

    past: "Past"
    assets: "Sequence[Asset]"
    log: "Snapshot"

    def asset(self, named: str) -> "Asset":
        """Return a token by its symbol or its address."""
        if named.startswith("0x"):
            return self.asset_at(from_hex(named, ADDRESS_BYTES, what="--asset"))
        found = [each for each in self.assets if each.symbol == named]
        if len(found) != 1:
            known = ", ".join(each.symbol for each in self.assets)
            raise BadInput(f"{named!r:.80} is the symbol of {len(found)} tokens; the books know {known or 'none'}")
        return found[0]

    def asset_at(self, address: bytes) -> "Asset":
        """Return the token at an address."""
        for each in self.assets:
            if each.address == address:
                return each
        raise BadInput(f"0x{address.hex()} is no token that the books know")


def _explain(
    database: str,
    manifest: Path,
    at: int | None,
    as_json: bool,
    made: "Callable[[_Books], Sequence[Explanation]]",
) -> None:
    """Explain by the books, look up in the log what it rests on, and write it."""
    from deepnode_ledger.roster import Roster
    from deepnode_projections.explaining import as_data, as_text, log_places

    described = load_manifest(manifest)
    with _books(database, described, at) as books:
        known = Roster.load(books.log, described) if described.has_factories else described
        for number, each in enumerate(made(books)):
            found = log_places(books.log, known, each.positions)
            if as_json:
                typer.echo(json.dumps(as_data(each, found)))
            else:
                typer.echo(("\n" if number else "") + as_text(each, found), nl=False)


@contextmanager
def _books(database: str, manifest: "Manifest", at: int | None) -> Iterator[_Books]:
    """Open the books at a position and the log that they are of, all reads being of one moment."""
    from deepnode_ledger.snapshot import Snapshot
    from deepnode_projections.checkpoint import load_checkpoint
    from deepnode_projections.projector import connect
    from deepnode_projections.registers.at import StateAt
    from deepnode_projections.tables import SCHEMA

    with closing(connect(database, SCHEMA)) as connection, connection.transaction():
        kept = load_checkpoint(connection.cursor(), manifest).position
        position = kept if at is None else at
        if position > kept:
            raise BadInput(f"position {position} is ahead of the books, which are at {kept}")
        yield _Books(StateAt(connection, position), _assets(connection), Snapshot(connection))


def _assets(connection: "Connection[Any]") -> "Sequence[Asset]":
    from deepnode_projections.explaining import Asset

    rows = connection.execute("SELECT address, symbol, decimals FROM asset ORDER BY asset_id").fetchall()
    return [Asset(bytes(row["address"]), row["symbol"], int(row["decimals"])) for row in rows]
