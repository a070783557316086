"""Lines of the state root, written from a table's cells in the order of keys."""

from collections.abc import Iterator

from deepnode_projections.kernel.layout import values_of_cells
from deepnode_projections.kernel.table import Table
from deepnode_projections.kernel.texts import Texts
from deepnode_projections.kernel.words import Words
from deepnode_projections.state_root import record_line


def lines(table: Table, words: Words, texts: Texts) -> Iterator[bytes]:
    """Yield every record's line, in the order of keys, as ``state_root.record_line`` writes it."""
    layout = table.layout
    every = [values_of_cells(layout, row, words, texts) for row in table.cells[: table.rows].tolist()]
    for values in sorted(every, key=lambda each: tuple(each[: layout.key])):
        yield record_line(layout.kind, values)
