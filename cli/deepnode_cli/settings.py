"""The settings: one place that says their names on the command line and in the environment, and their defaults."""

import os
from pathlib import Path
from typing import Annotated, Final

import platformdirs
import typer

from deepnode_indexer.level import Level

EMBEDDED: Final = "embedded"
"""In place of a database URL: the PostgreSQL that comes with the program, kept in the data directory."""

Rpc = Annotated[
    list[str],
    typer.Option(
        "--rpc",
        envvar="DEEPNODE_RPC_URL",
        help="JSON-RPC URL of a node (http, https, ws, wss), the preferred one first; for several repeat it, in "
        "the variable with white space between. CHAIN= before it says the chain's id, if not the manifest's first.",
        metavar="[CHAIN=]URL",
    ),
]
EvidenceLevel = Annotated[
    Level,
    typer.Option(
        "--evidence",
        envvar="DEEPNODE_EVIDENCE",
        help="What shows a range of blocks to be complete: the headers of its ends, every header, or every receipt.",
    ),
]
ReceiptsSampled = Annotated[
    int,
    typer.Option(
        "--receipts-sampled",
        envvar="DEEPNODE_RECEIPTS_SAMPLED",
        help="With --evidence headers, check the receipts of one block in so many, drawn at random; 0 for none.",
        min=0,
        max=1_000_000_000,
    ),
]
Database = Annotated[
    str,
    typer.Option(
        "--database",
        envvar="DEEPNODE_DATABASE_URL",
        help="PostgreSQL URL, such as postgresql://user@host:5432/name.",
        metavar="URL",
    ),
]
DatabaseOrEmbedded = Annotated[
    str,
    typer.Option(
        "--database",
        envvar="DEEPNODE_DATABASE_URL",
        help=f"PostgreSQL URL, or '{EMBEDDED}' for the server that comes with the program.",
        metavar="URL",
    ),
]
ManifestPath = Annotated[
    Path,
    typer.Option("--manifest", envvar="DEEPNODE_MANIFEST", help="The deployment's manifest (TOML).", metavar="FILE"),
]
RpcIfAny = Annotated[
    list[str] | None,
    typer.Option(
        "--rpc",
        envvar="DEEPNODE_RPC_URL",
        help="JSON-RPC URL of a node (http, https, ws, wss), the preferred one first; for several repeat it, in "
        "the variable with white space between. CHAIN= before it says the chain's id, if not the manifest's first.",
        metavar="[CHAIN=]URL",
    ),
]
DatabaseIfAny = Annotated[
    str | None,
    typer.Option(
        "--database",
        envvar="DEEPNODE_DATABASE_URL",
        help="PostgreSQL URL, such as postgresql://user@host:5432/name.",
        metavar="URL",
    ),
]
ManifestPathIfAny = Annotated[
    Path | None,
    typer.Option("--manifest", envvar="DEEPNODE_MANIFEST", help="The deployment's manifest (TOML).", metavar="FILE"),
]
Host = Annotated[str, typer.Option("--host", envvar="DEEPNODE_HOST", help="Where the API listens.")]
Port = Annotated[int, typer.Option("--port", envvar="DEEPNODE_PORT", help="The API's port.", min=1, max=65535)]
IntakeHost = Annotated[
    str, typer.Option("--intake-host", envvar="DEEPNODE_INTAKE_HOST", help="Where the task intake listens.")
]
IntakePort = Annotated[
    int,
    typer.Option("--intake-port", envvar="DEEPNODE_INTAKE_PORT", help="The task intake's port.", min=1, max=65535),
]
DataDirectory = Annotated[
    Path,
    typer.Option(
        "--data",
        envvar="DEEPNODE_DATA",
        help="Where the embedded PostgreSQL keeps its data.",
        metavar="DIRECTORY",
    ),
]
PollSeconds = Annotated[
    float,
    typer.Option(
        "--poll",
        envvar="DEEPNODE_POLL_SECONDS",
        help="Seconds between two looks at the head.",
        min=0.05,
        max=60,
    ),
]
SealEntries = Annotated[
    int,
    typer.Option(
        "--seal-entries",
        envvar="DEEPNODE_SEAL_ENTRIES",
        help="Final entries that wait to be sealed together, for 150 blocks at most.",
        min=1,
        max=65_536,
    ),
]
TaskSources = Annotated[
    list[str] | None,
    typer.Option(
        "--task-events",
        help="Task events in JSON Lines: a file, a directory of them, - for standard input, or a Kafka topic "
        "(kafka://HOST:PORT/TOPIC); for several repeat it.",
        metavar="SOURCE",
    ),
]
KafkaConfig = Annotated[
    Path | None,
    typer.Option(
        "--kafka-config",
        envvar="DEEPNODE_KAFKA_CONFIG",
        help="librdkafka's settings for Kafka topics, one name=value a line.",
        metavar="FILE",
    ),
]
ProducerRate = Annotated[
    int,
    typer.Option(
        "--producer-rate",
        envvar="DEEPNODE_INTAKE_PRODUCER_RATE",
        help="Task events a second that the intake takes of one producer; 0 for no limit.",
        min=0,
    ),
]
ClientRate = Annotated[
    int,
    typer.Option(
        "--client-rate",
        envvar="DEEPNODE_INTAKE_CLIENT_RATE",
        help="Task events a second that the intake takes from one network address; 0 for no limit.",
        min=0,
    ),
]
RequestRate = Annotated[
    int,
    typer.Option(
        "--request-rate",
        envvar="DEEPNODE_API_REQUEST_RATE",
        help="Requests a second that the API takes of one client; 0 for no limit.",
        min=0,
    ),
]
ValueRate = Annotated[
    int,
    typer.Option(
        "--value-rate",
        envvar="DEEPNODE_API_VALUE_RATE",
        help="Values a second that one client's queries may ask the API for; 0 for no limit.",
        min=0,
    ),
]
TrustedProxies = Annotated[
    list[str] | None,
    typer.Option(
        "--trusted-proxy",
        envvar="DEEPNODE_TRUSTED_PROXIES",
        help="An address or network of proxies whose X-Forwarded-For tells the client; for several repeat it, in the "
        "variable with white space between.",
        metavar="NETWORK",
    ),
]
Origins = Annotated[
    list[str] | None,
    typer.Option(
        "--origin",
        envvar="DEEPNODE_ORIGINS",
        help="An origin whose web pages may read the API's answers, or * for all; for several repeat it, in the "
        "variable with white space between.",
        metavar="ORIGIN",
    ),
]
Documents = Annotated[
    Path | None,
    typer.Option(
        "--documents",
        envvar="DEEPNODE_DOCUMENTS",
        help="GraphQL documents that can be asked by their id: a directory of *.graphql files, or a JSON file.",
        metavar="PATH",
    ),
]
DocumentsOnly = Annotated[
    bool,
    typer.Option(
        "--documents-only", envvar="DEEPNODE_DOCUMENTS_ONLY", help="Answer those documents and no other query."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write what happens to stdout, one JSON object a line.")]

LogDirectory = Annotated[
    Path,
    typer.Option(
        "--log-directory",
        envvar="DEEPNODE_LOG_DIRECTORY",
        help="The directory that the log is published in.",
        metavar="DIRECTORY",
    ),
]
LogDirectoryIfAny = Annotated[
    Path | None,
    typer.Option(
        "--log-directory",
        envvar="DEEPNODE_LOG_DIRECTORY",
        help="The directory that the log is published in, if it is.",
        metavar="DIRECTORY",
    ),
]
DatasetDirectoryIfAny = Annotated[
    Path | None,
    typer.Option(
        "--dataset-directory",
        envvar="DEEPNODE_DATASET_DIRECTORY",
        help="The directory of the dataset of closed epochs (deepnode dataset), to be served.",
        metavar="DIRECTORY",
    ),
]
BundleDirectoryIfAny = Annotated[
    Path | None,
    typer.Option(
        "--bundle-directory",
        envvar="DEEPNODE_BUNDLE_DIRECTORY",
        help="The directory of a bundle (deepnode bundle create), to be served.",
        metavar="DIRECTORY",
    ),
]
LogKey = Annotated[
    Path,
    typer.Option(
        "--log-key", envvar="DEEPNODE_LOG_KEY", help="The file of the log's secret key (deepnode keys).", metavar="FILE"
    ),
]
LogKeyIfAny = Annotated[
    Path | None,
    typer.Option(
        "--log-key",
        envvar="DEEPNODE_LOG_KEY",
        help="The file of the log's secret key (deepnode keys); one is made if left out.",
        metavar="FILE",
    ),
]


def witnesses_of_environment() -> list[str]:
    """Read DEEPNODE_WITNESSES: witnesses as in --witness, with commas between them."""
    return [each.strip() for each in os.environ.get("DEEPNODE_WITNESSES", "").split(",") if each.strip()]


WitnessList = Annotated[
    list[str],
    typer.Option(
        "--witness",
        # Not by envvar: that would be split at white space, and there is some in each.
        default_factory=witnesses_of_environment,
        show_default=False,
        help="A witness's verifier key, a space and its URL; for several repeat it. [env var: DEEPNODE_WITNESSES]",
        metavar="'VKEY URL'",
    ),
]
WitnessQuorum = Annotated[
    int,
    typer.Option(
        "--witness-quorum",
        envvar="DEEPNODE_WITNESS_QUORUM",
        help="Show a checkpoint once that many witnesses have cosigned it.",
        min=0,
    ),
]

LOOPBACK: Final = "127.0.0.1"
API_PORT: Final = 8000
INTAKE_PORT: Final = 8001
NODE_PORT: Final = 8545
FAULTS_PORT: Final = 8546
PRODUCER_RATE: Final = 2_000
CLIENT_RATE: Final = 4_000
RECEIPTS_SAMPLED: Final = 1_000
API_REQUEST_RATE: Final = 100
API_VALUE_RATE: Final = 200_000
POLL_SECONDS: Final = 0.5
"""A quarter of Base's block time."""


def data_directory() -> Path:
    """Where this user's data belongs on this system."""
    return Path(platformdirs.user_data_dir("deepnode", appauthor=False))
