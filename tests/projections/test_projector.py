"""The books follow the log exactly once, through steps, restarts and reorgs, and no log entry stops them."""

import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepnode_ledger.errors import BadInput, TryAgain
from deepnode_ledger.log import Log
from deepnode_ledger.manifest import Manifest, load_manifest
from deepnode_ledger.posting import AMOUNT_LIMIT
from deepnode_ledger.record import ChainLog
from deepnode_projections.projector import Projector, Step, connect, is_kept
from deepnode_projections.quarantine import counts
from tests.conftest import fresh_database
from tests.ledger.histories import WITHOUT_SHRINKING, contents, opened, ref, task, word
from tests.ledger.paper_deployment import COLLATERAL, DN, USDC, event_log, manifest_text, write_manifest
from tests.projections import stories as s
from tests.projections.stories import projecting, rows, said_in, stepped

STORY: list[s.Said] = [
    s.transfer(s.NOBODY, s.ANNA, 1000),
    s.transfer(s.ANNA, COLLATERAL, 40),
    s.deposited(s.NODE_1, 40),
    s.flagged(s.CASE_1, s.NODE_1),
    s.review_opened(s.CASE_2, 9),
    s.review_opened(s.CASE_1, 30),
    s.model_registered(s.MODEL_1, s.DOMAIN_1),
    s.review_decided(s.CASE_1, 4, 5, 6, 15),
    s.transfer(COLLATERAL, s.NOBODY, 4),
    s.revenue_split(s.RECEIPT_1, s.MODEL_1, 100, [10] * 9),
]


def paid(number: int, count: int = 1) -> list[s.Said]:
    return [s.transfer(s.ANNA, s.BEN, number * 10 + n) for n in range(count)]


@pytest.fixture
def log(database_url: str) -> Iterator[Log]:
    with opened(database_url) as log:
        yield log


def test_the_books_hold_what_the_story_says(log: Log, database_url: str, manifest: Manifest) -> None:
    """Compares the tables with books kept by hand, and with the log."""
    log.extend(None, [said_in(manifest, 5, STORY[:6])])
    log.accept([task(1)])
    log.extend(ref(5), [said_in(manifest, 6, STORY[6:]), said_in(manifest, 7, [])])
    paper = s.Paper(manifest).book(*STORY)
    with projecting(database_url, manifest) as projector:
        assert projector.catch_up() == Step(11, 11, None, 0)
        assert projector.step() == Step(11, 0, None, 0)
    assert s.balances(database_url) == {key: amount for key, amount in paper.balances.items() if amount}
    refused = rows(database_url, "SELECT kind, reason FROM refusal ORDER BY position")
    assert [reason for kind, reason in refused if kind != "TaskCreated"] == paper.refusals
    assert [reason for kind, reason in refused if kind == "TaskCreated"] == [
        "type 'TaskCreated' is none of the 14 types that the books know"
    ]
    assert rows(database_url, "SELECT number, last_position FROM block ORDER BY 1") == [(5, 7), (6, 11)]
    held = {entry.position: entry for entry in contents(log)}
    for position, number, transaction, index in rows(
        database_url, "SELECT position, block_number, transaction_hash, log_index FROM entry"
    ):
        record = held[position].record
        assert isinstance(record, ChainLog)
        assert (number, transaction, index) == (held[position].block.number, record.transaction_hash, record.log_index)
    assert rows(database_url, "SELECT symbol, decimals FROM asset ORDER BY asset_id") == [("DN", 18), ("USDC", 6)]
    assert rows(database_url, "SELECT DISTINCT holder FROM account WHERE owner IN ('Mint', 'Burn')") == [(None,)]


@settings(max_examples=4, phases=WITHOUT_SHRINKING)
@given(st.lists(s.anything, min_size=1, max_size=25), st.data())
def test_every_way_through_the_log_ends_in_the_same_state(
    postgres_url: str, manifest: Manifest, story: list[s.Said], data: st.DataObject
) -> None:
    """Projects one history in steps of 1, 7 and 1000 entries with restarts, and by the rules alone, to the same."""
    sizes = data.draw(st.lists(st.integers(0, 6), min_size=1, max_size=8))
    with fresh_database(postgres_url) as url, opened(url) as log:
        start = 0
        for number, size in enumerate(sizes, 5):
            part = story[start : start + size]
            log.extend(None if number == 5 else ref(number - 1), [said_in(manifest, number, part)])
            log.accept([task(number)])
            start += size
        last = len(contents(log))
        for step_entries in (1, 7, 1000):
            stepped(url, manifest, step_entries, f"by_{step_entries}")
        stepped(url, manifest, 1000, "by_definition", by_definition=True)
        schemas = ["by_1", "by_7", "by_1000", "by_definition"]
        roots = [s.roots_at(url, range(last + 1), schema) for schema in schemas]
        for position, found in enumerate(zip(*roots, strict=True)):
            assert len(set(found)) == 1, position
        dumps = [s.dump(url, schema) for schema in schemas]
        assert dumps[0] == dumps[1] == dumps[2] == dumps[3]


