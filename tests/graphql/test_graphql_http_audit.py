"""The audits of GraphQL over HTTP, as the reference implementation of that specification has them."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from deepnode_indexer.devnet.toolchain import node_command
from tests.graphql.api_process import api_process
from tests.graphql.small_books import Scribe
from tests.npm_judge import installed_judge

FOLDER = Path(__file__).with_name("graphql_http_audit")
AUDITS = 61


@pytest.fixture
def audits(small_books: Scribe, tmp_path: Path) -> Any:
    """What each audit says of the API under uvicorn: ``id``, ``name``, ``status`` (ok, notice, warn, error)."""
    with api_process(small_books.url, tmp_path) as url:
        command = [
            *node_command(),
            str(FOLDER / "audit.cjs"),
            str(installed_judge(FOLDER, "graphql-http-judge")),
            f"{url}/graphql",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)


def test_every_audit_of_graphql_over_http_is_passed(audits: list[dict[str, Any]]) -> None:
    """Has the npm package graphql-http audit the running server: what it must, should and may do, all 61."""
    assert [each for each in audits if each["status"] != "ok"] == []
    assert len(audits) == AUDITS
