"""A bundle follows from the log alone: not from the batches, from earlier runs, or from where a run was ended."""

import hashlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.ipc
import pytest

from deepnode_ledger import leaf
from deepnode_ledger.batch_versions import SCHEMA
from deepnode_ledger.bundle import EpochPart, layout, open_bundle
from deepnode_ledger.bundle.log_file import canonical
from deepnode_ledger.bundle.points import Asked, last_sealed, last_signed, position_of_block
from deepnode_ledger.bundle.writing import Order, create
from deepnode_ledger.database import url_of
from deepnode_ledger.errors import BadInput, Damaged, TryAgain
from deepnode_ledger.log import Log
from deepnode_ledger.manifest import load_manifest
from deepnode_ledger.transparency import Edge, Signer, TreeHead, leaf_hashes, sign_head, verify_consistency
from tests.conftest import fresh_database
from tests.ledger import signed_log
from tests.ledger.bundle.bundles import content, made, sealed_entries, small_bundle, value_of, write_manifest
from tests.ledger.histories import CHAIN_ID, FIRST_BLOCK, opened, placed, run
from tests.ledger.publishing.failing_disk import FailingDisk
from tests.ledger.signed_log import SIGNER, header, live, sign
from tests.ledger.tampering import superuser

FULL = layout.LOG_FILE_ENTRIES
BLOCKS = range(FIRST_BLOCK, FIRST_BLOCK + 70)
LOGS = 1_000
"""A log of 70 000 entries: one full log file and a part of a second one."""


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory, if there is such: for what is flushed a thousand times."""
    shared = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="deepnode-bundles-", dir=shared if os.access(shared, os.W_OK) else None))
    yield folder
    shutil.rmtree(folder)


def seal_in(log: Log, *lengths: int) -> None:
    """Seal the same 70 blocks in ranges of these lengths."""
    first = BLOCKS.start
    for length in lengths:
        last = first + length - 1
        log.append_finalized(first, header(last), placed(run(first, last, logs=LOGS)), "range")
        first = last + 1
    assert first == BLOCKS.stop


@pytest.fixture(scope="module")
def twins(postgres_url: str) -> Iterator[tuple[Log, Log]]:
    """The same long log twice, in two databases, sealed in other batches; both are signed at two sizes."""
    with (
        fresh_database(postgres_url) as one,
        fresh_database(postgres_url) as other,
        opened(one) as left,
        opened(other) as right,
    ):
        seal_in(left, 7, 7, 40, 16)
        seal_in(right, *[1] * 5, 35, 30)
        for log in (left, right):
            sign_sizes(log, 66_000, 70_000)
        yield left, right


def sign_sizes(log: Log, *sizes: int) -> None:
    """Sign trees of these sizes, without witnesses: their lines would bear a time."""
    hashes = leaf_hashes(signed_log.leaves(log))
    for size in sizes:
        root = Edge().extend(hashes[:size])[0].root
        note = str(sign_head(TreeHead(SIGNER.name, size, root), [SIGNER]))
        with log.datastore.transaction(commit=True) as cursor:
            cursor.execute("INSERT INTO log.checkpoint VALUES (%s, %s, %s)", (size, root, note))


def test_the_same_log_gives_the_same_bytes_whatever_the_batches_are(twins: tuple[Log, Log], tmp_path: Path) -> None:
    """Makes both bundles up to three positions; then one directory goes through all of them, up and down again."""
    manifest = write_manifest(tmp_path)
    left, right = twins
    batches = [[row["n"] for row in _rows(log, "SELECT last_position AS n FROM log.batch ORDER BY 1")] for log in twins]
    assert batches[0] != batches[1]
    by_size = {}
    for entries in (300, FULL, 69_990):
        made(left, tmp_path / "left" / str(entries), entries=entries, manifest=manifest)
        by_size[entries] = content(tmp_path / "left" / str(entries))
        made(right, tmp_path / "right", entries=entries, manifest=manifest)
        assert content(tmp_path / "right") == by_size[entries]
    full = tmp_path / "right" / layout.log_path(0)
    seen = (full.stat().st_ino, full.stat().st_mtime_ns)
    for entries in (FULL, 69_990):
        made(left, tmp_path / "right", entries=entries, manifest=manifest)
        assert content(tmp_path / "right") == by_size[entries]
        # A full file is never written again.
        assert (full.stat().st_ino, full.stat().st_mtime_ns) == seen
    made(right, tmp_path / "right", entries=300, manifest=manifest)
    assert content(tmp_path / "right") == by_size[300]
    with open_bundle(tmp_path / "left" / "69990") as bundle:
        assert bundle.contents.checkpoint_size == 70_000
        assert [(each.first, each.last) for each in bundle.log_files()] == [(1, FULL), (FULL + 1, 69_990)]
        assert [batch.num_rows for batch in bundle.batches(FULL - 1, FULL + 3)] == [2, 3]
        hashes = [made for batch in bundle.batches() for made in leaf_hashes(leaf.entries(batch))]
        assert f"0x{Edge().extend(hashes)[0].root.hex()}" == bundle.contents.root
    with open_bundle(tmp_path / "left" / str(FULL)) as bundle:
        # The smallest checkpoint that holds all of it: it stays the same when the log is signed again.
        assert bundle.contents.checkpoint_size == 66_000


def _rows(log: Log, query: str) -> list[dict[str, int]]:
    with log.datastore.cursor() as cursor:
        cursor.execute(query.encode())
        return list(cursor.fetchall())


def test_other_tools_read_the_log_files_as_they_are(database_url: str, tmp_path: Path) -> None:
    """pyarrow, Polars and DuckDB read all columns; their rows are those of the log."""
    with small_bundle(database_url, tmp_path) as bundle:
        path = bundle.path / layout.log_path(0)
        expected = pa.Table.from_batches(list(bundle.batches()))
        assert pyarrow.ipc.open_file(path).read_all().equals(expected)
        assert expected.schema.equals(SCHEMA)
        frame = pl.read_ipc(path)
        assert frame["position"].to_list() == list(range(1, 361))
        assert frame["data"].to_list() == expected.column("data").to_pylist()
        log = ds.dataset(bundle.path / "log", format="arrow")  # noqa: F841 - DuckDB looks it up by its name
        found = duckdb.sql("SELECT count(*), count(task), max(position) FROM log")
        assert found is not None
        assert found.fetchall() == [(360, 3, 360)]


def test_a_bundle_holds_what_the_log_knows_of_itself(database_url: str, tmp_path: Path) -> None:
    """Proof, root, chains, coverage, manifest and epochs are those of the log; a later checkpoint changes nothing."""
    epochs = [EpochPart(0, 20, f"0x{'11' * 32}"), EpochPart(1, 200, f"0x{'22' * 32}")]
    manifest = write_manifest(tmp_path)
    with opened(database_url) as log:
        live(log)
        size = sealed_entries(log)
        sign(log, size - 10)
        created = made(log, tmp_path / "bundle", entries=size - 33, manifest=manifest, epochs=epochs)
        sign(log, size)
        again = made(log, tmp_path / "again", entries=size - 33, manifest=manifest, epochs=epochs)
        assert again == created
        root_before = Edge().extend(leaf_hashes(signed_log.leaves(log)[: size - 33]))[0].root
        root_signed = Edge().extend(leaf_hashes(signed_log.leaves(log)[: size - 10]))[0].root
    with open_bundle(tmp_path / "bundle") as bundle:
        contents = bundle.contents
        assert hashlib.sha256((bundle.path / "bundle.json").read_bytes()).hexdigest() == created.sha256 == bundle.sha256
        assert contents.root == f"0x{root_before.hex()}"
        proof = bundle.consistency()
        verify_consistency(proof.first, root_before, proof.last, root_signed, proof.hashes)
        assert (proof.first, proof.last) == (size - 33, size - 10)
        assert bundle.manifest() == load_manifest(manifest)
        assert list(contents.epochs) == epochs
        last = list(bundle.batches())[-1].to_pylist()[-1]
        [chain] = contents.chains
        assert (chain.chain_id, chain.first_block) == (CHAIN_ID, FIRST_BLOCK)
        assert (chain.last_block, chain.last_hash) == (last["block_number"], f"0x{last['block_hash'].hex()}")
        assert list(bundle.unlisted()) == []
        for name in bundle.names():
            bundle.check(name)


def test_points_are_found_by_block_and_checkpoint(database_url: str, tmp_path: Path) -> None:
    """Compares with the entries: the last one up to a block stands before the first one behind it."""
    with opened(database_url) as log:
        assert last_signed(database_url) is None
        live(log)
        size = sealed_entries(log)
        sign(log, size - 1)
        assert (last_signed(database_url), last_sealed(database_url)) == (size - 1, size)
        made(log, tmp_path / "bundle", entries=size - 1, manifest=write_manifest(tmp_path))
        with log.datastore.cursor() as cursor:
            cursor.execute("SELECT max(block_number) AS n FROM log.sealing_block")
            row = cursor.fetchone()
            assert row is not None
            sealed_block = row["n"]
    with open_bundle(tmp_path / "bundle") as bundle:
        rows = [row for batch in bundle.batches() for row in batch.to_pylist()]
    for block in range(FIRST_BLOCK, 20):
        expected = max(row["position"] for row in rows if row["block_number"] <= block)
        assert position_of_block(database_url, CHAIN_ID, block) == expected, block
    assert position_of_block(database_url, CHAIN_ID, sealed_block) == size
    with pytest.raises(BadInput, match=f"block {sealed_block + 1} of chain 8453 is not sealed"):
        position_of_block(database_url, CHAIN_ID, sealed_block + 1)
    for text in ("", "epoch", "epoch:-1", "block:01", "position:1e3", "all", "epoch:9" * 9):
        with pytest.raises(BadInput, match="epoch:N, block:N or position:N"):
            Asked.parse(text)


def test_what_cannot_be_made_is_refused(database_url: str, tmp_path: Path) -> None:
    """Positions that are not sealed, trees that nobody signed, another key, and a directory with other things."""
    manifest = write_manifest(tmp_path)
    with opened(database_url) as log:
        live(log)
        size = sealed_entries(log)
        with pytest.raises(BadInput, match="no checkpoint of this log was ever signed"):
            made(log, tmp_path / "bundle", entries=size, manifest=manifest)
        sign(log, size - 5)
        for entries in (0, size + 1):
            with pytest.raises(BadInput, match=f"sealed positions 1 to {size}"):
                made(log, tmp_path / "bundle", entries=entries, manifest=manifest)
        with pytest.raises(BadInput, match=f"no checkpoint of {size} entries is signed, the newest has {size - 5}"):
            made(log, tmp_path / "bundle", entries=size, manifest=manifest)
        stranger = Signer.generate("log.example/deepnode").verifier
        with pytest.raises(BadInput, match="is not signed by"):
            create(database_url, tmp_path / "bundle", Order("position:9", 9, manifest, verifier=stranger))
        (tmp_path / "taken").mkdir()
        (tmp_path / "taken" / "diary.txt").write_text("mine")
        with pytest.raises(BadInput, match=r"holds diary\.txt, which is no part of a bundle"):
            made(log, tmp_path / "taken", entries=9, manifest=manifest)
        assert content(tmp_path / "taken") == {"diary.txt": b"mine"}
        created = create(database_url, tmp_path / "unsigned", Order("sealed", size, manifest))
        assert created.contents.checkpoint_size is None
        assert not (tmp_path / "unsigned" / "checkpoint").exists()


def test_a_log_that_was_changed_gives_no_bundle(database_url: str, tmp_path: Path) -> None:
    """Another root under the signature, and a batch with other bytes: both are found, and no list is written."""
    manifest = write_manifest(tmp_path)
    with opened(database_url) as log:
        live(log)
        size = sealed_entries(log)
        sign(log, size)
        with superuser(log) as connection:
            connection.execute("UPDATE log.sealed SET state = state || '\\x00'::bytea WHERE originator_version = 2")
        with pytest.raises(Damaged, match="batch 2 has other bytes than were sealed"):
            made(log, tmp_path / "bundle", entries=size, manifest=manifest)
        assert not (tmp_path / "bundle" / "bundle.json").exists()
        with pytest.raises(BadInput, match="is no bundle, or one that is not finished"):
            open_bundle(tmp_path / "bundle")


def test_files_of_another_log_are_found_by_the_root(postgres_url: str, tmp_path: Path) -> None:
    """Brings a directory of one log to another one: what differs is written anew, and nothing of the first is left."""
    manifest = write_manifest(tmp_path)
    with fresh_database(postgres_url) as one, fresh_database(postgres_url) as other:
        for url, logs in ((one, 150), (other, 90)):
            with opened(url) as log:
                log.append_finalized(FIRST_BLOCK, header(8), placed(run(FIRST_BLOCK, 8, logs=logs)), "range")
                sign_sizes(log, 4 * logs)
                made(log, tmp_path / "bundle", entries=4 * logs, manifest=manifest)
                made(log, tmp_path / f"fresh{logs}", entries=4 * logs, manifest=manifest)
    assert content(tmp_path / "bundle") == content(tmp_path / "fresh90")


def test_a_run_that_ends_anywhere_is_gone_on_from(database_url: str, memory: Path) -> None:
    """Lets each call of the disk fail in turn, every third after it was made, on the way to a longer bundle: there is
    the old bundle, none, or the new one, and the next run makes the same bytes.
    """
    manifest = write_manifest(memory)
    with opened(database_url) as log:
        live(log)
        size = sealed_entries(log)
        sign_sizes(log, 200, size)
        made(log, memory / "before", entries=200, manifest=manifest)
        made(log, memory / "after", entries=size, manifest=manifest)
        before, after = content(memory / "before"), content(memory / "after")
        order = Order(f"position:{size}", size, manifest, verifier=SIGNER.verifier)
        ends = set()
        for call in itertools.count(1):
            late = call % 3 == 0
            folder = memory / "tried"
            shutil.copytree(memory / "before", folder)
            disk = FailingDisk(call, late=late)
            try:
                create(url_of(log.datastore), folder, order, disk=disk)
            except TryAgain:
                found = content(folder)
                ends.add("bundle.json" in found)
                if "bundle.json" in found:
                    assert found["bundle.json"] in (before["bundle.json"], after["bundle.json"])
                    with open_bundle(folder) as bundle:
                        for name in bundle.names():
                            bundle.check(name)
            create(url_of(log.datastore), folder, order)
            assert content(folder) == after, (call, late)
            shutil.rmtree(folder)
            if disk.calls < call:
                break
        assert call > 20
        assert ends == {False, True}


def test_what_stands_in_the_place_of_an_absent_value_is_not_written() -> None:
    """Makes columns whose absent cells hold rubbish, cut out of longer ones: one form comes out."""
    rows = 5
    values = {field.name: [None if field.nullable else value_of(field.type)] * rows for field in SCHEMA}
    values["task"] = ["a", None, "", None, "bc"]
    clean = pa.RecordBatch.from_pydict(values, schema=SCHEMA)
    offsets = b"".join(n.to_bytes(4, "little") for n in (2, 3, 9, 9, 13, 15))
    rubbish = {
        "topic0": [b"\xe0", b"\xff" * 32 * rows],
        "task": [b"\xf5", offsets, b"__aGARBAGErubbc__"],
    }
    columns = [
        pa.Array.from_buffers(column.type, rows, [pa.py_buffer(each) for each in rubbish[name]])
        if name in rubbish
        else column
        for name, column in zip(SCHEMA.names, clean.columns, strict=True)
    ]
    dirty = pa.RecordBatch.from_arrays(columns, schema=SCHEMA)
    assert dirty.column("task").to_pylist() == values["task"]
    padded = pa.concat_batches([clean, dirty, clean]).slice(rows, rows)
    for batch in (dirty, padded, clean):
        assert _bytes(canonical(batch)) == _bytes(canonical(clean))
        assert canonical(batch).equals(clean)


def _bytes(batch: pa.RecordBatch) -> list[bytes | None]:
    return [None if buffer is None else buffer.to_pybytes() for column in batch.columns for buffer in column.buffers()]
