"""Proofs from the published files alone: no database and no key is needed to make one, and none is believed."""

from deepnode_ledger.errors import BadInput, Damaged
from deepnode_ledger.publishing.directory import CHECKPOINT, PublishedFiles
from deepnode_ledger.transparency import (
    Bundle,
    InclusionProof,
    NotProven,
    TileHashes,
    decode_bundle,
    inclusion_proof,
    leaf_hash,
    parse_head,
    verify_inclusion,
)
from deepnode_ledger.transparency.note import parse
from deepnode_ledger.transparency.tile import WIDTH


def prove(files: PublishedFiles, position: int) -> tuple[InclusionProof, bytes]:
    """Prove that the entry at a position is in the published tree.

    The proof leads from the entry to the root that the checkpoint says; whether the log has signed that checkpoint is
    for the one to find out who verifies the proof with the log's key.

    Returns:
        The proof, and the entry's bytes, which are not in it.

    Raises:
        BadInput: nothing is published, or the tree does not reach the position.
        Damaged: a file is missing, or is not what the checkpoint says; the message names it.
    """
    checkpoint = files.checkpoint()
    if checkpoint is None:
        raise BadInput(f"{files.path} holds no {CHECKPOINT}: nothing is published there")
    try:
        head = parse_head(parse(checkpoint).text)
    except BadInput as error:
        raise Damaged(f"{files.path / CHECKPOINT} is no checkpoint: {error}") from error
    if not 1 <= position <= head.size:
        raise BadInput(f"positions 1 to {head.size} are published in {files.path}, {position} is not")
    index = position - 1
    entry = _entry(files, index, head.size)
    hashes = inclusion_proof(index, head.size, TileHashes(head.size, files.read_tile))
    try:
        verify_inclusion(leaf_hash(entry), index, head.size, head.root, hashes)
    except NotProven as error:
        raise Damaged(f"the files in {files.path} contradict their checkpoint: {error}") from error
    return InclusionProof(index, tuple(hashes), checkpoint), entry


def _entry(files: PublishedFiles, index: int, size: int) -> bytes:
    number, place = divmod(index, WIDTH)
    found, data = files.read_bundle(Bundle(number, min(WIDTH, size - number * WIDTH)))
    try:
        return decode_bundle(data, found.width)[place]
    except BadInput as error:
        raise Damaged(f"{files.path / found.path} cannot be read: {error}") from error
