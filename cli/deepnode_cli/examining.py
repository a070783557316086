"""Looking: everything that the doctor judges, asked for side by side, and waited for so long and no longer.

Each question has a thread and a time limit of its own, so what hangs is told as such and keeps nothing else away. No
answer and no reason holds a secret: URLs appear without keys, keys by their public half, errors that are not ours by
their kind alone.
"""

import stat
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar
from urllib.parse import urlsplit

import psycopg

from deepnode_cli.checks import CheckpointLook, KeyLook, Looks, NodeLook, Unseen
from deepnode_cli.checks.finding import not_given
from deepnode_cli.keys import load_signer
from deepnode_cli.nodes import chain_and_url
from deepnode_indexer import node_state
from deepnode_indexer.level import Level
from deepnode_indexer.rpc import shown
from deepnode_ledger.database_state import DatabaseState, look_at
from deepnode_ledger.errors import BadInput, DeepNodeError
from deepnode_ledger.log_state import look_at_log, look_at_producers
from deepnode_ledger.manifest import Manifest, load_manifest
from deepnode_ledger.publishing import PublishedFiles
from deepnode_ledger.tables import VERSION
from deepnode_ledger.transparency import Verifier, open_checkpoint, parse_head
from deepnode_ledger.transparency.note import parse as parse_note
from deepnode_projections.books_state import look_at_books

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the doctor was given. What is None or empty is not looked at."""

    database: str | None = None
    rpc: Sequence[str] = ()
    manifest: Path | None = None
    log_key: Path | None = None
    log_directory: Path | None = None
    level: Level = Level.HEADERS


class _Question(Generic[_T]):
    """A question under way in a thread of its own."""

    def __init__(self, ask: Callable[[], _T], seconds_max: float) -> None:
        self._ask = ask
        self._seconds_max = seconds_max
        self._deadline = time.monotonic() + seconds_max
        self._answers: list[_T | Unseen] = []
        # What hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def answer(self) -> _T | Unseen:
        """Wait for the answer until the time limit."""
        self._thread.join(max(self._deadline - time.monotonic(), 0.0))
        return self._answers[0] if self._answers else Unseen(f"there was no answer in {self._seconds_max:g} s")

    def _run(self) -> None:
        self._answers.append(seen(self._ask))


def seen(ask: Callable[[], _T]) -> _T | Unseen:
    """Ask, and take any failure as an answer."""
    try:
        return ask()
    except DeepNodeError as error:
        return Unseen(_line(str(error)))
    except psycopg.Error as error:
        # The server's own words, which hold no secret; the driver's might.
        return Unseen(f"the database refused: {_line(error.diag.message_primary or type(error).__name__)}")
    except Exception as error:  # noqa: BLE001 (whatever happens to one question must not end the others)
        return Unseen(f"it failed with {type(error).__name__}")


def look(settings: Settings, *, seconds_max: float) -> Looks:
    """Look at everything that the settings name; at nothing for longer than ``seconds_max``."""
    manifest = _manifest(settings)
    database = settings.database
    no_database = not_given("--database")

    def of_database(ask: Callable[[str], _T]) -> Callable[[], _T | Unseen]:
        if not database:
            return lambda: no_database
        question = _Question(lambda: ask(database), seconds_max)
        return question.answer

    state = of_database(lambda url: look_at(url, timeout_seconds=seconds_max))
    log = of_database(lambda url: look_at_log(url, timeout_seconds=seconds_max))
    producers = of_database(lambda url: look_at_producers(url, timeout_seconds=seconds_max))
    books = of_database(look_at_books)
    nodes, wrong = _nodes(settings, manifest, seconds_max)
    key = _key(settings.log_key)
    checkpoint = _checkpoint(settings.log_directory, key)
    seen_database, seen_log, seen_producers, seen_books = state(), log(), producers(), books()
    why_not = _why_no_log(seen_database)
    return Looks(
        seen_database,
        seen_log if why_not is None else why_not,
        seen_producers if why_not is None else why_not,
        seen_books if why_not is None else why_not,
        manifest,
        nodes(),
        key,
        checkpoint,
        settings.level,
        wrong,
    )


def _why_no_log(database: DatabaseState | Unseen) -> Unseen | None:
    """Say why nothing can be said of the log, where that is told by another finding already."""
    if isinstance(database, Unseen):
        return Unseen("see database", is_bad=False) if database.is_bad else database
    if not database.is_log_there or database.tables_version != VERSION:
        return Unseen("see database-tables", is_bad=False)
    return None


def _manifest(settings: Settings) -> Manifest | Unseen:
    path = settings.manifest
    return not_given("--manifest") if path is None else seen(lambda: load_manifest(path))


def _nodes(
    settings: Settings, manifest: Manifest | Unseen, seconds_max: float
) -> tuple[Callable[[], tuple[NodeLook, ...] | Unseen], tuple[str, ...]]:
    """Begin to ask every provider; return how to get the answers, and what is wrong with the other values."""
    if not settings.rpc:
        return lambda: not_given("--rpc"), ()
    wrong: list[str] = []
    begun: list[Callable[[], NodeLook]] = []
    for place, text in enumerate(settings.rpc, start=1):
        named, url = chain_and_url(text)
        try:
            where = shown(url)
        except BadInput as error:
            wrong.append(f"--rpc number {place}: {error}")
            continue
        if isinstance(manifest, Unseen):
            chain_id = named
        else:
            chain_id = manifest.chain_id if named is None else named
            if chain_id not in manifest.chains:
                known = ", ".join(map(str, manifest.chains))
                wrong.append(f"--rpc {chain_id}={where}: the manifest is about the chains {known}")
                continue
        # Two may share a host, so the place tells them apart.
        about = f"{place}: {where}" if chain_id is None else f"{place}: {where} (chain {chain_id})"
        begun.append(_node(about, chain_id, url, seconds_max))
    return lambda: tuple(node() for node in begun), tuple(wrong)


def _node(about: str, chain_id: int | None, url: str, seconds_max: float) -> Callable[[], NodeLook]:
    identity = _Question(lambda: node_state.identity(url), seconds_max)
    heights = _Question(lambda: node_state.heights(url), seconds_max)
    batches = _Question(lambda: node_state.batches(url), seconds_max)
    proof = _Question(lambda: node_state.proof(url), seconds_max)
    heads = (
        _Question(lambda: node_state.tells_heads(url, seconds_max=seconds_max), seconds_max)
        if urlsplit(url).scheme in ("ws", "wss")
        else None
    )
    return lambda: NodeLook(
        about,
        chain_id,
        identity.answer(),
        heights.answer(),
        batches.answer(),
        proof.answer(),
        None if heads is None else heads.answer(),
    )


def _key(file: Path | None) -> KeyLook | Unseen:
    if file is None:
        return not_given("--log-key")
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
    except OSError as error:
        return Unseen(f"the key file {file} cannot be read: {error.strerror}")
    return KeyLook(str(file), mode, seen(lambda: str(load_signer(file).verifier)))


def _checkpoint(directory: Path | None, key: KeyLook | Unseen) -> CheckpointLook | Unseen:
    if directory is None:
        return not_given("--log-directory")
    text = seen(lambda: PublishedFiles(directory).checkpoint())
    if isinstance(text, Unseen):
        return text
    if text is None:
        return CheckpointLook(str(directory), None, None)
    verifier = None if isinstance(key, Unseen) or isinstance(key.verifier, Unseen) else key.verifier
    try:
        if verifier is None:
            size = parse_head(parse_note(text).text).size
        else:
            size = open_checkpoint(text, Verifier.parse(verifier)).head.size
    except BadInput as error:
        return CheckpointLook(str(directory), None, None, _line(f"the checkpoint in {directory}: {error}"))
    return CheckpointLook(str(directory), size, None if verifier is None else True)


def _line(text: str) -> str:
    """A message in one line, as the drivers' are not."""
    return " ".join(text.split())
