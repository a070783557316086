"""The state that the kernel and the rules share: hot kinds as tables of cells, all others as ``MemoryState`` has them.

A rule sees records as ever. What an event puts of a hot kind is held until the event is known to have an effect, and
laid out as cells then; so an event that is refused leaves no trace in a table.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar, cast

from typing_extensions import override

from deepnode_projections.kernel.layout import Layout, cells_of, layout_of, values_of_cells
from deepnode_projections.kernel.lines import lines
from deepnode_projections.kernel.order import Ranks
from deepnode_projections.kernel.table import Table
from deepnode_projections.kernel.texts import Texts
from deepnode_projections.kernel.words import Words
from deepnode_projections.registers.record import Key, Record, Value, key_of, values_of
from deepnode_projections.registers.state import MemoryState
from deepnode_projections.rules.collateral import Collateral
from deepnode_projections.rules.comparisons import Checked
from deepnode_projections.rules.economics import Revenue
from deepnode_projections.rules.observations import Feedback, Observation, Settlement
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
    *(Observation, Feedback, Settlement, Report),
)
"""The kinds that the kernel reads or writes."""


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
        self._held: dict[type[Record], dict[Key, Record]] | None = None
        self._ranked: tuple[list[int], Ranks] | None = None

    @override
    def get(self, kind: type[R], *key: Value) -> R | None:
        table = self.tables.get(kind)
        if table is None:
            return super().get(kind, *key)
        if self._held is not None and (held := self._held.get(kind)) is not None and key in held:
            return cast("R", held[key])
        row = table.row_of(self._cells_of_key(table.layout, key))
        return None if row < 0 else self._record(table, row)

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
        rows: Iterable[int] = range(table.rows)
        if prefix:
            wanted = self._cells_of_key(table.layout, prefix)
            rows = table.rows_under(wanted[0])
            if len(wanted) > 1:
                rows = [row for row in rows if table.cells[row, : len(wanted)].tolist() == wanted]
        found: dict[Key, R] = {}
        for row in rows:
            record: R = self._record(table, row)
            found[key_of(record)] = record
        held = cast("dict[Key, R]", {} if self._held is None else self._held.get(kind, {}))
        found.update({key: record for key, record in held.items() if key[: len(prefix)] == prefix})
        return [found[key] for key in sorted(found)]

    @override
    def written(self, kind: type[R], write: Callable[[R], bytes]) -> Iterator[bytes]:
        table = self.tables.get(kind)
        return super().written(kind, write) if table is None else lines(table, self._ranks(), self.words, self.texts)

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

    def _ranks(self) -> Ranks:
        rows = [table.rows for table in self.tables.values()]
        if self._ranked is None or self._ranked[0] != rows:
            self._ranked = rows, Ranks(self.tables.values(), self.words)
        return self._ranked[1]

    def _lay_out(self, record: Record, position: int) -> None:
        """Let a record stand in its table from a position on, unless it stands there as it is."""
        table = self.tables[type(record)]
        values = values_of(record)
        key = self._cells_of_key(table.layout, values[: table.layout.key])
        row = table.row_of(key)
        held = None if row < 0 else table.cells[row].tolist()
        cells = cells_of(table.layout, values, self.words, self.texts, held)
        if held is None or held[: len(cells)] != cells:
            table.put(cells, position)

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

    def _record(self, table: Table, row: int) -> Any:
        return table.layout.kind(*values_of_cells(table.layout, table.cells[row].tolist(), self.words, self.texts))
