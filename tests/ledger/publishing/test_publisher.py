"""What is sealed is published: Go's tlog finds each entry in it, whichever way the log was sealed."""

import threading
from pathlib import Path

import pytest

from deepnode_ledger import leaf
from deepnode_ledger.errors import TryAgain
from deepnode_ledger.log import Log
from deepnode_ledger.publishing import PublishedFiles, prove
from deepnode_ledger.record import Header
from deepnode_ledger.transparency import decode_bundle, leaf_hashes, parse_proof, root_of
from tests.conftest import fresh_database
from tests.ledger.histories import FIRST_BLOCK, contents, opened, placed, ref, run, task
from tests.ledger.publishing.sealed_history import (
    SIGNER,
    VKEY,
    checkpoints,
    files,
    head,
    publish,
    publisher,
    seal,
)
from tests.ledger.transparency.go_judge import GoJudge


def test_go_finds_what_was_sealed_after_each_seal(log: Log, folder: Path, go_judge: GoJudge) -> None:
    """Seals to sizes on both sides of where tiles become full, publishing after each, and has Go check all files."""
    sizes = (1, 2, 255, 256, 257, 511, 512, 513, 700)
    for before, size in zip((0, *sizes), sizes, strict=False):
        seal(log, size - before)
        published = publish(log, folder)
        assert published is not None
        assert published.public
        assert (published.head, published.entries, published.behind) == (head(folder), size - before, 0)
        assert go_judge.check_directory(folder, VKEY)["size"] == size
        assert publish(log, folder) is None
    leaves = [leaf.entry_bytes(entry) for entry in contents(log)]
    assert head(folder).root == root_of(leaf_hashes(leaves))
    assert decode_bundle((folder / "tile/entries/000").read_bytes()) == leaves[:256]


@pytest.mark.parametrize("counts", [(65_535, 1, 1), (65_536, 300), (65_280, 512)])
def test_go_finds_what_was_sealed_where_a_second_level_becomes_full(
    log: Log, folder: Path, go_judge: GoJudge, counts: tuple[int, ...]
) -> None:
    """Seals up to, onto and over 65 536 entries, publishing after each."""
    for count in counts:
        seal(log, count)
        publish(log, folder)
        go_judge.check_directory(folder, VKEY, samples=4)
    assert (folder / "tile/1/000").stat().st_size == 8192
    assert not list(folder.rglob("tile/1/000.p"))


def test_nothing_sealed_is_nothing_to_publish(log: Log, folder: Path) -> None:
    """Publishes an empty log and one with a tail alone: the directory holds nothing but the lock."""
    assert publish(log, folder) is None
    log.extend(None, run(5, 9))
    assert publish(log, folder) is None
    assert files(folder) == {}


@pytest.mark.parametrize("batches", [(1, 1, 1, 253, 344), (256, 256, 88), (100, 157, 300, 43)])
@pytest.mark.parametrize("round_entries", [100, 256, 1000])
def test_files_are_the_same_however_the_log_was_sealed(
    postgres_url: str, tmp_path: Path, batches: tuple[int, ...], round_entries: int
) -> None:
    """Seals the same 600 entries in other batches, publishes in rounds of other lengths, and compares all files."""
    published = []
    for way in (batches, (600,)):
        folder = tmp_path / str(len(way))
        with fresh_database(postgres_url) as url, opened(url) as log:
            last = FIRST_BLOCK - 1
            for count in way:
                # Each block has one log, so that blocks can be cut where batches shall be.
                first, last = last + 1, last + count
                log.append_finalized(first, Header(ref(last), ref(last - 1).hash), placed(run(first, last)), "a test")
            with publisher(log, folder, round_entries=round_entries) as each:
                while (done := each.publish()) is not None and done.behind:
                    pass
            published.append(files(folder))
            assert checkpoints(log) == [*range(round_entries, 600, round_entries), 600]
    assert published[0] == published[1]


