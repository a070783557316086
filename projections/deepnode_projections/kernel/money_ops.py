"""Money operations: the compiled twins of the rules for transfers, payments and splits.

A twin does an event whole and returns True, or changes nothing and returns False: then the rules do it. It is sure only
of what has an effect, is all as expected and stays far below what the books can hold (``wide``). So no refusal and no
difference is ever made here.

Sources: ``rules.tokens``, ``rules.revenue``, ``rules.splits``, ``folds.running_balance``, which are the definition.
"""

import numpy as np

from deepnode_ledger.compiled import Integer, inlined, inner
from deepnode_projections.kernel import holding
from deepnode_projections.kernel.holding import BALANCE, BALANCE_SAME, BALANCE_SINCE, KEEPS, POSTINGS
from deepnode_projections.kernel.layout import NONE
from deepnode_projections.kernel.maps import Maps
from deepnode_projections.kernel.money_views import (
    CARRY_LEGS,
    CARRY_SAME,
    CARRY_SINCE,
    CHECKED_COMPARISONS,
    CHECKED_DIFFERING,
    CHECKED_SAME,
    CHECKED_SINCE,
    LEGS_COUNT,
    MOVES_CARRIED,
    PARTS,
    RECEIPT_AMOUNT,
    RECEIPT_AS_EXPECTED,
    RECEIPT_ASSET,
    RECEIPT_CLOSED,
    RECEIPT_MODEL,
    RECEIPT_PAYER,
    RECEIPT_RECEIVED,
    RECEIPT_REF,
    RECEIPT_SAME,
    RECEIPT_SINCE,
    RECEIPT_STAGE,
    REVENUE_GROSS,
    REVENUE_RECEIPTS,
    REVENUE_SAME,
    REVENUE_SINCE,
    TEXT_PARTS,
    TEXT_RECEIVED,
    TEXT_SETTLED,
    TEXT_SUBJECT,
    TOTAL_GROSS,
    TOTAL_LEGS,
    TOTAL_SAME,
    TOTAL_SINCE,
    MoneyTables,
    MoneyViews,
)
from deepnode_projections.kernel.split_profiles import (
    ACCOUNTS,
    CARRY,
    DOMAIN,
    ESCROW,
    FIRST_LEG,
    POCKETS,
    RATES,
    ROWS,
    STANDS,
    SUSPENSE,
    TOTAL,
    UNNAMED,
    VERSION,
)
from deepnode_projections.kernel.table import Cells, View, enter, find, has_room, keep
from deepnode_projections.kernel.task_params import EPOCH
from deepnode_projections.kernel.wide import is_far, minus, over_ppm, plus, share


@inner
def transfer(cells: Cells, at: Integer, position: Integer, m: Maps, h: MoneyViews) -> Integer:
    """Move what a transfer moves (``ops.TRANSFER``)."""
    low, high = cells[at + 3], cells[at + 4]
    if high < 0 or is_far(high):
        return False
    asset, giver, taker = m.ids[cells[at]], m.accounts[cells[at + 1]], m.accounts[cells[at + 2]]
    giver_row = find(h.balances, 2, giver, asset, 0, 0)
    taker_row = giver_row if giver == taker else find(h.balances, 2, taker, asset, 0, 0)
    return _move(h.balances, h.postings, h.counts, position, asset, giver, giver_row, taker, taker_row, low, high)


@inner
def received(cells: Cells, at: Integer, position: Integer, m: Maps, h: MoneyViews, t: MoneyTables) -> Integer:
    """Take note of a payment and bring it into escrow (``ops.RECEIVED``)."""
    contract, receipt = m.ids[cells[at]], m.ids[cells[at + 1]]
    model, asset = m.ids[cells[at + 2]], m.ids[cells[at + 3]]
    low, high = cells[at + 6], cells[at + 7]
    profile = _profile(h.profiles, h.wanted, contract, model, asset)
    if profile < 0 or high < 0 or is_far(high) or find(t.receipts, 2, receipt, contract, 0, 0) >= 0:
        return False
    pockets = h.profiles.cells
    _find_balances(h.balances, pockets, profile)
    giver, taker = pockets[profile, ACCOUNTS + UNNAMED], pockets[profile, ACCOUNTS + ESCROW]
    giver_row, taker_row = pockets[profile, ROWS + UNNAMED], pockets[profile, ROWS + ESCROW]
    if not _move(h.balances, h.postings, h.counts, position, asset, giver, giver_row, taker, taker_row, low, high):
        return False
    row = enter(t.receipts, 2, RECEIPT_SAME, receipt, contract, 0, 0)
    rows = t.receipts.cells
    rows[row, RECEIPT_MODEL], rows[row, RECEIPT_ASSET], rows[row, RECEIPT_PAYER] = model, asset, m.ids[cells[at + 4]]
    rows[row, RECEIPT_AMOUNT], rows[row, RECEIPT_AMOUNT + 1], rows[row, RECEIPT_REF] = low, high, m.ids[cells[at + 5]]
    rows[row, RECEIPT_STAGE], rows[row, RECEIPT_AS_EXPECTED] = t.texts[TEXT_RECEIVED], NONE
    rows[row, RECEIPT_RECEIVED], rows[row, RECEIPT_CLOSED], rows[row, RECEIPT_SINCE] = position, NONE, position
    return True


