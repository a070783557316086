"""A log can be brought back to every moment at which something was sealed, and goes on from there."""

import itertools
from pathlib import Path

import pytest

from deepnode_ledger.backup import PointInTime, backup, restore
from deepnode_ledger.backup.moment import seconds_of
from deepnode_ledger.database import url_of
from deepnode_ledger.errors import BadInput
from deepnode_ledger.fsck import fsck
from deepnode_ledger.log import Log
from deepnode_ledger.schema import upgrade
from deepnode_ledger.snapshot import snapshot
from deepnode_ledger.transparency import Edge, leaf_hashes
from tests.conftest import fresh_database
from tests.ledger import signed_log
from tests.ledger.histories import CHAIN_ID, contents, datastore, everything, opened, placed, ref, run
from tests.ledger.test_backup import restored


@pytest.fixture
def signed(log: Log) -> Log:
    """A log with a row in every table."""
    signed_log.live(log)
    signed_log.sign(log, 100)
    signed_log.sign(log, len(signed_log.leaves(log)))
    return log


def sealings(log: Log) -> list[dict[str, int]]:
    with log.datastore.cursor() as cursor:
        cursor.execute(
            "SELECT number, sealed_position, block_number, block_time FROM log.sealing JOIN log.sealing_block"
            " USING (number) ORDER BY number"
        )
        return [dict(row) for row in cursor.fetchall()]


def test_every_sealing_comes_back(signed: Log, postgres_url: str, tmp_path: Path) -> None:
    """Restores each sealing by its number, position, block and time; entries and root are those of then."""
    backup(url_of(signed.datastore), tmp_path)
    whole, leaves = contents(signed), signed_log.leaves(signed)
    for row in sealings(signed):
        points = [
            PointInTime(sealing=row["number"]),
            PointInTime(position=row["sealed_position"]),
            PointInTime(block=row["block_number"]),
            PointInTime(time=row["block_time"]),
        ]
        kept = []
        for point in points if row["number"] == 4 else points[:1]:
            with restored(postgres_url, tmp_path, point) as (done, _, copy):
                size = row["sealed_position"]
                assert done.root == Edge().extend(leaf_hashes(leaves[:size]))[0].root
                assert (done.entries, done.pending, done.blocks[CHAIN_ID]) == (size, 0, row["block_number"])
                assert done.left_out == (len(leaves) if size < len(leaves) else None)
                assert [e.record for e in contents(copy)] == [e.record for e in whole[:size]]
                chain = copy.chain()
                assert chain.tip == chain.finalized
                assert chain.tip is not None
                assert (chain.tip.number, chain.tip.time) == (row["block_number"], row["block_time"])
                assert list(fsck(url_of(copy.datastore))) == []
                kept.append(everything(copy))
        assert all(each == kept[0] for each in kept)


def test_the_moment_is_the_newest_sealing_at_or_before_the_point(
    signed: Log, postgres_url: str, tmp_path: Path
) -> None:
    """Asks for positions, blocks and times between two sealings."""
    backup(url_of(signed.datastore), tmp_path)
    rows = sealings(signed)
    for before, after in itertools.pairwise(rows):
        for name, point in {
            "sealed_position": PointInTime(position=after["sealed_position"] - 1),
            "block_number": PointInTime(block=after["block_number"] - 1),
            "block_time": PointInTime(time=after["block_time"] - 1),
        }.items():
            assert before[name] <= after[name] - 1
            if before["number"] == 3:
                with restored(postgres_url, tmp_path, point) as (done, _, _):
                    assert done.blocks[CHAIN_ID] == before["block_number"]
    with restored(postgres_url, tmp_path, PointInTime(block=10**6)) as (done, _, _):
        assert done.blocks[CHAIN_ID] == rows[-1]["block_number"]
        assert done.left_out is None


def test_the_same_history_again_gives_the_same_root(log: Log, postgres_url: str, tmp_path: Path) -> None:
    """Restores an early sealing of a log of chain logs, and appends what the original had: sealed or followed."""
    for first in (5, 8, 11):
        log.append_finalized(first, signed_log.header(first + 2), placed(run(first, first + 2, logs=40)), "range")
    log.extend(ref(13), run(14, 16, logs=2))
    log.seal(ref(16))
    made = backup(url_of(log.datastore), tmp_path)
    with restored(postgres_url, tmp_path, PointInTime(sealing=1)) as (_, _, copy):
        copy.append_finalized(8, signed_log.header(10), placed(run(8, 10, logs=40)), "range")
        copy.extend(ref(10), run(11, 12, logs=40))
        copy.seal(ref(12))
        copy.extend(ref(12), [*run(13, 13, logs=40), *run(14, 16, logs=2)])
        copy.seal(ref(16))
        with snapshot(copy.datastore) as view:
            assert view.head.sealed_position == made.head.sealed_position
        assert Edge().extend(leaf_hashes(signed_log.leaves(copy)))[0].root == made.root
        assert list(fsck(url_of(copy.datastore))) == []


