"""``deepnode index``: the chains and the task events into the log; ``deepnode index repair``: one range once more."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from deepnode_cli import repair, settings
from deepnode_cli.interruption import on_interrupt
from deepnode_cli.nodes import sources_of
from deepnode_indexer.level import Level
from deepnode_ledger.manifest import load_manifest

if TYPE_CHECKING:
    from deepnode_indexer.door import Door

app = typer.Typer(invoke_without_command=True, no_args_is_help=False, add_completion=False, rich_markup_mode=None)
app.command()(repair.repair)


@app.callback(invoke_without_command=True)
def index(
    context: typer.Context,
    rpc: settings.RpcIfAny = None,
    database: settings.DatabaseIfAny = None,
    manifest: settings.ManifestPathIfAny = None,
    intake_host: settings.IntakeHost = settings.LOOPBACK,
    intake_port: settings.IntakePort = settings.INTAKE_PORT,
    intake: Annotated[bool, typer.Option(help="Take in task events over HTTP.")] = True,
    task_events: settings.TaskSources = None,
    kafka_config: settings.KafkaConfig = None,
    producer_rate: settings.ProducerRate = settings.PRODUCER_RATE,
    client_rate: settings.ClientRate = settings.CLIENT_RATE,
    poll: settings.PollSeconds = settings.POLL_SECONDS,
    seal_entries: settings.SealEntries = 1_000,
    evidence: settings.EvidenceLevel = Level.HEADERS,
    receipts_sampled: settings.ReceiptsSampled = settings.RECEIPTS_SAMPLED,
    as_json: settings.AsJson = False,
) -> None:
    """Follow the chains and take in task events until told to stop.

    Backfills up to the finalized block, then follows the head and its reorgs. Each range is taken in with what shows it
    to be complete. Task events come in by POST to /task-events of the intake, from files, directories, standard input
    and Kafka topics.
    """
    if context.invoked_subcommand is not None:
        return
    # Here: the other commands start sooner without all that an indexer brings in.
    from deepnode_cli.reporting import Reporter
    from deepnode_indexer.service import Indexer
    from deepnode_indexer.sources import source_of

    deployment = load_manifest(_required(manifest, "--manifest", "DEEPNODE_MANIFEST"))
    indexer = Indexer(
        sources_of(_required(rpc, "--rpc", "DEEPNODE_RPC_URL"), deployment, evidence, receipts_sampled),
        _required(database, "--database", "DEEPNODE_DATABASE_URL"),
        deployment,
        poll_seconds=poll,
        seal_entries=seal_entries,
        report=Reporter(as_json=as_json),
    )
    sources = [source_of(each, kafka_config) for each in task_events or []]
    door = _door(intake_host, intake_port, producer_rate, client_rate) if intake else None
    indexer.check()
    with on_interrupt(indexer.stop):
        indexer.run(door, sources)


def _door(host: str, port: int, producer_rate: int, client_rate: int) -> "Door":
    from deepnode_indexer.admission import Limits
    from deepnode_indexer.door import Door

    return Door(host, port, Limits(producer_rate, client_rate))


def _required(value: Any, option: str, variable: str) -> Any:
    """Refuse a missing option: the library cannot, as the subcommands have their own."""
    if not value:
        raise typer.BadParameter(f"it is needed, here or in {variable}", param_hint=option)
    return value