@inner
def split(
    cells: Cells, at: Integer, position: Integer, m: Maps, p: Cells, h: MoneyViews, t: MoneyTables, is_alone: Integer
) -> Integer:
    """Split a payment into its legs, all of them as expected (``ops.SPLIT``). ``p`` are those of ``task_params``.

    Unless it ``is_alone``, the first comparison of each part is the rules': the table of them is not of money alone.
    """
    contract, receipt = m.ids[cells[at]], m.ids[cells[at + 1]]
    model, asset = m.ids[cells[at + 2]], m.ids[cells[at + 3]]
    low, high = cells[at + 5], cells[at + 6]
    profile, known, moves = _profile(h.profiles, h.wanted, contract, model, asset), h.profiles.cells, h.moves
    if profile < 0 or known[profile, VERSION] == 0 or high < 0 or is_far(high) or not has_room(h.balances, POCKETS, 0):
        return False
    paid, receipts = find(t.receipts, 2, receipt, contract, 0, 0), t.receipts.cells
    if paid >= 0 and (
        receipts[paid, RECEIPT_STAGE] != t.texts[TEXT_RECEIVED]
        or receipts[paid, RECEIPT_AMOUNT] != low
        or receipts[paid, RECEIPT_AMOUNT + 1] != high
    ):
        return False
    parts = PARTS if paid >= 0 else PARTS - 1
    if known[profile, CARRY] < 0:
        known[profile, CARRY] = find(t.carries, 3, model, known[profile, VERSION], asset, 0)
    if known[profile, TOTAL] < 0:
        known[profile, TOTAL] = find(t.totals, 2, model, asset, 0, 0)
    _find_balances(h.balances, known, profile)
    if not (
        _is_expected(cells, at + 7, known, profile, t.carries.cells, moves, low, high)
        and _leaves_little(known, profile, t.totals.cells, moves, low, high)
        and _can_post(known, profile, h.balances.cells, moves)
        and (is_alone or _is_counted(t.checked, t.texts, parts))
        and _earns(position, p[EPOCH], known[profile, DOMAIN], asset, t.revenue, low, high)
    ):
        return False
    _add_to_total(position, known, profile, t.totals, moves, low, high)
    _carry(position, known, profile, t.carries, moves)
    _count(position, t.checked, t.texts, parts)
    if paid >= 0:
        keep(t.receipts, RECEIPT_SINCE, paid, position)
        receipts[paid, RECEIPT_STAGE], receipts[paid, RECEIPT_AS_EXPECTED] = t.texts[TEXT_SETTLED], 1
        receipts[paid, RECEIPT_CLOSED] = position
    leg = np.int64(0)
    for pocket in range(SUSPENSE + 1):
        low, high = moves[2 * pocket], moves[2 * pocket + 1]
        if low != 0 or high != 0:
            row, account = known[profile, ROWS + pocket], known[profile, ACCOUNTS + pocket]
            _post(h.balances, h.postings, h.counts, position, leg, row, account, asset, low, high)
            leg += 1
    return True


@inlined
def _profile(profiles: View, wanted: Cells, contract: Integer, model: Integer, asset: Integer) -> Integer:
    """Return the row of a profile, or -1: then one is wanted."""
    profile = find(profiles, 3, contract, model, asset, 0)
    if profile >= 0 and profiles.cells[profile, STANDS] != 0:
        return profile
    wanted[0], wanted[1], wanted[2], wanted[3] = 1, contract, model, asset
    return np.int64(-1)


@inlined
def _find_balances(balances: View, known: Cells, profile: Integer) -> None:
    """Look for the balances of a profile's pockets that were not known to be there."""
    for pocket in range(POCKETS):
        if known[profile, ROWS + pocket] < 0:
            account = known[profile, ACCOUNTS + pocket]
            known[profile, ROWS + pocket] = find(balances, 2, account, known[profile, 2], 0, 0)


