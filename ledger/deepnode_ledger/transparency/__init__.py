"""The log's tree and what is said about it: hashes, tiles, checkpoints and proofs, as others' tools read them.

All of it is pure: bytes and numbers in, bytes and numbers out. There is no file, no database and no clock here, and
nothing is believed without a check: what comes from outside is read strictly, within limits, and refused with
``BadInput``.

Sources: RFC 6962 and RFC 9162 (section 2.1 of each), and C2SP's signed-note, tlog-checkpoint, tlog-tiles,
tlog-cosignature, tlog-proof and tlog-witness. Go's ``sumdb/note`` and ``sumdb/tlog`` judge it in the tests.
"""

from deepnode_ledger.transparency.checkpoint import Checkpoint, TreeHead, open_checkpoint, parse_head, sign_head
from deepnode_ledger.transparency.cosignature import Witness, WitnessSigner, add_cosignatures, time_of
from deepnode_ledger.transparency.edge import Edge, read_edge
from deepnode_ledger.transparency.inclusion import InclusionProof, parse_proof
from deepnode_ledger.transparency.key import Signer, Verifier
from deepnode_ledger.transparency.note import Note, NotSigned, Opened, Signature, open_note
from deepnode_ledger.transparency.tile import (
    Bundle,
    ReadTile,
    Tile,
    TileHashes,
    bundles_of,
    decode_bundle,
    encode_bundle,
    parse_path,
    tiles_of,
)
from deepnode_ledger.transparency.tree import (
    EMPTY_ROOT,
    NotProven,
    ReadHash,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    leaf_hashes,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from deepnode_ledger.transparency.witness import AddCheckpoint, parse_add_checkpoint, parse_size

__all__ = [
    "EMPTY_ROOT",
    "AddCheckpoint",
    "Bundle",
    "Checkpoint",
    "Edge",
    "InclusionProof",
    "NotProven",
    "NotSigned",
    "Note",
    "Opened",
    "ReadHash",
    "ReadTile",
    "Signature",
    "Signer",
    "Tile",
    "TileHashes",
    "TreeHead",
    "Verifier",
    "Witness",
    "WitnessSigner",
    "add_cosignatures",
    "bundles_of",
    "consistency_proof",
    "decode_bundle",
    "encode_bundle",
    "inclusion_proof",
    "leaf_hash",
    "leaf_hashes",
    "open_checkpoint",
    "open_note",
    "parse_add_checkpoint",
    "parse_head",
    "parse_path",
    "parse_proof",
    "parse_size",
    "read_edge",
    "root_of",
    "sign_head",
    "tiles_of",
    "time_of",
    "verify_consistency",
    "verify_inclusion",
]
