"""Asking for many things by one statement: what is asked for stands in it as a table of its own, numbered."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ARRAY, Row, TableValuedAlias, bindparam, column, func
from sqlalchemy.types import TypeEngine

NUMBER: Final = "asked_number"
"""The column that numbers what is asked for, from 1."""


def asked_for(columns: Mapping[str, TypeEngine[Any]], rows: Sequence[Sequence[Any]]) -> TableValuedAlias:
    """Return a table of the rows, with their number in ``NUMBER``.

    Args:
        columns: the columns' names and types.
        rows: at least one, each with a value for each column.
    """
    assert rows, "ask for something"
    lists = zip(*rows, strict=True)
    arrays = (
        bindparam(None, list(each), ARRAY(of), unique=True) for each, of in zip(lists, columns.values(), strict=True)
    )
    return (
        func.unnest(*arrays)
        .table_valued(*(column(name, of) for name, of in columns.items()), with_ordinality=NUMBER)
        .render_derived(name="asked")
    )


def by_number(rows: Iterable[Row[Any]], count: int) -> list[list[Row[Any]]]:
    """Sort the rows of an answer by what they were asked for with, keeping their order."""
    found: list[list[Row[Any]]] = [[] for _ in range(count)]
    for row in rows:
        found[getattr(row, NUMBER) - 1].append(row)
    return found
