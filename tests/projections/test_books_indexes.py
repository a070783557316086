"""The books' indexes are made when there is much to gain from making them at once: at the log's end."""

import threading
import time
from collections.abc import Iterator
from typing import Final

import pytest

from deepnode_ledger.log import Log
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.polled_subscription import POLL_SECONDS
from deepnode_projections import tables
from deepnode_projections.schema import create_indexes
from tests.ledger.histories import opened
from tests.projections import stories as s
from tests.projections.stories import projecting, rows, said_in

STORY: Final = [s.transfer(s.NOBODY, s.ANNA, 1000), *(s.transfer(s.ANNA, s.BEN, n) for n in range(1, 9))]


@pytest.fixture
def log(database_url: str) -> Iterator[Log]:
    with opened(database_url) as log:
        yield log


def index_names(url: str) -> set[str]:
    query = "SELECT indexname FROM pg_indexes WHERE schemaname = 'books' AND indexname NOT LIKE '%key'"
    return {name for (name,) in rows(url, query)}


INDEXES: Final = {
    str(index.name)
    for table in tables.metadata.sorted_tables
    for index in table.indexes
    if index.info != tables.AT_ONCE
}


def test_the_indexes_come_when_the_books_have_caught_up(log: Log, database_url: str, manifest: Manifest) -> None:
    """Looks at the indexes before the first step, between two steps, and at the log's end; another start adds none."""
    log.extend(None, [said_in(manifest, 5, STORY)])
    assert "posting_history" in INDEXES
    with projecting(database_url, manifest, step_entries=4) as projector:
        assert projector.step().behind
        assert not index_names(database_url) & INDEXES
        projector.catch_up()
        assert index_names(database_url) & INDEXES == INDEXES
    assert create_indexes(database_url, tables.SCHEMA) == []


def test_who_follows_the_log_makes_the_indexes_once_it_is_quiet(
    log: Log, database_url: str, manifest: Manifest
) -> None:
    """Follows an empty log, which gets no indexes, and then one with a story in it, which does."""
    stop = threading.Event()
    with projecting(database_url, manifest) as projector:
        steps = projector.follow(stop)
        follower = threading.Thread(target=lambda: [None for _ in steps])
        follower.start()
        try:
            time.sleep(3 * POLL_SECONDS)
            assert not index_names(database_url) & INDEXES
            log.extend(None, [said_in(manifest, 5, STORY)])
            deadline = time.monotonic() + 30
            while index_names(database_url) & INDEXES != INDEXES:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        finally:
            stop.set()
            follower.join()
