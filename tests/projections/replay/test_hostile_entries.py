"""Whatever a batch holds, a replay folds it or says that it is damaged: a bundle is nothing to be trusted."""

from contextlib import suppress
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from deepnode_ledger.batch import from_rows, row_of
from deepnode_ledger.batch_versions import SCHEMA
from deepnode_ledger.errors import Damaged
from deepnode_ledger.manifest import Manifest
from deepnode_projections.replay import Replay, Verdicts
from tests.ledger.histories import CHAIN_ID, ref, task
from tests.ledger.paper_deployment import event_log
from tests.projections import stories as s

ENTRIES = 8

_of_types: dict[Any, st.SearchStrategy[Any]] = {
    pa.int64(): st.sampled_from([0, 1, -1, CHAIN_ID, 2**63 - 1, -(2**63)]) | st.integers(-(2**63), 2**63 - 1),
    pa.int32(): st.sampled_from([0, -1, 2**31 - 1, -(2**31)]),
    pa.uint8(): st.integers(0, 255),
    pa.string(): st.text(max_size=9),
    pa.binary(): st.binary(max_size=200),
    pa.binary(20): st.binary(min_size=20, max_size=20),
    pa.binary(32): st.binary(min_size=32, max_size=32),
    pa.binary(65): st.binary(min_size=65, max_size=65),
}


@settings(max_examples=150)
@given(st.lists(s.anything, min_size=ENTRIES, max_size=ENTRIES), st.data())
def test_altered_cells_never_crash_a_replay(manifest: Manifest, story: list[s.Said], data: st.DataObject) -> None:
    """Puts anything, or nothing, into cells of a good batch, and feeds it as a whole and entry by entry."""
    rows = [
        list(row_of(n, CHAIN_ID, ref(5), event_log(manifest, name, event, ref(5), n, **args)))
        for n, (name, event, args) in enumerate(story, 1)
    ]
    rows.append(list(row_of(len(rows) + 1, CHAIN_ID, ref(5), task(1))))
    for _ in range(data.draw(st.integers(1, 4))):
        column = data.draw(st.integers(0, len(SCHEMA) - 1))
        value = data.draw(st.none() | _of_types[SCHEMA.field(column).type])
        rows[data.draw(st.integers(0, len(rows) - 1))][column] = value
    batch = from_rows([tuple(row) for row in rows], gapless=False)
    outcomes = [fed(manifest, [batch]), fed(manifest, [batch.slice(n, 1) for n in range(batch.num_rows)])]
    if outcomes[0] is not None:
        assert outcomes[0] == outcomes[1]


def fed(manifest: Manifest, batches: list[pa.RecordBatch]) -> bytes | None:
    """The state root behind batches, or None if one of them is damaged: then it has changed nothing."""
    replay = Replay(manifest)
    Verdicts(replay)
    for batch in batches:
        before = replay.position
        with suppress(Damaged):
            replay.feed(batch)
        if replay.position != before + batch.num_rows:
            assert replay.position == before
            return None
    return replay.root()
