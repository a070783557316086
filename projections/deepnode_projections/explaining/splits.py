"""The split of a payment, leg by leg: rates, carries, what each leg should be, and what the router made it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.vocabulary import LEGS
from deepnode_projections.explaining.explanation import (
    Asset,
    Cell,
    Explanation,
    NothingToExplain,
    Step,
    Table,
    answers,
    places,
)
from deepnode_projections.explaining.past import Past
from deepnode_projections.explaining.pool import ruleset_step
from deepnode_projections.maths.carry import Split, split_by
from deepnode_projections.maths.rates import Rates, RatesRefused
from deepnode_projections.rules.comparisons import Difference
from deepnode_projections.rules.domains import Route
from deepnode_projections.rules.epochs import current
from deepnode_projections.rules.registry import Model
from deepnode_projections.rules.revenue import SETTLED, Receipt, ReleasedTotal
from deepnode_projections.rules.splits import SUBJECT, Carry, SplitTotal, rates_of
from deepnode_projections.rules.tasks import Task
from deepnode_projections.rules.trust import ruleset_of
from deepnode_projections.rulesets.ruleset import PPM, Ruleset

NETWORK = ("buyback", "foundation")
OF_MODEL = ("creator", "backers", "yield")
"""Whose pocket a leg is paid into: the whole network's, the model's; else the domain's."""


def receipts(past: Past, receipt: bytes) -> Sequence[Receipt]:
    """Return the payments of an id (32 bytes); there is one for each router that has used it.

    Raises:
        NothingToExplain: there is none.
    """
    found = past.every(Receipt, receipt)
    if not found:
        raise NothingToExplain(f"no receipt {to_hex(receipt)} is in the books at position {past.position}")
    return found


def explain_split(past: Past, asset: Asset, receipt: Receipt) -> Explanation:
    """Explain what became of a payment.

    Args:
        past: the books at a position.
        asset: what was paid.
        receipt: as the books keep it there.
    """
    paid = _paid(past, asset, receipt)
    title = f"Split of receipt {to_hex(receipt.receipt)}: {asset.amount(receipt.amount)}"
    if receipt.stage != SETTLED or receipt.closed_position is None:
        what = "was paid back" if receipt.stage == "refunded" else "waits in escrow: it was neither split nor paid back"
        end = Step("No split", (f"The payment {what}.",), positions=places(receipt.closed_position))
        return Explanation(title, past.position, receipt.amount, asset, (paid, end))
    then, before = past.at(receipt.closed_position), past.at(receipt.closed_position - 1)
    steps = [paid, ruleset_step(then, current(then))]
    model = then.get(Model, receipt.model)
    route = None if model is None else then.get(Route, model.domain, receipt.asset)
    if model is None or route is None:
        none = Step("The rates", ("No route is known of this asset: the rules give no legs.",), holds=False)
        return Explanation(title, past.position, receipt.amount, asset, (*steps, none))
    try:
        rates = rates_of(ruleset_of(then), model, route)
    except RatesRefused as refused:
        none = Step("The rates", (f"These rates make no split: {refused}.",), holds=False)
        return Explanation(title, past.position, receipt.amount, asset, (*steps, none))
    booked = _Booked(then, before, receipt, model, route, rates)
    steps += [_rates_step(then, booked), _legs_step(asset, booked), _suspense(asset, booked), _payouts(past, booked)]
    return Explanation(title, past.position, receipt.amount, asset, tuple(steps))


@dataclass(frozen=True)
class _Booked:
    """A split: the books behind it and before it, and what they knew of it."""

    then: Past
    before: Past
    receipt: Receipt
    model: Model
    route: Route
    rates: Rates

    @property
    def position(self) -> int:
        assert self.receipt.closed_position is not None
        return self.receipt.closed_position

    @cached_property
    def carries(self) -> tuple[int, ...]:
        """The carries before the split (millionths of a base unit)."""
        found = self.before.get(Carry, self.model.model, self.route.version, self.receipt.asset)
        return (0,) * len(LEGS) if found is None else found.legs

    @cached_property
    def rules(self) -> Ruleset:
        return ruleset_of(self.then)

    @cached_property
    def expected(self) -> Split:
        return split_by(self.rules.revenue.rounding, self.gross, self.rates, self.carries)

    @cached_property
    def gross(self) -> int:
        return self._after[0] - self._before[0]

    @cached_property
    def legs(self) -> tuple[int, ...]:
        """What the router made of it: what the model's totals grew by."""
        pairs = zip(self._after[1], self._before[1], strict=True)
        return tuple(after - before for after, before in pairs)

    @cached_property
    def suspense(self) -> tuple[int, int]:
        """What no leg had got, before and after."""
        found = [gross - sum(legs) for gross, legs in (self._before, self._after)]
        return found[0], found[1]

    @cached_property
    def _before(self) -> tuple[int, tuple[int, ...]]:
        return self._total(self.before)

    @cached_property
    def _after(self) -> tuple[int, tuple[int, ...]]:
        return self._total(self.then)

    def _total(self, past: Past) -> tuple[int, tuple[int, ...]]:
        found = past.get(SplitTotal, self.model.model, self.receipt.asset)
        return (0, (0,) * len(LEGS)) if found is None else (found.gross, found.legs)


