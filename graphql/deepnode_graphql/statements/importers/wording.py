"""Wording: amounts, times, ids and descriptions as tools read them, by integer arithmetic alone.

Amounts are plain decimals without sign, exponent or thousands separator, exact to the base unit: 18 places for DN.
"""

from datetime import UTC, datetime
from typing import Final

from deepnode_graphql.statements.statement import Line, Statement
from deepnode_ledger.hexadecimal import to_hex

PLATFORM: Final = "DeepNode"
"""What the tools shall call the place that the money was in."""

ISO: Final = "%Y-%m-%d %H:%M:%S"
AMERICAN: Final = "%m/%d/%Y %H:%M:%S"

MICRO_DECIMALS: Final = 6


def quantity(amount: int, decimals: int, places_min: int = 0) -> str:
    """Write an amount of base units without its sign in whole units, with ``places_min`` decimal places at least."""
    whole, fraction = divmod(abs(amount), 10**decimals)
    digits = f"{fraction:0{decimals}}".rstrip("0") if fraction else ""
    digits = digits.ljust(places_min, "0")
    return f"{whole}.{digits}" if digits else str(whole)


def money(micros: int) -> str:
    """Write millionths of a fiat unit without their sign, with two decimal places at least."""
    return quantity(micros, MICRO_DECIMALS, places_min=2)


def received(line: Line, places_min: int = 0) -> tuple[str, str]:
    """Return amount and currency of what came in, two empty texts if it went out."""
    if line.amount < 0:
        return "", ""
    return quantity(line.amount, line.token.decimals, places_min), line.token.symbol


def sent(line: Line, places_min: int = 0) -> tuple[str, str]:
    """Return amount and currency of what went out, two empty texts if it came in."""
    if line.amount > 0:
        return "", ""
    return quantity(line.amount, line.token.decimals, places_min), line.token.symbol


def time_text(seconds: int, pattern: str = ISO) -> str:
    """Write seconds since 1970 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime(pattern)


def identity(line: Line) -> str:
    """Return what names a line and no other: its transaction, its entry's position and its leg."""
    return f"{to_hex(line.transaction_hash)}-{line.position}-{line.leg}"


def description(statement: Statement, line: Line) -> str:
    """Say what a tool has no column for: type, event, both sides, value, dates, token and the line's id.

    The contract is there because a tool may not know the token, or another of the same symbol.
    """
    other = f" {'from' if line.amount > 0 else 'to'} {line.counterparty}" if line.counterparty else ""
    parts = [f"{line.type.value} ({line.event}): {line.account}{other}"]
    if line.value is not None:
        value = line.value
        parts.append(f"{money(value.micros)} {value.fiat} by {value.source}, entry {value.price_position}")
    if line.dates is not None:
        dates = (
            ("accrued", line.dates.accrued),
            ("claimable", line.dates.claimable),
            ("received", line.dates.received),
        )
        told = [f"{name} {time_text(seconds)}" for name, seconds in dates if seconds is not None]
        parts += [", ".join(told) + " UTC"] if told else []
    if line.note:
        parts.append(line.note)
    parts.append(f"token {to_hex(line.token.address)} on chain {statement.chain_id}")
    parts.append(f"id {identity(line)}")
    return "; ".join(parts)
