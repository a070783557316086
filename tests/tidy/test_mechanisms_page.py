"""docs/MECHANISMS.md names what there is: events of the vocabulary, tables of the books, files of tests."""

import re
from collections.abc import Iterator

from deepnode_ledger.statement_data import DATA_OF
from deepnode_ledger.vocabulary import KINDS
from deepnode_projections import tables
from deepnode_projections.rules.book import RECORDS
from tests.tidy.tracked import ROOT

EVENTS = {event.name for events in KINDS.values() for event in events} | {data.__name__ for data in DATA_OF.values()}
TABLES = set(tables.metadata.tables) | {kind.TABLE for kind in RECORDS}
NAME = re.compile(r"`([^`]+)`")


def named(column: int) -> Iterator[str]:
    """The names in one column of all tables of mechanisms: 2 the events, 3 the tables, 4 the query, 5 the test."""
    for line in (ROOT / "docs/MECHANISMS.md").read_text().splitlines():
        cells = line.strip("|").split("|")
        if len(cells) == 7:
            yield from NAME.findall(cells[column])


def test_every_event_has_its_mechanism_and_every_named_event_exists() -> None:
    """Compares the names in the column of events with the vocabularies of contracts and of task events."""
    assert set(named(2)) == EVENTS


def test_every_named_table_exists() -> None:
    """Looks each table up among the records of the rules and the tables of the books."""
    assert set(named(3)) - TABLES == set()


def test_every_record_has_its_mechanism() -> None:
    """Looks for the table of each kind of record; how the books look things up is no mechanism."""
    assert {kind.TABLE for kind in RECORDS} - set(named(3)) == {"current_epoch", "round_of_model"}


def test_every_named_query_is_a_field_of_the_api() -> None:
    """Looks each query's first word up among the root fields of the golden schema."""
    schema = (ROOT / "graphql/schema.graphql").read_text()
    query = schema[schema.index("\ntype Query {") :].partition("\n}")[0]
    fields = set(re.findall(r"^  (\w+)", query, re.MULTILINE))
    asked = {re.match(r"\w+", name) for name in named(4)}
    assert {found.group() for found in asked if found} - fields == set()


def test_every_mechanism_has_its_query_and_its_test() -> None:
    """A row that names a table names a query and a test, too."""
    rows = [line.strip("|").split("|") for line in (ROOT / "docs/MECHANISMS.md").read_text().splitlines()]
    bare = [
        row[0]
        for row in rows
        if len(row) == 7 and NAME.search(row[3]) and not (NAME.search(row[4]) and NAME.search(row[5]))
    ]
    assert bare == []


def test_every_named_test_exists() -> None:
    """Looks for each file."""
    assert [path for path in named(5) if not (ROOT / path).is_file()] == []