def _paid(past: Past, asset: Asset, receipt: Receipt) -> Step:
    said = [
        f"{to_hex(receipt.payer)} paid {asset.amount(receipt.amount)} for the use of model {to_hex(receipt.model)}.",
    ]
    task = past.get(Task, receipt.ref)
    where: tuple[int, ...] = ()
    if task is not None:
        where = (task.created_position,)
        said.append(f"It was for task {to_hex(task.task)}, which is {task.stage} and has a price of {task.price}.")
    else:
        said.append(f"It refers to {to_hex(receipt.ref)}; no task of that name was told to the ledger.")
    return Step(
        "The payment", tuple(said), seeds=("001 section 1",), positions=places(receipt.received_position, *where)
    )


def _rates_step(then: Past, booked: _Booked) -> Step:
    model, route, rules = booked.model, booked.route, booked.rules
    said = [
        f"The model has set b = {model.b} ppm for its creator and a = {model.a} ppm for its backers.",
        (
            f"Route number {route.version} of domain {to_hex(model.domain)} says the rest (ppm of gross): fees "
            f"{route.fees}, buyback {route.buyback}, foundation {route.foundation}, domain {route.share}, variable "
            f"burn {route.variable_burn}, yield {route.yield_}."
        ),
        f"The emission leg z gets what the others leave: {booked.rates[-1]} ppm.",
    ]
    formula = f"{' + '.join(str(rate) for rate in booked.rates)} = {sum(booked.rates)}"
    fields = answers(rules, "revenue.model_share_of", "revenue.yield_from", "revenue.variable_burn_on")
    registered = then.changes(Model, model.model)[0][0]
    routed = then.since(Route, model.domain, route.asset)
    seeds = ("001 section 1", "004 step 2", "004 step 3")
    return Step("The rates", tuple(said), (formula,), None, seeds, fields, places(registered, routed))


def _legs_step(asset: Asset, booked: _Booked) -> Step:
    made, rows, formulas = booked.expected, list[tuple[Cell, ...]](), list[str]()
    rounding = booked.rules.revenue.rounding
    for number, leg in enumerate(LEGS):
        carry, rate = booked.carries[number], booked.rates[number]
        n = carry + booked.gross * rate if rounding == "carry_forward" else None
        fact = booked.legs[number]
        rows.append((leg, rate, carry, n, made.legs[number], made.carries[number], fact, fact - made.legs[number]))
    said = [
        f"{asset.amount(booked.gross)} are split. n = carry before + gross * rate; the leg is n / {PPM}, rounded down, "
        "and what is less than a base unit is carried to the next payment of the same model, asset and route."
        if rounding == "carry_forward"
        else f"{asset.amount(booked.gross)} are split for themselves ({rounding}); carries stay as they are.",
    ]
    differing = [leg for leg, row in zip(LEGS, rows, strict=True) if row[7]]
    said.append(
        f"The router made another amount of {', '.join(differing)}."
        if differing
        else "Every leg is what the rules give."
    )
    for leg in LEGS:
        found = booked.then.get(Difference, SUBJECT, leg, booked.receipt.receipt, booked.position)
        if found is not None and found.reason:
            said.append(f"Why the leg {leg} may differ: {found.reason}.")
    if rounding == "carry_forward":
        carry, rate = booked.carries[0], booked.rates[0]
        n = carry + booked.gross * rate
        formulas.append(f"{carry} + {booked.gross} * {rate} = {n} (the leg {LEGS[0]})")
        formulas.append(f"{n} / {PPM} = {made.legs[0]}, remainder {made.carries[0]}")
    return Step(
        "The legs",
        tuple(said),
        tuple(formulas),
        Table(("leg", "rate ppm", "carry before", "n", "expected", "carry after", "fact", "difference"), tuple(rows)),
        ("001 section 1", "DESIGN section 6, Revenue split"),
        answers(booked.rules, "revenue.rounding"),
        places(booked.position),
        not differing,
    )


def _suspense(asset: Asset, booked: _Booked) -> Step:
    before, after = booked.suspense
    total = sum(booked.legs)
    said = (
        f"The legs come to {asset.amount(total)}. What no leg has got waits in suspense: it was {before} and is "
        f"{after}. Each leg's carry is less than a base unit; together they are whole."
    )
    holds = before + booked.gross - total == after
    return Step("Suspense", (said,), (f"{before} + {booked.gross} - {total} = {after}",), holds=holds)


def _payouts(past: Past, booked: _Booked) -> Step:
    """Say when each leg's pocket was next paid out: it holds many payments' legs, so no coin of it has a name."""
    rows: list[tuple[Cell, ...]] = []
    for leg, amount in zip(LEGS, booked.legs, strict=True):
        name = bytes(32) if leg in NETWORK else booked.model.model if leg in OF_MODEL else booked.model.domain
        whose = "the network" if leg in NETWORK else "the model" if leg in OF_MODEL else "the domain"
        before = 0
        row: tuple[Cell, ...] = (leg, amount, whose, None, None)
        for position, each in past.changes(ReleasedTotal, leg, name, booked.receipt.asset):
            if position > booked.position:
                row = (leg, amount, whose, position, each.amount - before)
                break
            before = each.amount
        rows.append(row)
    said = (
        "Each leg is put into a pocket, with the same leg of other payments. The table says when that pocket was next "
        "paid out, and how much of it; nothing where it was not by then."
    )
    head = ("leg", "base units", "pocket of", "paid out at", "paid out")
    paid = places(*(row[3] for row in rows if isinstance(row[3], int)))
    return Step("The payout", (said,), table=Table(head, tuple(rows)), seeds=("001 section 1",), positions=paid)
