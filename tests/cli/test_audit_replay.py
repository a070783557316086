"""``deepnode audit replay``: what it says, and how it exits."""

import json
from pathlib import Path
from typing import Any

import psycopg
from typer.testing import CliRunner

from deepnode_ledger.compiled import available
from tests.command_line import app
from tests.ledger.histories import opened, ref, task
from tests.ledger.paper_deployment import paper_manifest
from tests.projections import stories as s


def run(url: str, manifest: Path, *more: str) -> tuple[int, dict[str, Any]]:
    """Run the command in this process; return its exit code and what it said as JSON."""
    arguments = ["audit", "replay", "--database", url, "--manifest", str(manifest), "--json", *more]
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, json.loads(result.stdout)


def test_equal_books_exit_with_0_and_others_with_3(database_url: str, tmp_path: Path) -> None:
    """Replays a log that is sealed in part, in each way, before the books are there, then, and when they are wrong."""
    manifest = paper_manifest(tmp_path)
    path, folder = tmp_path / "manifest.toml", tmp_path / "decoded"
    with opened(database_url) as log:
        story = [s.transfer(s.NOBODY, s.ANNA, 100), s.transfer(s.ANNA, s.BEN, 30), s.deposited(s.NODE_1, 7)]
        log.extend(None, [s.said_in(manifest, 5, story)])
        log.accept([task(1)])
        log.extend(ref(5), [s.said_in(manifest, 6, [s.transfer(s.BEN, s.ANNA, 5)])])
        log.seal(ref(5))
        with s.projecting(database_url, manifest) as projector:
            code, ahead = run(database_url, path)
            assert (code, ahead["position"], ahead["books"]) == (0, 5, None)
            projector.catch_up()
    ways = [(), ("--by-definition",), ("--decoded", str(folder)), ("--decoded", str(folder))]
    said = [run(database_url, path, *way) for way in ways]
    assert all(each == said[0] for each in said)
    code, told = said[0]
    assert code == 0
    assert told["books"] == told["stateRoot"] == ahead["stateRoot"]
    assert told["refusals"] == 1, "the task event says nothing that the rules know"
    assert len(list(folder.glob("*.decoded"))) == (1 if available() else 0)
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE books.posting SET balance = 31 WHERE balance = 30")
        connection.execute("UPDATE books.posting SET balance = 26 WHERE balance = 25")
    code, wrong = run(database_url, path)
    assert code == 3
    assert wrong["stateRoot"] == told["stateRoot"] != wrong["books"]
    arguments = ["audit", "replay", "--database", database_url, "--manifest", str(path)]
    spoken = CliRunner().invoke(app, arguments).stdout
    assert spoken == f"{told['stateRoot']} at position 5 ({wrong['books']})\n1 refused, 0 without a meaning\n"
