"""Beancount: a statement as a journal that bean-check accepts, with assertions that are exact to the base unit.

Amounts have all decimals of their token, from which Beancount takes how exactly a transaction has to balance, and an
assertion has the tolerance 0. Beancount asserts at the beginning of a day: the opening balances on the period's first
day, the closing ones on the day behind its last. It calculates with 28 digits unless told otherwise, so an account of
10**28 base units or more (ten thousand million whole tokens of 18 decimals) needs a larger context of the program's.
"""

from collections.abc import Iterable

from deepnode_graphql.statements.figures import FIAT_DECIMALS, day, exact, utc
from deepnode_graphql.statements.journal import (
    DAY_SECONDS,
    OPENING,
    Transaction,
    accounts,
    asset_account,
    commodities,
    day_before,
    day_prices,
    declared,
    explanation,
    transactions,
)
from deepnode_graphql.statements.statement import Statement, Token
from deepnode_ledger.hexadecimal import to_hex


def write(statement: Statement) -> bytes:
    """Write the journal."""
    return "\n".join([*_lines(statement), ""]).encode()


def _lines(statement: Statement) -> Iterable[str]:
    names = commodities(statement)
    before = day_before(statement)
    yield from (f"; {each}" for each in explanation(statement))
    yield ""
    yield f'option "title" {_quoted("DeepNode " + to_hex(statement.address))}'
    if statement.fiat:
        yield f'option "operating_currency" {_quoted(statement.fiat)}'
    # An explicit zero: nothing that has no decimals is allowed to be off by anything.
    yield 'option "inferred_tolerance_default" "*:0"'
    yield ""
    for token in declared(statement):
        yield f"{before} commodity {names[token]}"
        yield f"  address: {_quoted(to_hex(token.address))}"
        yield f"  symbol: {_quoted(token.symbol)}"
        yield f"  decimals: {token.decimals}"
    yield from (f"{before} open {each}" for each in accounts(statement))
    yield ""
    yield from _opening(statement, names, before)
    for time, token, value in day_prices(statement):
        yield f"{day(time)} price {names[token]} {exact(value.price_ppm, FIAT_DECIMALS)} {value.fiat}"
        yield f"  source: {_quoted(value.source)}"
        yield f"  position: {value.price_position}"
    for each in transactions(statement):
        yield ""
        yield from _transaction(each, names)
    yield ""
    behind = day(statement.to_time - 1 + DAY_SECONDS)
    for balance in statement.balances:
        amount = exact(balance.closing, balance.token.decimals)
        yield f"{behind} balance {asset_account(balance.account)}  {amount} ~ 0 {names[balance.token]}"


def _opening(statement: Statement, names: dict[Token, str], before: str) -> Iterable[str]:
    held = [each for each in statement.balances if each.opening]
    if held and not statement.continues:
        yield f'{before} * "Opening balances"'
        for each in held:
            yield f"  {asset_account(each.account)}  {exact(each.opening, each.token.decimals)} {names[each.token]}"
            yield f"  {OPENING}  {exact(-each.opening, each.token.decimals)} {names[each.token]}"
        yield ""
    for each in statement.balances:
        amount = exact(each.opening, each.token.decimals)
        first = day(max(statement.from_time, DAY_SECONDS))
        yield f"{first} balance {asset_account(each.account)}  {amount} ~ 0 {names[each.token]}"
    yield ""


def _transaction(transaction: Transaction, names: dict[Token, str]) -> Iterable[str]:
    yield f"{day(transaction.time)} * {_quoted(transaction.said)}"
    yield f"  time: {_quoted(utc(transaction.time))}"
    yield f"  transaction: {_quoted(to_hex(transaction.hash))}"
    yield f"  block: {transaction.block_number}"
    for each in transaction.postings:
        yield f"  {each.account}  {exact(each.amount, each.token.decimals)} {names[each.token]}"
        if each.line is not None:
            yield f"    position: {each.line.position}"
            yield f"    counterparty: {_quoted(each.line.counterparty)}"
            if each.line.value is not None:
                yield f"    value: {exact(each.line.value.micros, FIAT_DECIMALS)} {each.line.value.fiat}"


def _quoted(text: str) -> str:
    """Write words as a string of the journal, which knows escapes of quotes and backslashes."""
    plain = "".join(each if each.isprintable() else " " for each in text)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