@inner
def _is_expected(
    cells: Cells,
    first: Integer,
    known: Cells,
    profile: Integer,
    carries: Cells,
    moves: Cells,
    low: Integer,
    high: Integer,
) -> Integer:
    """Say whether all legs are as expected; write down what every pocket gets, and what is carried."""
    part_low, part_high, rest = over_ppm(low, high)
    row = known[profile, CARRY]
    moves[2 * ESCROW], moves[2 * ESCROW + 1] = minus(0, 0, low, high)
    for leg in range(LEGS_COUNT):
        had = carries[row, CARRY_LEGS + leg] if row >= 0 else np.int64(0)
        leg_low, leg_high, has = share(part_low, part_high, rest, known[profile, RATES + leg], had)
        if leg_low != cells[first + 2 * leg] or leg_high != cells[first + 2 * leg + 1]:
            return False
        to = 2 * (FIRST_LEG + leg)
        moves[to], moves[to + 1], moves[MOVES_CARRIED + leg] = leg_low, leg_high, has
        low, high = minus(low, high, leg_low, leg_high)
    # What the legs leave goes into suspense; what they take beyond the payment comes out of it.
    moves[2 * SUSPENSE], moves[2 * SUSPENSE + 1] = low, high
    return True


@inner
def _leaves_little(known: Cells, profile: Integer, totals: Cells, moves: Cells, low: Integer, high: Integer) -> Integer:
    """Say whether what waits in suspense, of all splits of a model in an asset, is what carries can be."""
    row = known[profile, TOTAL]
    if row >= 0:
        if is_far(totals[row, TOTAL_GROSS + 1]):
            return False
        low, high = plus(totals[row, TOTAL_GROSS], totals[row, TOTAL_GROSS + 1], low, high)
    for leg in range(LEGS_COUNT):
        if is_far(high):
            return False
        low, high = minus(low, high, moves[2 * (FIRST_LEG + leg)], moves[2 * (FIRST_LEG + leg) + 1])
        if row >= 0:
            less_low, less_high = totals[row, TOTAL_LEGS + 2 * leg], totals[row, TOTAL_LEGS + 2 * leg + 1]
            if is_far(high) or is_far(less_high):
                return False
            low, high = minus(low, high, less_low, less_high)
    return high == 0 and low >= 0 and low <= (LEGS_COUNT - 1) * known[profile, VERSION]


@inner
def _can_post(known: Cells, profile: Integer, balances: Cells, moves: Cells) -> Integer:
    """Say whether all balances of a split stay near enough."""
    for pocket in range(SUSPENSE + 1):
        if not _can_take(balances, known[profile, ROWS + pocket], moves[2 * pocket], moves[2 * pocket + 1]):
            return False
    return True


@inner
def _earns(
    position: Integer, epoch: Integer, domain: Integer, asset: Integer, revenue: View, low: Integer, high: Integer
) -> Integer:
    """Add a split to the revenue of its domain in an epoch, unless that goes too far; return whether it was added."""
    rows = revenue.cells
    row = find(revenue, 3, epoch, domain, asset, 0)
    if row < 0:
        row = enter(revenue, 3, REVENUE_SAME, epoch, domain, asset, 0)
        rows[row, REVENUE_GROSS], rows[row, REVENUE_GROSS + 1], rows[row, REVENUE_RECEIPTS] = 0, 0, 0
        rows[row, REVENUE_SINCE] = position
    has_low, has_high = plus(rows[row, REVENUE_GROSS], rows[row, REVENUE_GROSS + 1], low, high)
    if is_far(rows[row, REVENUE_GROSS + 1]) or is_far(has_high):
        return False
    keep(revenue, REVENUE_SINCE, row, position)
    rows[row, REVENUE_GROSS], rows[row, REVENUE_GROSS + 1] = has_low, has_high
    rows[row, REVENUE_RECEIPTS] += 1
    return True


@inner
def _add_to_total(
    position: Integer, known: Cells, profile: Integer, totals: View, moves: Cells, low: Integer, high: Integer
) -> None:
    """Add a split to the totals of its model."""
    rows = totals.cells
    row = known[profile, TOTAL]
    if row < 0:
        row = enter(totals, 2, TOTAL_SAME, known[profile, 1], known[profile, 2], 0, 0)
        known[profile, TOTAL] = row
        rows[row, TOTAL_SINCE] = position
        for cell in range(TOTAL_GROSS, TOTAL_SINCE):
            rows[row, cell] = 0
    elif low == 0 and high == 0:
        return  # Nor is anything in a leg: all carries are less than a unit.
    keep(totals, TOTAL_SINCE, row, position)
    for part in range(LEGS_COUNT + 1):
        # The gross and the legs stand in the order of escrow and the legs' pockets.
        if part > 0:
            low, high = moves[2 * part], moves[2 * part + 1]
        cell = TOTAL_GROSS + 2 * part
        rows[row, cell], rows[row, cell + 1] = plus(rows[row, cell], rows[row, cell + 1], low, high)


