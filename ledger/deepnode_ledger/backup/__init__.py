"""Backups of a log: plain files that need no database to be read, and a log made from them again."""

from deepnode_ledger.backup.moment import PointInTime
from deepnode_ledger.backup.restoring import Restored, restore
from deepnode_ledger.backup.writing import BackedUp, backup

__all__ = ["BackedUp", "PointInTime", "Restored", "backup", "restore"]