def test_a_fact_that_changes_within_a_step_is_kept_in_both_its_values(
    log: Log, database_url: str, manifest: Manifest
) -> None:
    """Flags a case for two nodes within one step, and asks for the state between the two."""
    log.extend(None, [said_in(manifest, 5, [s.flagged(s.CASE_1, s.NODE_1), s.flagged(s.CASE_1, s.NODE_2)])])
    for step_entries in (1, 1000):
        stepped(database_url, manifest, step_entries, f"by_{step_entries}")
    assert s.root_at(database_url, 1, "by_1000") == s.root_at(database_url, 1, "by_1")


def test_a_fact_from_before_a_reorg_is_still_known(log: Log, database_url: str, manifest: Manifest) -> None:
    """Flags a case in block 5 and again in block 6, books both in one step, and takes block 6 back."""
    log.extend(None, [said_in(manifest, 5, [s.flagged(s.CASE_1, s.NODE_1)])])
    log.extend(ref(5), [said_in(manifest, 6, [s.flagged(s.CASE_1, s.NODE_2)])])
    with projecting(database_url, manifest) as projector:
        projector.catch_up()
        log.extend(ref(5), [said_in(manifest, 6, [s.review_opened(s.CASE_1, 3)], "b", "a")])
        projector.catch_up()
    assert rows(database_url, "SELECT reason FROM refusal") == []


@settings(max_examples=7, phases=WITHOUT_SHRINKING)
@given(st.data())
def test_books_that_lived_through_reorgs_equal_books_made_anew(
    postgres_url: str, manifest: Manifest, data: st.DataObject
) -> None:
    """Extends, reorganises, seals and accepts at random while a projector steps along; then rebuilds beside it."""
    stories = st.lists(s.anything, max_size=4)
    with fresh_database(postgres_url) as url, opened(url) as log:
        branches = ["a"]
        log.extend(None, [said_in(manifest, 5, data.draw(stories))])
        sealed = 4
        for turn in range(data.draw(st.integers(3, 10))):
            tip = 4 + len(branches)
            kept = data.draw(st.integers(max(sealed, 5, tip - 3), tip))
            branch = branches[kept - 5] if kept == tip else f"b{turn}"
            kept_block = ref(kept, branches[kept - 5])
            grown = data.draw(st.integers(1, 3))
            new = [
                said_in(manifest, n, data.draw(stories), branch, branches[kept - 5] if n == kept + 1 else None)
                for n in range(kept + 1, kept + grown + 1)
            ]
            log.extend(kept_block, new)
            branches = branches[: kept - 4] + [branch] * grown
            log.accept([task(100 + turn)])
            if data.draw(st.booleans()):
                sealed = max(sealed, 4 + len(branches) - 3)
                if sealed >= 5:
                    log.seal(ref(sealed, branches[sealed - 5]))
            with projecting(url, manifest, step_entries=data.draw(st.sampled_from([1, 3, 1000]))) as projector:
                for _ in range(data.draw(st.integers(0, 4))):
                    projector.step()
        with projecting(url, manifest, step_entries=data.draw(st.sampled_from([2, 1000]))) as projector:
            projector.catch_up()
        stepped(url, manifest, 1000, "anew")
        live, anew = s.dump(url), s.dump(url, "anew")
        assert live == anew
        assert s.root_at(url, len(contents(log))) == s.root_at(url, len(contents(log)), "anew")


def test_a_rollback_restores_every_table_as_it_was(log: Log, database_url: str, manifest: Manifest) -> None:
    """Books two blocks of everything, takes them back, and compares all rows with those from before."""
    log.extend(None, [said_in(manifest, 5, STORY[:4])])
    strange = ChainLog(word("t"), 0, 99, DN, (word("unknown"),), b"")
    with projecting(database_url, manifest) as projector:
        projector.catch_up()
        before = s.dump(database_url)
        log.extend(
            ref(5), [s.strange(said_in(manifest, 6, [*STORY[4:], *STORY]), strange), said_in(manifest, 7, STORY)]
        )
        projector.catch_up()
        grown = {name for name, held in s.dump(database_url).items() if len(held) > len(before[name])}
        journal = {"account", "balance", "block", "entry", "posting", "refusal", "quarantine"}
        assert grown >= journal | {"collateral", "collateral_case", "model"}
        log.extend(ref(5), [])
        assert projector.catch_up() == Step(4, 0, 4, 0)
        assert s.dump(database_url) == before


