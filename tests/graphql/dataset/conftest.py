"""Books with closed epochs, and the command that makes datasets of them."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from deepnode_cli.commands import command_line
from deepnode_graphql.export.books import Books, open_books
from tests.graphql.small_books import ALICE, BOB, DN, NOBODY, Event, transfer
from tests.graphql.statements.month_books import MonthScribe, month_scribe, staked


class EpochScribe:
    """Writes epochs into books: each is two blocks, the first of which opens it."""

    def __init__(self, books: MonthScribe, folder: Path) -> None:
        self.books, self.folder = books, folder
        self.url, self.manifest = books.url, books.manifest

    def begin(self) -> None:
        """Write what stands before the first epoch."""
        self.books.play([transfer(NOBODY, ALICE, 1_000 * DN + 1)], [transfer(NOBODY, BOB, 10**38 - 2_000 * DN)])

    def open(self, epoch: int) -> None:
        """Open an epoch, and let some things happen in it."""
        self.books.play(
            [Event("Emission", "EpochOpened", epoch=epoch, startBlock=epoch)], [transfer(ALICE, BOB, epoch)]
        )
        self.books.tell("ai.deepnode.unknown.v1", epoch=epoch)
        self.books.play(staked(7 * DN + epoch), [transfer(BOB, ALICE, 10**36 + epoch)])

    def seal(self) -> None:
        """Let the chain finalize all blocks."""
        self.books.seal(len(self.books.blocks))

    @contextmanager
    def opened(self) -> Iterator[Books]:
        """The books, to make datasets of."""
        with open_books(self.url, self.manifest) as books:
            yield books

    def command(self, *arguments: object, exit_code: int = 0) -> dict[str, Any]:
        """What ``deepnode dataset`` with the books says as JSON, and with which exit code it ends."""
        settings = ["--database", self.url, "--manifest", str(self.folder / "manifest.toml")]
        return dataset(*arguments, *settings, exit_code=exit_code)


def dataset(*arguments: object, exit_code: int = 0) -> dict[str, Any]:
    """What ``deepnode dataset`` says as JSON, and with which exit code it ends."""
    done = CliRunner().invoke(command_line("dataset"), ["dataset", *map(str, arguments), "--json"])
    assert done.exit_code == exit_code, (done.output, done.exception)
    said = json.loads(done.stdout)
    assert isinstance(said, dict)
    return said


def content_of(directory: Path) -> dict[str, bytes]:
    """Every file of a dataset by its path: its content."""
    paths = (path for path in directory.rglob("*") if path.is_file() and path.name != ".lock")
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture(scope="session")
def room() -> Iterator[Path]:
    """A folder in memory, where there is one: a dataset waits for the disk at each file."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture
def folder(room: Path) -> Path:
    """A folder of one test's own, for its datasets."""
    return Path(tempfile.mkdtemp(dir=room))


@pytest.fixture
def epochs(database_url: str, tmp_path: Path) -> Iterator[EpochScribe]:
    """Books that have only begun: no epoch was opened."""
    with month_scribe(database_url, tmp_path) as books:
        made = EpochScribe(books, tmp_path)
        made.begin()
        yield made
