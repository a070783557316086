"""``deepnode index``: the chain and the task events into the log."""

from typing import Annotated

import typer

from deepnode_cli import settings
from deepnode_cli.interruption import on_interrupt
from deepnode_cli.reporting import Reporter
from deepnode_indexer.admission import Limits
from deepnode_indexer.service import Door, Indexer
from deepnode_indexer.sources import source_of
from deepnode_ledger.manifest import load_manifest


def index(
    rpc: settings.Rpc,
    database: settings.Database,
    manifest: settings.ManifestPath,
    intake_host: settings.IntakeHost = settings.LOOPBACK,
    intake_port: settings.IntakePort = settings.INTAKE_PORT,
    intake: Annotated[bool, typer.Option(help="Take in task events over HTTP.")] = True,
    task_events: settings.TaskSources = None,
    kafka_config: settings.KafkaConfig = None,
    producer_rate: settings.ProducerRate = settings.PRODUCER_RATE,
    client_rate: settings.ClientRate = settings.CLIENT_RATE,
    poll: settings.PollSeconds = settings.POLL_SECONDS,
    seal_entries: settings.SealEntries = 1_000,
    as_json: settings.AsJson = False,
) -> None:
    """Follow the chain and take in task events until told to stop.

    Backfills up to the finalized block, then follows the head and its reorgs. Task events come in by POST to
    /task-events of the intake, from files, directories, standard input and Kafka topics.
    """
    indexer = Indexer(
        rpc,
        database,
        load_manifest(manifest),
        poll_seconds=poll,
        seal_entries=seal_entries,
        report=Reporter(as_json=as_json),
    )
    sources = [source_of(each, kafka_config) for each in task_events or []]
    door = Door(intake_host, intake_port, Limits(producer_rate, client_rate)) if intake else None
    indexer.check()
    with on_interrupt(indexer.stop):
        indexer.run(door, sources)