def test_an_account_is_enrolled_again_after_a_rollback(log: Log, database_url: str, manifest: Manifest) -> None:
    """Has an account appear in an orphaned block and again in its successor, at another place."""
    log.extend(None, [said_in(manifest, 5, [s.transfer(s.NOBODY, s.ANNA, 100)])])
    with projecting(database_url, manifest) as projector:
        log.extend(ref(5), [said_in(manifest, 6, [s.transfer(s.ANNA, s.BEN, 1)])])
        projector.catch_up()
        log.extend(
            ref(5), [said_in(manifest, 6, [s.transfer(s.ANNA, s.NOBODY, 2), s.transfer(s.ANNA, s.BEN, 3)], "b", "a")]
        )
        projector.catch_up()
    found = rows(
        database_url, "SELECT a.name, a.first_position, b.balance FROM account a JOIN balance b USING (account_id)"
    )
    assert {name: (first, int(balance)) for name, first, balance in found} == {
        "Mint": (1, -100),
        "Burn": (2, 2),
        "Wallet:0x" + "01" * 20: (1, 95),
        "Wallet:0x" + "02" * 20: (3, 3),
    }


def tip(url: str) -> int | None:
    [(number,)] = rows(url, "SELECT tip_number FROM checkpoint")
    assert number is None or isinstance(number, int)
    return number


def test_the_tip_is_the_last_block_that_is_whole_in_the_books(log: Log, database_url: str, manifest: Manifest) -> None:
    """Steps through blocks of two entries, one at a time: a block counts once the next one begins, or the log ends."""
    log.extend(None, [said_in(manifest, n, paid(n, 2)) for n in (5, 6, 7)])
    log.extend(ref(7), [said_in(manifest, 8, [])])
    seen = []
    with projecting(database_url, manifest, step_entries=3) as projector:
        while projector.step().behind:
            seen.append(tip(database_url))
    assert seen == [5]
    assert tip(database_url) == 8


def test_the_tip_never_goes_back_without_a_reorg(log: Log, database_url: str, manifest: Manifest) -> None:
    """Steps one entry at a time behind a chain that grows."""
    tips: list[int] = []
    log.extend(None, [said_in(manifest, 5, paid(5, 2))])
    with projecting(database_url, manifest, step_entries=1) as projector:
        for number in range(6, 10):
            log.extend(ref(number - 1), [said_in(manifest, number, paid(number, 3))])
            log.accept([task(number)])
            for _ in range(3):
                projector.step()
                tips.append(tip(database_url) or 0)
        projector.catch_up()
    assert all(before <= after for before, after in pairwise(tips))
    assert tip(database_url) == 9


@pytest.mark.parametrize("step_entries", [1, 2])
def test_the_tip_is_never_an_orphaned_block(log: Log, database_url: str, manifest: Manifest, step_entries: int) -> None:
    """Takes back blocks that held no entry, and steps through their successors: the old tip is on no chain."""
    log.extend(None, [said_in(manifest, 5, paid(5))])
    log.extend(ref(5), [said_in(manifest, 6, []), said_in(manifest, 7, [])])
    with projecting(database_url, manifest, step_entries=step_entries) as projector:
        projector.catch_up()
        log.extend(ref(5), [said_in(manifest, n, paid(n, 4), "b", "a" if n == 6 else None) for n in (6, 7)])
        projector.step()
    [(number, found)] = rows(database_url, "SELECT tip_number, tip_hash FROM checkpoint")
    if number is not None:
        assert found == ref(number, "a" if number <= 5 else "b").hash, number


def test_only_one_projector_keeps_the_books(log: Log, database_url: str, manifest: Manifest) -> None:
    """Opens a second one beside the first, for the same books and for others, and again when the first is gone."""
    assert not is_kept(database_url)
    with projecting(database_url, manifest):
        assert is_kept(database_url)
        with pytest.raises(TryAgain, match="another projector keeps the books in schema 'books'"):
            Projector(database_url, manifest).open()
        with projecting(database_url, manifest, schema="others"):
            assert is_kept(database_url, "others")
    with projecting(database_url, manifest):
        assert is_kept(database_url)


def test_books_of_another_manifest_are_refused(log: Log, database_url: str, manifest: Manifest, tmp_path: Path) -> None:
    """Opens books with a manifest that gives a token other decimals, and with one that only renames the deployment."""
    log.extend(None, [said_in(manifest, 5, STORY)])
    stepped(database_url, manifest, 1000, "books")
    before = s.dump(database_url)
    other = load_manifest(write_manifest(tmp_path / "other", manifest_text(**{"decimals = 6": "decimals = 7"})))
    with pytest.raises(BadInput, match=f"made with the manifest 0x{manifest.digest.hex()}, this one is 0x"):
        Projector(database_url, other).open()
    assert s.dump(database_url) == before
    assert not is_kept(database_url)
    renamed = load_manifest(write_manifest(tmp_path / "renamed", manifest_text(**{'name = "paper"': 'name = "other"'})))
    with projecting(database_url, renamed) as projector:
        assert projector.step().behind == 0


