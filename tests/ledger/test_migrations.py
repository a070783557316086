"""A log of any version becomes one of the newest: whole or not at all, with all that was in it."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from eventsourcing.postgres import PostgresDatastore
from sqlalchemy import NullPool, create_engine
from typer.testing import CliRunner

from deepnode_ledger import tables
from deepnode_ledger.errors import BadInput, TryAgain
from deepnode_ledger.log import Log
from deepnode_ledger.schema import Upgrade, create_log, upgrade
from deepnode_ledger.tables import VERSION
from tests.command_line import app
from tests.conftest import fresh_database
from tests.ledger import histories
from tests.ledger.histories import CHAIN_ID, FIRST_BLOCK, contents, everything, placed, ref, run, task
from tests.ledger.schema_text import schema_text
from tests.ledger.servers import OLDEST, debian_server, without_role

GOLDEN = Path(__file__).with_name("schema_golden.txt")


@pytest.fixture
def other_url(postgres_url: str) -> Iterator[str]:
    """A second empty database."""
    with fresh_database(postgres_url) as url:
        yield url


def alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", "deepnode_ledger:migrations")
    return config


def make(url: str, version: str) -> None:
    """Make an empty log of a version, by alembic alone."""
    config = alembic_config()
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA log")
        config.attributes["connection"] = connection
        command.upgrade(config, version)


def make_as_before_versions(url: str, source: str) -> None:
    """Make the log that a program without versions would have, with the rows of a newer one."""
    make(url, "0001")
    with psycopg.connect(source) as newer, psycopg.connect(url) as older:
        older.execute("DROP TABLE log.alembic_version")
        for table, columns in common_columns(newer, older).items():
            names = ", ".join(columns)
            if table == "head":
                row = newer.execute(f"SELECT {names} FROM log.head".encode()).fetchone()
                older.execute(f"UPDATE log.head SET ({names}) = ROW (%s, %s, %s, %s)".encode(), row)
                continue
            source_rows = f"SELECT {names} FROM log.{table}"
            if table == "batch":
                # What a batch holds of blocks was told by its own row.
                names += ", first_block, last_block"
                source_rows = f"SELECT {names} FROM log.batch JOIN log.batch_block USING (number)"
            with (
                newer.cursor().copy(f"COPY ({source_rows}) TO STDOUT".encode()) as read,
                older.cursor().copy(f"COPY log.{table} ({names}) FROM STDIN".encode()) as write,
            ):
                for data in read:
                    write.write(data)
        older.execute("SELECT setval('log.sealed_notification_id_seq', max(notification_id)) FROM log.sealed")


def common_columns(newer: psycopg.Connection, older: psycopg.Connection) -> dict[str, list[str]]:
    query = (
        "SELECT table_name, column_name FROM information_schema.columns JOIN information_schema.tables"
        " USING (table_schema, table_name) WHERE table_schema = 'log' AND table_type = 'BASE TABLE'"
    )
    known = set(newer.execute(query.encode()))
    columns = dict[str, list[str]]()
    for table, column in older.execute(query.encode()):
        if (table, column) in known:
            columns.setdefault(table, []).append(column)
    return columns


def live(url: str) -> None:
    """Give a database a log with something in each of its old tables."""
    with histories.opened(url) as log:
        log.append_finalized(FIRST_BLOCK, run(6, 6)[0].header, placed(run(5, 6)), "a test")
        log.extend(ref(6), run(7, 9))
        log.accept([task(1), task(2)])
        log.seal(ref(7))
        log.extend(ref(8), run(9, 10, branch="b", parent="a"))


def dump(url: str) -> dict[str, list[str]]:
    with histories.datastore(url) as store:
        return everything(Log(store, CHAIN_ID))


def test_the_newest_version_is_the_last_file() -> None:
    """Asks alembic for its versions: one line from the first to the newest, and each file named after its own."""
    versions = list(ScriptDirectory.from_config(alembic_config()).walk_revisions())
    assert [each.revision for each in versions] == [f"{n:04}" for n in range(int(VERSION), 0, -1)]
    assert all(Path(each.path).name.startswith(f"v{each.revision}_") for each in versions)


def test_the_migrations_make_the_schema_that_is_written_down(database_url: str, tmp_path: Path) -> None:
    """Compares columns, constraints, indexes, triggers, functions and rights of a new log with the stored text."""
    upgrade(database_url)
    found = tmp_path / GOLDEN.name
    found.write_text(schema_text(database_url))
    assert found.read_text() == GOLDEN.read_text(), f"if this change is meant, copy {found}"


def test_step_by_step_the_same_schema_comes_about(database_url: str) -> None:
    """Lets alembic go through the versions, where a new log gets all their statements at once."""
    make(database_url, VERSION)
    assert schema_text(database_url) == GOLDEN.read_text()


@pytest.mark.skipif(not OLDEST.is_dir(), reason="PostgreSQL 15 is not installed")
def test_the_oldest_server_has_the_same_schema() -> None:
    """Makes a log in PostgreSQL 15, the oldest that the log runs on, and compares it with the stored text."""
    with debian_server(OLDEST) as server, fresh_database(server) as url:
        upgrade(url)
        assert schema_text(url) == GOLDEN.read_text()


def test_a_log_from_before_versions_is_upgraded_with_all_that_is_in_it(database_url: str, other_url: str) -> None:
    """Gives an old log the rows of a new one, upgrades it, and compares them: all is the same but for what is new."""
    live(other_url)
    make_as_before_versions(database_url, other_url)
    assert upgrade(database_url) == Upgrade("0001", VERSION)
    new, old = dump(other_url), dump(database_url)
    assert len(new["sealing"]) > 1
    newest = new.pop("sealing")[-1].partition(",")[2]
    assert old.pop("sealing") == [f"(1,{newest}"]
    newest = new.pop("sealing_block")[-1].partition(",")[2]
    assert old.pop("sealing_block") == [f"(1,{newest}"]
    assert new.pop("segment") != old.pop("segment") == []
    assert old == new
    for url in (database_url, other_url):
        with histories.opened(url) as log:
            log.extend(ref(10, "b"), run(11, 14, branch="b"))
            log.accept([task(2), task(3)])
            log.seal(ref(12, "b"))
    with histories.opened(database_url) as upgraded, histories.opened(other_url) as other:
        assert contents(upgraded) == contents(other)
        assert {name for name, rows in everything(upgraded).items() if rows != everything(other)[name]} <= {
            "sealing",
            "sealing_block",
            "segment",
        }


def test_a_log_that_covers_nothing_has_no_sealing_after_the_upgrade(database_url: str, other_url: str) -> None:
    """Upgrades an old log whose blocks are all pending."""
    with histories.opened(other_url) as log:
        log.extend(None, run(5, 7))
    make_as_before_versions(database_url, other_url)
    upgrade(database_url)
    assert dump(database_url) == dump(other_url)
    assert dump(database_url)["sealing"] == []


def test_a_log_that_was_begun_and_not_finished_is_finished(database_url: str) -> None:
    """Leaves of an old schema what an old program made in its first transaction."""
    make(database_url, "0001")
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "DROP TABLE log.alembic_version, log.head, log.chain, log.header, log.batch, log.pending, log.task_key,"
            " log.reorg, log.coverage"
        )
    assert upgrade(database_url) == Upgrade(None, VERSION)
    assert schema_text(database_url) == GOLDEN.read_text()


def test_a_second_start_changes_nothing(database_url: str) -> None:
    """Upgrades a log that is of the newest version."""
    live(database_url)
    before = dump(database_url)
    assert upgrade(database_url) == Upgrade(VERSION, VERSION)
    assert dump(database_url) == before


def test_a_log_that_is_up_to_date_does_without_alembic(database_url: str) -> None:
    """Opens it in a fresh interpreter, and looks at what that has imported."""
    upgrade(database_url)
    code = (
        "import sys; from deepnode_ledger.schema import upgrade; upgrade(sys.argv[1]);"
        " sys.exit('alembic' in sys.modules or 'sqlalchemy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, database_url], check=False).returncode == 0


@pytest.mark.parametrize("old", [False, True])
def test_many_may_start_at_once(database_url: str, other_url: str, old: bool) -> None:
    """Lets eight threads open the same log, a new one or one from before versions: one upgrades, all can go on."""
    if old:
        live(other_url)
        make_as_before_versions(database_url, other_url)
    outcomes = at_once([database_url] * 8)
    assert outcomes == [None] * 8
    assert schema_text(database_url) == GOLDEN.read_text()


def test_many_databases_of_a_server_may_start_at_once(postgres_url: str, database_url: str) -> None:
    """Lets six threads make six logs on a server that has not the role yet: it is one for all."""
    with without_role(database_url), ExitStack() as stack:
        urls = [stack.enter_context(fresh_database(postgres_url)) for _ in range(6)]
        assert at_once(urls) == [None] * 6
        assert {schema_text(url) for url in urls} == {GOLDEN.read_text()}


def at_once(urls: list[str]) -> list[BaseException | None]:
    """Call create_log in a thread for each, all from one moment; return what each of them raised."""
    outcomes: list[BaseException | None] = []
    start = threading.Barrier(len(urls))

    def open_one(url: str) -> None:
        start.wait()
        try:
            with histories.datastore(url) as store:
                create_log(store)
            outcomes.append(None)
        except BaseException as error:  # noqa: BLE001 - the test compares what was raised
            outcomes.append(error)

    threads = [threading.Thread(target=open_one, args=(url,)) for url in urls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


@pytest.mark.parametrize("version", ["0009", "0010", "a branch"])
def test_tables_of_a_newer_program_are_refused(database_url: str, version: str) -> None:
    """Stores a version that this program does not know; nothing is changed, and both versions are named."""
    assert version > VERSION, "this test needs a version that is newer"
    live(database_url)
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE log.alembic_version SET version_num = %s", (version,))
    before = dump(database_url)
    with pytest.raises(BadInput, match=f"of version {version}, this program knows up to {VERSION}: upgrade the"):
        upgrade(database_url)
    assert dump(database_url) == before


@pytest.mark.parametrize("table", ["pending", "batch", "reorg"])
def test_a_crash_leaves_the_old_version(database_url: str, other_url: str, table: str) -> None:
    """Holds the upgrade up at a table that it reaches early, later or last, and has the server end its session."""
    live(other_url)
    make_as_before_versions(database_url, other_url)
    before, text = dump(database_url), schema_text(database_url)
    raised: list[BaseException] = []

    def upgrade_in_vain() -> None:
        try:
            upgrade(database_url)
        except TryAgain as error:
            raised.append(error)

    with psycopg.connect(database_url) as holder, psycopg.connect(database_url, autocommit=True) as killer:
        holder.execute(f"LOCK TABLE log.{table} IN ROW EXCLUSIVE MODE".encode())
        thread = threading.Thread(target=upgrade_in_vain)
        thread.start()
        waiting = f"relation = 'log.{table}'::regclass AND NOT granted"
        while not killer.execute(f"SELECT pg_terminate_backend(pid) FROM pg_locks WHERE {waiting}".encode()).rowcount:
            assert thread.is_alive(), "it was not held up"
        thread.join()
    assert len(raised) == 1
    assert (dump(database_url), schema_text(database_url)) == (before, text)
    assert upgrade(database_url) == Upgrade("0001", VERSION)


def test_connections_from_before_the_role_become_it(database_url: str) -> None:
    """Uses a datastore first, then makes its log: what it does from then on it does as the role."""
    with histories.datastore(database_url) as store:
        assert worker(store) != tables.ROLE
        create_log(store)
        assert worker(store) == tables.ROLE


def worker(store: PostgresDatastore) -> str:
    with store.cursor() as cursor:
        cursor.execute("SELECT current_user::text AS name")
        row = cursor.fetchone()
    assert row is not None
    return str(row["name"])


def test_the_command_says_from_which_version_to_which(database_url: str, other_url: str) -> None:
    """Runs `deepnode log migrate` on an empty database, on an old log, and on one that is up to date."""
    make(other_url, "0001")
    answers = []
    for url in (database_url, other_url, other_url):
        result = CliRunner().invoke(app, ["log", "migrate", "--database", url, "--json"], catch_exceptions=False)
        answers.append(json.loads(result.stdout))
    assert answers == [
        {"from": None, "to": VERSION},
        {"from": "0001", "to": VERSION},
        {"from": VERSION, "to": VERSION},
    ]
    words = CliRunner().invoke(app, ["log", "migrate", "--database", url], catch_exceptions=False).stdout
    assert words == f"the log's tables are of version {VERSION} already\n"