def test_task_events_of_later_are_accepted_again(signed: Log, postgres_url: str, tmp_path: Path) -> None:
    """Delivers all task events again after a restore: those of then are duplicates, the later ones are new."""
    backup(url_of(signed.datastore), tmp_path)
    with restored(postgres_url, tmp_path, PointInTime(block=16)) as (_, _, copy):
        answers = copy.accept([signed_log.about(number) for number in (1, 2, 3, 4)])
        assert [getattr(answer, "duplicate", None) for answer in answers] == [True, True, False, False]


@pytest.mark.parametrize(
    ("point", "message"),
    [
        (PointInTime(position=11), "no sealing at or before position 11; the first is of position 12, block 8"),
        (PointInTime(block=7), "no sealing at or before block 7"),
        (PointInTime(time=1), "no sealing at or before time 1"),
        (PointInTime(sealing=0), "no sealing at or before sealing 0"),
        (PointInTime(sealing=99), "end with sealing 7, before 99"),
    ],
)
def test_a_point_without_a_sealing_is_refused(
    signed: Log, database_url: str, tmp_path: Path, postgres_url: str, point: PointInTime, message: str
) -> None:
    """Asks for points before the first sealing, and for a sealing that is not there."""
    assert database_url
    backup(url_of(signed.datastore), tmp_path)
    with fresh_database(postgres_url) as url, pytest.raises(BadInput, match=message):
        restore(tmp_path, url, point=point)


def test_a_database_with_a_log_is_refused(signed: Log, postgres_url: str, tmp_path: Path) -> None:
    """Restores over the log itself, and over one that has begun; neither changes."""
    backup(url_of(signed.datastore), tmp_path)
    before = everything(signed)
    with pytest.raises(BadInput, match=r"holds a log already .*Nothing was touched"):
        restore(tmp_path, url_of(signed.datastore))
    assert everything(signed) == before
    with fresh_database(postgres_url) as url, opened(url), pytest.raises(BadInput, match=r"log.chain has rows"):
        restore(tmp_path, url)


def test_tables_that_the_owner_has_made_are_filled(signed: Log, postgres_url: str, tmp_path: Path) -> None:
    """Restores as a member of the programs' role, who may make no table; the next batch goes on behind."""
    from deepnode_ledger.tables import ROLE
    from tests.ledger.servers import login

    backup(url_of(signed.datastore), tmp_path)
    with fresh_database(postgres_url) as owner_url:
        upgrade(owner_url)
        with login(owner_url, "restorer", "IN ROLE", ROLE) as url:
            restore(tmp_path, url)
            with datastore(url) as store:
                copy = Log(store, CHAIN_ID)
                assert everything(copy) == everything(signed)
                for each in (copy, signed):
                    each.seal(ref(25, "b"))
                assert everything(copy) == everything(signed)


def test_an_empty_directory_is_no_backup(database_url: str, tmp_path: Path) -> None:
    """Restores from a directory that is empty, and from none."""
    for directory in (tmp_path, tmp_path / "none"):
        with pytest.raises(BadInput, match="there is no backup in"):
            restore(directory, database_url)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-01-31T12:00:00+02:00", 1_769_853_600),
        ("2026-01-31T10:00:00.999Z", 1_769_853_600),
    ],
)
def test_a_time_is_read_with_its_offset(text: str, seconds: int) -> None:
    """Reads RFC 3339 times."""
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["2026-01-31T12:00:00", "yesterday", "", "2026-01-31", "2026-02-30T00:00:00Z"])
def test_a_time_that_is_none_is_refused(text: str) -> None:
    """Reads what is no RFC 3339 time, or has no offset."""
    with pytest.raises(BadInput, match="a time"):
        PointInTime.of(time=text)


def test_one_point_at_a_time() -> None:
    """Asks for none, one and two."""
    assert PointInTime.of() is None
    assert PointInTime.of(block=7) == PointInTime(block=7)
    with pytest.raises(BadInput, match="not two of them"):
        PointInTime.of(block=7, sealing=2)
