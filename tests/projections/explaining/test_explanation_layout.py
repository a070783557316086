"""Explanations as text and as data: nothing is lost in the data, and the text is for people."""

import inspect
import json

import pytest

from deepnode_projections.explaining import Asset, Explanation, LogPlace, Step, Table, as_data, as_text
from deepnode_projections.explaining.explanation import answers, counted, places
from deepnode_projections.explaining.layout import LINE_CHARACTERS, ROWS_SHOWN, table_lines
from deepnode_projections.rulesets import default

USDC = Asset(b"\x05" * 20, "USDC", 6)
STEP = Step(
    "The share",
    ("Half of it.",),
    ("3 * 1 / 2 = 1, remainder 1",),
    Table(("who", "in line", "base units", "seen at"), ((b"\xaa" * 32, True, 2, None), ("others", False, 10**30, 7))),
    ("001 section 1",),
    answers(default(), "revenue.rounding"),
    (3, 7),
    holds=False,
)
WHOLE = Explanation("A leg: 2 base units", 9, 2, USDC, (STEP,))
LOG = [LogPlace(3, 1, 1_700_000_000, "RevenueRouter RevenueSplit", "0x01 log 0")]


def test_an_explanation_as_text() -> None:
    """Compares the whole text with one that was written by hand."""
    assert (
        as_text(WHOLE, LOG)
        == inspect.cleandoc(
            """
        A leg: 2 base units
        ===================
        By the books at position 9.

        Not everything below adds up: the steps marked with (!) say what does not.

        1. The share (!)
           Half of it.

               3 * 1 / 2 = 1, remainder 1

               who              in line                       base units  seen at
               ---------------  -------  -------------------------------  -------
               0xaaaaaaaaaaaa…  yes                                    2        -
               others           no       1000000000000000000000000000000        7

           Ruleset: revenue.rounding = carry_forward.
           Source: 001 section 1.
           Log: 3, 7.

        Where it stands in the log

        position  block  block time  what                        origin
        --------  -----  ----------  --------------------------  ----------
               3      1  1700000000  RevenueRouter RevenueSplit  0x01 log 0
        """
        )
        + "\n"
    )


def test_an_explanation_as_data() -> None:
    """Goes through JSON: amounts are text, ids are whole, positions are numbers."""
    data = json.loads(json.dumps(as_data(WHOLE, LOG)))
    assert data["amount"] == "2"
    assert data["asset"] == {"address": "0x" + "05" * 20, "symbol": "USDC", "decimals": 6}
    assert data["holds"] is False
    (step,) = data["steps"]
    assert step["table"]["rows"] == [["0x" + "aa" * 32, True, "2", None], ["others", False, str(10**30), "7"]]
    assert step["ruleset"] == {"revenue.rounding": {"value": "carry_forward", "seed": "001 section 1"}}
    assert step["positions"] == [3, 7]
    assert data["log"][0]["what"] == "RevenueRouter RevenueSplit"


def test_a_long_table_is_cut_in_text_alone() -> None:
    """Lays out two rows too many."""
    table = Table(("n",), tuple((number,) for number in range(ROWS_SHOWN + 2)), note="a note")
    lines = table_lines(table)
    assert len(lines) == 2 + ROWS_SHOWN + 2
    assert lines[-2:] == ["… and 2 more rows (--json has them all)", "a note"]


def test_words_are_wrapped_and_ids_are_not() -> None:
    """Says forty words and an id in a sentence: lines are short, and the id stands in one of them."""
    name = "0x" + "ab" * 32
    text = as_text(Explanation("title", 1, None, None, (Step("s", (f"{'word ' * 40}{name}.",)),)))
    assert f"{name}." in text.split()
    assert max(len(line) for line in text.splitlines()) <= LINE_CHARACTERS


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (0, "0 USDC"),
        (1, "0.000001 USDC"),
        (1_500_000, "1.5 USDC"),
        (-20_000_000, "-20 USDC"),
        (10**38, f"{10**32} USDC"),
    ],
)
def test_units_have_every_decimal_that_counts(amount: int, shown: str) -> None:
    """Writes base units of a token with six decimals."""
    assert USDC.units(amount) == shown
    assert USDC.amount(amount) == f"{amount} base units ({shown})"


def test_a_token_without_decimals_has_whole_units() -> None:
    """Writes base units of a token with none."""
    assert Asset(bytes(20), "ONE", 0).units(12) == "12 ONE"


def test_small_words() -> None:
    """Counts things, and sorts positions."""
    assert (counted(1, "task"), counted(0, "task")) == ("1 task", "0 tasks")
    assert places(7, None, 3, 7) == (3, 7)
    assert WHOLE.positions == (3, 7)
