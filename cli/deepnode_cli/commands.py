"""The commands: which there are, and where each is written.

A command brings in what it runs, which takes a second for the larger ones. So the one that is called is loaded, and all
of them only where all are to be shown.
"""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Final

import typer

COMMANDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "demo": "demo:demo",
        "up": "up:up",
        "index": "index:app",
        "project": "books:project",
        "root": "books:root",
        "rebuild": "books:rebuild",
        "serve": "serve:serve",
        "devnet": "devnet:devnet",
        "health": "health:health",
        "doctor": "doctor:doctor",
        "explain": "explain:app",
        "export": "export:export",
        "dataset": "dataset:dataset",
        "statement": "statement:statement",
        "reconcile": "reconcile:reconcile",
        "log": "log_commands:app",
        "bundle": "bundle:app",
        "verify": "verify:verify",
        "audit": "audit:app",
        "rulesets": "rulesets:app",
        "whatif": "whatif:whatif",
        "keys": "keys:app",
        "embedded-postgres": "embedded:embedded_postgres",
    }
)
"""Each command's name, and the module of this package and the name in it that it is made of."""

HIDDEN: Final = ("embedded-postgres",)
"""Commands that only other commands call."""


def command_line(only: str | None = None) -> typer.Typer:
    """Make the command line of one command, or of all of them if it is not one that there is."""
    app = typer.Typer(
        name="deepnode",
        help="DeepNode's book of record: an immutable log of Base and of signed task events, the books, and their API.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )

    # With a callback of its own it is a group even if it has one command.
    @app.callback()
    def deepnode() -> None:
        pass

    for name in COMMANDS if only is None or only not in COMMANDS else (only,):
        module, _, attribute = COMMANDS[name].partition(":")
        found = getattr(import_module(f"deepnode_cli.{module}"), attribute)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name)
        else:
            app.command(name=name, hidden=name in HIDDEN)(found)
    return app
