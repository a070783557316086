"""``deepnode log``: what an operator does with the log itself."""

import json

import typer

from deepnode_cli import backup, fsck, publish, settings
from deepnode_ledger.schema import upgrade

app = typer.Typer(help="Look after the log itself.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def log() -> None:
    """Look after the log itself."""


app.command()(publish.publish)
app.command()(publish.proof)
app.command()(fsck.fsck)
app.command()(backup.backup)
app.command()(backup.restore)


@app.command()
def migrate(database: settings.Database, as_json: settings.AsJson = False) -> None:
    """Bring the log's tables to the version that this program knows.

    The other commands do it too when they start, if their login owns the tables. This one is for those who keep the
    owner apart.
    """
    done = upgrade(database)
    if as_json:
        typer.echo(json.dumps({"from": done.before, "to": done.after}))
    elif done.before == done.after:
        typer.echo(f"the log's tables are of version {done.after} already")
    else:
        typer.echo(f"the log's tables are of version {done.after} now ({done.before or 'there were none'} before)")
