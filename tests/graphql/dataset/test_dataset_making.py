"""The files of a closed epoch depend upon the books alone, and are never written again."""

import hashlib
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from deepnode_cli.commands import command_line
from deepnode_graphql.dataset import making
from deepnode_graphql.dataset.directory import Directory
from deepnode_graphql.dataset.epochs import ClosedEpoch, closed_epochs
from deepnode_graphql.dataset.making import make
from deepnode_graphql.dataset.manifest import GENESIS, DataFile, DatasetManifest, EpochFiles, file_path, parse
from deepnode_graphql.dataset.verifying import compare_with_books, compare_with_manifest
from deepnode_graphql.dataset.writing import epoch_sources, write_file
from deepnode_graphql.export.sources import SOURCES
from deepnode_graphql.service import make_service
from deepnode_ledger.errors import BadInput, Damaged, TryAgain
from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.projector import Projector, connect
from deepnode_projections.state_root import state_root
from tests.graphql.dataset.conftest import EpochScribe, content_of, dataset


def test_an_epoch_is_closed_once_the_entry_that_opened_the_next_is_sealed(epochs: EpochScribe) -> None:
    """Opens two epochs and seals block by block; before the first entry that opens one, epoch 0 is open."""
    epochs.open(1)
    epochs.open(2)
    found = []
    with epochs.opened() as books:
        for block in range(1, 6):
            epochs.books.seal(block)
            with books.reading() as reading:
                found.append(closed_epochs(reading))
    first, second = ClosedEpoch(0, 1, 2), ClosedEpoch(1, 3, 8)
    assert found == [[], [first], [first], [first, second], [first, second]]


def test_a_dataset_is_the_same_in_steps_at_once_and_from_rebuilt_books(epochs: EpochScribe, folder: Path) -> None:
    """Makes it after each epoch, later at once, and from books that were made anew in other steps: byte for byte.

    No file of the first is touched again, and each manifest is the beginning of the next.
    """
    steps, once, rebuilt = (folder / name for name in ("steps", "once", "rebuilt"))
    heads = [GENESIS]
    touched: dict[Path, tuple[int, int]] = {}
    with epochs.opened() as books:
        for number in range(1, 4):
            epochs.open(number)
            epochs.seal()
            made = make(books, steps)
            assert made.epochs == [number - 1]
            assert made.manifest.epochs[-1].previous == heads[-1]
            heads.append(made.manifest.head)
            now = {path: path.stat() for path in steps.rglob("*.parquet")}
            assert all((now[path].st_ino, now[path].st_mtime_ns) == seen for path, seen in touched.items())
            touched = {path: (found.st_ino, found.st_mtime_ns) for path, found in now.items()}
        assert make(books, steps).epochs == []
        make(books, once)
    again = Projector(epochs.url, epochs.manifest, schema="books_again", step_entries=3)
    with closing(again):
        again.open()
        again.catch_up()
    service = make_service(epochs.url, epochs.manifest, "books_again")
    make(service, rebuilt)
    service.engine.dispose()
    assert content_of(steps) == content_of(once) == content_of(rebuilt)
    assert len(content_of(steps)) == len(parse((steps / "manifest.json").read_bytes()).files) + 1


def test_a_file_says_what_it_is_of(epochs: EpochScribe, folder: Path) -> None:
    """Every source has a file in epoch 0; footers and manifest name rows, positions, block and state root."""
    epochs.open(1)
    epochs.open(2)
    epochs.seal()
    with epochs.opened() as books:
        manifest = make(books, folder / "made").manifest
    first, second = manifest.epochs
    assert [each.source for each in first.files] == [each.name for each in epoch_sources()]
    assert set(SOURCES) - {each.source for each in first.files} == {"balances"}
    assert {each.source for each in second.files} >= {"postings", "entries", "stakes", "epochs", "log_entries"}
    assert all(each.rows for each in second.files)
    with closing(connect(epochs.url, "books")) as connection:
        assert second.state_root == to_hex(state_root(connection, second.last_position))
    last = epochs.books.blocks[2]
    assert second.block == (3, to_hex(last.hash), last.time)
    [file] = [each for each in second.files if each.source == "postings"]
    footer = pq.read_metadata(folder / "made" / file.path)
    said = {name.decode(): value.decode() for name, value in footer.metadata.items()}
    assert footer.num_rows == file.rows == 8
    assert (file.first_position, file.last_position) == (4, 8)
    assert {name: said[f"deepnode.{name}"] for name in ("chain_id", "epoch", "first_position", "position")} == {
        "chain_id": "8453", "epoch": "1", "first_position": "3", "position": "8",
    }  # fmt: skip
    assert said["deepnode.state_root"] == second.state_root
    assert said["deepnode.block_hash"] == second.block[1]
    assert said["deepnode.manifest_digest"] == manifest.deployment_digest == to_hex(epochs.manifest.digest)
    assert footer.row_group(0).column(0).statistics.min == 4


