"""Task ends: the compiled twins of the rules for attempts that do not come to a credit, and for reports on nodes.

As with ``task_ops``: a twin does exactly what the rules do (``rules.tasks``, ``rules.verdicts``), or returns False and
has changed nothing.
"""

from typing import Final

from deepnode_ledger.compiled import Integer, inner
from deepnode_projections.kernel import task_params as params
from deepnode_projections.kernel import task_tables as tables
from deepnode_projections.kernel.layout import NONE
from deepnode_projections.kernel.maps import Maps
from deepnode_projections.kernel.table import Cells, enter, find, keep
from deepnode_projections.kernel.task_params import Params
from deepnode_projections.kernel.task_rows import learn, rows_of, task_at, task_in
from deepnode_projections.kernel.task_tables import TaskTables
from deepnode_projections.rules.registry import MINER
from deepnode_projections.rules.tasks import ATTEMPTS_MAX

SLOTS_MAX: Final = 8
"""Slots of an attempt that ends without a consensus; one with more, which there may be no room for, is the rules'."""


@inner
def reported(cells: Cells, at: Integer, position: Integer, m: Maps, p: Params, t: TaskTables) -> bool:
    """BadBehaviourReported."""
    task, attempt, slot, validator = m.ids[cells[at]], cells[at + 1], cells[at + 2], m.ids[cells[at + 4]]
    task_row = task_at(t.task, task, attempt, p[params.STAGE_ASSIGNED])
    if task_row < 0:
        return False
    row = find(t.slot, 3, task, attempt, slot, 0)
    if row < 0 or t.slot.cells[row, tables.SLOT_NODE] != m.ids[cells[at + 3]]:
        return False
    given = find(t.validation, 4, task, attempt, slot, validator)
    incorrect = p[params.VERDICTS + params.IS_INCORRECT]
    if given < 0 or t.validation.cells[given, tables.VALIDATION_VERDICT] != incorrect:
        return False
    if find(t.report, 4, task, attempt, slot, validator) >= 0:
        return False
    made = enter(t.report, 4, tables.REPORT_SINCE + 1, task, attempt, slot, validator)
    own, severity = t.report.cells, cells[at + 5]
    own[made, tables.REPORT_SEVERITY] = severity
    own[made, tables.REPORT_EVIDENCE] = m.bases[0] + cells[at + 6]
    own[made, tables.REPORT_REPORTED] = position
    own[made, tables.REPORT_SINCE] = position
    if severity > t.slot.cells[row, tables.SLOT_SEVERITY]:
        keep(t.slot, tables.SLOT_SINCE, row, position)
        t.slot.cells[row, tables.SLOT_SEVERITY] = severity
    return True


@inner
def retried(cells: Cells, at: Integer, position: Integer, m: Maps, p: Params, t: TaskTables) -> bool:
    """TaskReassigned."""
    attempt, following = cells[at + 1], cells[at + 2]
    row = task_in(t.task, m.ids[cells[at]], attempt)
    if row < 0 or following != attempt + 1 or following > ATTEMPTS_MAX:
        return False
    stage = t.task.cells[row, tables.TASK_STAGE]
    if stage == p[params.STAGE_ASSIGNED]:
        if not _blames_the_silent(row, attempt, position, p, t):
            return False
    elif stage != p[params.STAGE_FAILED]:
        return False
    keep(t.task, tables.TASK_SINCE, row, position)
    t.task.cells[row, tables.TASK_STAGE] = p[params.STAGE_CREATED]
    t.task.cells[row, tables.TASK_ATTEMPT] = following
    return True


@inner
def rejected(cells: Cells, at: Integer, position: Integer, m: Maps, p: Params, t: TaskTables) -> bool:
    """TaskRejected."""
    row = task_at(t.task, m.ids[cells[at]], cells[at + 1], p[params.STAGE_FAILED])
    if row < 0:
        return False
    keep(t.task, tables.TASK_SINCE, row, position)
    t.task.cells[row, tables.TASK_STAGE] = p[params.STAGE_REJECTED]
    return True


@inner
def expired(cells: Cells, at: Integer, position: Integer, m: Maps, p: Params, t: TaskTables) -> bool:
    """TaskExpired."""
    row = task_in(t.task, m.ids[cells[at]], cells[at + 1])
    if row < 0:
        return False
    stage = t.task.cells[row, tables.TASK_STAGE]
    if stage != p[params.STAGE_CREATED] and stage != p[params.STAGE_ASSIGNED]:
        return False
    if not _blames_the_silent(row, cells[at + 1], position, p, t):
        return False
    keep(t.task, tables.TASK_SINCE, row, position)
    t.task.cells[row, tables.TASK_STAGE] = p[params.STAGE_EXPIRED]
    return True


@inner
def _blames_the_silent(task_row: Integer, attempt: Integer, position: Integer, p: Params, t: TaskTables) -> bool:
    """Find the slots without an answer missing, and let their nodes' trust learn; say whether that was done.

    It is the rules' where there is no score yet: this enters no row.
    """
    task, domain, own = t.task.cells[task_row, 0], t.task.cells[task_row, tables.TASK_DOMAIN], t.slot.cells
    slots = rows_of(t.slot, tables.SLOT_SINCE, task, attempt, tables.SLOT_SLOT, t.scratch, 0)
    if slots < 0 or slots > SLOTS_MAX:
        return False
    for place in range(slots):
        row = t.scratch[0, place]
        if own[row, tables.SLOT_OUTPUT] == NONE and find(t.trust, 3, MINER, own[row, tables.SLOT_NODE], domain, 0) < 0:
            return False
    for place in range(slots):
        row = t.scratch[0, place]
        if own[row, tables.SLOT_OUTPUT] == NONE:
            keep(t.slot, tables.SLOT_SINCE, row, position)
            own[row, tables.SLOT_VERDICT] = p[params.VERDICTS + params.IS_MISSING]
            learn(t.trust, p, position, MINER, own[row, tables.SLOT_NODE], domain, params.IS_MISSING)
    return True
