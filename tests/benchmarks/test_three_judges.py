"""The rules, the kernel and the SQL make the same of the history that a replay is measured with."""

from contextlib import closing
from pathlib import Path

import pytest
from benchmarks.replay.deployment import SMALL, Sizes
from benchmarks.replay.stored import CACHE, fill, kept

from deepnode_projections.projector import connect
from deepnode_projections.rebuild import rebuild
from deepnode_projections.recompute import recompute
from deepnode_projections.replay import Replay
from deepnode_projections.tables import SCHEMA


@pytest.mark.soak
@pytest.mark.parametrize("sizes", [SMALL, Sizes(5_000_000)], ids=["six thousand", "five million"])
def test_three_judges_make_the_same_of_a_history(database_url: str, tmp_path: Path, sizes: Sizes) -> None:
    """Rebuilds the books by the kernel: their root is that of the rules, and each row that of the SQL."""
    history = kept(sizes, tmp_path if sizes == SMALL else CACHE)
    assert fill(database_url, history) == sizes.entries
    rebuilt = rebuild(database_url, history.manifest, at_once_entries=0)
    with closing(connect(database_url, SCHEMA)) as connection:
        found = recompute(connection, history.manifest)
    assert (found.position, found.differing, list(found.values)) == (sizes.entries, 0, [])
    assert found.rows > sizes.entries
    by_rules = Replay(history.manifest, by_definition=True, epoch_roots=False)
    for batch in history.batches():
        by_rules.feed(batch)
    assert by_rules.root() == rebuilt.root
    assert by_rules.refusals == history.meant.refusals
