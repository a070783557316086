"""Money views: the arrays that the twins of the rules for money read and write, and where in their rows things are.

The places are of the layouts of the records, and known when the twins are compiled.
"""

from typing import Final, NamedTuple

import numpy as np

from deepnode_ledger.vocabulary import LEGS
from deepnode_projections.kernel.layout import layout_of
from deepnode_projections.kernel.state import ColumnState
from deepnode_projections.kernel.table import Cells, View
from deepnode_projections.rules.comparisons import Checked
from deepnode_projections.rules.economics import Revenue
from deepnode_projections.rules.revenue import RECEIVED, SETTLED, Receipt
from deepnode_projections.rules.splits import SUBJECT, Carry, SplitTotal


class MoneyViews(NamedTuple):
    """The arrays of holdings and of profiles.

    ``wanted`` is set by the twins where a profile is missing. ``moves`` is room for what a split moves: the amount of
    each pocket but the last, two cells each, and what is carried of each leg.
    """

    balances: View
    postings: Cells
    counts: Cells
    profiles: View
    wanted: Cells
    moves: Cells


class MoneyTables(NamedTuple):
    """The tables of payments and splits, and ``texts``: the numbers of the texts that the twins write and look for.

    Behind the texts stand the rows of the comparisons of a split's parts, -1 as long as they were not looked for.
    """

    receipts: View
    totals: View
    carries: View
    revenue: View
    checked: View
    texts: Cells


def money_tables(state: ColumnState) -> MoneyTables:
    """Return the tables as they are now: as long as nothing makes room in one of them."""
    view = {kind: table.view() for kind, table in state.tables.items()}
    texts = [state.texts.number(text) for text in (RECEIVED, SETTLED, SUBJECT, *LEGS, "suspense", "gross")]
    rows = [-1] * PARTS
    return MoneyTables(
        *(view[Receipt], view[SplitTotal], view[Carry], view[Revenue], view[Checked]), np.array(texts + rows, np.int64)
    )


LEGS_COUNT: Final = len(LEGS)
PARTS: Final = LEGS_COUNT + 2
"""The parts of a split that are compared: the legs, suspense, and the gross where the payment is known."""

MOVES_CARRIED: Final = 2 * (LEGS_COUNT + 2)
"""Where in ``MoneyViews.moves`` the carries begin."""

TEXT_RECEIVED: Final = 0
TEXT_SETTLED: Final = 1
TEXT_SUBJECT: Final = 2
TEXT_PARTS: Final = 3
"""Places in ``MoneyTables.texts``; the parts that are compared stand in their order: the legs, suspense, gross."""

_RECEIPT: Final = layout_of(Receipt)
RECEIPT_MODEL: Final = _RECEIPT.at("model")
RECEIPT_ASSET: Final = _RECEIPT.at("asset")
RECEIPT_PAYER: Final = _RECEIPT.at("payer")
RECEIPT_AMOUNT: Final = _RECEIPT.at("amount")
RECEIPT_REF: Final = _RECEIPT.at("ref")
RECEIPT_STAGE: Final = _RECEIPT.at("stage")
RECEIPT_AS_EXPECTED: Final = _RECEIPT.at("as_expected")
RECEIPT_RECEIVED: Final = _RECEIPT.at("received_position")
RECEIPT_CLOSED: Final = _RECEIPT.at("closed_position")
RECEIPT_SINCE: Final = _RECEIPT.since
RECEIPT_SAME: Final = _RECEIPT.same

_TOTAL: Final = layout_of(SplitTotal)
TOTAL_GROSS: Final = _TOTAL.at("gross")
TOTAL_LEGS: Final = _TOTAL.at("creator")
TOTAL_SINCE: Final = _TOTAL.since
TOTAL_SAME: Final = _TOTAL.same

_CARRY: Final = layout_of(Carry)
CARRY_LEGS: Final = _CARRY.at("creator")
CARRY_SINCE: Final = _CARRY.since
CARRY_SAME: Final = _CARRY.same

_REVENUE: Final = layout_of(Revenue)
REVENUE_GROSS: Final = _REVENUE.at("gross")
REVENUE_RECEIPTS: Final = _REVENUE.at("receipts")
REVENUE_SINCE: Final = _REVENUE.since
REVENUE_SAME: Final = _REVENUE.same

_CHECKED: Final = layout_of(Checked)
CHECKED_COMPARISONS: Final = _CHECKED.at("comparisons")
CHECKED_DIFFERING: Final = _CHECKED.at("differing")
CHECKED_SINCE: Final = _CHECKED.since
CHECKED_SAME: Final = _CHECKED.same
