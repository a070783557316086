"""Statements: a batch's frequent statements about tasks, put to a sheet column by column."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
import pyarrow as pa

from deepnode_ledger.bulk_statements import StatementColumns
from deepnode_ledger.column import Fixed, Mask, Numbers, Wide
from deepnode_ledger.statement_data import (
    BAD_BEHAVIOUR_REPORTED,
    CONSENSUS_REACHED,
    OUTPUT_SUBMITTED,
    PAYMENT_PROCESSOR_SETTLED,
    TASK_ASSIGNED,
    TASK_CREATED,
    TASK_EXPIRED,
    TASK_REASSIGNED,
    TASK_REJECTED,
    USER_FEEDBACK,
    VALIDATION_SUBMITTED,
    VWU_ASSIGNED,
)
from deepnode_projections.kernel import ops
from deepnode_projections.kernel.decoded import Cells
from deepnode_projections.kernel.decoding_sheet import Chosen, Sheet, chosen
from deepnode_projections.kernel.layout import NONE
from deepnode_projections.kernel.op_cells import CELLS, Cell, Of

OP_OF: Final[Mapping[str, int]] = MappingProxyType(
    {
        TASK_CREATED: ops.CREATED,
        TASK_ASSIGNED: ops.ASSIGNED,
        OUTPUT_SUBMITTED: ops.ANSWERED,
        VALIDATION_SUBMITTED: ops.VALIDATED,
        CONSENSUS_REACHED: ops.AGREED,
        VWU_ASSIGNED: ops.CREDITED,
        USER_FEEDBACK: ops.RATED,
        PAYMENT_PROCESSOR_SETTLED: ops.SETTLED,
        BAD_BEHAVIOUR_REPORTED: ops.REPORTED,
        TASK_REASSIGNED: ops.RETRIED,
        TASK_REJECTED: ops.REJECTED,
        TASK_EXPIRED: ops.EXPIRED,
    }
)
"""The operations by the types of statements."""


def put_statements(sheet: Sheet, batch: pa.RecordBatch, said: StatementColumns, which: Mask) -> None:
    """Put those statements of a type that are meant (``which``) to a sheet."""
    some = chosen(which)
    op, rows = OP_OF[said.type], said.rows[some]
    if not len(rows):
        return
    columns: list[Cells] = []
    for cell in CELLS[op]:
        if cell.of is Of.NAME:
            columns.append(sheet.named(batch.column(cell.name).take(pa.array(rows))))
        elif cell.of is Of.EVENT:
            columns.append(sheet.told(batch.column(cell.name).take(pa.array(rows))))
        else:
            columns += _columns(sheet, said, cell, some)
    sheet.put(op, rows, columns)


def _columns(sheet: Sheet, said: StatementColumns, cell: Cell, some: Chosen) -> list[Cells]:
    """Make a member's cells: one column, or the two of an amount."""
    column = said.columns[cell.name]
    match column:
        case Wide():
            return halves_of(column, some)
        case Fixed(octets):
            if not cell.may_be_left_out:
                return [sheet.entered(octets[some]) if cell.of is Of.HASH else sheet.numbered(octets[some])]
            given = said.given[cell.name][some]
            cells = np.full(len(given), NONE, np.int64)
            cells[given] = sheet.entered(octets[some][given])
            return [cells]
        case Numbers(numbers):
            # Slots are bits of which the highest may be set.
            cells = np.ascontiguousarray(numbers).view(np.int64)
            return [np.where(said.given[cell.name], cells, NONE)[some] if cell.may_be_left_out else cells[some]]
    raise AssertionError((said.type, cell.name, column))


def halves_of(amounts: Wide, some: Chosen) -> list[Cells]:
    """Return the lower and the upper 64 bits of some amounts."""
    high, low = amounts.hi_lo()
    return [low[some].view(np.int64), high[some].view(np.int64)]
