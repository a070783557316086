"""The loop: operation after operation, until one is for the rules or needs more room."""

from typing import Final

from deepnode_ledger.compiled import Integer, compiled, inner
from deepnode_projections.kernel import money_ops, observation_ops, task_ends, task_ops
from deepnode_projections.kernel.ahead import look_ahead
from deepnode_projections.kernel.decoded import Cells
from deepnode_projections.kernel.maps import Maps
from deepnode_projections.kernel.money_views import MoneyTables, MoneyViews
from deepnode_projections.kernel.ops import (
    AGREED,
    ANSWERED,
    ASSIGNED,
    CREATED,
    CREDITED,
    EXPIRED,
    NOTHING,
    PRICED,
    RATED,
    RECEIVED,
    REJECTED,
    REPORTED,
    RETRIED,
    SETTLED,
    SPLIT,
    TRANSFER,
    VALIDATED,
)
from deepnode_projections.kernel.sides import BOTH, TASKS
from deepnode_projections.kernel.split_profiles import POCKETS
from deepnode_projections.kernel.table import has_room
from deepnode_projections.kernel.task_tables import TaskTables

NEW_BALANCES: Final = 2
"""The most balances that an operation enters, but for a split: that has ``split_profiles.POCKETS``."""

NEW_ROWS: Final = 1
OLD_ROWS: Final = 12
"""The most rows of one table that an operation enters, and that it replaces; but for the two below."""

MANY_ROWS: Final = 512
"""The most rows of one table that an agreement or a credit enters or replaces: it touches all who took part."""


@compiled
def fold(
    ops: Cells,
    starts: Cells,
    cells: Cells,
    first: Integer,
    row: Integer,
    stop: Integer,
    side: Integer,
    m: Maps,
    p: Cells,
    t: TaskTables,
    u: MoneyTables,
    h: MoneyViews,
) -> Integer:
    """Do the operations of a side in rows ``row`` to ``stop`` (not included); return the first that was not done.

    ``first`` is the position of row 0.
    """
    is_alone = side == BOTH
    while row < stop:
        look_ahead(ops, starts, cells, row, stop, side, m, t, u, h)
        op = ops[row]
        if op != NOTHING and (is_alone or (op >= CREATED) == (side == TASKS)):
            at = starts[row]
            position = first + row
            if op >= CREATED:
                done = _of_task(op, cells, at, position, stop - row, m, p, t, is_alone)
            elif op == TRANSFER:
                done = money_ops.transfer(cells, at, position, m, h)
            elif op == RECEIVED:
                done = money_ops.received(cells, at, position, m, h, u)
            elif op == SPLIT:
                # A payment of a new kind enters more balances than the operations behind it are counted with.
                has_all = has_room(h.balances, POCKETS + NEW_BALANCES * (stop - row), 0)
                done = has_all and money_ops.split(cells, at, position, m, p, h, u, is_alone)
            else:
                done = False
            if not done:
                return row
        row += 1
    return row


@inner
def _of_task(
    op: Integer,
    cells: Cells,
    at: Integer,
    position: Integer,
    rows: Integer,
    m: Maps,
    p: Cells,
    t: TaskTables,
    is_alone: Integer,
) -> Integer:
    """Do an operation about a task, with ``rows`` operations to come, this one included."""
    if op == VALIDATED:
        return task_ops.validated(cells, at, position, m, p, t)
    if op == ASSIGNED:
        return task_ops.assigned(cells, at, position, m, p, t, is_alone)
    if op == ANSWERED:
        return task_ops.answered(cells, at, position, m, p, t)
    if op == CREDITED:
        return _has_room(t, rows) and task_ops.credited(cells, at, position, m, p, t)
    if op == CREATED:
        return task_ops.created(cells, at, position, m, p, t)
    if op == AGREED:
        return _has_room(t, rows) and task_ops.agreed(cells, at, position, m, p, t)
    return op >= RATED and _beside_the_way(op, cells, at, position, m, p, t)


@inner
def _beside_the_way(
    op: Integer, cells: Cells, at: Integer, position: Integer, m: Maps, p: Cells, t: TaskTables
) -> Integer:
    """Do an operation that is no step from a task's creation to its credit."""
    if op == RATED:
        return observation_ops.rated(cells, at, position, m, p, t)
    if op == SETTLED:
        return observation_ops.settled(cells, at, position, m, p, t)
    if op == REPORTED:
        return task_ends.reported(cells, at, position, m, p, t)
    if op == RETRIED:
        return task_ends.retried(cells, at, position, m, p, t)
    if op == REJECTED:
        return task_ends.rejected(cells, at, position, m, p, t)
    if op == EXPIRED:
        return task_ends.expired(cells, at, position, m, p, t)
    return op == PRICED and observation_ops.priced(cells, at, position, m, p, t)


@inner
def _has_room(t: TaskTables, rows: Integer) -> Integer:
    """Say whether an agreement or a credit has room, and what may come behind it."""
    more, old = MANY_ROWS + NEW_ROWS * rows, MANY_ROWS + OLD_ROWS * rows
    return (
        has_room(t.slot, more, old)
        and has_room(t.validation, more, old)
        and has_room(t.trust, more, old)
        and has_room(t.work, more, old)
        and has_room(t.validator_work, more, old)
    )
