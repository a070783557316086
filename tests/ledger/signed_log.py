"""A log that lived and was signed: what the tests of checks, backups and restores begin with."""

from pathlib import Path

from deepnode_ledger import leaf
from deepnode_ledger.evidence import Evidence, EvidenceKind, Hold
from deepnode_ledger.log import Log
from deepnode_ledger.record import Header, TaskEvent
from deepnode_ledger.snapshot import snapshot
from deepnode_ledger.transparency import (
    Edge,
    Signer,
    TreeHead,
    WitnessSigner,
    bundles_of,
    encode_bundle,
    leaf_hashes,
    sign_head,
    tiles_of,
)
from deepnode_ledger.transparency.tile import WIDTH
from tests.ledger.histories import FIRST_BLOCK, TOKEN, block, placed, ref, run, task

SIGNER = Signer.generate("log.example/deepnode")
WITNESS = WitnessSigner.generate("witness.example")


def header(number: int, branch: str = "a") -> Header:
    return Header(ref(number, branch), ref(number - 1, branch).hash)


def about(number: int) -> TaskEvent:
    """A task event that names its task."""
    return task(number, payload=b'{"data":{"task":"task-%d"}}' % number)


def live(log: Log) -> None:
    """Do all that a log does: backfill, follow, accept, seal, reorg. Seven batches, a tail, a row in every table."""
    log.enrol_contracts([(TOKEN, FIRST_BLOCK)])
    shown = Evidence(EvidenceKind.AGREEMENT, FIRST_BLOCK, 8, 4, "another", 12, b"\x01" * 32)
    log.append_finalized(FIRST_BLOCK, header(8), placed(run(5, 8, logs=3)), "range", evidence=[shown])
    log.append_finalized(9, header(9), placed(run(9, 9, logs=150)), "range")
    log.append_finalized(10, header(12), placed(run(10, 12, logs=60)), "another")
    log.extend(ref(12), run(13, 16, logs=2))
    log.accept([about(1), about(2)], {("topic", 0): 7})
    log.extend(ref(16), run(17, 18, logs=1))
    log.seal(ref(16))
    log.accept([about(3)])
    log.extend(ref(17), run(18, 20, branch="b", parent="a", logs=2))
    log.seal(ref(17))
    log.seal(ref(18, "b"))
    log.extend(ref(20, "b"), run(21, 22, branch="b", logs=1))
    log.seal(ref(20, "b"))
    log.accept([about(4), about(5)])
    log.extend(ref(22, "b"), [block(23, logs=3, branch="b"), block(24, branch="b"), block(25, logs=1, branch="b")])
    log.hold(Hold(90, 90, "two providers differ"))


def leaves(log: Log) -> list[bytes]:
    """The entries of the sealed part, as they enter the tree."""
    with snapshot(log.datastore) as view:
        sealed = view.head.sealed_position
        return [made for batch in view.read(1, sealed) for made in leaf.entries(batch)] if sealed else []


def sign(log: Log, size: int, directory: Path | None = None) -> str:
    """Sign the tree of so many entries, have it cosigned, store both, and publish it if a directory is given."""
    entries = leaves(log)[:size]
    edge, _ = Edge().extend(leaf_hashes(entries))
    head = TreeHead(SIGNER.name, size, edge.root)
    text = str(sign_head(head, [SIGNER]))
    line = WITNESS.cosign(str(head), 1_700_000_000)
    if directory is not None:
        publish(entries, directory)
        (directory / "checkpoint").write_text(f"{text}{line}")
    with log.datastore.transaction(commit=True) as cursor:
        cursor.execute("INSERT INTO log.checkpoint VALUES (%s, %s, %s)", (size, edge.root, text))
        cursor.execute("INSERT INTO log.cosignature VALUES (%s, %s, %s, %s)", (size, line.name, line.key_id, str(line)))
    return text


def publish(entries: list[bytes], directory: Path) -> None:
    """Write the files of a tree, from its hashes level by level."""
    level = leaf_hashes(entries)
    hashes = {0: level}
    for number in range(1, 3):
        whole = len(hashes[number - 1]) // WIDTH
        hashes[number] = [
            Edge().extend(hashes[number - 1][at * WIDTH : (at + 1) * WIDTH])[0].root for at in range(whole)
        ]
    for tile in tiles_of(len(entries)):
        write(directory / tile.path, b"".join(hashes[tile.level][tile.index * WIDTH :][: tile.width]))
    for bundle in bundles_of(len(entries)):
        write(directory / bundle.path, encode_bundle(entries[bundle.index * WIDTH :][: bundle.width]))


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
