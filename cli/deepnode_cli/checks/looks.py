"""What the doctor has looked at: everything that the checks judge, and nothing that they would have to wait for.

Where something could not be seen, its place holds an ``Unseen`` with the reason.
"""

from dataclasses import dataclass

from deepnode_cli.checks.finding import Unseen, not_given
from deepnode_indexer.level import Level
from deepnode_indexer.node_state import Batches, Heights, Identity, Proof
from deepnode_ledger.database_state import DatabaseState
from deepnode_ledger.log_state import LogState, ProducersState
from deepnode_ledger.manifest import Manifest
from deepnode_projections.books_state import BooksState

NO_DATABASE = not_given("--database")
NO_RPC = not_given("--rpc")
NO_MANIFEST = not_given("--manifest")
NO_KEY = not_given("--log-key")
NO_DIRECTORY = not_given("--log-directory")


@dataclass(frozen=True, slots=True)
class NodeLook:
    """One provider. ``about`` names it without secrets; ``chain_id`` is the chain that it is given for, if known.

    ``tells_heads`` is None for a URL over HTTP, which can tell of no heads.
    """

    about: str
    chain_id: int | None
    identity: Identity | Unseen
    heights: Heights | Unseen
    batches: Batches | Unseen
    proof: Proof | Unseen
    tells_heads: bool | Unseen | None = None


@dataclass(frozen=True, slots=True)
class KeyLook:
    """The log's key. ``mode``: the file's permissions; ``verifier``: the public half, as text."""

    file: str
    mode: int
    verifier: str | Unseen


@dataclass(frozen=True, slots=True)
class CheckpointLook:
    """The published checkpoint.

    ``size``: how many entries it is of, None if nothing is published yet; ``is_signed``: by the log's key, None if that
    is not given; ``fault``: why the checkpoint is not to be believed.
    """

    directory: str
    size: int | None
    is_signed: bool | None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Looks:
    """Everything that was looked at."""

    database: DatabaseState | Unseen = NO_DATABASE
    log: LogState | Unseen = NO_DATABASE
    producers: ProducersState | Unseen = NO_DATABASE
    books: BooksState | Unseen | None = NO_DATABASE
    manifest: Manifest | Unseen = NO_MANIFEST
    nodes: tuple[NodeLook, ...] | Unseen = NO_RPC
    key: KeyLook | Unseen = NO_KEY
    checkpoint: CheckpointLook | Unseen = NO_DIRECTORY
    level: Level = Level.HEADERS
    wrong_rpc: tuple[str, ...] = ()
    """What is wrong with ``--rpc`` values that name no provider."""

    def node_heights(self, chain_id: int) -> list[Heights]:
        """Return what the providers of a chain say of its height, as far as they answered."""
        nodes = () if isinstance(self.nodes, Unseen) else self.nodes
        return [node.heights for node in nodes if node.chain_id == chain_id and not isinstance(node.heights, Unseen)]
