"""The replay in memory holds what the projector writes: roots at every position, records, refusals, quarantine."""

from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepnode_ledger.batch import from_rows, row_of
from deepnode_ledger.errors import Damaged
from deepnode_ledger.log import Log
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.posting import AMOUNT_LIMIT
from deepnode_ledger.record import BlockRef, ChainLog
from deepnode_ledger.snapshot import snapshot
from deepnode_projections.conservation import breaches
from deepnode_projections.registers.at import StateAt
from deepnode_projections.replay import EpochEnd, Replay
from deepnode_projections.rules.book import RECORDS
from deepnode_projections.state_root import state_root
from tests.conftest import fresh_database
from tests.graphql.live_books import allocated, live_books, submitted
from tests.graphql.live_books import opened as opened_epoch
from tests.graphql.small_books import ALICE, BOB, NOBODY, transfer
from tests.ledger.factories import FAR_CHAIN, factories
from tests.ledger.histories import CHAIN_ID, WITHOUT_SHRINKING, datastore, opened, ref, task
from tests.ledger.paper_deployment import DN, event_log
from tests.projections import stories as s
from tests.projections.stories import rows, said_in, stepped
from tests.projections.test_both_ways import factory_records, paper_records
from tests.projections.test_several_chains import Chain


@pytest.fixture(scope="module")
def two_chains(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Two chains with factories of tokens."""
    return factories(tmp_path_factory.mktemp("factories"))


def whole(log: Log) -> list[pa.RecordBatch]:
    """The log as it is stored: sealed batches, then what is pending."""
    with snapshot(log.datastore) as view:
        return list(view.read(1))


def replayed(manifest: Manifest, batches: list[pa.RecordBatch], size: int, **options: Any) -> Replay:
    """The replay of a log that is fed in batches of a size."""
    replay = Replay(manifest, **options)
    for batch in batches:
        for start in range(0, batch.num_rows, size):
            replay.feed(batch.slice(start, size))
    return replay


def check_equal(url: str, replay: Replay, schema: str = "books") -> None:
    """Holds a replay against the books at the same position: root, every record, refusals and quarantine."""
    with closing(psycopg.connect(url, options=f"-c search_path={schema}")) as connection, connection.transaction():
        assert replay.root() == state_root(connection, replay.position)
        books = StateAt(connection, replay.position)
        for kind in RECORDS:
            assert list(replay.records(kind)) == list(books.every(kind)), kind
        _, below = breaches(connection, "nothing is below zero", replay.position)
        assets = connection.execute("SELECT address, symbol FROM asset").fetchall()
        symbols = {bytes(address): symbol for address, symbol in assets}
        found = [(account, symbols[asset], amount) for account, asset, amount in replay.below_zero()]
        assert sorted(found) == sorted((each.where, each.symbol, each.found) for each in below)
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
        check_equal(url, replayed(manifest, batches, size))
        check_equal(url, replayed(manifest, batches, size, kernel_entries=1))
        stepwise = Replay(manifest)
        for batch in batches:
            for row in range(batch.num_rows):
                stepwise.feed(batch.slice(row, 1))
                assert stepwise.root() == s.root_at(url, stepwise.position)


@settings(max_examples=6, phases=WITHOUT_SHRINKING, deadline=None)
@given(st.data(), st.sampled_from([1, 4, 1000]))
def test_two_chains_with_factories(postgres_url: str, two_chains: Manifest, data: st.DataObject, size: int) -> None:
    """Has factories announce tokens that move, before and behind that, on two chains, up to amounts at the limit."""
    story = data.draw(factory_records(two_chains))
    with fresh_database(postgres_url) as url, datastore(url) as store:
        chains = {chain_id: Chain(Log(store, chain_id), chain_id) for chain_id in (CHAIN_ID, FAR_CHAIN)}
        for chain_id, group in groupby(story, key=lambda record: record[0]):
            chain, logs = chains[chain_id], [log for _, _, log in group if isinstance(log, ChainLog)]
            chain.grow(len(chain.blocks), [partial(_placed, logs)], "a")
            chain.seal()
        stepped(url, two_chains, 1000, "books")
        with snapshot(store) as view:
            batches = list(view.read(1))
        for options in ({}, {"by_definition": True}, {"kernel_entries": 1}):
            check_equal(url, replayed(two_chains, batches, size, **options))


def _placed(logs: list[ChainLog], _block: BlockRef) -> list[ChainLog]:
    return [replace(log, log_index=index) for index, log in enumerate(logs)]


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from([1, 5, 1000]))
def test_any_batches(manifest: Manifest, data: st.DataObject, size: int) -> None:
    """Replays any story, with damaged logs in it, in batches of a size, and log by log by the definition alone."""
    rows_ = [row_of(position, *record) for position, record in enumerate(data.draw(paper_records(manifest)), 1)]
    batch = from_rows(rows_)
    slow = replayed(manifest, [batch], 1, by_definition=True)
    for options in ({}, {"kernel_entries": 1}, {"kernel_entries": 3}):
        fast = replayed(manifest, [batch], size, **options)
        assert fast.root() == slow.root()
        assert {key: held for key, held in fast.balances.items() if held} == {
            key: held for key, held in slow.balances.items() if held
        }
        assert (fast.refusals, fast.quarantined) == (slow.refusals, slow.quarantined)


def test_a_transfer_that_goes_too_far_has_no_effect(manifest: Manifest) -> None:
    """Mints to just below 10**38 in one batch of many transfers: those beyond are refused, the others stand."""
    story = [s.transfer(s.NOBODY, s.ANNA, AMOUNT_LIMIT // 4)] * 5 + [s.transfer(s.ANNA, s.BEN, 7)] * 40
    logs = [event_log(manifest, name, event, ref(5), n, **args) for n, (name, event, args) in enumerate(story)]
    batch = from_rows([row_of(n, CHAIN_ID, ref(5), log) for n, log in enumerate(logs, 1)])
    slow = Replay(manifest, by_definition=True)
    by_definition = slow.feed(batch)
    for kernel_entries in (1, 1000):
        fast = Replay(manifest, kernel_entries=kernel_entries)
        fed = fast.feed(batch)
        assert fed.refused == by_definition.refused
        assert [each.position for each in fed.refused] == [4, 5]
        assert "balances stay below 10**38" in fed.refused[0].reason
        assert dict(fast.balances) == slow.balances
        assert fast.balances[f"Wallet:0x{s.BEN.hex()}", DN] == 280


def test_an_epoch_ends_where_the_next_one_opens(database_url: str, tmp_path: Path) -> None:
    """Opens epochs, in order and out of it, in books of emissions: every end's root is that of the books there."""
    with live_books(database_url, tmp_path) as books:
        books.block(transfer(NOBODY, ALICE, 100), opened_epoch(2))
        for epoch in (1, 2, 3):
            books.block(opened_epoch(epoch), opened_epoch(epoch), transfer(ALICE, BOB, epoch))
            books.block(submitted(epoch, 10 * epoch), allocated(epoch, 5), opened_epoch(7), transfer(BOB, ALICE, 1))
        [batch] = whole(books.log)
        ends = []
        for size, kernel_entries in ((1, 2), (3, 1000), (1000, 1000), (3, 1), (1000, 1)):
            replay, told = Replay(books.manifest, kernel_entries=kernel_entries), list[EpochEnd]()
            replay.on_epoch(told.append)
            fed = [replay.feed(batch.slice(start, size)) for start in range(0, batch.num_rows, size)]
            assert told == [end for each in fed for end in each.ended]
            check_equal(database_url, replay)
            ends.append(told)
        assert all(each == ends[0] for each in ends)
        opened_at = rows(database_url, "SELECT epoch, opened_position FROM epoch WHERE until IS NULL ORDER BY 1")
        assert [(each.epoch + 1, each.position + 1) for each in ends[0]] == opened_at
        assert [each.root for each in ends[0]] == [s.root_at(database_url, each.position) for each in ends[0]]


def test_what_does_not_follow_is_damaged(manifest: Manifest) -> None:
    """Feeds a batch twice, one with a hole, and one of another kind: each is refused, and nothing is folded."""
    logs = [event_log(manifest, "DN", "Approval", ref(5), n, owner=s.ANNA, spender=s.BEN, value=5) for n in range(4)]
    batch = from_rows([row_of(n, CHAIN_ID, ref(5), log) for n, log in enumerate(logs, 1)])
    replay = Replay(manifest)
    replay.feed(batch.slice(0, 2))
    strange = batch.slice(2).set_column(1, batch.schema.field("kind"), pa.array([1, 7], pa.uint8()))
    anonymous = batch.slice(2).set_column(9, batch.schema.field("address"), pa.nulls(2, pa.binary(20)))
    for wrong in (batch, batch.slice(3), strange, anonymous, batch.select(["position"])):
        with pytest.raises(Damaged, match=r"position [34]"):
            replay.feed(wrong)
    assert replay.position == 2
    replay.feed(batch.slice(2))
    assert replay.position == 4
