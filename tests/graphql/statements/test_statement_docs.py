"""docs/statements.md: its commands run, and its tables name what there is."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from beancount import loader
from starlette.testclient import TestClient

from deepnode_graphql.app import make_app
from deepnode_graphql.statements.formats import BY_SUFFIX, FORMATS
from deepnode_graphql.statements.importers import IMPORTERS
from deepnode_graphql.statements.journal import AGAINST
from deepnode_graphql.statements.statement import LineType
from deepnode_ledger.hexadecimal import to_hex
from tests.graphql.small_books import ALICE
from tests.graphql.statements.conftest import Run
from tests.graphql.statements.month_books import MonthScribe

PAGE = Path(__file__).resolve().parents[3] / "docs" / "statements.md"
WHO = "0x553bc17a05702530097c3677091c5bb47a3a7931"


def test_the_commands_of_the_page_run(run: Run, month_books: MonthScribe, tmp_path: Path) -> None:
    """Runs each line of its shell blocks in order, with the month's address and month in place of the page's."""
    text = PAGE.read_text("utf-8").replace(WHO, to_hex(ALICE)).replace("2026-10-01-2026-10-31", "2023-11-01-2023-11-30")
    commands = [
        shlex.split(line.replace("2026-10", "2023-11"))
        for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
        for line in block.splitlines()
    ]
    names = []
    for command in commands:
        names.append(command[0])
        match command:
            case ["deepnode", "statement", *arguments]:
                run(*arguments)
                data = next(iter(tmp_path.glob("deepnode-*.json")))
                (tmp_path / "october.json").write_bytes(data.read_bytes())
            case ["curl", "-OJ", url]:
                with TestClient(make_app(month_books.url, month_books.manifest)) as client:
                    assert client.get(url.removeprefix("http://127.0.0.1:8000")).status_code == 200
            case ["bean-check", name]:
                assert loader.load_file(str(tmp_path / name))[1] == []
            case ["hledger", *_]:
                subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
            case _:
                pytest.fail(f"no way to run {command}")
    assert {"deepnode", "curl", "bean-check", "hledger"} == set(names)


def test_the_page_names_every_format_type_and_account() -> None:
    """Looks for each in the page's tables."""
    text = PAGE.read_text("utf-8")
    for name in FORMATS.keys() - IMPORTERS.keys():
        assert f"| `{name}` |" in text
    assert all(f"`.{suffix}`" in text for suffix, each in BY_SUFFIX.items() if each.name not in IMPORTERS)
    told = {each.strip() for row in re.findall(r"^\| ([a-z, ]+) \|", text, re.MULTILINE) for each in row.split(",")}
    assert {each.value for each in LineType} - told == {"other"}
    assert all(f"`{account}`" in text for both in AGAINST.values() for account in both)
