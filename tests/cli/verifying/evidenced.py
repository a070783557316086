"""Bundles of a devnet with the evidence of its node, and hands that change them so that every list still fits.

A forger who cannot sign can still change a file and write its new hash into ``bundle.json``. So these changes are found
by the chain's evidence or not at all.
"""

import hashlib
import itertools
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from deepnode_cli.bundling.evidence import gather
from deepnode_cli.verifying.chain_evidence import STAGE, chain_evidence
from deepnode_cli.verifying.driving import Planned, verify
from deepnode_cli.verifying.finding import Brought, Outcome
from deepnode_indexer.devnet.anvil import Anvil
from deepnode_indexer.devnet.deployment import deploy
from deepnode_indexer.devnet.economy import Economy
from deepnode_indexer.evidence.kept import HEADERS, RECEIPTS, Writer
from deepnode_indexer.pool import Providers
from deepnode_indexer.provider import Provider
from deepnode_indexer.rpc import JsonRpc
from deepnode_ledger.bundle import FilePart, contents
from deepnode_ledger.bundle.writing import Order, create
from deepnode_ledger.database import url_of
from deepnode_ledger.manifest import load_manifest
from deepnode_ledger.transparency import tiles_of
from tests.e2e.real_parts import Devnet, open_ledger
from tests.ledger import signed_log
from tests.ledger.bundle.bundles import sealed_entries

BLOCKS = 110

Row = dict[str, Any]


@contextmanager
def devnet_bundle(url: str, folder: Path) -> Iterator[tuple[Devnet, Path]]:
    """A devnet that played, and the bundle of its final part with the node's evidence; needs an empty database."""
    with Anvil.start() as node:
        deployment = deploy(node.url, folder / "devnet")
        devnet = Devnet(node, deployment, Economy(node.url, deployment, seed=7), load_manifest(deployment.manifest))
        devnet.play(BLOCKS)
        ledger = open_ledger(url, node.url, devnet.manifest, seal_entries=1)
        try:
            list(ledger.follower.sync())
            size = sealed_entries(ledger.log)
            signed_log.sign(ledger.log, size)
            nodes = {devnet.manifest.chain_id: node.url}
            make(url_of(ledger.log.datastore), folder / "bundle", deployment.manifest, size, nodes)
        finally:
            ledger.close()
        yield devnet, folder / "bundle"


def make(url: str, path: Path, manifest_path: Path, entries: int, nodes: Mapping[int, str]) -> None:
    """Make a bundle with the evidence of a node of each chain (URLs by chain id)."""
    manifest = load_manifest(manifest_path)
    providers = {chain_id: Providers([Provider(JsonRpc(node), manifest, chain_id)]) for chain_id, node in nodes.items()}
    create(
        url,
        path,
        Order(f"position:{entries}", entries, manifest_path, verifier=signed_log.SIGNER.verifier),
        gather=lambda directory, chains, batches: gather(directory, manifest, chains, batches, providers),
    )


def examined(path: Path, brought: Brought | None = None, jobs: int = 1) -> Outcome:
    """Verify the chain's evidence of a bundle alone."""
    return verify(path, [Planned(STAGE, chain_evidence)], brought or Brought(), jobs=jobs)


def copied(path: Path, to: Path) -> Path:
    """A copy of a bundle to change."""
    return shutil.copytree(path, to)


def rewrite(path: Path, name: str, change: Callable[[list[Row]], Any]) -> None:
    """Change the rows of an Arrow file of a bundle, and its hash in ``bundle.json``.

    ``change`` may change the list, or return another one.
    """
    with pa.OSFile(str(path / name)) as file:
        table = pa.ipc.open_file(file).read_all()
    rows = table.to_pylist()
    returned = change(rows)
    rows = returned if isinstance(returned, list) else rows
    if name.startswith("evidence/"):
        write_evidence(path / name, rows)
    else:
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        with pa.OSFile(str(path / name), "wb") as out, pa.ipc.new_file(out, table.schema, options=options) as writer:
            writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=table.schema))
    relist(path)


def write_evidence(path: Path, rows: Sequence[Row]) -> None:
    """Write the rows of a file of headers or receipts."""
    with path.open("wb") as out:
        writer = Writer(out, HEADERS if "headers" in path.name else RECEIPTS)
        for row in rows:
            writer.add(tuple(row.values()), 1)
        writer.close()


def relist(path: Path, *, added: Sequence[str] = (), **changes: Any) -> None:
    """Write ``bundle.json`` anew for the files that are there, with other values if some are given."""
    listed = contents.decode((path / "bundle.json").read_bytes())
    names = sorted({each.path for each in listed.files} | {*added})
    files = tuple(
        FilePart(name, len(data), hashlib.sha256(data).hexdigest())
        for name in names
        if (path / name).exists()
        for data in [(path / name).read_bytes()]
    )
    made = contents.encode(msgspec.structs.replace(listed, files=files, **changes))
    (path / "bundle.json").write_bytes(made)


def shorten(path: Path, entries: int) -> None:
    """Say in ``bundle.json`` that there are so many entries less; its tiles get names that fit, and nothing in them."""
    listed = contents.decode((path / "bundle.json").read_bytes())
    left = listed.entries - entries
    shutil.rmtree(path / "tile")
    names = [tile.path for tile in tiles_of(left)]
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(b"")
    relist(path, added=names, entries=left, checkpoint_size=left, epochs=())


def log_row(rows: list[Row], nth: int) -> int:
    """The row of a log that has another one of its block behind it, and data."""
    found = [
        row
        for row, (one, other) in enumerate(itertools.pairwise(rows))
        if one["kind"] == other["kind"] == 1 and one["block_number"] == other["block_number"] and one["data"]
    ]
    return found[nth]


def flipped(data: bytes, at: int = -1) -> bytes:
    """Bytes with one bit of them changed."""
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


def renumbered(rows: list[Row]) -> list[Row]:
    """Rows with positions that follow one another from 1 on."""
    for position, row in enumerate(rows, start=1):
        row["position"] = position
    return rows


def busy(rows: list[Row]) -> int:
    """The row of a receipt with logs in the middle of a block."""
    return next(row for row, each in enumerate(rows) if each["index"] > 0 and len(each["receipt"]) > 600)
