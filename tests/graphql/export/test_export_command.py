"""`deepnode export`: the same bytes as over HTTP, never half a file, and exit codes that mean something."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner, Result

from deepnode_cli.commands import command_line
from deepnode_graphql.app import make_app
from deepnode_graphql.export.formats import FORMATS
from deepnode_graphql.export.source import Selection, Source
from deepnode_graphql.export.sources import SOURCES
from deepnode_graphql.reading import Reading
from deepnode_ledger.errors import BadInput
from tests.graphql.small_books import Scribe, write_manifest


class Command:
    """The command over the books, run where its files go."""

    def __init__(self, books: Scribe, folder: Path) -> None:
        write_manifest(folder)
        self._settings = ["--database", books.url, "--manifest", str(folder / "manifest.toml")]

    def __call__(self, *arguments: str) -> Result:
        """Run it."""
        return CliRunner().invoke(command_line("export"), ["export", *arguments, *self._settings])


@pytest.fixture
def export(full_books: Scribe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command, in a directory of the test's own."""
    monkeypatch.chdir(tmp_path)
    return Command(full_books, tmp_path)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_is_the_same_as_over_http(full_books: Scribe, export: Command, suffix: str, tmp_path: Path) -> None:
    """Asks both for the same, and compares the bytes, what --json says of them, and the end of the file's name."""
    done = export("postings", "--out", f"p.{suffix}", "--at-position", "9", "--where", "asset=DN", "--json")
    assert done.exit_code == 0, done.output
    said, content = json.loads(done.stdout), (tmp_path / f"p.{suffix}").read_bytes()
    with TestClient(make_app(full_books.url, full_books.manifest)) as http:
        answer = http.get(f"/export/postings.{suffix}?at_position=9&asset=DN")
    assert answer.content == content
    assert answer.headers["etag"] == f'"{said["etag"]}"'
    assert said["sha256"] == hashlib.sha256(content).hexdigest()
    assert (said["bytes"], said["position"], said["finality"]) == (len(content), "9", "SEALED")
    assert said["rows"] > 0


def test_moments_and_names_of_files_are_chosen(export: Command, tmp_path: Path) -> None:
    """Names the moment in each way; without --out the file is named by what it is, in CSV."""
    for option, value in (("--at-block", "5"), ("--at-position", "9"), ("--at-time", "1700000010")):
        assert export("balances", option, value).exit_code == 0
    names = {path.name for path in tmp_path.glob("deepnode-*")}
    assert names == {"deepnode-8453-balances-9.csv"}
    done = export("balances", "--at-position", "3", "--out", "-", "--format", "ndjson", "--from-position", "3")
    assert [json.loads(line)["position"] for line in done.stdout.splitlines()] == [3, 3]


def test_the_list_names_every_source_and_its_filters(export: Command) -> None:
    """Reads it, for people and for programs."""
    text = export("list").stdout
    assert all(f"{name}: " in text for name in SOURCES)
    found = json.loads(export("list", "--json").stdout)
    assert [each["name"] for each in found["sources"]] == list(SOURCES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "there is no source 'nothing'"),
        (["trust", "--format", "doc"], "there is no format 'doc'"),
        (["trust", "--at-block", "1", "--at-time", "2"], "give one of --at-block, --at-time"),
        (["trust", "--where", "domain"], "--where takes NAME=VALUE, not 'domain'"),
        (["trust", "--where", "score=1", "--where", "score=2"], "score is given twice"),
        (["trust", "--at-block", "-1"], "'--at-block'"),
    ],
)
def test_wrong_usage_ends_with_2(export: Command, arguments: list[str], message: str, tmp_path: Path) -> None:
    """Makes one mistake at a time; nothing is written."""
    done = export(*arguments)
    assert done.exit_code == 2
    assert message in " ".join(done.output.replace("│", " ").split())
    assert list(tmp_path.glob("*deepnode*")) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trust", "--at-block", "99"], "at.block 99 is above the last block"),
        (["trust", "--where", "colour=red"], "unknown parameter 'colour'"),
        (["trust", "--where", "history=x"], "history must be true or false"),
        (["trust", "--out", "nowhere/x.csv"], "cannot be written"),
    ],
)
def test_a_refusal_names_the_value(export: Command, arguments: list[str], message: str) -> None:
    """Asks for what the books do not have; the program ends with 1 for these."""
    done = export(*arguments)
    assert isinstance(done.exception, BadInput)
    assert message in str(done.exception)


def test_there_is_never_half_a_file(export: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Breaks off after the first rows: the file that was there before is as it was, and nothing lies beside it."""
    trust = SOURCES["trust"]

    def broken(reading: Reading, selection: Selection) -> Iterator[object]:
        yield from trust.batches(reading, selection)
        raise BadInput("that is enough")

    source = Source("trust", "It breaks.", trust.schema, trust.filters, broken)
    monkeypatch.setattr("deepnode_graphql.export.request.SOURCES", {"trust": source})
    (tmp_path / "t.csv").write_text("before", "utf-8")
    names = {path.name for path in tmp_path.iterdir()}
    done = export("trust", "--out", "t.csv")
    assert str(done.exception) == "that is enough"
    assert (tmp_path / "t.csv").read_text("utf-8") == "before"
    assert {path.name for path in tmp_path.iterdir()} == names