def test_entries_that_were_sealed_from_the_tail_are_published(log: Log, folder: Path, go_judge: GoJudge) -> None:
    """Follows blocks with task events between them, seals some, and publishes; the rest stays unpublished."""
    log.extend(None, run(5, 8, logs=3))
    log.accept([task(1), task(2)])
    log.extend(ref(8), run(9, 12, logs=3))
    log.seal(ref(9))
    publish(log, folder)
    assert go_judge.check_directory(folder, VKEY)["size"] == 17
    assert decode_bundle((folder / "tile/entries/000.p/17").read_bytes(), 17) == [
        leaf.entry_bytes(entry) for entry in contents(log)[:17]
    ]


def test_partial_files_go_once_the_full_one_is_there(log: Log, folder: Path) -> None:
    """Publishes at sizes of one tile, then fills it: each checkpoint's partial files stay until then."""
    for count in (3, 40, 100):
        seal(log, count)
        publish(log, folder)
    widths = {"3", "43", "143"}
    assert {path.name for path in (folder / "tile/0/000.p").iterdir()} == widths
    assert {path.name for path in (folder / "tile/entries/000.p").iterdir()} == widths
    seal(log, 200)
    publish(log, folder)
    assert not (folder / "tile/0/000.p").exists()
    assert not (folder / "tile/entries/000.p").exists()
    assert (folder / "tile/0/001.p/87").is_file()


def test_a_follower_publishes_as_the_log_is_sealed(log: Log, folder: Path) -> None:
    """Follows in a thread while the test seals; each seal comes out, in rounds of at most 100 entries."""
    stop, sizes, arrived = threading.Event(), list[int](), threading.Semaphore(0)

    def follow() -> None:
        with publisher(log, folder, round_entries=100) as each:
            for published in each.follow(stop):
                sizes.append(published.head.size)
                arrived.release()

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        for count, rounds in ((50, 1), (250, 3), (1, 1)):
            seal(log, count)
            for _ in range(rounds):
                assert arrived.acquire(timeout=60)
    finally:
        stop.set()
        thread.join()
    assert sizes == [50, 150, 250, 300, 301]


def test_one_publisher_works_in_a_directory(log: Log, folder: Path) -> None:
    """Opens a second one while the first is at work, and again when it has ended."""
    with publisher(log, folder), pytest.raises(TryAgain, match="another publisher works in"):
        publisher(log, folder).open()
    publisher(log, folder).open().close()


def test_two_publishers_of_a_log_sign_one_line_of_checkpoints(
    log: Log, folder: Path, tmp_path: Path, go_judge: GoJudge
) -> None:
    """Lets two publish in turn and at once, each into its own directory; in the end both directories hold the same."""
    other = tmp_path / "other"
    for count in (10, 300, 7, 500):
        seal(log, count)
        publish(log, folder if count % 2 else other)
    seal(log, 1000)
    start, rounds = threading.Barrier(2), list[int]()

    def race(into: Path) -> None:
        with publisher(log, into, round_entries=50) as each:
            start.wait()
            while checkpoints(log)[-1] < 1817:
                try:
                    done = each.publish()
                except TryAgain:
                    continue
                rounds.append(done.entries if done else 0)

    threads = [threading.Thread(target=race, args=(into,)) for into in (folder, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for into in (folder, other):
        publish(log, into)
        assert go_judge.check_directory(into, VKEY)["size"] == 1817
    assert sum(rounds) == 1000
    assert checkpoints(log) == [10, 310, 317, 817, *range(867, 1817, 50), 1817]
    assert (folder / "checkpoint").read_bytes() == (other / "checkpoint").read_bytes()


def test_every_entry_can_be_proven_from_the_files(log: Log, folder: Path) -> None:
    """Proves each entry of a log of 600 from the directory alone, and verifies it by the log's key."""
    seal(log, 600)
    publish(log, folder)
    for entry in contents(log):
        proof, data = prove(PublishedFiles(folder), entry.position)
        assert data == leaf.entry_bytes(entry)
        assert parse_proof(str(proof)).verify(data, SIGNER.verifier).head.size == 600
