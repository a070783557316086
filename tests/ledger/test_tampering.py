"""A hand that may do anything in the database changes one thing, and the check names the place of it first."""

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from deepnode_ledger.backup import backup
from deepnode_ledger.batch_versions import TOPIC
from deepnode_ledger.database import url_of
from deepnode_ledger.errors import Damaged
from deepnode_ledger.fsck import Difference, fsck
from deepnode_ledger.log import Log
from tests.conftest import fresh_database
from tests.ledger import signed_log
from tests.ledger.histories import everything
from tests.ledger.tampering import (
    adapt_segments,
    adapt_sha256,
    differences,
    flipped,
    other_data,
    other_topic,
    superuser,
    with_state,
)


@pytest.fixture
def signed(log: Log) -> Log:
    """A log with a row in every table, signed at its end."""
    signed_log.live(log)
    signed_log.sign(log, 100)
    signed_log.sign(log, len(signed_log.leaves(log)))
    assert all(everything(log)[table] for table in everything(log))
    assert differences(log) == []
    return log


def test_a_byte_of_a_stored_batch(signed: Log) -> None:
    """Flips a bit in the middle of the second batch."""
    with superuser(signed) as connection:
        with_state(connection, 2, flipped)
    first = differences(signed)[0]
    assert first.where == "log.sealed batch 2"
    assert "by log.batch" in first.expected


def test_a_byte_of_a_stored_batch_with_its_hash_adapted(signed: Log) -> None:
    """Flips a bit and makes the index say the new hash: the bytes are no batch any more."""
    with superuser(signed) as connection:
        with_state(connection, 2, flipped)
        adapt_sha256(connection, 2)
    first = differences(signed)[0]
    assert first.where == "log.sealed batch 2"
    assert first.expected == f"a batch of {TOPIC}"


@pytest.mark.parametrize("change", [other_data, other_topic])
@pytest.mark.parametrize("number", [1, 2, 4])
def test_an_entry_changed_with_everything_adapted_contradicts_what_was_signed(
    signed: Log, number: int, change: Callable[[bytes], bytes]
) -> None:
    """Writes a batch that is right in itself, with hash and segments made anew: only the tree knows better."""
    with superuser(signed) as connection:
        with_state(connection, number, change)
        adapt_sha256(connection, number)
        adapt_segments(connection)
    found = differences(signed)
    sizes = [100, len(signed_log.leaves(signed))] if number == 1 else [len(signed_log.leaves(signed))]
    if number == 2:
        sizes = [100, *sizes]
    assert [each.where for each in found] == [
        f"log.checkpoint size {size}: root{tail}" for size in sizes for tail in ("", " in its note")
    ]


def test_even_the_root_of_the_checkpoint_adapted(signed: Log) -> None:
    """Rewrites the checkpoint's row too: what is left is a note that the key has signed for another root."""
    with superuser(signed) as connection:
        with_state(connection, 4, other_data)
        adapt_sha256(connection, 4)
        roots = [each for each in _found(connection, signed) if each.where.endswith(": root")]
        size = len(signed_log.leaves(signed))
        root = bytes.fromhex(roots[0].expected.removeprefix("0x"))
        connection.execute("UPDATE log.checkpoint SET root = %s WHERE size = %s", (root, size))
    assert [each.where for each in differences(signed)] == [f"log.checkpoint size {size}: root in its note"]


def test_even_the_note_adapted(signed: Log) -> None:
    """Writes the adapted root into the note as well: then the signature is none."""
    with superuser(signed) as connection:
        with_state(connection, 4, other_data)
        adapt_sha256(connection, 4)
        size = len(signed_log.leaves(signed))
        [note] = connection.execute("SELECT note FROM log.checkpoint WHERE size = %s", (size,)).fetchone() or [""]
        origin, written, _, rest = note.split("\n", 3)
        roots = [each for each in _found(connection, signed) if each.where.endswith(": root")]
        root = bytes.fromhex(roots[0].expected.removeprefix("0x"))
        text = "\n".join([origin, written, base64.b64encode(root).decode(), rest])
        connection.execute("UPDATE log.checkpoint SET root = %s, note = %s WHERE size = %s", (root, text, size))
    [found] = differences(signed)
    assert found.where == f"log.checkpoint size {size}: note"
    assert found.expected == f"a signature by {signed_log.SIGNER.verifier}"


