"""Totals: a statement's lines added up, by what they are and by who was on the other side."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from deepnode_graphql.statements.statement import Line, LineType, Statement, Token


@dataclass(frozen=True, slots=True)
class Total:
    """Lines of a token that belong together: how many, what came in and went out (above 0 each), and their value.

    ``counterparty`` is empty in a total by type. ``valued`` is how many of the lines have a value, and ``micros`` what
    these add up to. Movements between own accounts (``own``) have a line on both sides: what comes in is what goes out.
    """

    type: LineType
    counterparty: str
    own: bool
    token: Token
    lines: int
    came_in: int
    went_out: int
    valued: int
    micros: int

    @property
    def amount(self) -> int:
        """What came in less what went out."""
        return self.came_in - self.went_out


def by_type(statement: Statement) -> tuple[Total, ...]:
    """Add up by type and token; movements between own accounts apart."""
    return _totals(statement.lines, with_counterparty=False)


def by_counterparty(statement: Statement) -> tuple[Total, ...]:
    """Add up by counterparty, type and token."""
    return _totals(statement.lines, with_counterparty=True)


def _totals(lines: Iterable[Line], *, with_counterparty: bool) -> tuple[Total, ...]:
    groups: dict[tuple[Hashable, ...], list[Line]] = {}
    order = list(LineType)
    for line in lines:
        other = line.counterparty if with_counterparty else ""
        groups.setdefault((line.own, order.index(line.type), other, line.token), []).append(line)
    totals = []
    for _, group in sorted(groups.items()):
        first = group[0]
        micros = [each.value.micros for each in group if each.value is not None]
        totals.append(
            Total(
                first.type,
                first.counterparty if with_counterparty else "",
                first.own,
                first.token,
                len(group),
                sum(each.amount for each in group if each.amount > 0),
                -sum(each.amount for each in group if each.amount < 0),
                len(micros),
                sum(micros),
            )
        )
    return tuple(totals)
