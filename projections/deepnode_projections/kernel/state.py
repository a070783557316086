"""The state that the kernel and the rules share: hot kinds as tables of cells, all others as ``MemoryState`` has them.

A rule sees records as ever. What an event puts of a hot kind is held until the event is known to have an effect, and
laid out as cells then; so an event that is refused leaves no trace in a table.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, Final, TypeVar, cast

from typing_extensions import override

from deepnode_projections.kernel.layout import Layout, cells_of, layout_of, values_of_cells
from deepnode_projections.kernel.lines import lines
from deepnode_projections.kernel.order import Orders
from deepnode_projections.kernel.table import Table
from deepnode_projections.kernel.texts import Texts
from deepnode_projections.kernel.words import Words
from deepnode_projections.registers.record import Key, Record, Value, key_of, values_of
from deepnode_projections.registers.state import Lines, MemoryState
from deepnode_projections.rules.collateral import Collateral
from deepnode_projections.rules.comparisons import Checked
from deepnode_projections.rules.economics import Revenue
from deepnode_projections.rules.observations import Feedback, Observation, Price, Settlement
from deepnode_projections.rules.registry import Model, Node
from deepnode_projections.rules.revenue import Receipt
from deepnode_projections.rules.splits import Carry, SplitTotal
from deepnode_projections.rules.tasks import Slot, Task
from deepnode_projections.rules.trust import Trust
from deepnode_projections.rules.verdicts import Report, Validation
from deepnode_projections.rules.work import ModelSales, ModelUse, ValidatorWork, Work

R = TypeVar("R", bound=Record)

HOT: Final[tuple[type[Record], ...]] = (
    *(Task, Slot, Validation, Trust, Work, ValidatorWork, ModelUse, ModelSales),
    *(Receipt, Carry, SplitTotal, Revenue, Checked, Node, Collateral, Model),
    *(Observation, Feedback, Settlement, Report, Price),
)
"""The kinds that the kernel reads or writes."""

RULED: Final[frozenset[type[Record]]] = frozenset({Node, Collateral, Model})
"""Those of them that it never writes: what rules have put of them is at hand as records, too."""

_ROWS_MAX: Final = 4_096
"""Keys of a kind whose rows are known without a look: a record stays in its row."""


class ColumnState(MemoryState):
    """All newest records; those of the hot kinds are rows of ``tables``, by kind.

    ``changed`` gathers the kinds of what rules have put, for whoever keeps something that depends on them.
    """

    def __init__(self, *, keeps: bool = False) -> None:
        """Begin with nothing known.

        Args:
            keeps: let the tables keep old rows, for whoever writes the history down.
        """
        super().__init__()
        self.words = Words()
        self.texts = Texts()
        self.tables: Mapping[type[Record], Table] = {kind: Table(layout_of(kind), keeps=keeps) for kind in HOT}
        self.changed: set[type[Record]] = set()
        self._ruled = MemoryState()
        self._rows: dict[type[Record], dict[Key, int]] = {kind: {} for kind in HOT}
        self._held: dict[type[Record], dict[Key, Record]] | None = None

    @override
    def get(self, kind: type[R], *key: Value) -> R | None:
        table = self.tables.get(kind)
        if table is None:
            return super().get(kind, *key)
        if self._held is not None and (held := self._held.get(kind)) is not None and key in held:
            return cast("R", held[key])
        if kind in RULED:
            return self._ruled.get(kind, *key)
        row = self._row(table, key)
        return None if row < 0 else cast("R", self._record(table, table.cells[row].tolist()))

    @override
    def put(self, record: Record) -> None:
        kind = type(record)
        self.changed.add(kind)
        if kind not in self.tables:
            super().put(record)
        elif self._held is None:
            self._lay_out(record, 0)
        else:
            self._held.setdefault(kind, {})[key_of(record)] = record

    @override
    def every(self, kind: type[R], *prefix: Value) -> Sequence[R]:
        table = self.tables.get(kind)
        if table is None:
            return super().every(kind, *prefix)
        held = cast("dict[Key, R]", {} if self._held is None else self._held.get(kind, {}))
        put = {key: record for key, record in held.items() if key[: len(prefix)] == prefix}
        if kind in RULED and not put:
            return self._ruled.every(kind, *prefix)
        known: Iterable[R] = self._ruled.every(kind, *prefix) if kind in RULED else self._under(table, prefix)
        found = {key_of(record): record for record in known} | put
        return [found[key] for key in sorted(found)]

    @override
    def lines(self, kinds: Sequence[type[R]], write: Callable[[R], bytes]) -> Iterator[Lines]:
        tables = [table for kind in kinds if (table := self.tables.get(kind)) is not None and table.rows]
        orders = Orders(tables, self.words, self.texts)
        in_table: dict[type[Record], Table] = {table.layout.kind: table for table in tables}

        def of(kind: type[R]) -> Iterator[Lines]:
            table = in_table.get(kind)
            if table is None:
                return super(ColumnState, self).lines((kind,), write)
            return lines(table, orders.take(table), self.words, self.texts)

        return chain.from_iterable(map(of, kinds))

    @override
    @contextmanager
    def attempt(self, position: int = 0) -> Iterator[None]:
        with super().attempt(position):
            self._held = {}
            try:
                yield
                held = self._held
            finally:
                self._held = None
            for records in held.values():
                for record in records.values():
                    self._lay_out(record, position)

    def take(self, memory: MemoryState) -> None:
        """Take over everything that another state holds, which is given up for this one."""
        self.ruling = memory.ruling
        for record in memory.records():
            self.put(record)

    def _lay_out(self, record: Record, position: int) -> None:
        """Let a record stand in its table from a position on, unless it stands there as it is."""
        table = self.tables[type(record)]
        if type(record) in RULED:
            self._ruled.put(record)
        values = values_of(record)
        row = self._row(table, values[: table.layout.key])
        held = None if row < 0 else table.cells[row].tolist()
        cells = cells_of(table.layout, values, self.words, self.texts, held)
        if held is None:
            table.put(cells, position)
        elif held[: len(cells)] != cells:
            table.change(row, cells, position)

    def _row(self, table: Table, key: Key) -> int:
        """Return the row of a key, or -1."""
        rows = self._rows[table.layout.kind]
        row = rows.get(key)
        if row is None:
            row = table.row_of(self._cells_of_key(table.layout, key))
            if row >= 0:
                if len(rows) >= _ROWS_MAX:
                    rows.clear()
                rows[key] = row
        return row

    def _cells_of_key(self, layout: Layout, key: Sequence[Value]) -> list[int]:
        cells: list[int] = []
        for value in key:
            if isinstance(value, bytes):
                cells.append(self.words.number(value))
            elif isinstance(value, str):
                cells.append(self.texts.number(value))
            else:
                assert value is not None, (layout.kind, key)
                cells.append(int(value))
        return cells

    def _under(self, table: Table, prefix: Key) -> Iterator[Any]:
        """Yield the records in a table whose key begins so, in no order."""
        cells = table.cells[: table.rows]
        if prefix:
            wanted = self._cells_of_key(table.layout, prefix)
            cells = cells[table.rows_under(wanted[0])]
            if len(wanted) > 1:
                cells = cells[(cells[:, : len(wanted)] == wanted).all(axis=1)]
        for row in cells.tolist():
            yield self._record(table, row)

    def _record(self, table: Table, cells: Sequence[int]) -> Any:
        return table.layout.kind(*values_of_cells(table.layout, cells, self.words, self.texts))
