"""Checking a log: everything that can be rebuilt from its stored bytes is rebuilt and compared.

``fsck`` yields each ``Difference``; a log without one is what was written. What the bytes mean is not looked at here.
"""

from deepnode_ledger.fsck.check import fsck
from deepnode_ledger.fsck.difference import FINDINGS_MAX, Difference, Report

__all__ = ["FINDINGS_MAX", "Difference", "Report", "fsck"]
