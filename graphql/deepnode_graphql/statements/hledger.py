"""hledger: a statement as a journal whose every posting to an own account asserts the balance behind it.

hledger's numbers are exact at any size, and its assertions too, so one base unit that is changed anywhere is found.
"""

from collections.abc import Iterable

from deepnode_graphql.statements.figures import FIAT_DECIMALS, day, exact, utc
from deepnode_graphql.statements.journal import (
    OPENING,
    Transaction,
    accounts,
    asset_account,
    commodities,
    day_before,
    day_prices,
    explanation,
    transactions,
)
from deepnode_graphql.statements.statement import Statement, Token
from deepnode_ledger.hexadecimal import to_hex


def write(statement: Statement) -> bytes:
    """Write the journal."""
    return "\n".join([*_lines(statement), ""]).encode()


def _lines(statement: Statement) -> Iterable[str]:
    names = {token: f'"{name}"' for token, name in commodities(statement).items()}
    yield from (f"; {_plain(each)}" for each in explanation(statement))
    yield ""
    yield "decimal-mark ."
    for token, name in names.items():
        yield f"commodity {exact(0, token.decimals)}{'' if token.decimals else '.'} {name}"
        yield f"  ; address: {to_hex(token.address)}, symbol: {_plain(token.symbol)}"
    if statement.fiat:
        yield f"commodity {exact(0, FIAT_DECIMALS)} {statement.fiat}"
    yield from (f"account {each}" for each in accounts(statement))
    yield ""
    for time, token, value in day_prices(statement):
        yield f"P {day(time)} {names[token]} {exact(value.price_ppm, FIAT_DECIMALS)} {value.fiat}"
    yield ""
    before = day_before(statement)
    yield from _opening(statement, names, before)
    for each in transactions(statement):
        yield from _transaction(each, names)
    yield from _asserted(f"{day(statement.to_time - 1)} * Closing balances", statement, names, opening=False)


def _opening(statement: Statement, names: dict[Token, str], before: str) -> Iterable[str]:
    held = [each for each in statement.balances if each.opening]
    if held and not statement.continues:
        yield f"{before} * Opening balances"
        for each in held:
            yield f"    {asset_account(each.account)}  {exact(each.opening, each.token.decimals)} {names[each.token]}"
            yield f"    {OPENING}  {exact(-each.opening, each.token.decimals)} {names[each.token]}"
        yield ""
    yield from _asserted(f"{before} * Balances carried forward", statement, names, opening=True)


def _asserted(title: str, statement: Statement, names: dict[Token, str], *, opening: bool) -> Iterable[str]:
    """Assert what every account holds, in a transaction that moves nothing."""
    if statement.balances:
        yield title
        for each in statement.balances:
            nothing, decimals = exact(0, each.token.decimals), each.token.decimals
            held = exact(each.opening if opening else each.closing, decimals)
            yield f"    {asset_account(each.account)}  {nothing} {names[each.token]} = {held} {names[each.token]}"
        yield ""


def _transaction(transaction: Transaction, names: dict[Token, str]) -> Iterable[str]:
    yield f"{day(transaction.time)} * {_plain(transaction.said)}"
    yield f"    ; time: {utc(transaction.time)}"
    yield f"    ; transaction: {to_hex(transaction.hash)}, block: {transaction.block_number}"
    for each in transaction.postings:
        decimals, name = each.token.decimals, names[each.token]
        posted = f"    {each.account}  {exact(each.amount, decimals)} {name}"
        if each.line is None:
            yield posted
            continue
        yield f"{posted} = {exact(each.line.balance, decimals)} {name}"
        yield f"    ; position: {each.line.position}, counterparty: {_plain(each.line.counterparty)}"
        if each.line.value is not None:
            yield f"    ; value: {exact(each.line.value.micros, FIAT_DECIMALS)} {each.line.value.fiat}"
    yield ""


def _plain(text: str) -> str:
    """Write words as one line of the journal that begins no comment and ends no description."""
    return "".join(each if each.isprintable() and each not in ";|" else " " for each in text)
