"""Bundles of more than one log file, written without a database: what happens at their border is what is of interest.

Blocks have two logs each; some entries beside the border are task events, with signatures of a key that the manifest
names.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

import pyarrow as pa
from eth_keys.datatypes import PrivateKey

from deepnode_ledger import leaf
from deepnode_ledger.batch import Row, from_rows, row_of
from deepnode_ledger.bundle import ChainPart, Contents, FilePart, contents, layout, log_file
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import load_manifest
from deepnode_ledger.record import BlockRef, ChainLog, TaskEvent
from deepnode_ledger.task_signature import Scheme, signed_hash
from deepnode_ledger.transparency import Edge, leaf_hashes
from tests.ledger.bundle.bundles import write_manifest
from tests.ledger.histories import CHAIN_ID, FIRST_BLOCK, GENESIS, TOKEN, word

BORDER: Final = layout.LOG_FILE_ENTRIES
KEY: Final = PrivateKey(b"\x07" * 32)
PRODUCER: Final = "urn:deepnode:validator"


def block(number: int) -> BlockRef:
    """The block at a height."""
    return BlockRef(number, word("block", number), 1_700_000_000 + 2 * number)


def log_row(position: int, number: int, index: int) -> Row:
    """A transfer in a block."""
    topics = (b"\x11" * 32, position.to_bytes(32), b"\x22" * 32)
    record = ChainLog(word(position), index, index, TOKEN, topics, position.to_bytes(32))
    return row_of(position, CHAIN_ID, block(number), record)


def task_row(position: int, number: int, event_id: str, sequence: int) -> Row:
    """A task event under a block, as its producer signs it."""
    said = {
        "specversion": "1.0", "id": event_id, "source": PRODUCER, "type": "TaskCreated", "time": "2026-01-31T12:00:00Z",
        "sequence": str(sequence), "data": {"task": "t"},
    }  # fmt: skip
    payload = json.dumps(said).encode()
    signed = KEY.sign_msg_hash(signed_hash(Scheme.EIP191, payload, CHAIN_ID))
    signature = signed.to_bytes()[:64] + bytes([27 + signed.v])
    record = TaskEvent(PRODUCER, event_id, sequence, "TaskCreated", payload, signature)
    return row_of(position, CHAIN_ID, block(number), record)


def entries_of(entries: int, others: Mapping[int, Row] | None = None) -> pa.RecordBatch:
    """So many entries, two logs a block; ``others`` stand in the place of some of them, by position."""
    batch = _plain(BORDER + 300 if entries > 1_000 else 1_000).slice(0, entries)
    parts, at = [], 0
    for position, row in sorted((others or {}).items()):
        parts += [batch.slice(at, position - 1 - at), from_rows([row])]
        at = position
    return pa.concat_batches([*parts, batch.slice(at)])


@cache
def _plain(entries: int) -> pa.RecordBatch:
    return from_rows([log_row(at, FIRST_BLOCK + (at - 1) // 2, (at - 1) % 2) for at in range(1, entries + 1)])


def write(path: Path, batch: pa.RecordBatch) -> Path:
    """Write a bundle of entries, all of whose hashes fit."""
    folder = path / "manifest"
    folder.mkdir(parents=True)
    manifest = write_manifest(folder)
    with manifest.open("a") as file:
        key = to_hex(KEY.public_key.to_canonical_address())
        file.write(f'[[producers]]\nid = "{PRODUCER}"\nkey = "{key}"\n')
    edge, tiles = Edge().extend(leaf_hashes(leaf.entries(batch)))
    for each in layout.log_files(batch.num_rows):
        name = path / each.path
        name.parent.mkdir(parents=True, exist_ok=True)
        log_file.write(name, log_file.cut([batch.slice(each.first - 1, each.last - each.first + 1)]))
    for tile, data in tiles:
        (path / tile.path).parent.mkdir(parents=True, exist_ok=True)
        (path / tile.path).write_bytes(data)
    (path / "README.md").write_text("read me")
    (path / "coverage.json").write_text("{}")
    files = []
    for file_path in sorted(each for each in path.rglob("*") if each.is_file()):
        data = file_path.read_bytes()
        files.append(FilePart(str(file_path.relative_to(path)), len(data), hashlib.sha256(data).hexdigest()))
    last = _last(batch)
    digest = to_hex(load_manifest(manifest).digest)
    made = Contents(
        layout.FORMAT, CHAIN_ID, digest, batch.num_rows, to_hex(edge.root), "sealed", None,
        (ChainPart(CHAIN_ID, to_hex(GENESIS), FIRST_BLOCK, last.number, to_hex(last.hash)),), (),
        tuple(sorted(files, key=lambda part: part.path)),
    )  # fmt: skip
    (path / "bundle.json").write_bytes(contents.encode(made))
    return path


def _last(batch: pa.RecordBatch) -> BlockRef:
    row = batch.num_rows - 1
    return BlockRef(*(batch.column(name)[row].as_py() for name in ("block_number", "block_hash", "block_time")))