def test_what_cannot_be_read_is_quarantined_and_counted(log: Log, database_url: str, manifest: Manifest) -> None:
    """Has unknown topics, no topic, broken data and good logs in one block: the good ones are booked."""
    block = said_in(manifest, 5, [s.transfer(s.NOBODY, s.ANNA, 10)])
    good = event_log(manifest, "DN", "Transfer", ref(5), 9, **{"from": s.ANNA, "to": s.BEN, "value": 4})
    bad = [
        ChainLog(word("t"), 1, 1, DN, (word("unknown"),), b"\x01"),
        ChainLog(word("t"), 1, 2, USDC, (), b"\x01"),
        ChainLog(word("t"), 1, 3, DN, good.topics, good.data[:31]),
    ]
    log.extend(None, [s.strange(block, *bad, good)])
    with projecting(database_url, manifest) as projector:
        assert projector.catch_up().position == 5
    found = rows(database_url, "SELECT position, address, topic0 FROM quarantine ORDER BY 1")
    assert found == [(2, DN, word("unknown")), (3, USDC, None), (4, DN, good.topics[0])]
    with connect(database_url, "books") as connection:
        counted = {(each.address, each.topic0): each.logs for each in counts(connection)}
    assert counted == {(DN, word("unknown")): 1, (USDC, None): 1, (DN, good.topics[0]): 1}
    assert s.balances(database_url)["Wallet:0x" + "02" * 20, DN] == 4


def test_a_balance_that_grows_beyond_every_limit_does_not_stop_the_books(
    log: Log, database_url: str, manifest: Manifest
) -> None:
    """Mints the largest amount that the books take, eleven times, and then something small."""
    log.extend(None, [said_in(manifest, 5, [s.transfer(s.NOBODY, s.ANNA, AMOUNT_LIMIT - 1)] * 11 + paid(1))])
    with projecting(database_url, manifest) as projector:
        assert projector.catch_up().position == 12


def test_a_step_that_fails_leaves_the_books_at_the_last_one(log: Log, database_url: str, manifest: Manifest) -> None:
    """Takes the table of postings away during a step, with a reorg in it: nothing of the step stays."""
    log.extend(None, [said_in(manifest, 5, STORY[:4]), said_in(manifest, 6, STORY[4:])])
    with projecting(database_url, manifest) as projector:
        projector.catch_up()
        before = s.dump(database_url)
        log.extend(ref(5), [said_in(manifest, 6, STORY, "b", "a")])
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("ALTER TABLE books.checkpoint ADD CONSTRAINT broken CHECK (position < 11)")
            with pytest.raises(psycopg.errors.CheckViolation):
                projector.step()
            assert s.dump(database_url) == before
            connection.execute("ALTER TABLE books.checkpoint DROP CONSTRAINT broken")
        assert projector.catch_up() == Step(14, 10, 4, 0)


def test_a_projector_whose_connection_is_cut_can_be_opened_again(
    log: Log, database_url: str, manifest: Manifest
) -> None:
    """Has the server end the projector's session: the step says TryAgain, the next projector goes on."""
    log.extend(None, [said_in(manifest, 5, STORY)])
    with projecting(database_url, manifest, step_entries=3) as projector:
        projector.step()
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
                " WHERE locktype = 'advisory' AND d.datname = current_database()"
            )
        with pytest.raises(TryAgain, match=r"the database .*is away"):
            projector.step()
    with projecting(database_url, manifest) as projector:
        assert projector.catch_up() == Step(10, 7, None, 0)


def test_a_follower_books_what_comes_and_stops_when_told(log: Log, database_url: str, manifest: Manifest) -> None:
    """Follows from a thread while blocks come and one is taken back."""
    log.extend(None, [said_in(manifest, 5, STORY[:2])])
    stop, seen = threading.Event(), list[Step]()
    arrived = threading.Condition()

    def follow() -> None:
        with projecting(database_url, manifest) as projector:
            for step in projector.follow(stop):
                with arrived:
                    seen.append(step)
                    arrived.notify_all()

    def wait_for(position: int) -> None:
        with arrived:
            assert arrived.wait_for(lambda: bool(seen) and seen[-1].position == position, timeout=30), seen

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        wait_for(2)
        log.extend(ref(5), [said_in(manifest, 6, STORY[2:5])])
        wait_for(5)
        log.extend(ref(5), [said_in(manifest, 6, STORY[2:3], "b", "a")])
        wait_for(3)
    finally:
        stop.set()
        thread.join()
    assert seen[-1].rolled_back_to == 2
