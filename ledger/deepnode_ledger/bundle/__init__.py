"""Bundles: the sealed log with all that an auditor needs to check it, as files that need no database to be read."""

from deepnode_ledger.bundle.contents import ChainPart, Contents, EpochPart, FilePart
from deepnode_ledger.bundle.layout import LogFile
from deepnode_ledger.bundle.reading import Bundle, Consistency, open_bundle

__all__ = ["Bundle", "ChainPart", "Consistency", "Contents", "EpochPart", "FilePart", "LogFile", "open_bundle"]
