"""Bundles of small logs for the tests: a log in a real PostgreSQL that lived, was signed, and was made a bundle of.

``small_bundle(url, folder)`` needs an empty database (the fixture ``database_url``) and takes 0.3 seconds.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from deepnode_ledger.bundle import Bundle, EpochPart, open_bundle
from deepnode_ledger.bundle.writing import Created, Order, create
from deepnode_ledger.database import url_of
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.log import Log
from tests.ledger import signed_log
from tests.ledger.histories import CHAIN_ID, FIRST_BLOCK, GENESIS, TOKEN, opened

ABI = [
    {
        "type": "event",
        "name": "Transfer",
        "inputs": [
            {"name": "from", "type": "address", "indexed": True},
            {"name": "to", "type": "address", "indexed": True},
            {"name": "value", "type": "uint256", "indexed": False},
        ],
    }
]
VKEY = str(signed_log.SIGNER.verifier)


def write_manifest(folder: Path, *, abi: str = "abi/Token.json") -> Path:
    """The manifest of the logs of ``histories``: one token, whose ABI is in a folder beside it."""
    path = folder / "manifest.toml"
    (folder / abi).parent.mkdir(parents=True, exist_ok=True)
    (folder / abi).write_text(json.dumps(ABI))
    path.write_text(
        f'format = 1\nname = "small"\nversion = 1\n[chain]\nid = {CHAIN_ID}\ngenesis_hash = "{to_hex(GENESIS)}"\n'
        f'[[contracts]]\nname = "Token"\nkind = "Token"\naddress = "{to_hex(TOKEN)}"\nstart_block = {FIRST_BLOCK}\n'
        f'symbol = "DN"\ndecimals = 18\nabi = "{abi}"\n'
    )
    return path


def sealed_entries(log: Log) -> int:
    """How many entries are sealed."""
    return len(signed_log.leaves(log))


def made(
    log: Log, folder: Path, *, entries: int, manifest: Path, epochs: Sequence[EpochPart] = (), to: str | None = None
) -> Created:
    """Make a bundle of a log's first ``entries`` entries, which ``signed_log.SIGNER`` has signed or more."""
    asked = f"position:{entries}" if to is None else to
    order = Order(asked, entries, manifest, epochs=epochs, verifier=signed_log.SIGNER.verifier)
    return create(url_of(log.datastore), folder, order)


def small_bundle(url: str, folder: Path, *, behind: int = 0) -> Bundle:
    """A bundle in ``folder / "bundle"`` of a log that lived: 360 sealed entries, made up signatures of task events.

    ``behind``: by how many entries the bundle ends before the signed checkpoint, so that it needs a consistency proof.
    """
    with opened(url) as log:
        signed_log.live(log)
        size = sealed_entries(log)
        signed_log.sign(log, size)
        made(log, folder / "bundle", entries=size - behind, manifest=write_manifest(folder))
    return open_bundle(folder / "bundle")


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a directory, by its path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def value_of(kind: pa.DataType) -> object:
    """Some value of a column of the log."""
    if pa.types.is_integer(kind):
        return 1
    return b"\x01" * (kind.byte_width if pa.types.is_fixed_size_binary(kind) else 3)
