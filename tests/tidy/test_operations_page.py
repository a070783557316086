"""docs/operations.md knows every metric and every check that there is, and no other."""

import re

from deepnode_cli.checks import CHECKS, Looks
from deepnode_indexer.pool import Providers, metrics
from deepnode_indexer.provider import Provider
from deepnode_indexer.rpc import JsonRpc
from deepnode_indexer.status import Status
from deepnode_ledger.manifest import Contract, Manifest
from tests.tidy.tracked import ROOT

PAGE = (ROOT / "docs/operations.md").read_text()
NAMED = set(re.findall(r"\bdeepnode_(?:indexer|provider|books|api|live)_[a-z_]+[a-z]", PAGE))
TYPE_LINE = re.compile(r"# TYPE (\w+)")


def of_source(path: str, pattern: str) -> set[str]:
    """The names that a pattern finds in a source file: of metrics that are only written with a database behind them."""
    found = set(re.findall(pattern, (ROOT / path).read_text()))
    assert found, path
    return found


def test_every_metric_is_described_and_every_described_one_exists() -> None:
    """Compares the page with what the indexer writes, and with the source where that needs a database."""
    contract = Contract("Token", "Nodes", b"\xaa" * 20, 1, {})
    manifest = Manifest("paper", 1, 8453, bytes(32), {contract.address: contract}, {})
    pool = Providers([Provider(JsonRpc("http://127.0.0.1:9"), manifest)])
    told = set(TYPE_LINE.findall(Status([8453]).metrics() + metrics([pool])))
    intake = of_source("indexer/deepnode_indexer/intake.py", r'\("(\w+)", "(?:gauge|counter)"')
    told |= {f"deepnode_indexer_intake_{name}" for name in intake} | {"deepnode_indexer_intake_limited_total"}
    producers = of_source("indexer/deepnode_indexer/producers.py", r'\("(\w+)", \[\(state')
    told |= {f"deepnode_indexer_producer_{name}" for name in producers}
    books = of_source("graphql/deepnode_graphql/operations.py", r'\("(\w+)", "[A-Z]')
    told |= {f"deepnode_books_{name}" for name in books} | {"deepnode_api_ready"}
    told |= of_source("graphql/deepnode_graphql/operations.py", r"# TYPE (deepnode_\w+)")
    told |= of_source("graphql/deepnode_graphql/live/figures.py", r"# TYPE (deepnode_live_[a-z_]+) ")
    live = of_source("graphql/deepnode_graphql/live/figures.py", r'\("(\w+)", "(?:gauge|counter)"')
    told |= {f"deepnode_live_{name}" for name in live}
    assert told == NAMED


def test_every_check_of_the_doctor_is_described_in_its_order() -> None:
    """Compares the table of the page with the checks that a look at nothing names."""
    section = PAGE.partition("## The doctor")[2].partition("\n## ")[0]
    told = re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE)
    assert told == [finding.check for check in CHECKS for finding in check(Looks())]
