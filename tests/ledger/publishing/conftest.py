"""An empty log, a directory to publish it into, and Go's judgement, for the tests beside this file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deepnode_ledger.log import Log
from tests.ledger import histories
from tests.ledger.transparency.go_judge import GoJudge, running_judge


@pytest.fixture
def log(database_url: str) -> Iterator[Log]:
    """A log in a database of its own; its first block is histories.FIRST_BLOCK."""
    with histories.opened(database_url) as log:
        yield log


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the log is published; nothing is there yet."""
    return tmp_path / "published"


@pytest.fixture(scope="session")
def go_judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoJudge]:
    """Go's note and tlog; compiled once in a test run."""
    with running_judge(tmp_path_factory.getbasetemp() / "go-judge") as judge:
        yield judge
