"""Publishing the sealed log: its tree as static files, signed checkpoints, witnesses."""

from deepnode_ledger.publishing.directory import Directory, PublishedFiles, is_kept
from deepnode_ledger.publishing.proof import prove
from deepnode_ledger.publishing.publisher import Published, Publisher
from deepnode_ledger.publishing.witnessing import Witnesses, WitnessFault, WitnessService

__all__ = [
    "Directory",
    "Published",
    "PublishedFiles",
    "Publisher",
    "WitnessFault",
    "WitnessService",
    "Witnesses",
    "is_kept",
    "prove",
]
