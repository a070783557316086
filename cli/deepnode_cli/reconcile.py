"""``deepnode reconcile``: do the books say what the chain says, and does everything in them add up?"""

import json
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from deepnode_cli import settings
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import load_manifest

if TYPE_CHECKING:
    from deepnode_cli.reconciling.figures import Findings

EXIT_DIFFERENT: Final = 3


def reconcile(
    rpc: settings.Rpc,
    database: settings.Database,
    manifest: settings.ManifestPath,
    block: Annotated[
        int | None,
        typer.Option(
            "--block", help="A block of the home chain; the newest final one of the books if left out.", min=0
        ),
    ] = None,
    as_json: settings.AsJson = False,
) -> None:
    """Hold the books of a block against the contracts: balances, supplies, pockets, claims, and the laws of the books.

    Nothing is changed. Exits with 0 if all is equal, with 3 if something differs. An old block needs an archive node.
    """
    from deepnode_cli.nodes import nodes_of
    from deepnode_cli.reconciling.chain_state import ChainState, block_of_node
    from deepnode_cli.reconciling.claims import claims
    from deepnode_cli.reconciling.holdings import holdings
    from deepnode_cli.reconciling.laws import laws
    from deepnode_cli.reconciling.own_figures import own_figures
    from deepnode_cli.reconciling.reading import Reading, refuse_held
    from deepnode_indexer.pool import Providers
    from deepnode_indexer.provider import Provider
    from deepnode_indexer.websocket import open_rpc
    from deepnode_ledger.database import database_errors
    from deepnode_projections.projector import connect
    from deepnode_projections.tables import SCHEMA

    deployment = load_manifest(manifest)
    urls = nodes_of(rpc, deployment)[deployment.chain_id]
    connection = connect(database, SCHEMA)
    try:
        # In one transaction, so that the books do not move on meanwhile; the chain is asked behind it.
        with database_errors(database), connection.transaction():
            reading = Reading.begin(connection, deployment, manifest, block)
            figures = [*holdings(reading), *own_figures(reading), *claims(reading)]
            laws(reading)
    finally:
        connection.close()
    refuse_held(database, deployment, reading.block_number)
    providers = Providers([Provider(open_rpc(url), deployment) for url in urls])
    try:
        providers.check_chain()
        at = block_of_node(providers, reading.block_number, reading.known)
        answers = iter(ChainState(providers, at).ask([each for figure in figures for each in figure.questions]))
    finally:
        for provider in providers:
            provider.rpc.close()
    findings = reading.findings
    for figure in figures:
        told = [next(answers) for _ in figure.questions]
        known = [each for each in told if each is not None]
        findings.compare(figure, sum(known) if len(known) == len(told) else None)
    where = {"block": at.number, "hash": to_hex(at.hash), "position": reading.position}
    _tell_as_json(findings, where) if as_json else _tell(findings, where)
    if findings.differences:
        raise typer.Exit(EXIT_DIFFERENT)


def _tell(findings: "Findings", where: dict[str, Any]) -> None:
    typer.echo(f"block {where['block']} ({where['hash']}), position {where['position']}")
    width = max(map(len, findings.compared), default=0)
    typer.echo(f"{'':<{width}}  {'compared':>9}  {'differing':>9}")
    for part, compared in findings.compared.items():
        typer.echo(f"{part:<{width}}  {compared:>9}  {findings.differing(part):>9}")
    for each in findings.differences:
        symbol = f" {each.symbol}" if each.symbol else ""
        amount = "" if each.amount is None else f", difference {each.amount:+}"
        other = f"{'should be' if each.is_law else 'chain'} {each.shown(each.chain)}"
        typer.echo(f"differs: {each.part}: {each.where}{symbol}: books {each.shown(each.books)}, {other}{amount}")
    for remark in findings.remarks:
        typer.echo(f"note: {remark}")
    for each_not in findings.not_asked:
        typer.echo(f"not asked: {each_not}")
    count = len(findings.differences)
    typer.echo("all equal" if not count else f"{count} {'difference' if count == 1 else 'differences'}")


def _tell_as_json(findings: "Findings", where: dict[str, Any]) -> None:
    typer.echo(json.dumps({"event": "reconciled", **where, "differences": len(findings.differences)}))
    for part, compared in findings.compared.items():
        counts = {"compared": compared, "differing": findings.differing(part)}
        typer.echo(json.dumps({"event": "part", "part": part, **counts}))
    for each in findings.differences:
        # Amounts are text: a number in JSON loses digits in many programs.
        sides = {"books": each.shown(each.books), "law" if each.is_law else "chain": each.shown(each.chain)}
        difference = None if each.amount is None else str(each.amount)
        about = {"part": each.part, "where": each.where, "symbol": each.symbol or None}
        typer.echo(json.dumps({"event": "difference", **about, **sides, "difference": difference}))
    for event, texts in (("note", findings.remarks), ("not asked", findings.not_asked)):
        for text in texts:
            typer.echo(json.dumps({"event": event, "text": text}))
