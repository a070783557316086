"""An explanation as text for people, and as data for programs."""

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, Final

from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.explaining.explanation import Cell, Explanation, Step, Table
from deepnode_projections.explaining.places import LogPlace

BYTES_SHOWN: Final = 6
"""First bytes of an id in a table; the data have them all."""

ROWS_SHOWN: Final = 30
"""Rows of a table in text; the data have them all."""

LINE_CHARACTERS: Final = 112
"""How long a line of words may be. Ids and numbers are not broken."""


def as_text(explanation: Explanation, log: Sequence[LogPlace] = ()) -> str:
    """Lay an explanation out for people: numbered steps, and at the end what stands in the log."""
    title = _wrapped(explanation.title, "")
    lines = [*title, "=" * max(len(each) for each in title), f"By the books at position {explanation.position}.", ""]
    if not explanation.holds:
        lines += ["Not everything below adds up: the steps marked with (!) say what does not.", ""]
    for number, step in enumerate(explanation.steps, 1):
        lines += [*_step(number, step), ""]
    if log:
        head = ("position", "block", "block time", "what", "origin")
        rows = tuple((each.position, each.block_number, each.block_time, each.what, each.origin) for each in log)
        lines += ["Where it stands in the log", "", *table_lines(Table(head, rows), rows_shown=len(rows)), ""]
    return "\n".join(lines).rstrip() + "\n"


def as_data(explanation: Explanation, log: Sequence[LogPlace] = ()) -> dict[str, Any]:
    """Return an explanation as what JSON can hold: every number of a table or an amount is text, positions are not."""
    asset = explanation.asset
    return {
        "title": explanation.title,
        "position": explanation.position,
        "amount": None if explanation.amount is None else str(explanation.amount),
        "asset": None
        if asset is None
        else {"address": to_hex(asset.address), "symbol": asset.symbol, "decimals": asset.decimals},
        "holds": explanation.holds,
        "steps": [_step_data(step) for step in explanation.steps],
        "log": [
            {
                "position": each.position,
                "blockNumber": each.block_number,
                "blockTime": each.block_time,
                "what": each.what,
                "origin": each.origin,
            }
            for each in log
        ],
    }


def table_lines(table: Table, rows_shown: int = ROWS_SHOWN) -> list[str]:
    """Lay a table out in columns, numbers to the right."""
    rows = table.rows[:rows_shown]
    cells = [[_text(cell) for cell in row] for row in rows]
    wide = [max(len(each) for each in column) for column in zip(table.head, *cells, strict=True)]
    is_number = [
        all(isinstance(row[place], int | None) and not isinstance(row[place], bool) for row in rows)
        for place in range(len(table.head))
    ]
    lines = [
        _line(table.head, wide, is_number),
        _line(["-" * min(each, LINE_CHARACTERS) for each in wide], wide, is_number),
    ]
    lines += [_line(row, wide, is_number) for row in cells]
    if len(table.rows) > rows_shown:
        lines.append(f"… and {len(table.rows) - rows_shown} more rows (--json has them all)")
    return [*lines, table.note] if table.note else lines


def _step(number: int, step: Step) -> Iterable[str]:
    yield f"{number}. {step.title}{'' if step.holds else ' (!)'}"
    for each in step.said:
        yield from _wrapped(each, "   ")
    if step.formulas:
        yield ""
        yield from (f"       {each}" for each in step.formulas)
    if step.table is not None and step.table.rows:
        yield ""
        yield from (f"       {each}" for each in table_lines(step.table))
    told = []
    if step.fields:
        told.append("Ruleset: " + ", ".join(f"{each.path} = {each.value}" for each in step.fields) + ".")
    if step.seeds:
        told.append(f"Source: {'; '.join(step.seeds)}.")
    if step.positions:
        told.append(f"Log: {_runs(step.positions)}.")
    if told:
        yield ""
        for each in told:
            yield from _wrapped(each, "   ")


def _wrapped(words: str, indent: str) -> list[str]:
    return textwrap.wrap(
        words,
        LINE_CHARACTERS,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _runs(positions: Sequence[int]) -> str:
    shown = ", ".join(str(each) for each in positions[:ROWS_SHOWN])
    return shown if len(positions) <= ROWS_SHOWN else f"{shown} and {len(positions) - ROWS_SHOWN} more"


def _step_data(step: Step) -> dict[str, Any]:
    table = step.table
    return {
        "title": step.title,
        "said": [*step.said],
        "formulas": [*step.formulas],
        "table": None
        if table is None
        else {"head": [*table.head], "rows": [[_cell_data(cell) for cell in row] for row in table.rows]},
        "seeds": [*step.seeds],
        "ruleset": {each.path: {"value": each.value, "seed": each.seed} for each in step.fields},
        "positions": [*step.positions],
        "holds": step.holds,
    }


def _cell_data(cell: Cell) -> str | bool | None:
    match cell:
        case bytes():
            return to_hex(cell)
        case bool() | None:
            return cell
        case _:
            return str(cell)


def _text(cell: Cell) -> str:
    match cell:
        case None:
            return "-"
        case bool():
            return "yes" if cell else "no"
        case bytes():
            return to_hex(cell) if len(cell) <= BYTES_SHOWN else f"{to_hex(cell[:BYTES_SHOWN])}…"
        case _:
            return str(cell)


def _line(cells: Sequence[str], wide: Sequence[int], is_number: Sequence[bool]) -> str:
    columns = zip(cells, wide, is_number, strict=True)
    return "  ".join(each.rjust(width) if right else each.ljust(width) for each, width, right in columns).rstrip()
