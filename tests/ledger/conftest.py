"""An empty log for the tests beside this file."""

from collections.abc import Iterator

import pytest

from deepnode_ledger.log import Log
from tests.ledger import histories


@pytest.fixture
def log(database_url: str) -> Iterator[Log]:
    """A log in a database of its own; its first block is histories.FIRST_BLOCK."""
    with histories.opened(database_url) as log:
        yield log
