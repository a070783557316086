"""``deepnode whatif``: the log replayed under other parameters, and who gains and loses by them.

The log is read from the database, sealed part and tail, or from a bundle, and replayed twice in memory: as it was, and
under the scenario. Nothing is written to the database.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepnode_cli import output_file, settings
from deepnode_cli.progress import Progress
from deepnode_ledger.errors import BadInput
from deepnode_ledger.manifest import Manifest, load_manifest

if TYPE_CHECKING:
    import pyarrow as pa

    from deepnode_projections.whatif import Scenario, WhatIf

    Batches = Callable[[], Iterator[pa.RecordBatch]]

TOP_MAX = 10_000


def whatif(
    ruleset: Annotated[
        str | None,
        typer.Option(
            "--ruleset", help="Rules in place of the chain's: a name, a hash, or a TOML file.", metavar="RULESET"
        ),
    ] = None,
    changed: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="A parameter set otherwise: a ruleset's field (work.credit=split), weights.DOMAIN.LEG, model.MODEL.a, "
            "route.DOMAIN.ASSET.RATE or governed.DOMAIN, with * for all; repeat it.",
            metavar="KEY=VALUE",
        ),
    ] = None,
    preset: Annotated[
        str | None, typer.Option("--preset", help="A scenario that comes with us, such as 41-41.", metavar="NAME")
    ] = None,
    from_epoch: Annotated[int, typer.Option(help="The first epoch that the scenario holds in.", min=0)] = 0,
    bundle: Annotated[
        Path | None,
        typer.Option("--bundle", help="Read a bundle, and no database; its manifest counts.", metavar="PATH"),
    ] = None,
    database: settings.DatabaseIfAny = None,
    manifest: settings.ManifestPathIfAny = None,
    top: Annotated[int, typer.Option(help="So many of those who gain and lose most.", min=0, max=TOP_MAX)] = 10,
    table: Annotated[
        str, typer.Option(help="What --arrow and --parquet hold: rewards, splits or pressure.", metavar="NAME")
    ] = "rewards",
    arrow: Annotated[Path | None, typer.Option(help="Write the table as an Arrow file.", metavar="FILE")] = None,
    parquet: Annotated[Path | None, typer.Option(help="Write the table as a Parquet file.", metavar="FILE")] = None,
    chart: Annotated[
        Path | None, typer.Option(help="Draw sell pressure, gains and losses: .svg or .png.", metavar="FILE")
    ] = None,
    as_json: settings.AsJson = False,
) -> None:
    """Replay the log under other parameters: who gains, who loses, sell pressure beside the value created.

    What was done is a fact and stays: tasks, payments, what was minted. How it is divided changes. Nobody's behaviour
    reacts to it.
    """
    from deepnode_cli import whatif_files, whatif_tables
    from deepnode_projections.whatif import run

    picture_format = None if chart is None else whatif_files.picture_format(chart)
    whatif_files.check_table(table)
    say = Progress()
    with ExitStack() as stack:
        described, begin = _log(stack, bundle, database, manifest)
        scenario = _scenario(described, ruleset, changed or [], preset, from_epoch)
        found = run(begin(), described, scenario, lambda which, position: say(f"{which}: position {position}"))
    for path, kind in ((arrow, "arrow"), (parquet, "parquet")):
        if path is not None:
            output_file.write(path, whatif_files.table_file(found, described, table, kind))
    if chart is not None and picture_format is not None:
        output_file.write(chart, _chart(found, described, _summary(preset, scenario), picture_format))
    if as_json:
        for line in whatif_tables.as_json(found, described):
            typer.echo(line)
        return
    whatif_tables.show(found, described, _summary(preset, scenario), top)
    for path in (arrow, parquet, chart):
        if path is not None:
            typer.echo(f"written: {path}", err=True)


def _scenario(
    manifest: Manifest, ruleset: str | None, changed: list[str], preset_name: str | None, from_epoch: int
) -> "Scenario":
    from deepnode_cli.rulesets import choose
    from deepnode_projections.whatif import make, parse_settings, preset

    given = parse_settings(changed)
    chosen = None if ruleset is None else choose(ruleset)
    before = {} if preset_name is None else preset(preset_name).settings
    parts = [name for name in (preset_name, None if chosen is None else chosen.name, *given) if name is not None]
    return make(
        manifest,
        name=", ".join(parts)[:100] or "unchanged",
        ruleset=chosen,
        settings={**before, **given},
        from_epoch=from_epoch,
    )


def _summary(preset_name: str | None, scenario: "Scenario") -> str:
    from deepnode_projections.whatif import preset

    if preset_name is not None:
        return preset(preset_name).summary
    if scenario.is_unchanged:
        return "Nothing is changed"
    told = [f"{name} = {'none' if value is None else value}" for name, value in scenario.settings.items()]
    return "; ".join([*([] if scenario.ruleset is None else [scenario.ruleset.summary]), *told])[:160]


def _log(
    stack: ExitStack, bundle: Path | None, database: str | None, manifest: Path | None
) -> "tuple[Manifest, Callable[[], Batches]]":
    """Return the manifest of the log that is named, and what opens it to be read from its first entry, repeatedly."""
    if bundle is not None:
        from deepnode_ledger.bundle import open_bundle

        opened = stack.enter_context(open_bundle(bundle))
        return opened.manifest(), lambda: opened.batches
    if not database or manifest is None:
        raise typer.BadParameter("name a log: --bundle, or --database and --manifest")
    from deepnode_ledger.database import database_errors, open_datastore
    from deepnode_ledger.snapshot import snapshot

    def begin() -> "Batches":
        stack.enter_context(database_errors(database))
        datastore = open_datastore(database, pool_size=1)
        stack.callback(datastore.close)
        # One view for both replays: the log may grow or be reorganised meanwhile.
        view = stack.enter_context(snapshot(datastore))
        return lambda: view.read(1)

    return load_manifest(manifest), begin


def _chart(found: "WhatIf", manifest: Manifest, summary: str, picture_format: str) -> bytes:
    from deepnode_cli.charting import Drawn, RoleBar, draw
    from deepnode_ledger.hexadecimal import to_hex
    from deepnode_projections.whatif import by_role, minted_asset

    minted = minted_asset(manifest)
    token = None if minted is None else manifest.get(minted)
    if token is None or token.decimals is None:
        raise BadInput("the manifest names no token that emissions are minted in, so there is nothing to draw")
    bars = [
        RoleBar(str(each.name), each.difference, each.was) for each in by_role(found.changes) if each.asset == minted
    ]
    position, root, digest = found.was.position, to_hex(found.was.root), to_hex(found.scenario.digest)
    footer = f"Log to position {position}, state root {root[:18]}…; scenario {digest[:18]}…, from epoch "
    return draw(
        Drawn(
            f"What if: {found.scenario.name}",
            summary,
            f"{footer}{found.scenario.from_epoch} on",
            found.was.pressures,
            found.under.pressures,
            bars,
            token.symbol or token.name,
            token.decimals,
        ),
        picture_format,
    )
