"""A forger of bundles: changes what he likes, and makes what follows from it fit as far as he cares to.

All of it happens in one working copy, and ``restore`` puts back what was changed. A file's hash in ``bundle.json``, the
tiles and the root he can make anew; what he cannot make is the log's signature.
"""

import hashlib
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from deepnode_ledger import leaf
from deepnode_ledger.batch_versions import SCHEMA
from deepnode_ledger.bundle import Contents, FilePart, contents, log_file, open_bundle
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.record import Kind
from deepnode_ledger.transparency import Edge, leaf_hashes

LOG = "log/000/000/000.arrow"
LIST = "bundle.json"


class Forger:
    """Works on a copy of a bundle that has one log file."""

    def __init__(self, honest: Path, work: Path) -> None:
        shutil.copytree(honest, work)
        self.path = work
        with open_bundle(work) as bundle:
            self.contents = bundle.contents
            [self.entries] = [pa.concat_batches(list(bundle.batches()))]
            self.names = [LIST, *bundle.names()]
        self._originals = {name: (work / name).read_bytes() for name in self.names}
        self._changed: set[str] = set()

    def original(self, name: str) -> bytes:
        """A file's bytes as they were."""
        return self._originals[name]

    def named(self, prefix: str) -> list[str]:
        """The files whose names begin so."""
        return [name for name in self.names if name.startswith(prefix)]

    def put(self, name: str, data: bytes | None) -> None:
        """Write a file, or delete it (None)."""
        self._changed.add(name)
        path = self.path / name
        path.unlink(missing_ok=True)
        if data is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def relist(self, **changes: Any) -> Contents:
        """Write ``bundle.json`` for the files that are there, and with other values if some are given."""
        gone = {name for name in self._changed if not (self.path / name).exists()}
        listed = {each.path: each for each in self.contents.files if each.path not in gone}
        for name in self._changed - gone - {LIST}:
            data = (self.path / name).read_bytes()
            listed[name] = FilePart(name, len(data), hashlib.sha256(data).hexdigest())
        files = tuple(listed[name] for name in sorted(listed))
        made = msgspec.structs.replace(self.contents, files=files, **changes)
        self.put(LIST, contents.encode(made))
        return made

    def put_entries(self, entries: pa.RecordBatch) -> None:
        """Write the log file anew, and its hash; tiles and roots stay."""
        path = self.path / LOG
        self.put(LOG, b"")
        log_file.write(path, log_file.cut([entries]))
        self.relist()

    def rehash(self, entries: pa.RecordBatch, **changes: Any) -> None:
        """Write log file, tiles, root and list for other entries: all but what is signed."""
        self.put(LOG, b"")
        log_file.write(self.path / LOG, log_file.cut([entries]))
        edge, tiles = Edge().extend(leaf_hashes(leaf.entries(entries)))
        for name in self.named("tile/"):
            self.put(name, None)
        for tile, data in tiles:
            self.put(tile.path, data)
        ends = changes.pop("epochs", tuple(e for e in self.contents.epochs if e.position <= edge.size))
        self.relist(root=to_hex(edge.root), entries=edge.size, epochs=ends, **changes)

    def restore(self) -> None:
        """Put back what was changed."""
        for name in self._changed:
            path = self.path / name
            path.unlink(missing_ok=True)
            if name in self._originals:
                path.write_bytes(self._originals[name])
        self._changed.clear()

    @contextmanager
    def at_work(self) -> Iterator["Forger"]:
        """Restore the copy in the end."""
        try:
            yield self
        finally:
            self.restore()


def with_cell(entries: pa.RecordBatch, row: int, column: str, value: Any) -> pa.RecordBatch:
    """The entries with another value in one place."""
    at = entries.schema.get_field_index(column)
    values = entries.column(at).to_pylist()
    values[row] = value
    return entries.set_column(at, SCHEMA.field(at), pa.array(values, SCHEMA.field(at).type))


def arranged(entries: pa.RecordBatch, rows: Sequence[int]) -> pa.RecordBatch:
    """The rows in another order, some of them left out or twice, at positions from 1 on."""
    taken = entries.take(pa.array(rows, pa.int64()))
    positions = pa.array(np.arange(1, len(rows) + 1, dtype=np.int64))
    return taken.set_column(0, SCHEMA.field(0), positions)


def flipped(data: bytes, at: int, by: int = 1) -> bytes:
    """The bytes with another one at a place."""
    return data[:at] + bytes([data[at] ^ by]) + data[at + 1 :]


def altered(entries: pa.RecordBatch, row: int, rng: Random, columns: tuple[str, ...] | None = None) -> pa.RecordBatch:
    """The entries with another value in one column of a row that has one there."""
    given = [name for name in entries.schema.names if entries.column(name)[row].as_py() not in (None, b"")]
    hashed = [name for name in given if name not in ("position", "task")]
    column = rng.choice([name for name in hashed if columns is None or name in columns] or hashed)
    value = entries.column(column)[row].as_py()
    other: Any
    if isinstance(value, bytes):
        other = flipped(value, rng.randrange(len(value)), 1 << rng.randrange(8))
    elif isinstance(value, str):
        other = value + rng.choice("abc")
    else:
        other = value + rng.randrange(1, 4) if column != "kind" else 3 - value
    return with_cell(entries, row, column, other)


def logs_with_data(entries: pa.RecordBatch) -> list[int]:
    """Rows of chain logs with data."""
    kinds, data = entries.column("kind").to_pylist(), entries.column("data").to_pylist()
    return [row for row, (kind, held) in enumerate(zip(kinds, data, strict=True)) if kind == Kind.CHAIN_LOG and held]


def other_value(data: bytes, rng: Random) -> bytes:
    """A ruleset with another first character in the value of one of its fields; the summary is no rule."""
    lines = data.decode().split("\n")
    fields = [number for number, line in enumerate(lines) if re.match(r'(?!summary)\w+ = "?\w', line)]
    number = rng.choice(fields)
    name, _, value = lines[number].partition(" = ")
    place = 1 if value.startswith('"') else 0
    other = rng.choice([letter for letter in "123456789" if letter != value[place]])
    lines[number] = f"{name} = {value[:place]}{other}{value[place + 1 :]}"
    return "\n".join(lines).encode()
