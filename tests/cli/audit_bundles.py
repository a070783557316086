"""Bundles made of entries in memory, for tests of comparing: no database, some hundredths of a second each."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from deepnode_ledger.batch_versions import SCHEMA
from deepnode_ledger.bundle import ChainPart, EpochPart, layout
from deepnode_ledger.bundle.contents import Contents, encode
from deepnode_ledger.bundle.folder import locked
from deepnode_ledger.bundle.growing import grow, prove
from deepnode_ledger.bundle.reading import Consistency
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.transparency.checkpoint import TreeHead, sign_head
from deepnode_ledger.transparency.key import Signer

CHAIN_ID = 31_337
SIGNER = Signer("log.example/compared", bytes(range(32)))

Row = dict[str, Any]


def rows(count: int, seed: int = 1) -> list[Row]:
    """So many logs, one a block, each with data of its own."""
    drawn = random.Random(seed)
    return [
        {
            "position": number,
            "kind": 1,
            "chain_id": CHAIN_ID,
            "block_number": number,
            "block_hash": number.to_bytes(32, "big"),
            "block_time": 1_700_000_000 + 2 * number,
            "transaction_hash": drawn.randbytes(32),
            "transaction_index": 0,
            "log_index": 0,
            "address": b"\x11" * 20,
            "topic0": b"\x22" * 32,
            "data": drawn.randbytes(32),
        }
        for number in range(1, count + 1)
    ]


def renumbered(told: Sequence[Row]) -> list[Row]:
    """The same entries, with positions from 1 without a gap."""
    return [{**row, "position": number} for number, row in enumerate(told, 1)]


def bundle_of(
    folder: Path,
    told: Sequence[Row],
    *,
    epochs: Sequence[tuple[int, int, bytes]] = (),
    rulesets: Sequence[str] = (),
    manifest: bytes = bytes(32),
    signed: Sequence[Row] | None = None,
) -> Path:
    """Make a bundle of entries.

    Args:
        folder: where it goes.
        told: its entries.
        epochs: epoch, last position and state root of each.
        rulesets: the hashes of those that come with it.
        manifest: its digest.
        signed: the whole log of which the entries are the beginning, and which is signed.
    """
    whole = told if signed is None else signed
    batch = pa.RecordBatch.from_pylist(list(whole), schema=SCHEMA)
    with locked(folder) as made:
        made.begin()

        def read(first: int, last: int) -> Any:
            if first <= last:
                yield batch.slice(first - 1, last - first + 1)

        edge = grow(made, None, read, len(told), lambda _done, _of: None)
        if signed is not None:
            proof, root = prove(made, read, edge, len(signed))
            head = TreeHead(SIGNER.name, len(signed), root)
            made.put(layout.CHECKPOINT, str(sign_head(head, [SIGNER])).encode())
            consistency = Consistency(len(told), len(signed), tuple(proof))
            made.put(layout.CONSISTENCY, msgspec.json.encode(consistency, order="sorted") + b"\n")
            made.put(layout.CHECKPOINT_KEY, f"{SIGNER.verifier}\n".encode())
        for name in (layout.COVERAGE, layout.README, layout.MANIFEST):
            made.put(name, b"of no concern here")
        for each in rulesets:
            made.put(layout.ruleset_path(each), b"x")
        contents = Contents(
            layout.FORMAT,
            CHAIN_ID,
            to_hex(manifest),
            len(told),
            to_hex(edge.root),
            f"position:{len(told)}",
            None if signed is None else len(signed),
            (ChainPart(CHAIN_ID, to_hex(bytes(32)), 1, len(told), to_hex(len(told).to_bytes(32, "big"))),),
            tuple(EpochPart(epoch, position, to_hex(root)) for epoch, position, root in epochs),
            tuple(made.parts[name] for name in sorted(made.parts)),
        )
        made.finish(encode(contents))
    return folder
