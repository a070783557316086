"""Journals: a statement as double-entry bookkeeping, for plain-text accounting.

Every transaction of the chain is one of the journal. A line is a posting to the account under Assets that is its own;
what has its other side with somebody else is posted against an account that says what it was: Income for what was
earned, Expenses for what was paid or lost, Equity for what only went to or came from somewhere else. What an epoch's
end cuts off in the middle of a transaction goes to Equity:DeepNode:Elsewhere, so that every transaction balances.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from deepnode_graphql.statements.figures import day
from deepnode_graphql.statements.statement import FiatValue, Line, LineType, Statement, Token

DAY_SECONDS: Final = 24 * 3600

OPENING: Final = "Equity:DeepNode:Opening"
ELSEWHERE: Final = "Equity:DeepNode:Elsewhere"

AGAINST: Final[Mapping[LineType, tuple[str, str]]] = {
    LineType.REWARD: ("Income:DeepNode:Rewards", "Income:DeepNode:Rewards"),
    LineType.REVENUE: ("Income:DeepNode:Revenue", "Income:DeepNode:Revenue"),
    LineType.FUNDING: ("Income:DeepNode:Funding", "Income:DeepNode:Funding"),
    LineType.COMPENSATION: ("Income:DeepNode:Compensation", "Income:DeepNode:Compensation"),
    LineType.MINT: ("Income:DeepNode:Minted", "Income:DeepNode:Minted"),
    LineType.PAYMENT: ("Expenses:DeepNode:Payments", "Expenses:DeepNode:Payments"),
    LineType.REFUND: ("Expenses:DeepNode:Payments", "Expenses:DeepNode:Payments"),
    LineType.FEE: ("Income:DeepNode:Fees", "Expenses:DeepNode:Fees"),
    LineType.SLASHING: ("Expenses:DeepNode:Slashing", "Expenses:DeepNode:Slashing"),
    LineType.BURN: ("Expenses:DeepNode:Burned", "Expenses:DeepNode:Burned"),
    LineType.TRANSFER_IN: ("Equity:DeepNode:Transfers", "Equity:DeepNode:Transfers"),
    LineType.TRANSFER_OUT: ("Equity:DeepNode:Transfers", "Equity:DeepNode:Transfers"),
    LineType.COLLATERAL_IN: ("Equity:DeepNode:Collateral", "Equity:DeepNode:Collateral"),
    LineType.COLLATERAL_OUT: ("Equity:DeepNode:Collateral", "Equity:DeepNode:Collateral"),
    LineType.SHARES: ("Equity:DeepNode:Shares", "Equity:DeepNode:Shares"),
}
"""What a line is posted against if its other side is not own: when it comes in, and when it goes out."""

_OTHER: Final = "Equity:DeepNode:Other"
_COMMODITY: Final = re.compile(r"[A-Z][A-Z0-9]{1,15}", re.ASCII)


def day_before(statement: Statement) -> str:
    """Write the day before the period, on which the opening balances stand: 1970-01-01 at the earliest."""
    return day(max(statement.from_time - DAY_SECONDS, 0))


@dataclass(frozen=True, slots=True)
class Posted:
    """A posting of the journal. ``line`` is the statement's, if it is of an own account."""

    account: str
    token: Token
    amount: int
    line: Line | None


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction of the journal: the lines of one transaction of the chain."""

    time: int
    said: str
    hash: bytes
    block_number: int
    postings: tuple[Posted, ...]


def transactions(statement: Statement) -> Iterable[Transaction]:
    """Yield the transactions in the order of the log; the postings of each add up to zero in every token."""
    for (time, transaction, number), group in groupby(
        statement.lines, key=lambda each: (each.time, each.transaction_hash, each.block_number)
    ):
        lines = list(group)
        postings = [posting for line in lines for posting in _postings(line)]
        rests: dict[Token, int] = {}
        for each in postings:
            rests[each.token] = rests.get(each.token, 0) + each.amount
        postings += [Posted(ELSEWHERE, token, -rest, None) for token, rest in rests.items() if rest]
        said = ", ".join(dict.fromkeys(f"{each.type.value} ({each.event})" for each in lines))
        yield Transaction(time, said, transaction, number, tuple(postings))


def asset_account(name: str) -> str:
    """Return the account under Assets that an own account of the books is."""
    return f"Assets:DeepNode:{':'.join(_component(each) for each in name.split(':'))}"


def accounts(statement: Statement) -> list[str]:
    """Return every account that the journal has to declare, sorted: all that there are if it stands alone."""
    own = {asset_account(each.account) for each in statement.balances}
    if statement.continues:
        return sorted(own - {asset_account(each.account) for each in statement.balances if each.used_before})
    others = {name for both in AGAINST.values() for name in both}
    return sorted({OPENING, ELSEWHERE, _OTHER} | own | others)


def declared(statement: Statement) -> list[Token]:
    """Return the tokens that the journal has to declare."""
    known = {each.token for each in statement.balances if each.used_before and statement.continues}
    return sorted({each.token for each in statement.balances} - known)


def commodities(statement: Statement) -> dict[Token, str]:
    """Name the tokens as journals allow it: their symbols, or, where two would be the same, with their addresses."""
    tokens = sorted({each.token for each in statement.balances})
    plain = {token: token.symbol if _COMMODITY.fullmatch(token.symbol) else "" for token in tokens}
    names = {}
    for token, name in plain.items():
        is_alone = name and list(plain.values()).count(name) == 1 and name != statement.fiat
        names[token] = name if is_alone else f"T{token.address.hex().upper()[:20]}"
    assert len(set(names.values())) == len(names), names
    return names


def day_prices(statement: Statement) -> list[tuple[int, Token, FiatValue]]:
    """Return the prices that the lines were valued at, each once, by the time of the first such line."""
    seen: dict[tuple[Token, int], tuple[int, Token, FiatValue]] = {}
    for line in statement.lines:
        if line.value is not None:
            seen.setdefault((line.token, line.value.price_position), (line.time, line.token, line.value))
    return sorted(seen.values(), key=lambda each: (each[0], each[1], each[2].price_position))


def explanation(statement: Statement) -> Sequence[str]:
    """Say at the journal's head what it is of, and how its accounts are to be read."""
    from deepnode_graphql.statements.tables import summary

    told = [f"{row[0]}: {row[1]}" for row in summary(statement).rows]
    return (
        "A statement of DeepNode's books.",
        *(" ".join(each.split()) for each in told),
        "Assets are the address's own accounts; Income, Expenses and Equity say what the other side was.",
        "It follows the journal of the period before, without an opening entry."
        if statement.continues
        else "It stands alone: a journal that follows it is made with --continues.",
    )


def _postings(line: Line) -> Iterable[Posted]:
    yield Posted(asset_account(line.account), line.token, line.amount, line)
    if not line.own:
        came, went = AGAINST.get(line.type, (_OTHER, _OTHER))
        yield Posted(came if line.amount > 0 else went, line.token, -line.amount, None)


def _component(text: str) -> str:
    """Write a part of an account's name with what journals allow in one: letters, digits, dashes."""
    made = re.sub(r"[^A-Za-z0-9-]", "-", text)
    # A part begins with a capital letter or a digit.
    return made[:1].upper() + made[1:] if made[:1].isalnum() else f"X{made}"
