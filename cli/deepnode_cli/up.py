"""``deepnode up``: the whole ledger on this machine, against a chain, a database and a manifest of one's own."""

import secrets
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import urllib3

from deepnode_cli import settings
from deepnode_cli.display import Display
from deepnode_cli.embedded import url_file
from deepnode_cli.interruption import on_interrupt
from deepnode_cli.keys import load_signer, make_key
from deepnode_cli.nodes import nodes_of
from deepnode_cli.process_tree import ProcessTree, Stopping
from deepnode_indexer.level import Level
from deepnode_ledger.database import parse_url
from deepnode_ledger.errors import BadInput
from deepnode_ledger.manifest import load_manifest

START_SECONDS: Final = 60.0
WATCH_SECONDS: Final = 0.5

EXAMPLE_QUERY: Final = """\
{
  _meta { position block { number hash } finality stateRoot }
  balances(first: 5, where: { asset: "DN", nonZero: true }, orderBy: BALANCE_DESC) {
    edges { node { account { name } asset { symbol } amount amountFormatted } }
  }
  postings(first: 3, orderBy: POSITION_DESC) {
    edges { node { position kind amountFormatted account { name } balance transactionHash finality } }
  }
}"""


@dataclass(frozen=True, slots=True)
class Ledger:
    """Where one ledger's parts are. ``database`` is a URL or ``embedded``."""

    rpc: tuple[str, ...]
    database: str
    manifest: Path
    data: Path
    host: str
    port: int
    intake_host: str
    intake_port: int
    poll: float
    seal_entries: int
    task_events: tuple[str, ...] = ()
    log_key: Path | None = None
    evidence: Level = Level.HEADERS
    receipts_sampled: int = settings.RECEIPTS_SAMPLED

    @property
    def published(self) -> Path:
        """The directory that the log is published in."""
        return self.data / "published"

    @property
    def signing_key(self) -> Path:
        """The file of the key that signs the log."""
        return self.log_key or self.data / "log.key"

    @property
    def api(self) -> str:
        """The API's URL, as seen from this machine."""
        return f"http://{_reachable(self.host)}:{self.port}"

    @property
    def intake(self) -> str:
        """The task intake's URL, as seen from this machine."""
        return f"http://{_reachable(self.intake_host)}:{self.intake_port}/task-events"


def up(
    rpc: settings.Rpc,
    manifest: settings.ManifestPath,
    database: settings.DatabaseOrEmbedded = settings.EMBEDDED,
    data: settings.DataDirectory = settings.data_directory(),  # noqa: B008 (typer reads the default once)
    host: settings.Host = settings.LOOPBACK,
    port: settings.Port = settings.API_PORT,
    intake_host: settings.IntakeHost = settings.LOOPBACK,
    intake_port: settings.IntakePort = settings.INTAKE_PORT,
    poll: settings.PollSeconds = settings.POLL_SECONDS,
    seal_entries: settings.SealEntries = 1_000,
    task_events: settings.TaskSources = None,
    log_key: settings.LogKeyIfAny = None,
    evidence: settings.EvidenceLevel = Level.HEADERS,
    receipts_sampled: settings.ReceiptsSampled = settings.RECEIPTS_SAMPLED,
    seconds: Annotated[float | None, typer.Option("--for", help="Stop after so many seconds.", min=1)] = None,
) -> None:
    """Run the indexer, the projections, the publisher and the API as one, until Ctrl-C.

    Each runs in a process of its own; their output goes to files in the data directory. So does the published log, and
    the key that signs it unless one is named.
    """
    # What is wrong with a setting is said before anything is started.
    nodes_of(rpc, load_manifest(manifest))
    if log_key is not None:
        load_signer(log_key)
    if database != settings.EMBEDDED:
        parse_url(database)
    ledger = Ledger(
        tuple(rpc),
        database,
        manifest,
        data,
        host,
        port,
        intake_host,
        intake_port,
        poll,
        seal_entries,
        tuple(task_events or ()),
        log_key,
        evidence,
        receipts_sampled,
    )
    with Display() as display, ProcessTree(data / "logs") as tree:
        run(tree, display, lambda: start_ledger(tree, display, ledger), ledger, seconds)


def run(tree: ProcessTree, display: Display, start: Callable[[], None], ledger: Ledger, seconds: float | None) -> None:
    """Start everything, say where it is, and watch it until it is told to stop."""
    require_free(ledger.host, ledger.port, "--port")
    require_free(ledger.intake_host, ledger.intake_port, "--intake-port")
    with on_interrupt(tree.stop):
        try:
            start()
            display.write(_introduction(ledger))
            _watch(tree, display, ledger, seconds)
        except Stopping:
            pass
        finally:
            display.doing("stopping")
            tree.stop()
    display.done("everything has stopped")


