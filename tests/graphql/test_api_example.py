"""The query of the README, and what a first look at the books finds."""

from tests.graphql.conftest import Api

EXAMPLE = """
{
  _meta { position block { number hash } finality stateRoot }
  balances(first: 5, where: { asset: "DN", nonZero: true }, orderBy: BALANCE_DESC) {
    edges { node { account { name } asset { symbol } amount amountFormatted } }
  }
  postings(first: 3, orderBy: POSITION_DESC) {
    edges { node { position kind amountFormatted account { name } balance transactionHash finality } }
  }
}
"""


def test_the_readmes_example_is_answered_in_every_field(api: Api) -> None:
    """Asks the example over the small history; no field is null and no list is empty."""
    data = api.ask(EXAMPLE)
    assert data["_meta"]["block"]["number"] == 9
    assert data["_meta"]["finality"] == "PENDING"
    assert len(data["_meta"]["stateRoot"]) == 66
    amounts = [edge["node"]["amountFormatted"] for edge in data["balances"]["edges"]]
    assert amounts[0] == "9.999999999999999992 DN"
    assert len(data["postings"]["edges"]) == 3
    assert all(value is not None for edge in data["postings"]["edges"] for value in edge["node"].values())
