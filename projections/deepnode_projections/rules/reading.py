"""Reading an event's values as the records can hold them.

A contract may say any ``uint64`` and any text; a record's number is below 2**63, its amount below 10**38, and a text
in PostgreSQL has no zero character. What a reference contract would never say must not stop the books: a number that is
too large has no effect, with the reason; a zero character becomes U+FFFD, the sign for what cannot be shown.
"""

from typing import Final

from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.posting import AMOUNT_LIMIT
from deepnode_projections.rules.scene import NoEffect

NUMBER_LIMIT: Final = 2**63
"""Numbers at or above this are refused by the books: they fit no BIGINT."""


def number(event: ChainEvent, name: str) -> int:
    """Return an argument that a record holds as ``int``: an epoch, a time, a version, a rate.

    Raises:
        NoEffect: it is 2**63 or more.
    """
    value = event.uint(name)
    if value >= NUMBER_LIMIT:
        raise NoEffect(f"{name} {value}: the books hold numbers below 2**63")
    return value


def amount(event: ChainEvent, name: str) -> int:
    """Return an argument that a record holds as ``Amount``: base units, weights, votes.

    Raises:
        NoEffect: it is 10**38 or more.
    """
    value = event.uint(name)
    if value >= AMOUNT_LIMIT:
        raise NoEffect(f"{name} {value}: the books hold amounts below 10**38")
    return value


def text(event: ChainEvent, name: str) -> str:
    """Return a text argument, such as a URI, as a table can hold it."""
    value = event.args[name]
    assert isinstance(value, str), (event.name, name, value)
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
