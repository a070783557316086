"""Figures: amounts, values and times as people and spreadsheets read them, by integer arithmetic alone."""

from datetime import UTC, datetime
from typing import Final

FIAT_DECIMALS: Final = 6
"""Values are in millionths of a unit of fiat money."""


def exact(amount: int, decimals: int) -> str:
    """Write base units in whole tokens with all decimals: ``-0.000000000000000001``."""
    whole, fraction = divmod(abs(amount), 10**decimals)
    sign = "-" if amount < 0 else ""
    return f"{sign}{whole}.{fraction:0{decimals}}" if decimals else f"{sign}{whole}"


def short(amount: int, decimals: int) -> str:
    """Write base units in whole tokens, without zeros at the end of the fraction."""
    written = exact(amount, decimals)
    return written.rstrip("0").rstrip(".") if decimals else written


def utc(time: int) -> str:
    """Write a time (seconds since 1970) as ISO 8601 in UTC."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def day(time: int) -> str:
    """Write the UTC day of a time (seconds since 1970)."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d")