def test_a_run_that_was_cut_off_is_finished_by_the_next(
    epochs: EpochScribe, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stops at each of some files: no manifest names what is not there, and the next run makes what one run makes."""
    epochs.open(1)
    epochs.open(2)
    epochs.seal()
    with epochs.opened() as books:
        make(books, folder / "whole")
        for stop in (5, 80):
            left = stop

            def write(*arguments: Any) -> Any:
                nonlocal left
                left -= 1
                if left < 0:
                    raise KeyboardInterrupt
                return write_file(*arguments)

            broken = folder / f"broken{stop}"
            with monkeypatch.context() as patch:
                patch.setattr(making, "write_file", write)
                with pytest.raises(KeyboardInterrupt):
                    make(books, broken)
            assert list(compare_with_manifest(broken)) == []
            make(books, broken)
            assert content_of(broken) == content_of(folder / "whole")
        # A kill between the files' names and the manifest leaves files that nobody lists.
        kept = content_of(folder / "whole")
        (folder / "whole" / "manifest.json").unlink()
        make(books, folder / "whole")
        assert content_of(folder / "whole") == kept


def test_what_was_changed_is_named_and_left_as_it_is(epochs: EpochScribe, folder: Path) -> None:
    """Changes, shortens, removes and adds files and edits the manifest: the commands end with 3 and name the file."""
    epochs.open(1)
    epochs.open(2)
    epochs.seal()
    made = folder / "made"
    assert epochs.command(made)["new_epochs"] == [0, 1]
    assert epochs.command(made, "--verify") == {
        "ok": True, "epochs": 2, "files": len(content_of(made)) - 1, "books": True, "faults": [],
        "head": parse((made / "manifest.json").read_bytes()).head,
    }  # fmt: skip
    name = "postings/in_epoch=1/part-0.parquet"
    victim = made / name
    content = victim.read_bytes()

    victim.write_bytes(content[:-1] + b"X")
    [fault] = dataset(made, "--verify", exit_code=3)["faults"]
    assert fault["path"] == name
    assert "SHA-256" in fault["difference"]
    assert dataset(made, "--verify", "--epoch", 0)["ok"]

    victim.write_bytes(content[:-1])
    assert name in epochs.command(made, exit_code=3)["message"]
    assert victim.read_bytes() == content[:-1]

    victim.unlink()
    assert dataset(made, "--verify", exit_code=3)["faults"] == [{"path": name, "difference": "is missing"}]
    assert epochs.command(made)["files"] == 1
    assert victim.read_bytes() == content

    stranger = made / "postings" / "in_epoch=2" / "part-0.parquet"
    stranger.parent.mkdir()
    stranger.write_bytes(content)
    [fault] = dataset(made, "--verify", exit_code=3)["faults"]
    assert fault["path"] == "postings/in_epoch=2/part-0.parquet"
    epochs.open(3)
    epochs.seal()
    assert "in_epoch=2" in epochs.command(made, exit_code=3)["message"]
    assert stranger.read_bytes() == content
    stranger.unlink()

    manifest = made / "manifest.json"
    text = manifest.read_bytes()
    manifest.write_bytes(text.replace(b'"rows": 8', b'"rows": 9', 1))
    assert "manifest.json" in dataset(made, "--verify", exit_code=3)["message"]
    assert "manifest.json" in epochs.command(made, exit_code=3)["message"]


def test_files_of_books_that_say_otherwise_are_found(epochs: EpochScribe, folder: Path) -> None:
    """Changes one wei in the database: only a comparison with the books finds it, in lines and in the state root."""
    epochs.open(1)
    epochs.open(2)
    epochs.seal()
    made = folder / "made"
    with epochs.opened() as books:
        make(books, made)
        with closing(connect(epochs.url, "books")) as connection:
            connection.execute("UPDATE posting SET amount = amount + 1, balance = balance + 1 WHERE position = 8")
            connection.commit()
    with epochs.opened() as books:
        faults = {each.path for each in compare_with_books(books, made)}
        assert list(compare_with_books(books, made, [0])) == []
    assert faults == {"manifest.json", "postings/in_epoch=1/part-0.parquet"}
    assert list(compare_with_manifest(made)) == []


def test_another_version_of_the_library_is_no_difference_of_the_books(epochs: EpochScribe, folder: Path) -> None:
    """Patches what a file says it was written by, and the manifest: its rows still have to be those of the books."""
    epochs.open(1)
    epochs.seal()
    with epochs.opened() as books:
        [epoch] = make(books, folder).manifest.epochs
        [file] = [each for each in epoch.files if each.source == "postings"]
        content = (folder / file.path).read_bytes()
        version = pq.read_metadata(folder / file.path).created_by.encode()
        found = []
        for patched in (
            content.replace(version, version.replace(b"parquet", b"PARQUET")),
            content.replace(b"deepnode.epoch", b"deepnode.EPOCH"),
        ):
            assert patched != content
            (folder / file.path).write_bytes(patched)
            files = (replace(each, sha256=hashlib.sha256(patched).hexdigest()) if each == file else each
                     for each in epoch.files)  # fmt: skip
            listed = DatasetManifest(
                8453, to_hex(epochs.manifest.digest), (replace(epoch, files=tuple(files)).closed(),)
            )
            (folder / "manifest.json").write_bytes(listed.text())
            assert list(compare_with_manifest(folder)) == []
            found.append([each.path for each in compare_with_books(books, folder)])
    assert found == [[], [file.path]]


@pytest.mark.parametrize(
    "change",
    [
        b"", b"[]", b"{", b"null", b"\xff", b"[" * 10**6, b'{"format":' * 10**5,
        b'{"epochs":[{"files":' + b"[" * 10**6, (b'"block": [', b'"block": [], "b": ['),
        (b'"files": [', b'"files": [1,'),
        (b"postings/in_epoch=1", b"../secret/in_epoch=1"), (b"in_epoch=1/part-0", b"in_epoch=2/part-0"),
        (b'"epoch": 1', b'"epoch": 2'), (b'"rows": 8', b'"rows": -8'), (b'"rows": 8', b'"rows": 8.0'),
        (b'"format": "deepnode.dataset/1"', b'"format": "deepnode.dataset/2"'), (b'"head": "', b'"head": "0'),
        (b'"previous": "0', b'"previous": "1'), (b"\n", b"\n\n"), (b'"epochs": [', b'"more": 1, "epochs": ['),
    ],
)  # fmt: skip
def test_what_is_no_manifest_is_told(manifest_text: bytes, change: bytes | tuple[bytes, bytes]) -> None:
    """Changes a manifest in many ways: each is Damaged, with the name of the file, and nothing else is raised."""
    text = change if isinstance(change, bytes) else manifest_text.replace(*change, 1)
    assert text != manifest_text
    with pytest.raises(Damaged, match=r"manifest\.json"):
        parse(text)


@pytest.fixture(scope="module")
def manifest_text() -> bytes:
    """A manifest of two epochs that nothing was made for."""
    epochs: list[EpochFiles] = []
    for number in range(2):
        digest, path = f"{number:064x}", file_path("postings", number)
        file = DataFile(path, 8, 100, digest, 2 * number + 1, 2 * number + 2, digest)
        previous = epochs[-1].digest if epochs else GENESIS
        block = (number, "0x00", number)
        epochs.append(EpochFiles(number, 1, 2, block, "0x01", (file,), previous).closed())
    made = DatasetManifest(8453, "0x02", tuple(epochs))
    assert parse(made.text()) == made
    return made.text()


def test_other_books_and_other_writers_are_refused(epochs: EpochScribe, folder: Path) -> None:
    """A directory of other books, one that another process writes to, and none at all; wrong usage ends with 2."""
    epochs.open(1)
    epochs.seal()
    made = folder / "made"
    with epochs.opened() as books:
        make(books, made)
        with Directory(made).writing(), pytest.raises(TryAgain, match="another process"):
            make(books, made)
        manifest = made / "manifest.json"
        text = manifest.read_bytes()
        manifest.write_bytes(text.replace(b'"chain_id": 8453', b'"chain_id": 8454'))
        with pytest.raises(BadInput, match="another directory"):
            make(books, made)
        manifest.write_bytes(text)
        with pytest.raises(BadInput, match="epoch 1 is not in the dataset"):
            list(compare_with_manifest(made, [1]))
        manifest.write_bytes(b"{}")
        with pytest.raises(Damaged, match=r"manifest\.json"):
            make(books, made)
    with pytest.raises(BadInput, match=r"manifest\.json is not there"):
        list(compare_with_manifest(folder / "nothing"))
    for arguments in ([made], [made, "--epoch", "1"], [made, "--verify", "--database", epochs.url]):
        done = CliRunner().invoke(command_line("dataset"), ["dataset", *map(str, arguments)])
        assert done.exit_code == 2, done.output
