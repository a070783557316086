"""What a step of the projector takes at most, and which books it goes on with."""

import psycopg
import pytest

from deepnode_ledger.errors import BadInput
from deepnode_ledger.manifest import Manifest
from deepnode_projections import projector as projector_module
from deepnode_projections.projector import Projector, Step
from deepnode_projections.rebuild import rebuild
from tests.ledger.histories import opened, ref
from tests.projections import stories as s
from tests.projections.stories import projecting, said_in, stepped

STORY = [
    s.transfer(s.NOBODY, s.ANNA, 1000),
    s.transfer(s.ANNA, s.BEN, 40),
    s.flagged(s.CASE_1, s.NODE_1),
    s.review_opened(s.CASE_1, 30),
    *(s.transfer(s.ANNA, s.BEN, amount) for amount in range(6)),
]


def test_a_step_ends_early_where_entries_are_large(
    database_url: str, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lets a byte end a step: each takes one batch of the log, sealed or pending, and the books come out the same."""
    with opened(database_url) as log:
        log.extend(None, [said_in(manifest, 5, STORY[:4])])
        log.seal(ref(5))
        log.extend(ref(5), [said_in(manifest, 6, STORY[4:6])])
        log.seal(ref(6))
        log.extend(ref(6), [said_in(manifest, 7, STORY[6:])])
    stepped(database_url, manifest, 1000, "whole")
    monkeypatch.setattr(projector_module, "STEP_BYTES", 1)
    with projecting(database_url, manifest) as projector:
        assert [projector.step() for _ in range(3)] == [Step(4, 4, None, 6), Step(6, 2, None, 4), Step(10, 4, None, 0)]
    assert s.dump(database_url) == s.dump(database_url, "whole")


def test_books_of_an_older_version_are_refused_until_they_are_rebuilt(database_url: str, manifest: Manifest) -> None:
    """Takes a column away, as books from before it look: opening says what to do, and doing it helps."""
    with opened(database_url) as log:
        log.extend(None, [said_in(manifest, 5, STORY)])
    stepped(database_url, manifest, 1000, "books")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE books.entry DROP COLUMN chain_id")
    with pytest.raises(BadInput, match=r"without entry\.chain_id: run `deepnode rebuild`"):
        Projector(database_url, manifest).open()
    assert rebuild(database_url, manifest).old_root is None, "nobody can tell what root they had"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE books.node DROP COLUMN role")
    assert rebuild(database_url, manifest).old_root is None
    assert rebuild(database_url, manifest).same
    with projecting(database_url, manifest) as projector:
        assert projector.step().behind == 0