def _found(connection: psycopg.Connection[Any], log: Log) -> list[Difference]:
    """Check inside of the transaction that changes."""
    return list(fsck(connection))


def test_a_batch_is_missing(signed: Log) -> None:
    """Deletes the third batch."""
    with superuser(signed) as connection:
        connection.execute("DELETE FROM log.sealed WHERE originator_version = 3")
    assert differences(signed)[0] == Difference("log.sealed batch 3", "a row", "no row")


def test_the_last_batches_are_missing(signed: Log) -> None:
    """Deletes the last two batches."""
    count = len(everything(signed)["batch"])
    with superuser(signed) as connection:
        connection.execute("DELETE FROM log.sealed WHERE originator_version > %s", (count - 2,))
    first = differences(signed)[0]
    assert first == Difference(f"log.sealed batch {count - 1} and those to {count}", "rows", "no rows")


def test_two_batches_are_swapped(signed: Log) -> None:
    """Gives the first and the third batch each other's bytes; with the hashes adapted the positions tell."""
    with superuser(signed) as connection:
        connection.execute(
            "UPDATE log.sealed a SET state = b.state FROM log.sealed b"
            " WHERE (a.originator_version, b.originator_version) IN ((1, 3), (3, 1))"
        )
    assert differences(signed)[0].where == "log.sealed batch 1"
    with superuser(signed) as connection:
        adapt_sha256(connection, 1)
        adapt_sha256(connection, 3)
    assert differences(signed)[0].where == "log.sealed batch 1, row 0: position"


