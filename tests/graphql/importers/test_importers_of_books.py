"""The importers over real books: what every tool reads of somebody's first statement is what somebody has."""

from collections import Counter

import pytest

from deepnode_graphql.statements.importers import IMPORTERS
from deepnode_graphql.statements.statement import Token
from deepnode_ledger.hexadecimal import to_hex
from tests.graphql.conftest import Api
from tests.graphql.importers.importer_readers import READERS, movements
from tests.graphql.small_books import ALICE, AMOUNT_MAX, BOB, CAROL, DN, address_of

TOKENS = (Token("DN", address_of("DNToken"), 18), Token("USDC", address_of("USDCStandIn"), 6))
FIRST_SECOND = 1_700_000_000

HOLDINGS = {
    # 12 DN and one unit were minted; 1 and 3 DN, 7 and 2 units went away, and 2 DN came.
    ALICE: {"DN": 10 * DN - 8},
    BOB: {"DN": 4 * DN, "USDC": AMOUNT_MAX - 1},
    CAROL: {"DN": 2, "USDC": 1},
}


@pytest.mark.parametrize("name", sorted(IMPORTERS))
@pytest.mark.parametrize("address", HOLDINGS, ids=["alice", "bob", "carol"])
def test_what_a_tool_reads_of_the_first_statement_is_what_somebody_has(api: Api, name: str, address: bytes) -> None:
    """Downloads the file over HTTP, reads it as the tool would, and adds it up; the sums were counted by hand."""
    response = api.http.get(f"/statement/{to_hex(address)}.{name}.csv", params={"from": "2023"})
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"].startswith("text/csv")
    found = movements(name, response.content, TOKENS)
    totals: Counter[str] = Counter()
    for each in found:
        totals[each.symbol] += each.amount
    assert {symbol: total for symbol, total in totals.items() if total} == HOLDINGS[address]
    assert all(FIRST_SECOND < each.time < FIRST_SECOND + 100 for each in found)
    assert [each.time for each in found] == sorted(each.time for each in found)


def test_there_is_a_reader_of_every_importer() -> None:
    """Compares the names: an importer without a reader would not be added up above."""
    assert set(READERS) == set(IMPORTERS)
