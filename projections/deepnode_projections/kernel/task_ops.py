"""Task operations: the compiled twins of the rules for a task's way from its creation to its credit.

A twin does with an entry exactly what the rules do with it (``rules.tasks``, ``rules.verdicts``, ``rules.work`` and
``rules.trust``), or returns False and has changed nothing: where the rules refuse it, where a comparison finds a
difference, where a sum leaves its bounds, and where there is more than ``task_tables.MANY`` of something. So each
checks everything before it changes anything. Which cells an entry has is said in ``ops``.

What events are counted by is not checked to stay below 2**63: there are no more events than positions.
"""

from deepnode_ledger.compiled import Integer, inlined, inner
from deepnode_projections.kernel import task_params as params
from deepnode_projections.kernel import task_tables as tables
from deepnode_projections.kernel.layout import NONE
from deepnode_projections.kernel.maps import Maps
from deepnode_projections.kernel.table import Cells, View, enter, find, keep
from deepnode_projections.kernel.task_credit import add_work, books_hold, credit
from deepnode_projections.kernel.task_params import Params
from deepnode_projections.kernel.task_rows import add, changing, is_token, learn, may_work, rows_of, task_at, task_in
from deepnode_projections.kernel.task_tables import TaskTables
from deepnode_projections.rules.registry import MINER, PPM, VALIDATOR


@inner
def created(cells: Cells, at: Integer, position: Integer, m: Maps, p: Params, t: TaskTables) -> bool:
    """TaskCreated."""
    task, domain, model = m.ids[cells[at]], m.ids[cells[at + 1]], m.ids[cells[at + 2]]
    asset = m.ids[cells[at + 7]]
    if find(t.task, 1, task, 0, 0, 0) >= 0:
        return False
    if not is_token(asset, p):
        return False
    known = find(t.model, 1, model, 0, 0, 0)
    if known >= 0 and t.model.cells[known, tables.MODEL_DOMAIN] != domain:
        return False
    row = enter(t.task, 1, tables.TASK_SINCE + 1, task, 0, 0, 0)
    own = t.task.cells
    own[row, tables.TASK_DOMAIN] = domain
    own[row, tables.TASK_MODEL] = model
    own[row, tables.TASK_VERSION] = cells[at + 3]
    own[row, tables.TASK_CONSUMER] = m.bases[0] + cells[at + 4]
    own[row, tables.TASK_PRICE] = cells[at + 5]
    own[row, tables.TASK_PRICE + 1] = cells[at + 6]
    own[row, tables.TASK_ASSET] = asset
    own[row, tables.TASK_DIFFICULTY] = cells[at + 8]
    own[row, tables.TASK_INPUT] = m.bases[0] + cells[at + 9]
    own[row, tables.TASK_PRODUCER] = m.names[cells[at + 10]]
    own[row, tables.TASK_EPOCH] = p[params.EPOCH]
    own[row, tables.TASK_STAGE] = p[params.STAGE_CREATED]
    own[row, tables.TASK_ATTEMPT] = 1
    own[row, tables.TASK_CREATED] = position
    own[row, tables.TASK_EVENT] = m.bases[1] + cells[at + 11]
    own[row, tables.TASK_JUDGED] = NONE
    own[row, tables.TASK_CREDITED] = NONE
    own[row, tables.TASK_SINCE] = position
    return True


