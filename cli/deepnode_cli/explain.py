"""``deepnode explain``: an amount, led back to events, ruleset, formula, integers and remainder."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepnode_cli import settings
from deepnode_cli.books_at import BooksAt, books_at
from deepnode_ledger.hexadecimal import ADDRESS_BYTES, WORD_BYTES, from_hex
from deepnode_ledger.manifest import load_manifest

if TYPE_CHECKING:
    from deepnode_projections.explaining import Explanation

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


def _explain(
    database: str,
    manifest: Path,
    at: int | None,
    as_json: bool,
    made: "Callable[[BooksAt], Sequence[Explanation]]",
) -> None:
    """Explain by the books, look up in the log what it rests on, and write it."""
    from deepnode_ledger.roster import Roster
    from deepnode_projections.explaining import as_data, as_text, log_places

    described = load_manifest(manifest)
    with books_at(database, described, at) as books:
        known = Roster.load(books.log, described) if described.has_factories else described
        for number, each in enumerate(made(books)):
            found = log_places(books.log, known, each.positions)
            if as_json:
                typer.echo(json.dumps(as_data(each, found)))
            else:
                typer.echo(("\n" if number else "") + as_text(each, found), nl=False)
