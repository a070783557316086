"""The judge from outside, for all tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.ledger.transparency.go_judge import GoJudge, running_judge


@pytest.fixture(scope="session")
def go_judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoJudge]:
    """Go's note and tlog; compiled once in a test run."""
    with running_judge(tmp_path_factory.getbasetemp() / "go-judge") as judge:
        yield judge