@inner
def assigned(
    cells: Cells, at: Integer, position: Integer, m: Maps, p: Params, t: TaskTables, is_alone: Integer
) -> bool:
    """TaskAssigned, of a node whose trust and collateral are known to be what they are stated to be.

    Unless it ``is_alone``, the first comparison of each kind is the rules': the table of them is not of tasks alone.
    """
    task, attempt, slot, node = m.ids[cells[at]], cells[at + 1], cells[at + 2], m.ids[cells[at + 3]]
    task_row = task_in(t.task, task, attempt)
    if task_row < 0:
        return False
    stage, domain = t.task.cells[task_row, tables.TASK_STAGE], t.task.cells[task_row, tables.TASK_DOMAIN]
    if stage != p[params.STAGE_CREATED] and stage != p[params.STAGE_ASSIGNED]:
        return False
    if slot > p[params.SLOTS] or not _is_free(task, attempt, slot, node, t):
        return False
    if not may_work(t.node, p[params.EPOCH], node, MINER, domain):
        return False
    known = find(t.trust, 3, MINER, node, domain, 0)
    trust = p[params.START] if known < 0 else t.trust.cells[known, tables.TRUST_SCORE]
    if trust != cells[at + 4]:
        return False
    backing = find(t.collateral, 1, node, 0, 0, 0)
    low, high = 0, NONE
    if backing >= 0:
        low = t.collateral.cells[backing, tables.COLLATERAL_FREE]
        high = t.collateral.cells[backing, tables.COLLATERAL_FREE + 1]
        if low != cells[at + 5] or high != cells[at + 6]:
            return False
    if not is_alone and not _is_counted(t.checked, p, backing):
        return False
    if stage != p[params.STAGE_ASSIGNED]:
        keep(t.task, tables.TASK_SINCE, task_row, position)
        t.task.cells[task_row, tables.TASK_STAGE] = p[params.STAGE_ASSIGNED]
    row = enter(t.slot, 3, tables.SLOT_SINCE + 1, task, attempt, slot, 0)
    own = t.slot.cells
    for cell in range(tables.SLOT_NODE, tables.SLOT_SINCE):
        own[row, cell] = NONE
    own[row, tables.SLOT_NODE] = node
    own[row, tables.SLOT_TRUST] = trust
    own[row, tables.SLOT_STATED_TRUST] = trust
    own[row, tables.SLOT_COLLATERAL] = low
    own[row, tables.SLOT_COLLATERAL + 1] = high
    own[row, tables.SLOT_STATED_COLLATERAL] = cells[at + 5]
    own[row, tables.SLOT_STATED_COLLATERAL + 1] = cells[at + 6]
    own[row, tables.SLOT_ASSIGNED] = position
    own[row, tables.SLOT_SEVERITY] = 0
    own[row, tables.SLOT_SINCE] = position
    _agrees(t.checked, p, position, p[params.CHECKED_TRUST])
    if backing >= 0:
        _agrees(t.checked, p, position, p[params.CHECKED_COLLATERAL])
    return True


@inner
def _is_free(task: Integer, attempt: Integer, slot: Integer, node: Integer, t: TaskTables) -> bool:
    """Say whether a slot of an attempt is nobody's, and the node has no other one."""
    others = rows_of(t.slot, tables.SLOT_SINCE, task, attempt, tables.SLOT_SLOT, t.scratch, 0)
    for place in range(others):
        other = t.scratch[0, place]
        if t.slot.cells[other, tables.SLOT_SLOT] == slot or t.slot.cells[other, tables.SLOT_NODE] == node:
            return False
    return bool(others >= 0)


@inlined
def _is_counted(checked: View, p: Params, backing: Integer) -> bool:
    """Say whether there are rows that count what an assignment compares."""
    subject = p[params.CHECKED_SUBJECT]
    of_trust = find(checked, 2, subject, p[params.CHECKED_TRUST], 0, 0)
    of_backing = find(checked, 2, subject, p[params.CHECKED_COLLATERAL], 0, 0) if backing >= 0 else of_trust
    return bool(of_trust >= 0 and of_backing >= 0)


@inner
def _agrees(checked: View, p: Params, position: Integer, what: Integer) -> None:
    """Count a comparison of an assignment that found no difference."""
    row = changing(checked, 2, tables.CHECKED_SINCE, position, p[params.CHECKED_SUBJECT], what, 0, 0)
    checked.cells[row, tables.CHECKED_COMPARISONS] += 1


@inner
def answered(cells: Cells, at: Integer, position: Integer, m: Maps, p: Params, t: TaskTables) -> bool:
    """OutputSubmitted."""
    task, attempt = m.ids[cells[at]], cells[at + 1]
    task_row = task_at(t.task, task, attempt, p[params.STAGE_ASSIGNED])
    if task_row < 0:
        return False
    row = find(t.slot, 3, task, attempt, cells[at + 2], 0)
    own = t.slot.cells
    if row < 0 or own[row, tables.SLOT_NODE] != m.ids[cells[at + 3]] or own[row, tables.SLOT_OUTPUT] != NONE:
        return False
    keep(t.slot, tables.SLOT_SINCE, row, position)
    own[row, tables.SLOT_OUTPUT] = m.bases[0] + cells[at + 4]
    own[row, tables.SLOT_ANSWERED] = position
    own[row, tables.SLOT_LATENCY] = cells[at + 5]
    own[row, tables.SLOT_INPUT_TOKENS] = cells[at + 6]
    own[row, tables.SLOT_OUTPUT_TOKENS] = cells[at + 7]
    return True


