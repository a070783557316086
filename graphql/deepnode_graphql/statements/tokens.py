"""The tokens of the books, as statements name them."""

from deepnode_graphql.reading import Reading
from deepnode_graphql.statements.statement import Token


def tokens_of(reading: Reading) -> dict[int, Token]:
    """Return the tokens by their ids in the books, in the order of the manifest."""
    return {number: Token(each.symbol, bytes(each.address), each.decimals) for number, each in reading.assets.items()}
