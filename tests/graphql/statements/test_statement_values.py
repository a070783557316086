"""What lines were worth: which price counts, and what a correction changes."""

from dataclasses import replace
from pathlib import Path

import pytest

from deepnode_graphql.service import make_service
from deepnode_graphql.statements import data_file
from deepnode_graphql.statements.amendments import amend
from deepnode_graphql.statements.making import Request, make_statement
from deepnode_graphql.statements.statement import Difference, LineType, Statement
from deepnode_ledger.errors import BadInput
from deepnode_projections.rebuild import rebuild
from deepnode_projections.tables import SCHEMA
from tests.graphql.small_books import ALICE, BOB, CAROL, DN, NOBODY, transfer
from tests.graphql.statements.conftest import Make
from tests.graphql.statements.month_books import CORRECTION, SOURCE, month_scribe, write_month, write_month_manifest


def test_a_line_has_the_value_of_the_price_that_was_known_then(month: Statement) -> None:
    """Looks at lines before and behind a new price, in both tokens: the older line keeps the older price."""
    worth = {(line.event, line.amount): line.value for line in month.lines if line.value is not None}
    received = worth["Transfer", 3 * DN + 3]
    assert (received.micros, received.price_ppm, received.source) == (1_500_000, 500_000, SOURCE)
    claim = worth["Claimed", 12 * DN + 5]
    assert (claim.micros, claim.price_ppm) == (7_200_012, 600_001)
    assert worth["Transfer", -2 * DN].micros == -1_200_002
    assert claim.price_position > received.price_position


def test_own_movements_and_shares_have_no_value(month: Statement) -> None:
    """Goes through all lines: the others have one each, as prices are there."""
    for line in month.lines:
        assert (line.value is None) == (line.own or line.type is LineType.SHARES)


def test_the_parts_of_a_claim_are_worth_what_its_line_is(month: Statement) -> None:
    """Adds up the rewards' values by claim, and compares with the lines."""
    lines = {line.amount: line.value for line in month.lines if line.type is LineType.REWARD}
    for part in month.rewards:
        assert part.value == lines[part.amount]


def test_without_a_price_a_value_is_empty_and_a_remark_says_so(statement_of: Make) -> None:
    """Asks for dollars of the first blocks, before any price."""
    made = statement_of(begins="block:1", ends="block:2", fiat="USD")
    assert {line.value for line in made.lines} == {None}
    assert "No price in USD was known for some lines in DN, USDC: their value is empty." in made.remarks


@pytest.mark.parametrize(
    ("more", "said"),
    [({"fiat": "EUR"}, "have 0 sources"), ({"fiat": "USD", "source": "urn:other"}, "has told no price in 'USD'"),
     ({"fiat": "USD", "known": "soon"}, "up to a log position"), ({"fiat": "USD", "known": "1"}, "not 1"),
     ({"fiat": "USD", "known": "2023-11"}, "is behind the books' end"), ({"known": "2023-13"}, "is no date"),
     ({"known": "block:99"}, "behind the last one"), ({"known": "2023-11-14"}, "count from the period's end")],
)  # fmt: skip
def test_prices_that_nobody_told_are_refused(statement_of: Make, more: dict[str, str], said: str) -> None:
    """Asks for another fiat money, another source and moments that there are not."""
    with pytest.raises(BadInput, match=said):
        statement_of(**more)


def test_what_was_known_is_said_by_a_position_a_date_or_a_block(statement_of: Make) -> None:
    """Names one moment behind the period in three ways: block 9 is the last one of its day."""
    period = {"begins": "block:1", "ends": "block:2"}
    by_block = statement_of(**period, known="block:9").known_position
    assert statement_of(**period).known_position < by_block
    for known in (str(by_block), "2023-11-14", "2023-11-15T00:00:00Z"):
        assert statement_of(**period, known=known).known_position == by_block


def test_a_correction_amends_the_statement_of_a_closed_period(database_url: str, tmp_path: Path) -> None:
    """Makes a final statement, lets a price be corrected later, and makes it again, in three ways."""
    with month_scribe(database_url, tmp_path) as books:
        books.play([transfer(NOBODY, BOB, 9 * DN)])
        wrong = books.price(500_000)
        books.play([transfer(BOB, ALICE, 3 * DN)], [transfer(BOB, CAROL, 1)])
        books.play([transfer(NOBODY, BOB, 1)])
        books.seal(3)
        service = make_service(books.url, books.manifest, SCHEMA)

        def made(known: str | None = None) -> Statement:
            with service.reading() as reading:
                return make_statement(reading, Request(ALICE, "block:1", "block:2", fiat="USD", known=known))

        first = made()
        assert first.finality == "final"
        books.tell(CORRECTION, corrects=wrong, reason="a slip", price_ppm="700000")
        books.play([transfer(NOBODY, ALICE, 5)])
        again, amended = made(), made("latest")
        service.engine.dispose()
    assert data_file.write(again) == data_file.write(first)
    digest, earlier = data_file.read(data_file.write(first))
    assert amend(again, digest, earlier).differences == ()
    found = amend(amended, digest, earlier)
    assert found.amends == digest
    changed = [each for each in found.differences if each.what == "lines"]
    [line] = changed
    assert line.change == "changed"
    assert "micros 1500000" in line.before
    assert "micros 2100000" in line.after
    assert {each.key for each in found.differences if each.what == "statement"} == {"finality", "known_position"}