@pytest.mark.parametrize(
    ("statement", "where"),
    [
        ("INSERT INTO log.sealed SELECT 'other', 1, topic, state, 99 FROM log.sealed LIMIT 1", "log.sealed originator"),
        (
            "INSERT INTO log.sealed SELECT 'log', 40, topic, state, 99 FROM log.sealed LIMIT 1",
            "log.sealed batch 40",
        ),
        ("UPDATE log.sealed SET topic = 'x' WHERE originator_version = 2", "log.sealed batch 2: topic"),
        (
            "UPDATE log.sealed SET notification_id = -1 WHERE originator_version = 2",
            "log.sealed batch 2: notification_id",
        ),
        ("UPDATE log.batch SET sha256 = sha256('') WHERE number = 3", "log.sealed batch 3"),
        ("UPDATE log.batch SET first_position = -7 WHERE number = 3", "log.batch number 3: first_position"),
        (
            "UPDATE log.batch_block SET last_block = 8000 WHERE number = 3",
            "log.batch_block number 3 chain 8453: last_b",
        ),
        ("UPDATE log.batch_block SET chain_id = 1 WHERE number = 3", "log.batch_block number 3 chain 1"),
        ("DELETE FROM log.batch_block WHERE number = 3", "log.batch_block number 3 chain 8453"),
        ("INSERT INTO log.batch_block VALUES (0, 8453, 1, 1)", "log.batch_block number 0 chain 8453"),
        ("INSERT INTO log.batch_block VALUES (99, 8453, 1, 1)", "log.batch_block number 99 chain 8453"),
        ("DELETE FROM log.batch WHERE number = 3", "log.batch number 3"),
        ("INSERT INTO log.batch VALUES (0, -1, -1, sha256(''))", "log.batch number 0"),
        ("UPDATE log.checkpoint SET size = 99 WHERE size = 100", "log.checkpoint size 99: root"),
        ("UPDATE log.checkpoint SET size = 9999 WHERE size = 100", "log.checkpoint size 9999"),
        ("UPDATE log.checkpoint SET root = sha256('') WHERE size = 100", "log.checkpoint size 100: root"),
        ("UPDATE log.checkpoint SET note = 'x' WHERE size = 100", "log.checkpoint size 100: note"),
        (
            "UPDATE log.checkpoint SET note = (SELECT max(note) FROM log.checkpoint WHERE size > 100) WHERE size = 100",
            "log.checkpoint size 100: size in its note",
        ),
        ("UPDATE log.cosignature SET size = 101 WHERE size = 100", "log.cosignature size 101 of 'witness.example'"),
        (
            "UPDATE log.cosignature SET line = 'x' WHERE size = 100",
            "log.cosignature size 100 of 'witness.example': line",
        ),
        ("UPDATE log.cosignature SET name = 'x' WHERE size = 100", "log.cosignature size 100 of 'x': key in its line"),
        ("DELETE FROM log.segment WHERE first_batch = 2", "log.segment first_batch 2"),
        ("DELETE FROM log.segment WHERE first_batch = (SELECT max(first_batch) FROM log.segment)", "log.segment first"),
        (
            "UPDATE log.segment SET terms = overlay(terms PLACING '\\x00'::bytea FROM 9) WHERE first_batch = 2",
            "log.segment first_batch 2, posting 1",
        ),
        (
            "UPDATE log.segment SET batches = overlay(batches PLACING '\\x09'::bytea FROM 4) WHERE first_batch = 3",
            "log.segment first_batch 3, posting 0",
        ),
        ("UPDATE log.segment SET postings = 7 WHERE first_batch = 3", "log.segment first_batch 3: postings"),
        (
            "UPDATE log.segment SET terms = terms || '\\x00' WHERE first_batch = 3",
            "log.segment first_batch 3: bytes of terms",
        ),
        ("UPDATE log.segment SET last_batch = 900 WHERE first_batch = 3", "log.segment first_batch 3: last_batch"),
        ("INSERT INTO log.segment VALUES (0, 0, 0, '', '')", "log.segment first_batch 0"),
        ("DELETE FROM log.task_key WHERE event_id = 'e2'", "log.task_key 'urn:p' 'e2'"),
        ("DELETE FROM log.task_key WHERE event_id = 'e5'", "log.task_key 'urn:p' 'e5'"),
        ("UPDATE log.task_key SET sequence = 77 WHERE event_id = 'e1'", "log.task_key 'urn:p' 'e1': sequence"),
        ("UPDATE log.task_key SET event_id = 'e7' WHERE event_id = 'e1'", "log.task_key 'urn:p' 'e1': producer and"),
        ("UPDATE log.task_key SET position = 1 WHERE event_id = 'e1'", "log.task_key 'urn:p' 'e1'"),
        (
            "UPDATE log.task_key SET payload_sha256 = sha256('') WHERE event_id = 'e5'",
            "log.task_key 'urn:p' 'e5': payload_sha256",
        ),
        ("INSERT INTO log.task_key VALUES ('urn:q', 'e', 1, 7, '')", "log.task_key 'urn:q' 'e'"),
        ("INSERT INTO log.task_key VALUES ('urn:q', 'e', 1, 99999, '')", "log.task_key 'urn:q' 'e'"),
        ("UPDATE log.head SET last_position = last_position + 1", "log.head: last_position"),
        ("UPDATE log.head SET sealed_position = sealed_position - 1", "log.head: sealed_position"),
        ("UPDATE log.head SET batches = batches + 1", "log.head: batches"),
        ("UPDATE log.head SET batches = 1", "log.head: batches"),
        ("DELETE FROM log.head", "log.head: rows"),
        ("DELETE FROM log.sealing WHERE number = 2", "log.sealing number 3: number"),
        ("DELETE FROM log.sealing WHERE number = 7", "log.sealing number 7"),
        ("UPDATE log.sealing SET batches = batches + 1 WHERE number = 2", "log.sealing number 2"),
        ("UPDATE log.sealing SET batches = 99 WHERE number = 7", "log.sealing number 7: batches"),
        (
            "UPDATE log.sealing SET sealed_position = sealed_position - 1 WHERE number = 2",
            "log.sealing number 2: sealed_position",
        ),
        (
            "UPDATE log.sealing_block SET block_number = 3 WHERE number = 2",
            "log.sealing_block number 2 chain 8453: block_number",
        ),
        (
            "UPDATE log.sealing_block SET block_number = 14 WHERE number = 3",
            "log.sealing_block number 3 chain 8453: block_number",
        ),
        (
            "UPDATE log.sealing_block SET block_hash = sha256('') WHERE number = 2",
            "log.sealing_block number 2 chain 8453: block_hash",
        ),
        (
            "UPDATE log.sealing_block SET parent_hash = sha256('') WHERE number = 2",
            "log.sealing_block number 2 chain 8453: parent_hash",
        ),
        (
            "UPDATE log.sealing_block SET block_time = 1 WHERE number = 2",
            "log.sealing_block number 2 chain 8453: block_time",
        ),
        ("DELETE FROM log.sealing_block WHERE number = 2", "log.sealing_block number 2 chain 8453"),
        ("UPDATE log.sealing_block SET chain_id = 1 WHERE number = 7", "log.sealing_block number 7 chain 8453"),
        ("INSERT INTO log.sealing_block VALUES (99, 8453, 1, '', '', 1)", "log.sealing_block number 99 chain 8453"),
        ("DELETE FROM log.coverage", "log.coverage"),
        ("UPDATE log.coverage SET chain_id = 1 WHERE first_block = 5", "log.coverage chain 1"),
        ("UPDATE log.hold SET chain_id = 1", "log.hold chain 1"),
        ("UPDATE log.evidence SET chain_id = 1", "log.evidence chain 1"),
        ("DELETE FROM log.coverage WHERE evidence = 'another'", "log.coverage chain 8453 first_block 13"),
        ("DELETE FROM log.coverage WHERE first_block > 10", "log.coverage chain 8453 first_block 10: last_block"),
        (
            "UPDATE log.coverage SET last_hash = sha256('') WHERE first_block = 5",
            "log.coverage chain 8453 first_block 5: last_",
        ),
        ("UPDATE log.coverage SET last_block = 8 WHERE first_block = 5", "log.coverage chain 8453 first_block 5"),
        ("UPDATE log.reorg SET number = 2", "log.reorg number 2: number"),
        ("UPDATE log.reorg SET kept_position = kept_position + 9", "log.reorg number 1: kept_block"),
        ("UPDATE log.reorg SET kept_position = 100000", "log.reorg number 1: kept_position"),
        ("UPDATE log.reorg SET kept_block = kept_block - 2", "log.reorg number 1: kept_block"),
        ("UPDATE log.reorg SET old_tip_number = 4", "log.reorg number 1: old_tip_number"),
        ("UPDATE log.reorg SET new_tip_hash = ''", "log.reorg number 1: bytes of hashes"),
        ("DELETE FROM log.pending WHERE block_number = 22", "log.pending position"),
        ("UPDATE log.pending SET data = '' WHERE event_id = 'e4'", "log.pending position"),
        ("UPDATE log.pending SET data = data || ' ' WHERE event_id = 'e4'", "log.task_key 'urn:p' 'e4': payload"),
        ("UPDATE log.pending SET event_id = 'e9' WHERE event_id = 'e4'", "log.task_key 'urn:p' 'e9': producer"),
        ("UPDATE log.pending SET task = 'task-9' WHERE event_id = 'e4'", "log.pending position"),
        ("UPDATE log.pending SET topic0 = NULL WHERE block_number = 22", "log.pending position"),
        ("UPDATE log.pending SET topic0 = '\\x00' WHERE block_number = 22", "log.pending position"),
        ("UPDATE log.pending SET kind = 3 WHERE block_number = 22", "log.pending position"),
        ("UPDATE log.pending SET kind = 2 WHERE block_number = 22", "log.pending position"),
        ("UPDATE log.pending SET block_hash = sha256('') WHERE block_number = 25", "log.pending position"),
        ("UPDATE log.pending SET block_number = 24 WHERE block_number = 22", "log.pending position"),
        ("UPDATE log.pending SET block_time = 1 WHERE block_number = 25", "log.pending position"),
        ("UPDATE log.pending SET chain_id = 1 WHERE block_number = 25", "log.pending position"),
        ("UPDATE log.pending SET log_index = -1 WHERE block_number = 25", "log.pending position"),
        ("UPDATE log.header SET hash = sha256('') WHERE number = 23", "log.header chain 8453 number 24: parent_hash"),
        (
            "UPDATE log.header SET parent_hash = sha256('') WHERE number = 23",
            "log.header chain 8453 number 23: parent_hash",
        ),
        ("UPDATE log.header SET time = 1 WHERE number = 20", "log.header chain 8453 number 20: time"),
        ("UPDATE log.header SET number = 99 WHERE number = 23", "log.header chain 8453 number 24: number"),
        ("DELETE FROM log.header WHERE number = 20", "log.header chain 8453 number 21: number"),
        ("DELETE FROM log.header WHERE number = 23", "log.header chain 8453 number 24: number"),
        ("DELETE FROM log.header", "log.header chain 8453 number 20"),
        ("DELETE FROM log.header WHERE number = 25", "log.chain 8453: tip_number"),
        ("DELETE FROM log.chain", "log.chain 8453"),
        ("UPDATE log.chain SET chain_id = 1", "log.chain 8453"),
        ("UPDATE log.header SET chain_id = 1 WHERE number = 23", "log.header chain 1"),
        ("UPDATE log.reorg SET chain_id = 1", "log.reorg chain 1"),
        ("UPDATE log.chain SET tip_hash = sha256('')", "log.chain 8453: tip_hash"),
        ("UPDATE log.chain SET tip_time = NULL", "log.chain 8453: tip_time"),
        ("UPDATE log.chain SET finalized_hash = sha256('')", "log.chain 8453: finalized_hash"),
        ("UPDATE log.chain SET finalized_number = 19", "log.chain 8453: finalized_number"),
        ("UPDATE log.chain SET finalized_number = 26", "log.chain 8453: finalized_number"),
        ("UPDATE log.chain SET first_block = 4", "log.coverage chain 8453 first_block 5"),
        ("INSERT INTO log.chain VALUES (8454, '', 0)", "log.chain 8454"),
    ],
)
def test_a_changed_row_is_named(signed: Log, statement: str, where: str) -> None:
    """Runs one statement with the triggers off; the first difference must be at its place."""
    with superuser(signed) as connection:
        changed = connection.execute(statement.encode())
        assert changed.rowcount >= 1, "the statement changes something"
    found = differences(signed)
    assert found, statement
    assert found[0].where.startswith(where), found[:3]


