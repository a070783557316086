"""The journals, judged by Beancount and hledger: they load, their balances hold, one base unit is found anywhere."""

import csv
import io
import re
import subprocess
from dataclasses import replace
from decimal import Decimal

import pytest
from beancount import loader
from beancount.core import data as directives

from deepnode_graphql.statements import beancount, hledger
from deepnode_graphql.statements.figures import exact
from deepnode_graphql.statements.journal import asset_account, commodities
from deepnode_graphql.statements.statement import Statement, Token
from tests.graphql.statements.conftest import Make

FIGURE = re.compile(r"(?<![\w.:-])-?\d+\.\d+(?= (?:~ 0 )?\"?(?:DN|USDC)\b)")


def beancount_errors(journal: str) -> list[str]:
    """What Beancount finds wrong."""
    _, errors, _ = loader.load_string(journal)
    return [each.message for each in errors]


def hledger_error(journal: str, *command: str) -> str:
    """What hledger finds wrong; nothing if it accepts the journal."""
    done = subprocess.run(
        ["hledger", "-f-", *(command or ("check",))], input=journal, capture_output=True, text=True, check=False
    )
    assert (done.returncode == 0) == (not done.stderr), done
    return done.stderr


def one_unit_more(journal: str, found: re.Match[str]) -> str:
    """The journal with the last digit of a figure changed."""
    figure = found[0]
    last = "1" if figure[-1] == "0" else "0"
    return journal[: found.start()] + figure[:-1] + last + journal[found.end() :]


def test_beancount_loads_the_journal_and_its_balances_hold(month: Statement) -> None:
    """Loads it without an error, and adds up what Beancount has for each account."""
    entries, errors, _ = loader.load_string(beancount.write(month).decode())
    assert errors == []
    sums: dict[tuple[str, str], Decimal] = {}
    for entry in entries:
        for posting in entry.postings if isinstance(entry, directives.Transaction) else ():
            assert posting.units is not None
            assert isinstance(posting.units.number, Decimal)
            key = (posting.account, posting.units.currency)
            sums[key] = sums.get(key, Decimal(0)) + posting.units.number
    for each in month.balances:
        held = sums.get((asset_account(each.account), each.token.symbol), Decimal(0))
        assert held == Decimal(exact(each.closing, each.token.decimals))
    assert sum(isinstance(entry, directives.Balance) for entry in entries) == 2 * len(month.balances)
    assert any(isinstance(entry, directives.Price) for entry in entries)


def test_beancount_finds_one_base_unit_anywhere(month: Statement) -> None:
    """Changes every figure of the journal by one unit, one at a time."""
    journal = beancount.write(month).decode()
    figures = list(FIGURE.finditer(journal))
    assert len(figures) > 50
    assert all(beancount_errors(one_unit_more(journal, each)) for each in figures)


def test_hledger_loads_the_journal_and_its_balances_hold(month: Statement) -> None:
    """Checks it strictly, with accounts and commodities declared, and reads the closing balances from its report."""
    journal = hledger.write(month).decode()
    assert not hledger_error(journal, "check", "accounts", "commodities", "ordereddates")
    done = subprocess.run(
        ["hledger", "-f-", "balance", "--flat", "--no-total", "Assets", "--layout=bare", "-O", "csv"],
        input=journal,
        capture_output=True,
        text=True,
        check=True,
    )
    told = {(row["account"], row["commodity"]): row["balance"] for row in csv.DictReader(io.StringIO(done.stdout))}
    for each in month.balances:
        if each.closing:
            found = told[asset_account(each.account), each.token.symbol]
            assert Decimal(found) == Decimal(exact(each.closing, each.token.decimals))


def test_hledger_finds_one_base_unit_anywhere(month: Statement) -> None:
    """Changes every third figure of the journal by one unit, one at a time."""
    journal = hledger.write(month).decode()
    body = journal.index(" * ")
    figures = [each for each in FIGURE.finditer(journal) if each.start() > body]
    assert len(figures) > 90
    # Each has a process of its own; Beancount, in this one, is asked about all of them.
    for each in figures[::3]:
        assert hledger_error(one_unit_more(journal, each)), each


def test_a_journal_can_follow_that_of_the_period_before(statement_of: Make) -> None:
    """Joins the journals of two days, the second made to follow: both programs accept it, and both see a gap.

    The gap is another second journal, which leaves out a block behind the first day.
    """
    first, second, late = (
        statement_of(begins="2023-11-14", ends=None, fiat="USD"),
        statement_of(begins="2023-11-15", ends=None, fiat="USD", continues=True),
        statement_of(begins="block:11", ends="block:17", fiat="USD", continues=True),
    )
    for write, wrong in ((beancount.write, beancount_errors), (hledger.write, hledger_error)):
        one, two, other = (write(each).decode() for each in (first, second, late))
        assert not wrong(one + two)
        assert wrong(one + other)


def test_words_that_journals_would_misread_are_harmless(month: Statement) -> None:
    """Names a token and a counterparty with quotes, comments, new lines and the fiat money's own name."""
    for words in ('D"N', "USD", "d n", "DN ; x", "DN\n2023-01-01 open Assets:X", "\\", "DN|x", "ö", "-"):
        token = Token(words, b"\x01" * 20, 18)
        other = Token(words, b"\x02" * 20, 18)
        balances = (
            replace(month.balances[0], token=token, opening=0, closing=month.lines[0].amount),
            replace(month.balances[0], token=other, opening=7, closing=7),
        )
        line = replace(
            month.lines[0], account=balances[0].account, token=token, balance=month.lines[0].amount, own=False,
            counterparty=words, value=None,
        )  # fmt: skip
        made = replace(month, lines=(line,), balances=balances)
        assert len(set(commodities(made).values())) == 2
        assert beancount_errors(beancount.write(made).decode()) == [], words
        assert not hledger_error(hledger.write(made).decode()), words


@pytest.mark.parametrize("opening", [True, False])
def test_who_had_nothing_has_a_journal_too(month: Statement, opening: bool) -> None:
    """Writes a statement without accounts, and one without lines."""
    made = replace(
        month, lines=(), balances=tuple(replace(e, closing=e.opening) for e in month.balances) if opening else ()
    )
    assert beancount_errors(beancount.write(made).decode()) == []
    assert not hledger_error(hledger.write(made).decode())