def test_corrections_of_older_prices_and_withdrawn_ones_count_too(database_url: str, tmp_path: Path) -> None:
    """Tells three prices with a line behind each, then corrects the oldest and withdraws the second.

    The first line has the right value, the second that of the price before the withdrawn one, the third its own.
    """
    with month_scribe(database_url, tmp_path) as books:
        books.play([transfer(NOBODY, BOB, 9 * DN)])
        told = []
        for price in (100_000, 200_000, 300_000):
            told.append(books.price(price))
            books.play([transfer(BOB, ALICE, DN)])
        books.tell(CORRECTION, corrects=told[0], reason="a slip", price_ppm="150000")
        books.tell(CORRECTION, corrects=told[1], reason="void")
        service = make_service(books.url, books.manifest, SCHEMA)
        with service.reading() as reading:
            then, now = (
                make_statement(reading, Request(ALICE, "block:1", "block:3", fiat="USD", known=known)).lines
                for known in (None, "latest")
            )
            all_of_it = make_statement(reading, Request(ALICE, "block:1", "block:4", fiat="USD")).lines
        service.engine.dispose()
    assert [line.value.micros for line in then if line.value] == [100_000, 200_000]
    assert [line.value.micros for line in now if line.value] == [150_000, 150_000]
    assert [line.value.micros for line in all_of_it if line.value] == [150_000, 150_000, 300_000]


def test_what_was_added_removed_or_changed_is_told(month: Statement) -> None:
    """Takes a line from the earlier statement and one from the new one, and changes a third."""
    removed, changed, *others = month.lines
    earlier = replace(month, lines=(removed, changed, *others[:-1]))
    now = replace(month, lines=(replace(changed, note="other"), *others))
    found = amend(now, *data_file.read(data_file.write(earlier))).differences
    assert [(each.change, each.what) for each in found] == [
        ("removed", "lines"),
        ("changed", "lines"),
        ("added", "lines"),
    ]
    assert isinstance(found[0], Difference)
    assert (found[1].before, found[1].after) == ("note ", "note other")


def test_another_address_or_a_file_that_was_changed_is_refused(month: Statement, statement_of: Make) -> None:
    """Compares with the statement of somebody else, with one that a hand has changed, and with no statement."""
    written = data_file.write(month)
    with pytest.raises(BadInput, match="the earlier statement has address"):
        amend(statement_of(BOB, fiat="USD"), *data_file.read(written))
    with pytest.raises(BadInput, match="was changed since it was made"):
        data_file.read(written.replace(b'"12000000000000000005"', b'"12000000000000000006"'))
    for content in (b"", b"[]", b"{}", b'{"format": "deepnode-statement/1"}', b"[" * 100_000):
        with pytest.raises(BadInput, match="earlier statement"):
            data_file.read(content)


def test_a_manifest_that_knows_more_amends_the_statement(database_url: str, tmp_path: Path) -> None:
    """Makes the books without the contracts of nodes and rounds, then with them, and compares the two statements.

    What were bare transfers are a fee and a part in a round then; the wallet's own figures are the same.
    """
    (tmp_path / "less").mkdir()
    less = write_month_manifest(tmp_path / "less", without=("Nodes", "Funding"))
    statements = []
    with month_scribe(database_url, tmp_path) as books:
        write_month(books)
        books.projector.close()
        for manifest in (less, books.manifest):
            rebuild(books.url, manifest)
            service = make_service(books.url, manifest, SCHEMA)
            with service.reading() as reading:
                statements.append(make_statement(reading, Request(ALICE, "block:1", "block:16")))
            service.engine.dispose()
        books.projector.open()
    before, after = statements
    found = amend(after, *data_file.read(data_file.write(before))).differences
    assert "manifest" in {each.key for each in found if each.what == "statement"}
    changed = {(each.change, each.before, each.after) for each in found if each.what == "lines"}
    assert ("changed", "type transfer out, event Transfer", "type fee, event Registered") in changed
    assert ("changed", "type burn, event Transfer", "type fee, event Registered") in changed
    assert any(change == "added" and "Backing:Funding:" in after for change, _, after in changed)
    wallets = [[each for each in made.balances if each.account.startswith("Wallet:")] for made in statements]
    assert wallets[0] == wallets[1]
