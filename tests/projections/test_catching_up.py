"""Books that the kernel takes on in large steps are those that the rules make, row by row, wherever it begins."""

from pathlib import Path
from typing import Any

import pytest
from benchmarks.replay.deployment import SMALL
from benchmarks.replay.stored import fill, kept
from hypothesis import given, settings
from hypothesis import strategies as st

from deepnode_ledger.compiled import available
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.log import Log
from deepnode_ledger.manifest import Manifest
from deepnode_projections import projector as projector_module
from deepnode_projections.projector import Step
from tests.conftest import fresh_database
from tests.graphql.small_books import ALICE, BOB, NOBODY, Event, transfer
from tests.graphql.statements.month_books import DN_TOKEN, month_scribe
from tests.ledger.factories import FAR_CHAIN, factories
from tests.ledger.histories import CHAIN_ID, WITHOUT_SHRINKING, datastore, opened, ref, task
from tests.projections import stories as s
from tests.projections.rules.spoken import judged
from tests.projections.stories import projecting, said_in, stepped
from tests.projections.test_both_ways import factory_records
from tests.projections.test_corrections_and_reorgs import reorg, say
from tests.projections.test_rebuilt_rows import tell, whole

pytestmark = pytest.mark.skipif(not available(), reason="the kernel needs the compiler")


def caught_up(url: str, manifest: Manifest, *, restarts: bool, **options: Any) -> list[Step]:
    """The steps of a projector that leaves everything to the kernel, to the log's end."""
    steps: list[Step] = []
    while not steps or steps[-1].behind:
        with projecting(url, manifest, bulk_entries=1, **options) as projector:
            steps.append(projector.step())
            while not restarts and steps[-1].behind:
                steps.append(projector.step())
    return steps


@settings(max_examples=2, phases=WITHOUT_SHRINKING, deadline=None)
@given(st.lists(s.anything, min_size=1, max_size=24), st.lists(s.anything, max_size=6), st.booleans())
def test_any_story(
    postgres_url: str, manifest: Manifest, story: list[s.Said], later: list[s.Said], restarts: bool
) -> None:
    """Takes books on from nothing, some by the rules and the rest by the kernel, and lets a reorg follow."""
    with fresh_database(postgres_url) as url, opened(url) as log:
        log.extend(None, [said_in(manifest, 5, story[:8])])
        stepped(url, manifest, 5, "half")
        log.accept([task(1)])
        log.extend(ref(5), [said_in(manifest, 6, story[8:])])
        stepped(url, manifest, 100, "plain")
        for schema in ("books", "half"):
            caught_up(url, manifest, restarts=restarts, schema=schema, step_entries=12)
            assert whole(url, schema) == whole(url, "plain")
        log.extend(ref(5), [said_in(manifest, 6, later, "b", "a")])
        stepped(url, manifest, 100, "plain")
        caught_up(url, manifest, restarts=restarts, step_entries=12)
        assert whole(url) == whole(url, "plain")


@settings(max_examples=2, phases=WITHOUT_SHRINKING, deadline=None)
@given(st.data(), st.booleans())
def test_two_chains_with_factories(
    postgres_url: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, restarts: bool
) -> None:
    """Takes on books of two chains, on which factories announce tokens that move before and behind that."""
    manifest = factories(tmp_path_factory.mktemp("factories"))
    with fresh_database(postgres_url) as url, datastore(url) as store:
        tell(Log(store, CHAIN_ID), Log(store, FAR_CHAIN), data.draw(factory_records(manifest)))
        stepped(url, manifest, 100, "plain")
        caught_up(url, manifest, restarts=restarts, step_entries=5)
        assert whole(url) == whole(url, "plain")


def test_what_only_rules_write_goes_on_from_where_it_stands(database_url: str, manifest: Manifest) -> None:
    """Takes on books in which collateral, a case and a model stand, whose next figures follow from these."""
    model, receipt = bytes([0x41]) * 32, bytes([0x51]) * 32
    story = [
        *(s.deposited(s.NODE_1, 1_000), s.withdrawn(s.NODE_1, 746), s.flagged(s.CASE_1, s.NODE_1)),
        s.model_registered(model, bytes([0x42]) * 32),
    ]
    more = [
        *(s.withdrawn(s.NODE_1, 4), s.review_opened(s.CASE_1, 100), s.review_decided(s.CASE_1, 10, 20, 30, 40)),
        *(s.model_registered(model, bytes([0x43]) * 32), s.revenue_received(receipt, model, 9)),
    ]
    with opened(database_url) as log:
        log.extend(None, [said_in(manifest, 5, story)])
        for schema in ("plain", "books"):
            stepped(database_url, manifest, 100, schema)
        log.extend(ref(5), [said_in(manifest, 6, more)])
    stepped(database_url, manifest, 100, "plain")
    caught_up(database_url, manifest, restarts=False)
    assert whole(database_url) == whole(database_url, "plain")


def test_tasks_and_money_through_a_reorg(database_url: str, tmp_path: Path) -> None:
    """Lives a task to its credit and its correction, in steps of 3 entries by one projector; a reorg cuts in."""
    with month_scribe(database_url, tmp_path) as books:
        books.play([Event("Emission", "EpochOpened", epoch=1, startBlock=1)], [transfer(NOBODY, BOB, 9)])
        say(books, "TaskCreated", asset=to_hex(DN_TOKEN))
        for kind, members in judged():
            say(books, kind, **members)
        options: dict[str, Any] = {"schema": "kernel", "step_entries": 3, "bulk_entries": 1}
        with projecting(books.url, books.manifest, **options) as projector:
            projector.catch_up()
            say(books, "ConsensusReached")
            wrong = say(books, "VWUAssigned", vwu=1000)
            say(books, "VWUAssigned", slot=2, node="n2", vwu=10)
            books.play([transfer(BOB, ALICE, 1)])
            say(books, "Correction", corrects=wrong, vwu=100, task="t1", attempt=1, slot=1)
            projector.catch_up()
            books.projector.catch_up()
            assert whole(books.url, "kernel") == whole(books.url)
            reorg(books, 2, "b", [Event("Emission", "EpochOpened", epoch=2, startBlock=2)], [transfer(BOB, ALICE, 2)])
            projector.catch_up()
            assert whole(books.url, "kernel") == whole(books.url)


def test_a_step_that_fails_is_made_again(
    database_url: str, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lets the checkpoint of the kernel's second step fail: its rows are gone, and the next step writes them."""
    with opened(database_url) as log:
        log.extend(None, [said_in(manifest, 5, [s.transfer(s.NOBODY, s.ANNA, n) for n in range(1, 7)])])
    stepped(database_url, manifest, 100, "plain")
    with projecting(database_url, manifest, step_entries=3, bulk_entries=1) as projector:
        assert projector.step().position == 3
        with monkeypatch.context() as patch:
            patch.setattr(projector_module, "save_checkpoint", lambda *_: 1 // 0)
            with pytest.raises(ZeroDivisionError):
                projector.step()
        assert projector.catch_up() == Step(6, 3, None, 0)
    assert whole(database_url) == whole(database_url, "plain")


@pytest.mark.soak
def test_a_history_with_everything_in_it(database_url: str, tmp_path: Path) -> None:
    """Takes on some thousand entries of every mechanism, from nothing and from the middle."""
    history = kept(SMALL, tmp_path)
    assert fill(database_url, history, SMALL.entries // 2) == SMALL.entries // 2
    stepped(database_url, history.manifest, 1_000, "plain")
    caught_up(database_url, history.manifest, restarts=False, step_entries=700)
    assert whole(database_url) == whole(database_url, "plain")
