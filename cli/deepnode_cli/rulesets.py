"""``deepnode rulesets``: which rules rewards are counted by, what each answers, and how two of them differ.

A ruleset goes by its name, by the hash that a chain names it by, or by a TOML file of one's own.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from deepnode_cli import settings
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import WORD_BYTES, from_hex, to_hex

if TYPE_CHECKING:
    from deepnode_projections.rulesets import Ruleset

app = typer.Typer(help="Show the rules that rewards are counted by.", no_args_is_help=True, rich_markup_mode=None)

ABSENT: Final = "-"
"""What is shown for a field that a ruleset does not have."""

_HELP: Final = "A ruleset: its name, its hash (0x…), or a TOML file of your own."
Chosen = Annotated[str, typer.Argument(help=_HELP, metavar="RULESET", show_default=False)]


@app.command("list")
def list_(as_json: settings.AsJson = False) -> None:
    """List the rulesets that come with the program: name, hash and what it is for."""
    from deepnode_projections import rulesets

    for ruleset in rulesets.shipped().values():
        if as_json:
            typer.echo(json.dumps(_described(ruleset)))
        else:
            typer.echo(f"{ruleset.name:<17}{to_hex(ruleset.spec_hash)}  {ruleset.summary}")


@app.command()
def show(ruleset: Chosen, as_json: settings.AsJson = False) -> None:
    """Show every field of a ruleset: its value, what it means, and the seed document that leaves it open."""
    from deepnode_projections.rulesets import fields_of

    chosen = choose(ruleset)
    found = fields_of(chosen)
    if as_json:
        fields = {each.path: {"value": each.value, "meaning": each.meaning, "seed": each.seed} for each in found}
        typer.echo(json.dumps({**_described(chosen), "canonical": chosen.canonical, "fields": fields}))
        return
    typer.echo(f"{chosen.name}: {chosen.summary}")
    typer.echo(f"hash: {to_hex(chosen.spec_hash)}")
    for alias in chosen.aliases:
        typer.echo(f"also: {alias}")
    typer.echo("")
    wide = max(len(each.path) for each in found)
    for each in found:
        typer.echo(f"{each.path:<{wide}}  {_shown(each.value):<18}{each.meaning} [{each.seed}]")


@app.command()
def diff(left: Chosen, right: Chosen, as_json: settings.AsJson = False) -> None:
    """Show the fields in which two rulesets differ, and the seed document that each comes from."""
    from deepnode_projections.rulesets import differences

    found = differences(choose(left), choose(right))
    wide = max((len(each.path) for each in found), default=0)
    for each in found:
        if as_json:
            fields = {"field": each.path, "left": each.left, "right": each.right, "seed": each.seed}
            typer.echo(json.dumps(fields))
        else:
            typer.echo(f"{each.path:<{wide}}  {_shown(each.left)} -> {_shown(each.right)} [{each.seed}]")
    if not found and not as_json:
        typer.echo("the same rules")


def choose(ruleset: str) -> "Ruleset":
    """Find a ruleset by its name, its hash, or a file.

    Raises:
        BadInput: there is none of this name or hash, or the file is refused.
    """
    from deepnode_projections import rulesets

    if ruleset.startswith("0x"):
        found = rulesets.by_hash(from_hex(ruleset, WORD_BYTES, what="a ruleset's hash"))
        if found is None:
            raise BadInput(f"{ruleset} is the hash of no ruleset that comes with this program")
        return found
    # A name has no dot and no slash, so it is never taken for a file.
    return rulesets.load(Path(ruleset)) if ruleset.endswith(".toml") else rulesets.by_name(ruleset)


def _described(ruleset: "Ruleset") -> dict[str, object]:
    return {
        "name": ruleset.name,
        "hash": to_hex(ruleset.spec_hash),
        "aliases": [*ruleset.aliases],
        "summary": ruleset.summary,
    }


def _shown(value: object) -> str:
    return ABSENT if value is None else str(value)
