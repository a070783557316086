"""Task rows: what the twins of the rules about tasks do with rows again and again."""

import numpy as np

from deepnode_ledger.compiled import Integer, inlined, inner
from deepnode_projections.kernel.layout import NONE
from deepnode_projections.kernel.table import Cells, View, enter, find, keep, newest_under
from deepnode_projections.kernel.task_params import START, STEP_WIDTH, STEPS, TOKENS, TOKENS_COUNT, Params
from deepnode_projections.kernel.task_tables import (
    MANY,
    NODE_DOMAIN,
    NODE_LEFT,
    NODE_ROLE,
    TASK_ATTEMPT,
    TASK_STAGE,
    TRUST_REASON,
    TRUST_SCORE,
    TRUST_SINCE,
    TRUST_UPDATED,
    TRUST_UPDATES,
)
from deepnode_projections.rulesets.ruleset import PPM


@inner
def task_in(tasks: View, task: Integer, attempt: Integer) -> Integer:
    """Return the row of a task that is in this attempt, or -1."""
    row = find(tasks, 1, task, 0, 0, 0)
    if row >= 0 and tasks.cells[row, TASK_ATTEMPT] != attempt:
        return -1
    return row


@inner
def is_token(asset: Integer, p: Params) -> bool:
    """Say whether an asset is one of the tokens that the parameters name."""
    token = TOKENS + p[TOKENS_COUNT] - 1
    while token >= TOKENS and p[token] != asset:
        token -= 1
    return bool(token >= TOKENS)


@inner
def task_at(tasks: View, task: Integer, attempt: Integer, stage: Integer) -> Integer:
    """Return the row of a task that is in this attempt and at this stage, or -1."""
    row = task_in(tasks, task, attempt)
    if row >= 0 and tasks.cells[row, TASK_STAGE] != stage:
        return -1
    return row


@inner
def rows_of(
    table: View, since: Integer, task: Integer, attempt: Integer, by: Integer, scratch: Cells, at: Integer
) -> Integer:
    """List the rows of an attempt in the order of a cell; return how many there are, -1 if there are too many.

    Args:
        table: of slots or validations.
        since: where its rows have ``SINCE``; ``SAME`` follows.
        task: whose rows.
        attempt: which attempt's.
        by: the cell that orders them.
        scratch: where the list comes,
        at: and its place there.
    """
    count = 0
    row = newest_under(table, task)
    while row >= 0:
        if table.cells[row, 1] == attempt:
            if count == MANY:
                return -1
            place = count
            while place > 0 and table.cells[scratch[at, place - 1], by] > table.cells[row, by]:
                scratch[at, place] = scratch[at, place - 1]
                place -= 1
            scratch[at, place] = row
            count += 1
        row = table.cells[row, since + 1]
    return count


@inner
def may_work(nodes: View, epoch: Integer, node: Integer, role: Integer, domain: Integer) -> bool:
    """Say whether the registry knows nothing that keeps a node from working in a domain in this role."""
    row = find(nodes, 1, node, 0, 0, 0)
    if row < 0:
        return True
    if nodes.cells[row, NODE_ROLE] != role or nodes.cells[row, NODE_DOMAIN] != domain:
        return False
    left = nodes.cells[row, NODE_LEFT]
    return bool(left == NONE or left >= epoch)


@inlined
def changing(
    table: View,
    length: Integer,
    since: Integer,
    position: Integer,
    a: Integer,
    b: Integer,
    c: Integer,
    d: Integer,
) -> Integer:
    """Return the row of a key that is about to change; a new one has zeros behind its key."""
    row = find(table, length, a, b, c, d)
    if row >= 0:
        keep(table, since, row, position)
        return row
    row = enter(table, length, since + 1, a, b, c, d)
    for cell in range(length, since):
        table.cells[row, cell] = 0
    table.cells[row, since] = position
    return row


@inner
def learn(
    trust: View, p: Params, position: Integer, role: Integer, subject: Integer, domain: Integer, outcome: Integer
) -> None:
    """Let a score take the step of an outcome: ``rules.trust.learn``."""
    step = STEPS + STEP_WIDTH * outcome
    alpha = p[step]
    if alpha == 0:
        return
    row = changing(trust, 3, TRUST_SINCE, position, role, subject, domain, 0)
    cells = trust.cells
    score = cells[row, TRUST_SCORE] if cells[row, TRUST_UPDATES] > 0 else p[START]
    cells[row, TRUST_SCORE] = (score * (PPM - alpha) + p[step + 1] * alpha) // PPM
    cells[row, TRUST_UPDATES] += 1
    cells[row, TRUST_REASON] = p[step + 2]
    cells[row, TRUST_UPDATED] = position


@inner
def add(cells: Cells, row: Integer, at: Integer, low: Integer, high: Integer) -> None:
    """Add an amount, given as its lower and upper 64 bits, to the one that stands in a row."""
    before = np.uint64(cells[row, at])
    after = before + np.uint64(low)
    cells[row, at] = np.int64(after)
    cells[row, at + 1] += high + (1 if after < before else 0)


@inner
def add_product(cells: Cells, row: Integer, at: Integer, units: Integer, weight: Integer) -> None:
    """Add ``units`` (below 2**56) times ``weight`` (below 2**24), neither below zero, to an amount in a row."""
    upper = (units >> 32) * weight
    add(cells, row, at, (units & 0xFFFFFFFF) * weight, 0)
    add(cells, row, at, upper << 32, upper >> 32)
