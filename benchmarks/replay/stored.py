"""The replay's history on this machine: made once, kept as the log stores its batches, and put into a log.

It is kept in ``benchmarks/.cache``, by the text of what makes it: another text makes it anew. What is kept is no part
of the repository.
"""

import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

import pyarrow as pa
from benchmarks import marketplace
from benchmarks.marketplace import CHAIN_ID, FIRST_BLOCK, GENESIS, block_ref, write_manifest
from benchmarks.replay.deployment import CONTRACTS, Sizes
from benchmarks.replay.history import History
from benchmarks.replay.tasks import Meant
from eventsourcing.postgres import PostgresDatastore

from deepnode_ledger import chain as chains
from deepnode_ledger.batch import decode, encode
from deepnode_ledger.batch_versions import TOPIC
from deepnode_ledger.database import open_datastore
from deepnode_ledger.log import CHANNEL, Log
from deepnode_ledger.manifest import Manifest, load_manifest
from deepnode_ledger.record import Header
from deepnode_ledger.recorder import LogRecorder
from deepnode_ledger.sealing import cover, insert_sealed, note_sealing
from deepnode_projections import rulesets

CACHE: Final = Path(__file__).parents[1] / ".cache"

_FACTS: Final = "facts.json"


@dataclass(frozen=True, slots=True)
class Kept:
    """A history in a folder: its batches as files, in their order, and what it means to be refused and to differ."""

    folder: Path
    entries: int
    meant: Meant

    @property
    def manifest_file(self) -> Path:
        """The deployment's manifest."""
        return self.folder / "manifest" / "manifest.toml"

    @property
    def manifest(self) -> Manifest:
        """The deployment."""
        return load_manifest(self.manifest_file)

    @property
    def files(self) -> list[Path]:
        """The stored batches."""
        return sorted(self.folder.glob("*.batch"))

    def batches(self, entries: int | None = None) -> Iterator[pa.RecordBatch]:
        """Read the batches, up to so many entries in all."""
        left = self.entries if entries is None else entries
        for file in self.files:
            if left <= 0:
                return
            batch = decode(TOPIC, file.read_bytes())
            yield batch.slice(0, left)
            left -= batch.num_rows


def kept(sizes: Sizes, cache: Path = CACHE) -> Kept:
    """Return a history, which is made if it is not there."""
    folder = cache / f"replay-{sizes.entries}-{_digest(sizes)}"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".making-", dir=cache) as scratch:
            made = Path(scratch) / folder.name
            _make(made, sizes)
            # Under its final name there is a whole history or none; who comes second throws its own away.
            with suppress(OSError):
                made.rename(folder)
    return opened(folder)


def _make(folder: Path, sizes: Sizes) -> None:
    history = History(load_manifest(write_manifest(folder / "manifest", CONTRACTS)), sizes)
    for number, batch in enumerate(history.batches()):
        (folder / f"{number:06}.batch").write_bytes(encode(batch))
    facts = {"entries": sizes.entries, "meant": asdict(history.meant)}
    (folder / _FACTS).write_text(json.dumps(facts), encoding="utf-8")


def opened(folder: Path) -> Kept:
    """Return the history that is kept in a folder."""
    facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
    return Kept(folder, facts["entries"], Meant(**facts["meant"]))


def fill(url: str, history: Kept, entries: int | None = None) -> int:
    """Put a history, or so many entries of it, into an empty log as sealed batches; return how many these are.

    What producers have counted is not noted, nor any header but the last: no projection asks for them.
    """
    with closing(open_datastore(url)) as datastore:
        Log(datastore, CHAIN_ID).create(GENESIS, FIRST_BLOCK)
        return append(datastore, history.batches(entries))


def append(datastore: PostgresDatastore, batches: Iterable[pa.RecordBatch]) -> int:
    """Put batches behind what is in a log, in the log's own way; return how many entries these are."""
    recorder, total, last = LogRecorder(datastore), 0, block_ref(FIRST_BLOCK)
    for batch in batches:
        last = block_ref(batch.column("block_number")[batch.num_rows - 1].as_py())
        with datastore.transaction(commit=True) as cursor:
            recorder.lock(cursor)
            insert_sealed(cursor, recorder, [batch])
        total += batch.num_rows
    with datastore.transaction(commit=True) as cursor:
        recorder.lock(cursor)
        before = chains.load(cursor, CHAIN_ID)
        assert before is not None
        first = FIRST_BLOCK if before.tip is None else before.tip.number + 1
        chains.add_headers(cursor, CHAIN_ID, [Header(last, block_ref(last.number - 1).hash)])
        chains.set_tip(cursor, CHAIN_ID, last)
        chains.set_finalized(cursor, CHAIN_ID, last)
        cover(cursor, CHAIN_ID, first, last, "made up")
        note_sealing(cursor)
        cursor.execute(f"NOTIFY {CHANNEL}")
    return total


def _digest(sizes: Sizes) -> str:
    """Tell histories apart by all that makes them: their sizes, the ruleset, the text of this folder's other files."""
    digest, here = sha256(repr(sizes).encode() + rulesets.default().spec_hash), Path(__file__)
    for file in (*sorted(here.parent.glob("*.py")), Path(marketplace.__file__)):
        digest.update(file.read_bytes() if file.name != here.name else b"")
    return digest.hexdigest()[:12]
