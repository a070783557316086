"""Output: from the columns of a statement to the objects of an answer, column by column.

A *writer* makes one value for each row. Writers of objects put together what the writers of their fields made, so an
answer of 100 rows calls each writer once and not a hundred times.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deepnode_graphql.amounts import format_amount
from deepnode_graphql.plans.marks import Unsupported

Column = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Token:
    """What is said of an asset."""

    symbol: str
    address: str
    decimals: int


@dataclass(frozen=True, slots=True)
class Page:
    """Rows by column, and what they are judged by. ``count`` is the number of rows."""

    count: int
    columns: Mapping[str, Column]
    sealed_position: int
    tokens: Mapping[int, Token]


Writer = Callable[[Page], Column]


def plain(name: str) -> Writer:
    """Write a column as it comes: numbers, texts, true and false, amounts as text; null where it is null."""
    return lambda page: page.columns[name]


def small(name: str) -> Writer:
    """Write a column of the schema's Int, which has 32 bits.

    The writer raises Unsupported beyond that.
    """

    def write(page: Page) -> Column:
        column = page.columns[name]
        if column and not (min(column) >= -(2**31) and max(column) < 2**31):
            raise Unsupported
        return column

    return write


def hexadecimal(name: str) -> Writer:
    """Write a column of bytes as 0x and digits."""
    return lambda page: ["0x" + each.hex() for each in page.columns[name]]


def hexadecimal_or_null(name: str) -> Writer:
    """Write a column of bytes; null where it is null."""
    return lambda page: [None if each is None else "0x" + each.hex() for each in page.columns[name]]


def hexadecimal_if_any(name: str) -> Writer:
    """Write a column of bytes; null where there are none."""
    return lambda page: ["0x" + each.hex() if each else None for each in page.columns[name]]


def constant(value: Any) -> Writer:
    """Write the same for each row."""
    return lambda page: [value] * page.count


def finality(name: str) -> Writer:
    """Write whether what stands at the column's positions can still be taken back."""

    def write(page: Page) -> Column:
        sealed = page.sealed_position
        return ["SEALED" if each <= sealed else "PENDING" for each in page.columns[name]]

    return write


def of_token(attribute: str) -> Writer:
    """Write something that is said of the row's asset."""

    def write(page: Page) -> Column:
        said = {number: getattr(token, attribute) for number, token in page.tokens.items()}
        return [said[each] for each in page.columns["asset_id"]]

    return write


def formatted(name: str) -> Writer:
    """Write an amount in whole tokens of the row's asset, with the symbol."""

    def write(page: Page) -> Column:
        amounts, assets = page.columns[name], page.columns["asset_id"]
        tokens = [page.tokens[each] for each in assets]
        return [
            format_amount(int(amount), token.decimals, token.symbol)
            for amount, token in zip(amounts, tokens, strict=True)
        ]

    return write


def objects(fields: Mapping[str, Writer]) -> Writer:
    """Write objects with these fields, in this order."""
    names, writers = tuple(fields), tuple(fields.values())
    if len(names) == 1:
        [name], [writer] = names, writers
        return lambda page: [{name: each} for each in writer(page)]

    def write(page: Page) -> Column:
        columns = [each(page) for each in writers]
        return [dict(zip(names, values)) for values in zip(*columns, strict=True)]  # noqa: B905 # as long as names

    return write
