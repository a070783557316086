"""Prices: what a token was worth in fiat money, by the price events that the log holds.

A price holds from its entry on until the next of the same source. One that was corrected counts with the right value,
one that was withdrawn not at all; which corrections count is said by a position, so that a statement can be made with
what is known today.
"""

from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

from deepnode_graphql.reading import Reading, driver_connection
from deepnode_graphql.statements.statement import FiatValue, Token
from deepnode_graphql.statements.tokens import tokens_of
from deepnode_ledger.errors import BadInput

_SOURCES: Final = (
    "SELECT DISTINCT source FROM price WHERE asset = ANY(%s) AND fiat = %s AND position <= %s ORDER BY source"
)
# A price's history has every observation once, and those that were corrected while they were the newest twice.
_PRICES: Final = """
    SELECT DISTINCT o.observed_position, CASE WHEN o.corrected_by IS NULL THEN o.value ELSE o.corrected_value END
    FROM price p JOIN observation o ON o.producer = p.producer AND o.event_id = p.event_id
    WHERE p.asset = %s AND p.fiat = %s AND p.source = %s AND p.position <= %s AND o.observed_position <= %s
        AND o.position <= %s AND (o.until IS NULL OR o.until > %s)
    ORDER BY o.observed_position"""


@dataclass(frozen=True, slots=True)
class Prices:
    """The prices of tokens in one fiat money by one source: for each token where each was told, and how high it is."""

    fiat: str
    source: str
    told: dict[Token, tuple[list[int], list[int]]]

    def value(self, token: Token, amount: int, position: int) -> FiatValue | None:
        """Return what an amount (base units, signed) was worth at a position; None if no price was known then."""
        positions, prices = self.told.get(token, ([], []))
        at = bisect_right(positions, position) - 1
        if at < 0:
            return None
        micros = micros_of(amount, prices[at], token.decimals)
        return FiatValue(self.fiat, micros, self.source, positions[at], prices[at])


def read_prices(reading: Reading, fiat: str, source: str | None, position: int, known_position: int) -> Prices:
    """Read the prices of all tokens told up to a position, as corrected up to another.

    Raises:
        BadInput: no source is named and there are several, or the fiat money or the source is none of the books'.
    """
    connection = driver_connection(reading.database)
    tokens = list(tokens_of(reading).values())
    addresses = [each.address for each in tokens]
    sources = [row[0] for row in connection.execute(_SOURCES, (addresses, fiat, known_position))]
    if source is None:
        if len(sources) != 1:
            raise BadInput(f"prices in {fiat!r:.20} have {len(sources)} sources, name one: {_listed(sources)}")
        [source] = sources
    if source not in sources:
        raise BadInput(f"{source!r:.80} has told no price in {fiat!r:.20}; these have: {_listed(sources)}")
    told = {}
    for token in tokens:
        wanted = (token.address, fiat, source, position, position, known_position, known_position)
        rows = [row for row in connection.execute(_PRICES, wanted) if row[1] is not None]
        told[token] = ([int(row[0]) for row in rows], [int(row[1]) for row in rows])
    return Prices(fiat, source, told)


def micros_of(amount: int, price_ppm: int, decimals: int) -> int:
    """Return an amount's value in millionths of the fiat unit, rounded half to even.

    Args:
        amount: base units, signed.
        price_ppm: millionths of the fiat unit for a whole token.
        decimals: of the token.
    """
    whole: int = 10**decimals
    quotient, rest = divmod(abs(amount) * price_ppm, whole)
    if 2 * rest > whole or (2 * rest == whole and quotient % 2):
        quotient += 1
    return -quotient if amount < 0 else quotient


def _listed(sources: list[str]) -> str:
    return ", ".join(f"{each!a:.80}" for each in sources[:20]) or "none"
