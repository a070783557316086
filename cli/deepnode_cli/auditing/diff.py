"""``deepnode audit diff``: the first position at which two logs differ, and what."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from deepnode_cli import settings

if TYPE_CHECKING:
    from deepnode_cli.auditing.comparison import Comparison
    from deepnode_cli.auditing.sides import Side

LIVE: Final = "live"
EXIT_DIFFERENT: Final = 3
SHOWN_MAX: Final = 10


def diff(
    one: Annotated[str, typer.Argument(help=f"A bundle (directory or tar), or '{LIVE}'.", metavar="A")],
    other: Annotated[str, typer.Argument(help=f"Another one, or '{LIVE}'.", metavar="B")],
    database: settings.DatabaseIfAny = None,
    manifest: settings.ManifestPathIfAny = None,
    log_directory: settings.LogDirectoryIfAny = None,
    state_roots: Annotated[
        bool,
        typer.Option(
            "--state-roots/--no-state-roots", help=f"Compare the state roots of '{LIVE}', which takes a while."
        ),
    ] = True,
    as_json: settings.AsJson = False,
) -> None:
    """Say where two logs begin to differ, and what: an entry changed, left out, put in, or in another order.

    Compared are also manifests, rulesets, state roots and signed checkpoints. The live ledger's hashes are those that
    it published (--log-directory), or are made from its entries. Exits with 3 unless both tell the same history.
    """
    from deepnode_cli.auditing.comparison import compare

    if one == other == LIVE:
        raise typer.BadParameter(f"'{LIVE}' is the same as '{LIVE}'")
    with ExitStack() as opened:
        sides: dict[str, Side] = {}
        for name in sorted({one, other}, key=lambda each: each == LIVE):
            if name != LIVE:
                sides[name] = opened.enter_context(_bundle(Path(name)))
                continue
            [beside] = sides.values()
            sides[name] = opened.enter_context(
                _live(database, manifest, log_directory, beside, state_roots=state_roots)
            )
        found = compare(sides[one], sides[other])
    typer.echo(json.dumps(_data(found)) if as_json else _text(found))
    if not found.same:
        raise typer.Exit(EXIT_DIFFERENT)


@contextmanager
def _bundle(path: Path) -> "Iterator[Side]":
    from deepnode_cli.auditing.sides import of_bundle
    from deepnode_ledger.bundle import open_bundle

    with open_bundle(path) as bundle:
        yield of_bundle(bundle)


@contextmanager
def _live(
    database: str | None, manifest: Path | None, directory: Path | None, beside: "Side", *, state_roots: bool
) -> "Iterator[Side]":
    from deepnode_cli.auditing.live_side import live

    if database is None or manifest is None:
        raise typer.BadParameter(f"'{LIVE}' needs --database and --manifest")
    with live(database, manifest, directory, beside, state_roots=state_roots) as side:
        yield side


def _text(found: "Comparison") -> str:
    from deepnode_cli.auditing.comparison import changed_in_words, in_words

    lines = [in_words(found)]
    if found.first is not None:
        lines += [f"  {changed_in_words(each)}" for each in found.first.fields if each.field != "position"]
        if found.first.kind in {"changed", "order", "encoding"}:
            more = ", …" if len(found.positions) > SHOWN_MAX else ""
            lines.append(f"  differing positions: {', '.join(map(str, found.positions[:SHOWN_MAX]))}{more}")
    lines += [f"{each.part} {each.what}: {each.one} | {each.other}" for each in found.mismatches]
    lines += [f"note: {each}" for each in found.notes]
    lines.append(
        f"{'same' if found.same else 'different'}: {found.entries[0]} and {found.entries[1]} entries, "
        f"{found.epochs} state roots and {found.checkpoints} checkpoints compared"
    )
    return "\n".join(lines)


def _data(found: "Comparison") -> dict[str, Any]:
    first = found.first
    return {
        "same": found.same,
        "names": list(found.names),
        "entries": list(found.entries),
        "isPrefix": found.is_prefix,
        "first": None
        if first is None
        else {
            "position": first.position,
            "kind": first.kind,
            "entries": first.entries,
            "doubled": first.doubled,
            "fields": [
                {"field": each.field, "values": [_plain(each.one), _plain(each.other)]} for each in first.fields
            ],
        },
        "positions": list(found.positions),
        "mismatches": [
            {"part": each.part, "what": each.what, "values": [each.one, each.other]} for each in found.mismatches
        ],
        "stateRoots": found.epochs,
        "checkpoints": found.checkpoints,
        "notes": list(found.notes),
    }


def _plain(value: object) -> object:
    return f"0x{value.hex()}" if isinstance(value, bytes) else value