@inner
def validated(cells: Cells, at: Integer, position: Integer, m: Maps, p: Params, t: TaskTables) -> bool:
    """ValidationSubmitted."""
    task, attempt, slot, validator = m.ids[cells[at]], cells[at + 1], cells[at + 2], m.ids[cells[at + 3]]
    task_row = task_at(t.task, task, attempt, p[params.STAGE_ASSIGNED])
    if task_row < 0:
        return False
    slot_row = find(t.slot, 3, task, attempt, slot, 0)
    if slot_row < 0 or t.slot.cells[slot_row, tables.SLOT_OUTPUT] == NONE:
        return False
    domain = t.task.cells[task_row, tables.TASK_DOMAIN]
    if not may_work(t.node, p[params.EPOCH], validator, VALIDATOR, domain):
        return False
    if find(t.validation, 4, task, attempt, slot, validator) >= 0:
        return False
    row = enter(t.validation, 4, tables.VALIDATION_SINCE + 1, task, attempt, slot, validator)
    own = t.validation.cells
    verdict = params.IS_CORRECT if cells[at + 4] != 0 else params.IS_INCORRECT
    own[row, tables.VALIDATION_VERDICT] = p[params.VERDICTS + verdict]
    own[row, tables.VALIDATION_SCORE] = cells[at + 5]
    own[row, tables.VALIDATION_REPORT] = m.bases[0] + cells[at + 6]
    own[row, tables.VALIDATION_IN_CONSENSUS] = NONE
    own[row, tables.VALIDATION_SUBMITTED] = position
    own[row, tables.VALIDATION_SINCE] = position
    return True


@inner
def agreed(cells: Cells, at: Integer, position: Integer, m: Maps, p: Params, t: TaskTables) -> bool:
    """ConsensusReached: what it comes to, and what everybody's trust and work learn from it."""
    task, attempt, accepted = m.ids[cells[at]], cells[at + 1], cells[at + 3]
    task_row = task_at(t.task, task, attempt, p[params.STAGE_ASSIGNED])
    if task_row < 0:
        return False
    slots = rows_of(t.slot, tables.SLOT_SINCE, task, attempt, tables.SLOT_SLOT, t.scratch, 0)
    given = rows_of(t.validation, tables.VALIDATION_SINCE, task, attempt, tables.VALIDATION_SLOT, t.scratch, 1)
    if slots < p[params.SLOTS] or given < 0 or (cells[at + 2] != 0) != (accepted != 0):
        return False
    if not _is_found(accepted, slots, given, p, t):
        return False
    own = t.task.cells
    next_given = 0
    for place in range(slots):
        slot = t.slot.cells[t.scratch[0, place], tables.SLOT_SLOT]
        verdict = t.scratch[2, place]
        _close(t.scratch[0, place], verdict, own[task_row, tables.TASK_DOMAIN], position, p, t)
        while next_given < given and t.validation.cells[t.scratch[1, next_given], tables.VALIDATION_SLOT] == slot:
            _judge(t.scratch[1, next_given], verdict, task_row, position, p, t)
            next_given += 1
    keep(t.task, tables.TASK_SINCE, task_row, position)
    own[task_row, tables.TASK_STAGE] = p[params.STAGE_APPROVED] if accepted != 0 else p[params.STAGE_FAILED]
    if own[task_row, tables.TASK_JUDGED] == NONE:
        own[task_row, tables.TASK_JUDGED] = p[params.EPOCH]
    domain, model = own[task_row, tables.TASK_DOMAIN], own[task_row, tables.TASK_MODEL]
    use = changing(t.model_use, 3, tables.USE_SINCE, position, p[params.EPOCH], domain, model, 0)
    for place in range(slots):
        if t.scratch[2, place] != params.IS_MISSING:
            t.model_use.cells[use, tables.USE_JUDGED] += 1
        if t.scratch[2, place] == params.IS_CORRECT:
            t.model_use.cells[use, tables.USE_CORRECT] += 1
    return True


@inner
def _is_found(accepted: Integer, slots: Integer, given: Integer, p: Params, t: TaskTables) -> bool:
    """Say whether validations accept just these slots; the third list of ``scratch`` is what they say of each slot."""
    correct_text = p[params.VERDICTS + params.IS_CORRECT]
    found, next_given, outputs = 0, 0, 0
    for place in range(slots):
        row = t.scratch[0, place]
        slot = t.slot.cells[row, tables.SLOT_SLOT]
        votes, correct = 0, 0
        # Both lists are in the order of slots, and there is no validation of a slot that is not assigned.
        while next_given < given and t.validation.cells[t.scratch[1, next_given], tables.VALIDATION_SLOT] == slot:
            if t.validation.cells[t.scratch[1, next_given], tables.VALIDATION_VERDICT] == correct_text:
                correct += 1
            votes += 1
            next_given += 1
        verdict = params.IS_MISSING
        if t.slot.cells[row, tables.SLOT_OUTPUT] != NONE:
            outputs += 1
            if votes < p[params.QUORUM] or t.slot.cells[row, tables.SLOT_SEVERITY] > params.SEVERITIES:
                return False
            verdict = params.IS_INCORRECT
            if correct * PPM > p[params.MAJORITY] * votes:
                verdict = params.IS_CORRECT
                found |= 1 << (slot - 1)
        t.scratch[2, place] = verdict
    return bool(outputs > 0 and found == accepted and next_given == given)