@pytest.mark.parametrize("table", ["sealed", "batch", "header"])
def test_a_page_of_the_database_is_damaged(signed: Log, postgres_url: str, tmp_path: Path, table: str) -> None:
    """Copies the database file by file, and writes noise over the first page of a table that the copy has."""
    signed.datastore.close()
    with fresh_database(postgres_url) as url, psycopg.connect(postgres_url, autocommit=True) as connection:
        name, template = (conninfo_to_dict(each)["dbname"] for each in (url, url_of(signed.datastore)))
        connection.execute(f"DROP DATABASE {name}".encode())
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY".encode())
        [directory] = connection.execute("SHOW data_directory").fetchone() or [""]
        [number] = connection.execute("SELECT oid FROM pg_database WHERE datname = %s", (name,)).fetchone() or [0]
        with psycopg.connect(url_of(signed.datastore)) as original:
            # The bytes of a large batch lie in another table, beside its row.
            [file] = original.execute(
                "SELECT relfilenode FROM pg_class WHERE oid = (SELECT CASE relname WHEN 'sealed' THEN reltoastrelid"
                " ELSE oid END FROM pg_class WHERE oid = %s::regclass)",
                (f"log.{table}",),
            ).fetchone() or [0]
        path = Path(directory) / "base" / str(number) / str(file)
        path.write_bytes(b"noise" * 1638 + b"xx" + path.read_bytes()[8192:])
        [found] = fsck(url)
        assert found.where.startswith("the database's own files, behind ")
        assert f"base/{number}/{file}" in found.found
        with pytest.raises(Damaged, match="the database's own files are damaged"):
            backup(url, tmp_path)


def test_a_hash_that_was_right_once(signed: Log) -> None:
    """The batches' hashes in the index are those of their bytes: what the other tests adapt by hand."""
    with psycopg.connect(url_of(signed.datastore)) as connection:
        for state, digest in connection.execute(
            "SELECT state, sha256 FROM log.sealed JOIN log.batch ON number = originator_version"
        ):
            assert hashlib.sha256(state).digest() == digest
