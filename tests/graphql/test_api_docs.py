"""docs/api.md says what is so."""

import re
import subprocess
import sys
from pathlib import Path

from graphql import GraphQLObjectType

from deepnode_graphql import filters, limits
from deepnode_graphql.connections import FIRST_DEFAULT, FIRST_MAX
from deepnode_graphql.database import STATEMENT_SECONDS_MAX
from deepnode_graphql.export.request import PARAMETERS
from deepnode_graphql.schema import make_schema
from tests.graphql.conftest import Api

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text("utf-8")


def test_the_page_names_every_root_field_and_parameter() -> None:
    """Looks for each field of the query type and each parameter of the export, in code style."""
    query = make_schema().core.query_type
    assert isinstance(query, GraphQLObjectType)
    assert [name for name in (*query.fields, *PARAMETERS) if f"`{name}`" not in TEXT] == []


def test_the_page_names_every_limit() -> None:
    """Looks for the figures of the code in the page."""
    figures = [
        limits.CHARACTERS_MAX, limits.TOKENS_MAX, limits.COMMENTS_MAX, limits.DEPTH_MAX, limits.ALIASES_MAX,
        limits.FRAGMENTS_MAX, limits.SELECTIONS_MAX, limits.COST_MAX, filters.VALUES_MAX, STATEMENT_SECONDS_MAX,
        FIRST_DEFAULT, FIRST_MAX,
    ]  # fmt: skip
    said = TEXT.replace("\N{NO-BREAK SPACE}", " ")
    assert [
        figure for figure in figures if f"{figure:,}".replace(",", " ") not in said and str(figure) not in said
    ] == []


def test_the_snippets_for_arrow_readers_run(api: Api, tmp_path: Path) -> None:
    """Exports a file and runs the page's Python beside it."""
    (tmp_path / "postings.arrow").write_bytes(api.http.get("/export/postings.arrow").content)
    [code] = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("0x")
    assert "Mint" in done.stdout


def test_the_pages_graphql_is_answered(api: Api) -> None:
    """Asks each GraphQL block of the page, at a block that the small history has."""
    blocks = re.findall(r"```graphql\n(.*?)```", TEXT, re.DOTALL)
    assert blocks
    for block in blocks:
        assert api.ask(block.replace("123", "5"))["balances"]["edges"]
