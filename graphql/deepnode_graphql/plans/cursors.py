"""Writing the cursors of a page: what ``Order.encode`` writes, for all rows at once."""

import base64
from collections.abc import Callable, Sequence
from json.encoder import encode_basestring_ascii
from typing import Any

from sqlalchemy import Boolean, ColumnElement, LargeBinary, Text

from deepnode_graphql.cursors import Order
from deepnode_graphql.plans.output import Page


def cursors(order: Order, page: Page) -> list[str]:
    """Return the cursor of each row of a page, which has the columns of the order."""
    head = "[" + encode_basestring_ascii(order.name) + ","
    values = [map(_json_of(column), page.columns[str(column.key)]) for column in order.key]
    texts = [head + ",".join(each) + "]" for each in zip(*values, strict=True)]
    return [base64.urlsafe_b64encode(text.encode()).decode().rstrip("=") for text in texts]


def of_rows(order: Order, page: Page, numbers: Sequence[int]) -> list[str]:
    """Return the cursors of some rows alone."""
    names = [str(column.key) for column in order.key]
    some = {name: [page.columns[name][number] for number in numbers] for name in names}
    return cursors(order, Page(len(numbers), some, page.sealed_position, page.tokens))


def _json_of(column: ColumnElement[Any]) -> Callable[[Any], str]:
    match column.type:
        case LargeBinary():
            return lambda value: f'"0x{value.hex()}"'
        case Boolean():
            return lambda value: "true" if value else "false"
        case Text():
            return encode_basestring_ascii
    # Numbers, and amounts, which come as the text of their digits.
    return str
