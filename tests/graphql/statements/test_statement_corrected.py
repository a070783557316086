"""A statement with figures as corrected: every format has both, and without corrections nothing is added."""

import io
import zipfile
from dataclasses import replace

from deepnode_graphql.statements import tables
from deepnode_graphql.statements.data_file import as_data
from deepnode_graphql.statements.formats import FORMATS
from deepnode_graphql.statements.statement import CorrectedEvent, CorrectedReward, Statement, Token
from tests.graphql.small_books import DN, word
from tests.graphql.statements.conftest import Make
from tests.graphql.statements.month_books import DN_TOKEN, DOMAIN, NODE

TOKEN = Token("DN", DN_TOKEN, 18)


def corrected(month: Statement) -> Statement:
    """The month with a reward of 3 DN that should have been 2, and one of 1 that nobody should have got."""
    lines = tuple(
        CorrectedReward(1, DOMAIN, "miner", "work", node, TOKEN, amount, right)
        for node, amount, right in ((NODE, 3 * DN, 2 * DN), (word("another"), DN, 0))
    )
    events = (CorrectedEvent(99, "urn:p", "e7", "vwu", 1000, 10, 1, "a unit too large"),
              CorrectedEvent(101, "urn:p", "e9", "rating", 5, None, 1, "=cmd()"))  # fmt: skip
    return replace(month, corrected=lines, corrections=events)


def test_the_tables_have_both_figures_and_the_events(month: Statement) -> None:
    """Looks at the rows of both tables, amounts in base units with the token's decimals."""
    made = corrected(month)
    names = [each.name for each in tables.tables(made)]
    assert names[-2:] == ["corrected", "corrections"]
    assert [row[2:5] for row in tables.corrected(made).rows] == [
        ((3 * DN, 18), (2 * DN, 18), (-DN, 18)),
        ((DN, 18), (0, 18), (-DN, 18)),
    ]
    assert [row[:4] for row in tables.corrections(made).rows] == [
        (1, "vwu", "1000", "10"),
        (1, "rating", "5", "withdrawn"),
    ]
    assert "corrected" not in [each.name for each in tables.tables(month)]


def test_every_format_writes_it_and_journals_stay_as_they_are(month: Statement) -> None:
    """Writes every format of both: what shows tables has more, what books movements is the same to the byte."""
    made = corrected(month)
    longer = {name for name, writer in FORMATS.items() if writer.write(made) != writer.write(month)}
    assert {"json", "xlsx", "pdf"} <= longer
    assert longer & {"beancount", "hledger", "csv"} == set()
    [archive] = longer - {"json", "xlsx", "pdf"}
    with zipfile.ZipFile(io.BytesIO(FORMATS[archive].write(made))) as files:
        text = files.read("corrected.csv").decode()
        events = files.read("corrections.csv").decode()
    assert "3.000000000000000000,2.000000000000000000,-1.000000000000000000,miner,work" in text
    assert "'=cmd()" in events
    data = as_data(made)["corrected"][0]
    assert (data["amount"], data["corrected_amount"]) == (str(3 * DN), str(2 * DN))


def test_without_corrections_the_figures_are_the_same(statement_of: Make) -> None:
    """Asks the month for figures as corrected: nothing was earned and nothing corrected in it, so nothing is added."""
    made = statement_of(corrected=True, known="latest")
    assert (made.corrected, made.corrections) == ((), ())
    assert as_data(replace(made, known_position=0)) == as_data(replace(statement_of(), known_position=0))
