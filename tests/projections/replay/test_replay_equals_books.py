"""The replay in memory holds what the projector writes: roots at every position, records, refusals, quarantine."""

from contextlib import closing
from typing import Any

import psycopg
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from deepnode_ledger.log import Log
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.snapshot import snapshot
from deepnode_projections.registers.at import StateAt
from deepnode_projections.replay import Replay
from deepnode_projections.rules.book import RECORDS
from deepnode_projections.state_root import state_root
from tests.conftest import fresh_database
from tests.ledger.histories import WITHOUT_SHRINKING, opened, ref, task
from tests.projections import stories as s
from tests.projections.stories import rows, said_in, stepped


def whole(log: Log) -> list[pa.RecordBatch]:
    """The log as it is stored: sealed batches, then what is pending."""
    with snapshot(log.datastore) as view:
        return list(view.read(1))


def replayed(manifest: Manifest, batches: list[pa.RecordBatch], size: int, **options: Any) -> list[Replay]:
    """The replay after a log in batches of a size, which is then also held against one fed differently."""
    replay = Replay(manifest, **options)
    for batch in batches:
        for start in range(0, batch.num_rows, size):
            replay.feed(batch.slice(start, size))
    return [replay]


def check_equal(url: str, replay: Replay, schema: str = "books") -> None:
    """Holds a replay against the books at the same position: root, every record, refusals and quarantine."""
    with closing(psycopg.connect(url, options=f"-c search_path={schema}")) as connection, connection.transaction():
        assert replay.root() == state_root(connection, replay.position)
        books = StateAt(connection, replay.position)
        for kind in RECORDS:
            assert list(replay.records(kind)) == list(books.every(kind)), kind
    counted = rows(url, "SELECT (SELECT count(*) FROM refusal), (SELECT count(*) FROM quarantine)", schema)
    assert counted == [(replay.refusals, replay.quarantined)]


@settings(max_examples=8, phases=WITHOUT_SHRINKING, deadline=None)
@given(st.lists(s.anything, min_size=1, max_size=30), st.sampled_from([1, 3, 1000]))
def test_any_story(postgres_url: str, manifest: Manifest, story: list[s.Said], size: int) -> None:
    """Books any story, amounts at the limit in it, and replays the log at each of its positions."""
    with fresh_database(postgres_url) as url, opened(url) as log:
        log.extend(None, [said_in(manifest, 5, story[:10])])
        log.accept([task(1)])
        log.extend(ref(5), [said_in(manifest, 6, story[10:])])
        log.seal(ref(5))
        stepped(url, manifest, 1000, "books")
        batches = whole(log)
        [replay] = replayed(manifest, batches, size)
        check_equal(url, replay)
        stepwise = Replay(manifest)
        for batch in batches:
            for row in range(batch.num_rows):
                stepwise.feed(batch.slice(row, 1))
                assert stepwise.root() == s.root_at(url, stepwise.position)