@inner
def _carry(position: Integer, known: Cells, profile: Integer, carries: View, moves: Cells) -> None:
    """Carry what is less than a base unit of each leg; a row in which nothing changes stays as it is."""
    rows = carries.cells
    row = known[profile, CARRY]
    if row < 0:
        row = enter(carries, 3, CARRY_SAME, known[profile, 1], known[profile, VERSION], known[profile, 2], 0)
        known[profile, CARRY] = row
        rows[row, CARRY_SINCE] = position
        for leg in range(LEGS_COUNT):
            rows[row, CARRY_LEGS + leg] = 0
    for leg in range(LEGS_COUNT):
        if rows[row, CARRY_LEGS + leg] != moves[MOVES_CARRIED + leg]:
            keep(carries, CARRY_SINCE, row, position)
            rows[row, CARRY_LEGS + leg] = moves[MOVES_CARRIED + leg]


@inner
def _is_counted(checked: View, texts: Cells, parts: Integer) -> Integer:
    """Say whether there are rows that count the comparisons of the first ``parts`` parts of a split."""
    for part in range(parts):
        if texts[TEXT_PARTS + PARTS + part] < 0:
            row = find(checked, 2, texts[TEXT_SUBJECT], texts[TEXT_PARTS + part], 0, 0)
            if row < 0:
                return False
            texts[TEXT_PARTS + PARTS + part] = row
    return True


@inner
def _count(position: Integer, checked: View, texts: Cells, parts: Integer) -> None:
    """Count a comparison of each of the first ``parts`` parts of a split, none of which has differed."""
    rows = checked.cells
    for part in range(parts):
        row = texts[TEXT_PARTS + PARTS + part]
        if row < 0:
            subject, what = texts[TEXT_SUBJECT], texts[TEXT_PARTS + part]
            row = find(checked, 2, subject, what, 0, 0)
            if row < 0:
                row = enter(checked, 2, CHECKED_SAME, subject, what, 0, 0)
                rows[row, CHECKED_COMPARISONS], rows[row, CHECKED_DIFFERING] = 0, 0
                rows[row, CHECKED_SINCE] = position
            texts[TEXT_PARTS + PARTS + part] = row
        keep(checked, CHECKED_SINCE, row, position)
        rows[row, CHECKED_COMPARISONS] += 1


@inlined
def _can_take(balances: Cells, row: Integer, low: Integer, high: Integer) -> Integer:
    """Say whether the balance of a row (-1: none yet) may have an amount more, which is not far itself."""
    if row < 0:
        return True
    had_low, had_high = balances[row, BALANCE], balances[row, BALANCE + 1]
    return not is_far(had_high) and not is_far(plus(had_low, had_high, low, high)[1])


@inner
def _move(
    balances: View,
    postings: Cells,
    counts: Cells,
    position: Integer,
    asset: Integer,
    giver: Integer,
    giver_row: Integer,
    taker: Integer,
    taker_row: Integer,
    low: Integer,
    high: Integer,
) -> Integer:
    """Move an amount, which may be nothing, from a balance to another, unless one goes too far; return whether so."""
    less_low, less_high = minus(0, 0, low, high)
    rows = balances.cells
    if not (_can_take(rows, giver_row, less_low, less_high) and _can_take(rows, taker_row, low, high)):
        return False
    if low != 0 or high != 0:
        row = _post(balances, postings, counts, position, 0, giver_row, giver, asset, less_low, less_high)
        if giver == taker:
            taker_row = row
        _post(balances, postings, counts, position, 1, taker_row, taker, asset, low, high)
    return True


@inlined
def _post(
    balances: View,
    postings: Cells,
    counts: Cells,
    position: Integer,
    leg: Integer,
    row: Integer,
    account: Integer,
    asset: Integer,
    low: Integer,
    high: Integer,
) -> Integer:
    """Add an amount to a balance, which may be new (row -1), and keep the posting; return the balance's row."""
    rows = balances.cells
    if row < 0:
        row = enter(balances, 2, BALANCE_SAME, account, asset, 0, 0)
        rows[row, BALANCE], rows[row, BALANCE + 1] = 0, 0
    has_low, has_high = plus(rows[row, BALANCE], rows[row, BALANCE + 1], low, high)
    rows[row, BALANCE], rows[row, BALANCE + 1], rows[row, BALANCE_SINCE] = has_low, has_high, position
    if counts[KEEPS] != 0:
        to = counts[POSTINGS]
        postings[to, holding.POSITION], postings[to, holding.LEG] = position, leg
        postings[to, holding.ACCOUNT], postings[to, holding.ASSET] = account, asset
        postings[to, holding.AMOUNT], postings[to, holding.AMOUNT + 1] = low, high
        postings[to, holding.AFTER], postings[to, holding.AFTER + 1] = has_low, has_high
        counts[POSTINGS] = to + 1
    return np.int64(row)
