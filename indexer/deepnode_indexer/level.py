"""How much is asked for to show that a range of blocks is complete."""

from enum import StrEnum


class Level(StrEnum):
    """How much is asked for besides the logs. The names are settings."""

    ENDS = "ends"
    """The headers of a range's ends, and another provider if there is one."""
    HEADERS = "headers"
    """Every header, with its hash, its link to the one before and its bloom; the receipts of a sample of blocks."""
    RECEIPTS = "receipts"
    """Every header, and the receipts of every block."""
