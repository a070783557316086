"""``deepnode audit recompute``: what it says, and how it exits."""

import json
from pathlib import Path
from typing import Any

import psycopg
from typer.testing import CliRunner

from deepnode_ledger.errors import BadInput
from tests.command_line import app
from tests.ledger.histories import opened
from tests.ledger.paper_deployment import paper_manifest
from tests.projections import stories as s


def run(url: str, manifest: Path, *more: str) -> tuple[int, str]:
    """Run the command in this process; return its exit code and what it wrote to stdout."""
    result = CliRunner().invoke(app, ["audit", "recompute", "--database", url, "--manifest", str(manifest), *more])
    return result.exit_code, result.stdout


def lines(told: str) -> list[dict[str, Any]]:
    """What ``--json`` wrote."""
    return [json.loads(line) for line in told.splitlines()]


def test_equal_books_exit_with_0_and_a_changed_row_is_named_and_exits_with_3(database_url: str, tmp_path: Path) -> None:
    """Runs the command over a small log; changes a balance by one unit, and runs it in each of its forms."""
    manifest = paper_manifest(tmp_path)
    path = tmp_path / "manifest.toml"
    with opened(database_url) as log:
        story = [s.transfer(s.NOBODY, s.ANNA, 100), s.transfer(s.ANNA, s.BEN, 30), s.deposited(s.NODE_1, 7)]
        log.extend(None, [s.said_in(manifest, 5, story)])
        with s.projecting(database_url, manifest) as projector:
            projector.catch_up()
    code, told = run(database_url, path)
    assert code == 0
    assert told.endswith("all equal: 14 rows at position 3\n"), told
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE books.posting SET balance = 31 WHERE balance = 30")
    code, told = run(database_url, path)
    assert code == 3
    dn, ben = (b"\xd1" * 20).hex(), s.BEN.hex()
    assert f"differs: balance Wallet:0x{ben} 0x{dn}: balance: books 31, recomputed 30\n" in told
    assert "differs: holding" in told
    assert told.endswith("2 of 14 rows differ at position 3\n")
    code, told = run(database_url, path, "--only", "posting", "--json")
    head, relation = lines(told)
    assert (code, head["differing"], relation["relation"]) == (0, 0, "posting")
    code, told = run(database_url, path, "--only", "balance", "--json")
    assert code == 3
    assert lines(told)[-1] == {
        "event": "difference",
        "relation": "balance",
        "key": [f"Wallet:0x{ben}", f"0x{dn}"],
        "column": "balance",
        "books": "31",
        "recomputed": "30",
    }
    # As of a position before the change there is none.
    assert run(database_url, path, "--at", "1", "--json")[0] == 0


def test_what_is_not_recomputed_is_said(database_url: str, tmp_path: Path) -> None:
    """Asks for a relation that there is none of, and for books that were never made."""
    paper_manifest(tmp_path)
    with opened(database_url):
        pass
    path = tmp_path / "manifest.toml"
    for more, said in (
        (["--only", "moonshine"], "'moonshine' is nothing that is recomputed"),
        ([], "there are no books"),
    ):
        arguments = ["audit", "recompute", "--database", database_url, "--manifest", str(path), *more]
        error = CliRunner().invoke(app, arguments).exception
        assert isinstance(error, BadInput)
        assert said in str(error)