@inner
def _close(row: Integer, verdict: Integer, domain: Integer, position: Integer, p: Params, t: TaskTables) -> None:
    """Write a slot's verdict down, and let its node's trust learn from it."""
    own = t.slot.cells
    keep(t.slot, tables.SLOT_SINCE, row, position)
    own[row, tables.SLOT_VERDICT] = p[params.VERDICTS + verdict]
    learn(t.trust, p, position, MINER, own[row, tables.SLOT_NODE], domain, verdict)
    severity = own[row, tables.SLOT_SEVERITY]
    if verdict == params.IS_INCORRECT and severity > 0:
        learn(t.trust, p, position, MINER, own[row, tables.SLOT_NODE], domain, params.REPORTED + severity - 1)


@inner
def _judge(row: Integer, verdict: Integer, task: Integer, position: Integer, p: Params, t: TaskTables) -> None:
    """Count a validation, and let its validator's trust learn, by its slot's verdict."""
    own, tasks = t.validation.cells, t.task.cells
    domain, validator = tasks[task, tables.TASK_DOMAIN], own[row, tables.VALIDATION_VALIDATOR]
    is_in_line = own[row, tables.VALIDATION_VERDICT] == p[params.VERDICTS + verdict]
    keep(t.validation, tables.VALIDATION_SINCE, row, position)
    own[row, tables.VALIDATION_IN_CONSENSUS] = 1 if is_in_line else 0
    outcome = params.IN_LINE if is_in_line else params.OUT_OF_LINE
    learn(t.trust, p, position, VALIDATOR, validator, domain, outcome)
    work = changing(t.validator_work, 3, tables.JUDGING_SINCE, position, p[params.EPOCH], domain, validator, 0)
    t.validator_work.cells[work, tables.JUDGING_VALIDATIONS] += 1
    if is_in_line:
        t.validator_work.cells[work, tables.JUDGING_IN_LINE] += 1
        add(t.validator_work.cells, work, tables.JUDGING_WEIGHTED, tasks[task, tables.TASK_DIFFICULTY], 0)


@inner
def credited(cells: Cells, at: Integer, position: Integer, m: Maps, p: Params, t: TaskTables) -> bool:
    """VWUAssigned; with the last of a task's correct outputs, its credit."""
    task, attempt, slot = m.ids[cells[at]], cells[at + 1], cells[at + 2]
    tasks, own, scratch = t.task.cells, t.slot.cells, t.scratch
    task_row = task_at(t.task, task, attempt, p[params.STAGE_APPROVED])
    if task_row < 0:
        return False
    row = find(t.slot, 3, task, attempt, slot, 0)
    correct = p[params.VERDICTS + params.IS_CORRECT]
    if row < 0 or own[row, tables.SLOT_NODE] != m.ids[cells[at + 3]] or own[row, tables.SLOT_VERDICT] != correct:
        return False
    if own[row, tables.SLOT_VWU] != NONE or tasks[task_row, tables.TASK_DIFFICULTY] != cells[at + 5]:
        return False
    slots = rows_of(t.slot, tables.SLOT_SINCE, task, attempt, tables.SLOT_ANSWERED, scratch, 0)
    count, is_last = 0, slots >= 0
    for place in range(slots):
        each = scratch[0, place]
        if own[each, tables.SLOT_VERDICT] == correct:
            scratch[0, count] = each
            scratch[1, count] = cells[at + 4] if each == row else own[each, tables.SLOT_VWU]
            is_last = is_last and scratch[1, count] != NONE
            count += 1
    epoch = p[params.EPOCH]
    is_dropped = p[params.IS_LATE_DROPPED] != 0 and epoch > tasks[task_row, tables.TASK_EPOCH]
    if slots < 0 or (is_last and not is_dropped and not books_hold(t, epoch, task_row)):
        return False
    keep(t.slot, tables.SLOT_SINCE, row, position)
    own[row, tables.SLOT_VWU] = cells[at + 4]
    own[row, tables.SLOT_PRODUCER] = m.names[cells[at + 6]]
    own[row, tables.SLOT_EVENT] = m.bases[1] + cells[at + 7]
    if not is_last:
        return True
    keep(t.task, tables.TASK_SINCE, task_row, position)
    tasks[task_row, tables.TASK_STAGE] = p[params.STAGE_CREDITED]
    tasks[task_row, tables.TASK_CREDITED] = epoch
    credit(p, scratch, count)
    for place in range(count):
        each = scratch[0, place]
        keep(t.slot, tables.SLOT_SINCE, each, position)
        own[each, tables.SLOT_CREDITED] = 0 if is_dropped else scratch[1, place]
    if not is_dropped:
        add_work(t, position, epoch, task_row, count)
    return True