def start_ledger(tree: ProcessTree, display: Display, ledger: Ledger) -> None:
    """Start the database if it is the embedded one, then the indexer, the projections and the API.

    Each is started when what it needs is ready.

    Raises:
        ProcessTreeError: a part ended or did not become ready; its last lines are in the message.
    """
    database = ledger.database
    if database == settings.EMBEDDED:
        display.doing("starting PostgreSQL")
        database = start_database(tree, ledger.data)
        display.done("PostgreSQL 18 runs")
    if ledger.log_key is None:
        _make_own_key(ledger)
    display.doing("starting the indexer, the projections, the publisher and the API")
    # Settings that may hold a password travel in the environment: anyone may read a process's arguments.
    environment = {
        "DEEPNODE_RPC_URL": " ".join(ledger.rpc),
        "DEEPNODE_EVIDENCE": ledger.evidence,
        "DEEPNODE_RECEIPTS_SAMPLED": str(ledger.receipts_sampled),
        "DEEPNODE_DATABASE_URL": database,
        "DEEPNODE_MANIFEST": str(ledger.manifest.absolute()),
        "DEEPNODE_HOST": ledger.host,
        "DEEPNODE_PORT": str(ledger.port),
        "DEEPNODE_INTAKE_HOST": ledger.intake_host,
        "DEEPNODE_INTAKE_PORT": str(ledger.intake_port),
        "DEEPNODE_POLL_SECONDS": str(ledger.poll),
        "DEEPNODE_SEAL_ENTRIES": str(ledger.seal_entries),
        "DEEPNODE_LOG_DIRECTORY": str(ledger.published.absolute()),
        "DEEPNODE_LOG_KEY": str(ledger.signing_key.absolute()),
    }
    files = [argument for source in ledger.task_events for argument in ("--task-events", source)]
    tree.start("indexer", [*command("index"), *files], environment=environment)
    intake_health = ledger.intake.replace("/task-events", "/health")
    tree.wait_ready("indexer", lambda: answers(intake_health), START_SECONDS)
    display.done("the indexer follows the chain")
    tree.start("projections", command("project"), environment=environment)
    tree.start("publisher", command("log", "publish"), environment=environment)
    tree.start("api", command("serve"), environment=environment)
    tree.wait_ready("api", lambda: answers(f"{ledger.api}/ready"), START_SECONDS)
    display.done("the books and the API are up")


def start_database(tree: ProcessTree, data: Path) -> str:
    """Start the embedded PostgreSQL and return its URL."""
    directory = data / "postgres"
    _make_data_directory(data)
    written = url_file(directory.expanduser().resolve())
    written.unlink(missing_ok=True)
    tree.start("database", [*command("embedded-postgres"), "--data", str(directory)])
    tree.wait_ready("database", written.exists, START_SECONDS)
    return written.read_text(encoding="utf-8")


def command(*names: str) -> list[str]:
    """Say how to run one of our own commands in a process of its own."""
    return [sys.executable, "-m", "deepnode_cli.main", *names]


def _make_data_directory(data: Path) -> None:
    try:
        data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"the data directory {data} cannot be made: {error.strerror}") from error


def _make_own_key(ledger: Ledger) -> None:
    """Make the key in the data directory the first time, under a name that claims nobody's domain."""
    if not ledger.signing_key.exists():
        _make_data_directory(ledger.data)
        chain_id = load_manifest(ledger.manifest).chain_id
        make_key(ledger.signing_key, f"deepnode.invalid/{chain_id}/{secrets.token_hex(4)}")


def answers(url: str) -> bool:
    """Say whether something answers 200 at a URL."""
    try:
        return bool(urllib3.request("GET", url, timeout=2.0, retries=False).status == 200)
    except urllib3.exceptions.HTTPError:
        return False


def _introduction(ledger: Ledger) -> str:
    return f"""
  page      {ledger.api}/
  GraphQL   {ledger.api}/graphql
  export    {ledger.api}/export/postings.arrow
  log       {ledger.api}/log/checkpoint
  verifier  {load_signer(ledger.signing_key).verifier}
  intake    {ledger.intake}

Try this query:

{EXAMPLE_QUERY}

Ctrl-C stops everything that this command started.
"""


def _watch(tree: ProcessTree, display: Display, ledger: Ledger, seconds: float | None) -> None:
    """Show where the ledger stands, until it is told to stop, a part fails, or the time is up."""
    began = time.monotonic()
    while seconds is None or time.monotonic() - began < seconds:
        tree.check()
        if tree.stopping:
            return
        display.standing(_standing(ledger))
        time.sleep(WATCH_SECONDS)


def require_free(host: str, port: int, option: str) -> None:
    """Check that a port can be listened on, before anything is started for it.

    Raises:
        BadInput: it is taken, or the host is not this machine's; the message names the option.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise BadInput(f"{host}:{port} cannot be listened on ({error.strerror}): choose with {option}") from error


def has_entries(ledger: Ledger) -> bool:
    """Say whether the books hold anything yet."""
    meta = _meta(ledger)
    return meta is not None and meta["position"] > 0


def _standing(ledger: Ledger) -> str:
    meta = _meta(ledger)
    if meta is None:
        return "the API gave no answer"
    if meta["block"] is None:
        return "no block yet"
    return (
        f"block {meta['block']['number']}, {meta['position']} log entries, {meta['sealedPosition']} of them sealed, "
        f"{meta['reorgs']} reorgs"
    )


def _meta(ledger: Ledger) -> dict[str, Any] | None:
    query = {"query": "{ _meta { position sealedPosition reorgs block { number } } }"}
    try:
        answer = urllib3.request("POST", f"{ledger.api}/graphql", json=query, timeout=2.0, retries=False).json()
        meta: dict[str, Any] = answer["data"]["_meta"]
    except (urllib3.exceptions.HTTPError, ValueError, KeyError, TypeError):
        return None
    return meta


def _reachable(host: str) -> str:
    return settings.LOOPBACK if host in ("0.0.0.0", "::") else host  # noqa: S104 (compared, not listened on)
