"""Page layout: tables set in rows of fixed-width text, cut into pages. Nothing is drawn here.

Columns of figures are as wide as their widest figure, so that none is ever broken and whoever searches the page's text
finds it whole. Columns of words share what is left and are wrapped.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from deepnode_graphql.statements.csv_files import written
from deepnode_graphql.statements.tables import Kind, Table

GAP: Final = 2
_TEXT_MIN: Final = 6
_HEAD_ROWS: Final = 4
"""What a table's title and names need at a page's end, with a row of it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of text on a page; ``strong`` for headings."""

    text: str
    strong: bool = False


def rows_of(table: Table, columns: Sequence[str], width: int) -> Iterator[Row]:
    """Yield a table's rows as text.

    Args:
        table: what to set.
        columns: the names of those that are shown, in this order.
        width: characters of a row.
    """
    places = [[name for name, _ in table.columns].index(name) for name in columns]
    kinds = [table.columns[place][1] for place in places]
    cells = [[_latin(written(row[place], table.columns[place][1])) for place in places] for row in table.rows]
    widths = _widths(columns, kinds, cells, width)
    yield from _set(list(columns), kinds, widths, strong=True)
    for row in cells:
        yield from _set(row, kinds, widths, strong=False)


def pages_of(rows: Iterable[Row], height: int) -> list[list[Row]]:
    """Cut rows into pages of at most ``height``.

    A heading does not end a page, and a table that goes on over the page begins there with its headings again. An empty
    row ends a table.
    """
    pages: list[list[Row]] = [[]]
    heads: list[Row] = []
    is_head = False
    for row in rows:
        if row.strong:
            heads = [*heads, row] if is_head else [row]
        is_head = row.strong
        if len(pages[-1]) >= height or (row.strong and len(heads) == 1 and len(pages[-1]) >= height - _HEAD_ROWS):
            pages.append([] if row.strong or not row.text else list(heads))
        if row.text or pages[-1]:
            pages[-1].append(row)
        if not row.text:
            heads = []
    return pages


def _set(cells: Sequence[str], kinds: Sequence[Kind], widths: Sequence[int], *, strong: bool) -> Iterator[Row]:
    wrapped = [_wrapped(cell, width) for cell, width in zip(cells, widths, strict=True)]
    for number in range(max(len(each) for each in wrapped)):
        parts = [
            part.rjust(width) if kind in (Kind.AMOUNT, Kind.FIAT, Kind.WHOLE) else part.ljust(width)
            for part, kind, width in (
                (each[number] if number < len(each) else "", kind, width)
                for each, kind, width in zip(wrapped, kinds, widths, strict=True)
            )
        ]
        yield Row((" " * GAP).join(parts).rstrip(), strong)


def _wrapped(text: str, width: int) -> list[str]:
    if len(text) <= width:
        return [text]
    made, line = [], ""
    for word in text.split(" "):
        rest = word
        if line and len(line) + 1 + len(rest) <= width:
            line = f"{line} {rest}"
            continue
        if line:
            made.append(line)
        while len(rest) > width:
            made.append(rest[:width])
            rest = rest[width:]
        line = rest
    return [*made, line]


def _widths(names: Sequence[str], kinds: Sequence[Kind], rows: Sequence[Sequence[str]], width: int) -> list[int]:
    natural = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    words = [place for place, kind in enumerate(kinds) if kind is Kind.TEXT]
    room = width - GAP * (len(names) - 1) - sum(each for place, each in enumerate(natural) if place not in words)
    # The narrow ones get what they need; the others share the rest alike.
    for left, place in enumerate(sorted(words, key=lambda each: natural[each])):
        share = max(room // (len(words) - left), _TEXT_MIN)
        natural[place] = min(natural[place], share)
        room -= natural[place]
    return natural


def _latin(text: str) -> str:
    """Return what the pages' font can show; one sign stands for what it cannot."""
    shown = text.encode("latin-1", "replace").decode("latin-1")
    return "".join(each if each.isprintable() else " " for each in shown)
