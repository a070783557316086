"""What does not fit is refused: the file is named, nothing is signed, and nothing that is there is overwritten."""

import shutil
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from deepnode_ledger.database import url_of
from deepnode_ledger.errors import BadInput, Damaged, TryAgain
from deepnode_ledger.log import Log
from deepnode_ledger.publishing import PublishedFiles, Publisher, prove
from deepnode_ledger.transparency import Signer, TreeHead, sign_head
from tests.conftest import fresh_database
from tests.ledger.histories import everything, opened
from tests.ledger.publishing.sealed_history import (
    OTHER_KEY,
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

Change = Callable[[Path], object]


def flip(path: Path) -> None:
    """Change one bit."""
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n" * 32)


def into_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def into_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


AT_THE_EDGE = ("tile/0/002.p/88", "tile/1/000.p/2", "tile/entries/002.p/88")


@pytest.fixture
def published(log: Log, folder: Path) -> Log:
    """A log of 700 entries whose first 600 are published."""
    seal(log, 600)
    publish(log, folder)
    seal(log, 100)
    return log


@pytest.mark.parametrize("change", [flip, cut, grow, Path.unlink, into_directory, into_link])
@pytest.mark.parametrize("name", AT_THE_EDGE)
def test_a_changed_file_at_the_edge_is_refused(
    published: Log, folder: Path, name: str, change: Change, go_judge: GoJudge
) -> None:
    """Changes, cuts, lengthens, deletes or replaces a file that the tree grows from; put right, the log goes on."""
    right, table = files(folder), everything(published)
    change(folder / name)
    wrong = files(folder)
    with pytest.raises(BadInput, match=str(folder / name)):
        publish(published, folder)
    assert (files(folder), everything(published)) == (wrong, table)
    for left in ((folder / name).with_name("elsewhere"), folder / name):
        if left.is_dir():
            left.rmdir()
        else:
            left.unlink(missing_ok=True)
    with publisher(published, folder) as each:
        each.refill()
        assert files(folder) == right
        each.publish()
    assert go_judge.check_directory(folder, VKEY)["size"] == 700


@pytest.mark.parametrize("change", [flip, cut, Path.unlink])
@pytest.mark.parametrize("name", ["tile/0/000", "tile/entries/001", *AT_THE_EDGE])
def test_a_refill_finds_any_file_that_was_changed(published: Log, folder: Path, name: str, change: Change) -> None:
    """Changes or deletes any file: what is deleted is written again, what is changed is named and stays."""
    right = files(folder)
    change(folder / name)
    wrong = files(folder)
    with publisher(published, folder) as each:
        if change is Path.unlink:
            each.refill()
            assert files(folder) == right
        else:
            with pytest.raises(Damaged, match=str(folder / name)):
                each.refill()
            assert files(folder) == wrong


def test_a_foreign_file_in_the_place_of_a_new_one_is_refused(published: Log, folder: Path, go_judge: GoJudge) -> None:
    """Puts other bytes where the next full tile goes."""
    (folder / "tile/0/002").write_bytes(bytes(8192))
    seal(published, 100)
    with pytest.raises(Damaged, match=r"tile/0/002 holds other bytes than the log.* Nothing was overwritten"):
        publish(published, folder)
    assert (folder / "tile/0/002").read_bytes() == bytes(8192)
    assert checkpoints(published) == [600]
    (folder / "tile/0/002").unlink()
    publish(published, folder)
    assert go_judge.check_directory(folder, VKEY)["size"] == 800


def into_no_text(path: Path) -> None:
    path.write_bytes(b"\xff")


def into_nothing(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("change", [flip, cut, into_no_text, into_nothing, into_directory, into_link])
def test_a_changed_checkpoint_is_refused(published: Log, folder: Path, change: Change) -> None:
    """Edits the file by hand; moved away, the signed one takes its place."""
    right = (folder / "checkpoint").read_bytes()
    change(folder / "checkpoint")
    wrong = files(folder)
    with pytest.raises(BadInput, match=str(folder / "checkpoint")):
        publish(published, folder)
    assert files(folder) == wrong
    assert checkpoints(published) == [600]
    (folder / "checkpoint").rename(folder / "moved away")
    with publisher(published, folder, round_entries=1) as each:
        each.publish()
    assert head(folder).size == 601
    assert right != (folder / "checkpoint").read_bytes()


def test_another_key_signs_nothing(published: Log, folder: Path) -> None:
    """Goes on with another key of the same name, and with one of another name."""
    before, table = files(folder), everything(published)
    for key in (OTHER_KEY, Signer("other.example/log", bytes(32))):
        with (
            Publisher(url_of(published.datastore), folder, key) as each,
            pytest.raises(BadInput, match="is not signed by"),
        ):
            each.publish()
    assert (files(folder), everything(published)) == (before, table)


def test_a_database_restored_from_an_older_copy_is_refused(log: Log, folder: Path, postgres_url: str) -> None:
    """Goes on with a copy from before the last checkpoints, and with one that went another way since."""
    seal(log, 300)
    publish(log, folder)
    seal(log, 300)
    publish(log, folder)
    before = files(folder)
    with fresh_database(postgres_url) as url, opened(url) as copy:
        with pytest.raises(BadInput, match=r"shows size 600, .* has signed is 0: was the database restored"):
            publish(copy, folder)
        seal(copy, 300)
        publish(copy, folder.with_name("copy"))
        with pytest.raises(BadInput, match=r"shows size 600, .* has signed is 300: was the database restored"):
            publish(copy, folder)
        seal(copy, 299, 1, 5)
        publish(copy, folder.with_name("copy"))
        with pytest.raises(BadInput, match=r"shows size 600 with the root .* has signed nothing there"):
            publish(copy, folder)
    assert files(folder) == before
    assert checkpoints(log) == [300, 600]


def test_another_logs_directory_is_refused(published: Log, folder: Path, postgres_url: str, tmp_path: Path) -> None:
    """Publishes another log of the same key and size into the directory, with and without its checkpoint."""
    before = files(folder)
    with fresh_database(postgres_url) as url, opened(url) as other:
        seal(other, 1, 599)
        publish(other, tmp_path / "other")
        with pytest.raises(BadInput, match=r"shows size 600 with the root .*another log's directory"):
            publish(other, folder)
        (folder / "checkpoint").unlink()
        with pytest.raises(Damaged, match="holds other bytes than the log: changed by hand, or of another log"):
            publish(other, folder)
        assert checkpoints(other) == [600]
    assert files(folder) == {name: data for name, data in before.items() if name != "checkpoint"}


def test_a_log_that_is_shorter_than_what_was_signed_is_refused(log: Log, folder: Path) -> None:
    """Has signed a size that the log is not sealed up to."""
    seal(log, 10)
    note = str(sign_head(TreeHead(SIGNER.name, 11, bytes(32)), [SIGNER]))
    with log.datastore.transaction(commit=True) as cursor:
        cursor.execute("INSERT INTO log.checkpoint VALUES (11, %s, %s)", (bytes(32), note))
    with pytest.raises(BadInput, match="size 11 is signed, and the log is sealed up to 10"):
        publish(log, folder)


def tamper(log: Log, statement: str) -> None:
    """Do as the owner what nobody may."""
    with psycopg.connect(url_of(log.datastore), autocommit=True) as connection:
        for table in ("sealed", "batch"):
            connection.execute(f"ALTER TABLE log.{table} DISABLE TRIGGER immutable".encode())
        connection.execute(statement.encode())


def test_a_changed_batch_is_not_signed(published: Log, folder: Path) -> None:
    """Changes the stored bytes of a batch that waits to be published, alone and together with its hash."""
    tamper(published, "UPDATE log.sealed SET state = state || 'x' WHERE originator_version = 2")
    with pytest.raises(Damaged, match="batch 2 has other bytes than were sealed: run `deepnode log fsck`"):
        publish(published, folder)
    tamper(published, "UPDATE log.batch SET sha256 = sha256(state) FROM log.sealed WHERE originator_version = number")
    with pytest.raises(Damaged, match=r"batch of .* cannot be read|something stands behind"):
        publish(published, folder)
    assert checkpoints(published) == [600]


def test_a_changed_batch_that_was_published_is_found_when_the_directory_is_lost(published: Log, folder: Path) -> None:
    """Swaps a published batch for one of other entries, with its hash, and loses the directory."""
    shutil.rmtree(folder)
    tamper(
        published,
        "UPDATE log.sealed SET state = (SELECT state FROM log.sealed WHERE originator_version = 2)"
        " WHERE originator_version = 1",
    )
    tamper(published, "UPDATE log.batch SET sha256 = sha256(state) FROM log.sealed WHERE originator_version = number")
    with pytest.raises(Damaged, match="batch 1 has 100 entries"):
        publish(published, folder)
    assert not (folder / "checkpoint").exists()


def test_a_lost_directory_is_filled_again(published: Log, folder: Path, go_judge: GoJudge) -> None:
    """Deletes it, then parts of it with the checkpoint; all comes back, partial files of older checkpoints too."""
    publish(published, folder)
    right = files(folder)
    for lose in (folder, folder / "tile/0", folder / "tile/entries"):
        shutil.rmtree(lose)
        (folder / "checkpoint").unlink(missing_ok=True)
        publish(published, folder)
        assert files(folder) == right
    assert {"tile/1/000.p/2"} == {name for name in right if name.startswith("tile/1/")}
    assert {"tile/0/002.p/88", "tile/0/002.p/188"} <= right.keys()
    go_judge.check_directory(folder, VKEY)


def test_a_directory_that_is_an_older_copy_catches_up(published: Log, folder: Path, go_judge: GoJudge) -> None:
    """Brings back the directory as it was before the last checkpoint was signed."""
    older = folder.with_name("older")
    shutil.copytree(folder, older)
    publish(published, folder)
    publish(published, older)
    assert files(older) == files(folder)
    assert go_judge.check_directory(older, VKEY)["size"] == 700


@pytest.mark.parametrize("position", [0, -1, 601])
def test_no_proof_of_what_is_not_published(published: Log, folder: Path, position: int) -> None:
    """Asks for positions on both sides of what is published."""
    with pytest.raises(BadInput, match=f"positions 1 to 600 are published in .*, {position} is not"):
        prove(PublishedFiles(folder), position)


@pytest.mark.parametrize("name", ["tile/0/000", "tile/entries/000", "tile/1/000.p/2", "checkpoint"])
def test_no_proof_from_files_that_were_changed(published: Log, folder: Path, name: str) -> None:
    """Changes a bit of a file that the proof is made of; for the checkpoint, its root."""
    flip(folder / name)
    with pytest.raises(Damaged, match=str(folder)):
        prove(PublishedFiles(folder), 1)
    with pytest.raises(BadInput, match="nothing is published there"):
        prove(PublishedFiles(folder.with_name("nowhere")), 1)


def test_a_place_that_is_no_directory_is_refused(log: Log, tmp_path: Path) -> None:
    """Names a file, and one below a file."""
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file/below"):
        with pytest.raises((BadInput, TryAgain), match="cannot be read or written"):
            publisher(log, path).open()
    assert (tmp_path / "file").read_text() == "mine"
