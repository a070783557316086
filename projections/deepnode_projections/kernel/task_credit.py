"""Task credit: how much of an attempt's work counts, and the totals that it is added to, as ``rules.work`` has it."""

from typing import Final

import numpy as np

from deepnode_ledger.compiled import Integer, compiled, inner
from deepnode_ledger.posting import AMOUNT_LIMIT
from deepnode_projections.kernel.table import Cells, find
from deepnode_projections.kernel.task_params import CREDIT, FIRST, FULL, Params
from deepnode_projections.kernel.task_rows import add, add_product, changing
from deepnode_projections.kernel.task_tables import (
    SALES_AMOUNT,
    SALES_SINCE,
    SALES_TASKS,
    SLOT_CREDITED,
    SLOT_NODE,
    TASK_ASSET,
    TASK_DIFFICULTY,
    TASK_DOMAIN,
    TASK_MODEL,
    TASK_PRICE,
    USE_SINCE,
    USE_TASKS,
    USE_VWU,
    USE_WEIGHTED,
    WORK_SINCE,
    WORK_TASKS,
    WORK_VWU,
    WORK_WEIGHTED,
    TaskTables,
)

_LIMIT_LOW: Final = AMOUNT_LIMIT & (2**64 - 1)
_LIMIT_HIGH: Final = AMOUNT_LIMIT >> 64
assert _LIMIT_LOW < 2**63

_DIGIT: Final = 14
_DIGITS: Final = 3
"""VWU (up to 10**12) are written with so many digits of so many bits, to divide what is longer than a cell."""


@compiled
def credit(p: Params, scratch: Cells, count: Integer) -> None:
    """Say what counts of VWU: ``maths.credit.credited``.

    The VWU stand in the second list of ``scratch``, in the order of outputs; what counts takes their places. The third
    list is overwritten.
    """
    if p[CREDIT] == FULL:
        return
    if p[CREDIT] == FIRST:
        for place in range(1, count):
            scratch[1, place] = 0
        return
    total = 0
    for place in range(count):
        total += scratch[1, place]
    mean = total // count
    left = mean
    for place in range(count):
        share, rest = 0, 0
        for digit in range(_DIGITS - 1, -1, -1):
            # mean * VWU / total as on paper: below 2**60 at any time.
            rest = (rest << _DIGIT) + mean * ((scratch[1, place] >> (_DIGIT * digit)) & ((1 << _DIGIT) - 1))
            share = (share << _DIGIT) + rest // total
            rest %= total
        scratch[1, place] = share
        scratch[2, place] = rest
        left -= share
    while left > 0:
        lucky = 0
        for place in range(1, count):
            if scratch[2, place] > scratch[2, lucky]:
                lucky = place
        scratch[1, lucky] += 1
        scratch[2, lucky] = -1
        left -= 1


@inner
def books_hold(t: TaskTables, epoch: Integer, task: Integer) -> bool:
    """Say whether the books can hold what the model's tasks cost with a task, given as its row."""
    own, sales = t.task.cells, t.model_sales.cells
    row = find(t.model_sales, 4, epoch, own[task, TASK_DOMAIN], own[task, TASK_MODEL], own[task, TASK_ASSET])
    if row < 0:
        return True
    if sales[row, SALES_AMOUNT + 1] < 0:
        return False
    before = np.uint64(sales[row, SALES_AMOUNT])
    low = before + np.uint64(own[task, TASK_PRICE])
    high = np.uint64(sales[row, SALES_AMOUNT + 1]) + np.uint64(own[task, TASK_PRICE + 1])
    if low < before:
        high += np.uint64(1)
    limit = np.uint64(_LIMIT_HIGH)
    return bool(high < limit or (high == limit and low < np.uint64(_LIMIT_LOW)))


@inner
def add_work(t: TaskTables, position: Integer, epoch: Integer, task: Integer, count: Integer) -> None:
    """Add a task's credited work to the totals of an epoch; its slots' rows are the first list of ``scratch``."""
    own, slots = t.task.cells, t.slot.cells
    domain, model, difficulty = own[task, TASK_DOMAIN], own[task, TASK_MODEL], own[task, TASK_DIFFICULTY]
    total = 0
    for place in range(count):
        slot = t.scratch[0, place]
        vwu = slots[slot, SLOT_CREDITED]
        row = changing(t.work, 3, WORK_SINCE, position, epoch, domain, slots[slot, SLOT_NODE], 0)
        add(t.work.cells, row, WORK_VWU, vwu, 0)
        add_product(t.work.cells, row, WORK_WEIGHTED, vwu, difficulty)
        t.work.cells[row, WORK_TASKS] += 1
        total += vwu
    row = changing(t.model_use, 3, USE_SINCE, position, epoch, domain, model, 0)
    t.model_use.cells[row, USE_TASKS] += 1
    add(t.model_use.cells, row, USE_VWU, total, 0)
    add_product(t.model_use.cells, row, USE_WEIGHTED, total, difficulty)
    row = changing(t.model_sales, 4, SALES_SINCE, position, epoch, domain, model, own[task, TASK_ASSET])
    t.model_sales.cells[row, SALES_TASKS] += 1
    add(t.model_sales.cells, row, SALES_AMOUNT, own[task, TASK_PRICE], own[task, TASK_PRICE + 1])
