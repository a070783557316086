"""Books that are made anew at once are those that a projector made step by step, row by row, and go on as these."""

from functools import partial
from itertools import groupby
from pathlib import Path

import psycopg
import pytest
from benchmarks.replay.deployment import SMALL
from benchmarks.replay.stored import fill, kept
from hypothesis import given, settings
from hypothesis import strategies as st

from deepnode_ledger.compiled import available
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.log import Log
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.record import ChainLog
from deepnode_projections.rebuild import rebuild
from tests.conftest import fresh_database
from tests.graphql.small_books import ALICE, BOB, NOBODY, Event, transfer
from tests.graphql.statements.month_books import DN_TOKEN, month_scribe
from tests.ledger.factories import FAR_CHAIN, factories
from tests.ledger.histories import CHAIN_ID, WITHOUT_SHRINKING, datastore, opened, ref, task
from tests.projections import stories as s
from tests.projections.replay.test_replay_equals_books import _placed
from tests.projections.rules.spoken import judged
from tests.projections.stories import said_in, stepped
from tests.projections.test_both_ways import Record, factory_records
from tests.projections.test_corrections_and_reorgs import reorg, say
from tests.projections.test_several_chains import Chain

pytestmark = pytest.mark.skipif(not available(), reason="books are made anew at once where loops can be compiled")

if available():
    from deepnode_projections.kernel import lanes, log_source


def whole(url: str, schema: str = "books") -> dict[str, list[str]]:
    """Every row of every table of books."""
    return {name: sorted(map(repr, found)) for name, found in s.dump(url, schema).items()}


def tell(home: Log, far: Log, story: list[Record]) -> None:
    """Write a story of two chains into their logs, a block for each run of one chain's records."""
    chains = {CHAIN_ID: Chain(home, CHAIN_ID), FAR_CHAIN: Chain(far, FAR_CHAIN)}
    for chain_id, group in groupby(story, key=lambda record: record[0]):
        chain, logs = chains[chain_id], [log for _, _, log in group if isinstance(log, ChainLog)]
        chain.grow(len(chain.blocks), [partial(_placed, logs)], "a")
        chain.seal()


def check_rebuilt(url: str, manifest: Manifest, schema: str) -> None:
    """Rebuild, and compare with books that were projected."""
    rebuilt = rebuild(url, manifest, at_once_entries=0)
    made, wanted = whole(url), whole(url, schema)
    assert made.keys() == wanted.keys()
    for table in wanted:
        assert made[table] == wanted[table], table
    assert rebuilt.root == s.root_at(url, rebuilt.position, schema)


@settings(max_examples=2, phases=WITHOUT_SHRINKING, deadline=None)
@given(st.lists(s.anything, min_size=1, max_size=30), st.lists(s.anything, max_size=6), st.booleans())
def test_any_story(
    postgres_url: str, manifest: Manifest, story: list[s.Said], later: list[s.Said], seals: bool
) -> None:
    """Rebuilds behind any story, amounts at the limit in it, and lets a reorg follow."""
    with fresh_database(postgres_url) as url, opened(url) as log:
        log.extend(None, [said_in(manifest, 5, story[:10])])
        log.accept([task(1)])
        log.extend(ref(5), [said_in(manifest, 6, story[10:])])
        if seals:
            log.seal(ref(5))
        stepped(url, manifest, 7, "along")
        check_rebuilt(url, manifest, "along")
        log.extend(ref(5), [said_in(manifest, 6, later, "b", "a")])
        for schema in ("along", "books"):
            stepped(url, manifest, 7, schema)
        assert whole(url) == whole(url, "along")


@settings(max_examples=2, phases=WITHOUT_SHRINKING, deadline=None)
@given(st.data())
def test_two_chains_with_factories(
    postgres_url: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Rebuilds behind a story of two chains, on which factories announce tokens that move before and behind that."""
    manifest = factories(tmp_path_factory.mktemp("factories"))
    with fresh_database(postgres_url) as url, datastore(url) as store:
        tell(Log(store, CHAIN_ID), Log(store, FAR_CHAIN), data.draw(factory_records(manifest)))
        stepped(url, manifest, 7, "along")
        check_rebuilt(url, manifest, "along")


def test_tasks_and_money_through_a_reorg(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lives a task to its credit and its correction, rebuilds, takes blocks back, and rebuilds in runs of 3 entries."""
    with month_scribe(database_url, tmp_path) as books:
        books.play([Event("Emission", "EpochOpened", epoch=1, startBlock=1)], [transfer(NOBODY, BOB, 9)])
        say(books, "TaskCreated", asset=to_hex(DN_TOKEN))
        for kind, members in judged():
            say(books, kind, **members)
        say(books, "ConsensusReached")
        wrong = say(books, "VWUAssigned", vwu=1000)
        say(books, "VWUAssigned", slot=2, node="n2", vwu=10)
        books.play([transfer(BOB, ALICE, 1)])
        say(books, "Correction", corrects=wrong, vwu=100, task="t1", attempt=1, slot=1)
        books.projector.catch_up()
        stepped(books.url, books.manifest, 5, "along")
        books.projector.close()
        monkeypatch.setattr(log_source, "RUN_ENTRIES", 1)
        check_rebuilt(books.url, books.manifest, "along")
        books.projector.open()
        reorg(books, 2, "b", [Event("Emission", "EpochOpened", epoch=2, startBlock=2)], [transfer(BOB, ALICE, 2)])
        stepped(books.url, books.manifest, 5, "along")
        assert whole(books.url) == whole(books.url, "along")
        books.projector.close()
        check_rebuilt(books.url, books.manifest, "along")


@pytest.mark.soak
def test_a_history_with_everything_in_it(database_url: str, tmp_path: Path) -> None:
    """Rebuilds some thousand entries of every mechanism, three of five of them task events."""
    history = kept(SMALL, tmp_path)
    assert fill(database_url, history) == SMALL.entries
    stepped(database_url, history.manifest, 1_000, "along")
    check_rebuilt(database_url, history.manifest, "along")
    first = rebuild(database_url, history.manifest, tmp_path / "decoded", at_once_entries=0)
    assert list((tmp_path / "decoded").iterdir())
    assert rebuild(database_url, history.manifest, tmp_path / "decoded", at_once_entries=0) == first
    assert whole(database_url) == whole(database_url, "along")


def test_an_empty_log_makes_empty_books(database_url: str, manifest: Manifest) -> None:
    """Rebuilds where there is no log yet, and where it has a block without entries."""
    rebuild(database_url, manifest, at_once_entries=0)
    assert not any(whole(database_url).values())
    with opened(database_url) as log:
        log.extend(None, [said_in(manifest, 5, [])])
    stepped(database_url, manifest, 7, "along")
    check_rebuilt(database_url, manifest, "along")


def test_what_fails_leaves_the_books_as_they_are(
    database_url: str, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Has the server refuse a key behind the last row: the books stay, and the next rebuild succeeds."""
    with opened(database_url) as log:
        log.extend(None, [said_in(manifest, 5, [s.transfer(s.NOBODY, s.ANNA, 5)])])
    stepped(database_url, manifest, 7, "books")
    before = whole(database_url)
    with monkeypatch.context() as patch:
        patch.setattr(lanes, "complete", lambda connection, name: connection.execute("SELECT nothing"))
        with pytest.raises(psycopg.errors.UndefinedColumn):
            rebuild(database_url, manifest, at_once_entries=0)
    assert whole(database_url) == before
    check_rebuilt(database_url, manifest, "books")
