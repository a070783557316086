"""What is sealed cannot be changed: not by the programs' role, not by the owner, not by who switches triggers off."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from eventsourcing.persistence import ProgrammingError
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import InsufficientPrivilege, RestrictViolation

from deepnode_ledger.database import url_of
from deepnode_ledger.errors import BadInput
from deepnode_ledger.evidence import Evidence, EvidenceKind, Hold
from deepnode_ledger.log import Log
from deepnode_ledger.schema import upgrade
from deepnode_ledger.tables import ROLE, VERSION
from tests.conftest import fresh_database
from tests.ledger import histories
from tests.ledger.histories import FIRST_BLOCK, GENESIS, TOKEN, contents, everything, placed, ref, run, task
from tests.ledger.servers import OLDEST, debian_server, login, without_role

IMMUTABLE = (
    "batch", "batch_block", "checkpoint", "contract", "cosignature", "evidence", "reorg", "sealed", "sealing",
    "sealing_block",
)  # fmt: skip
CHANGEABLE = ("chain", "coverage", "head", "header", "hold", "intake_offset", "pending", "segment", "task_key")
COLUMN = {"checkpoint": "size", "contract": "chain_id", "cosignature": "size", "sealed": "topic"}

CHANGES = {
    "UPDATE": "UPDATE log.{table} SET {column} = {column}",
    "UPDATE of nothing": "UPDATE log.{table} SET {column} = {column} WHERE false",
    "DELETE": "DELETE FROM log.{table}",
    "TRUNCATE": "TRUNCATE log.{table}",
}


@pytest.fixture(scope="module", params=["packaged", "oldest"])
def server_url(request: pytest.FixtureRequest, postgres_url: str) -> Iterator[str]:
    """The server that comes with the program, and, on machines that have it, the oldest that the log runs on."""
    if request.param == "packaged":
        yield postgres_url
    elif not OLDEST.is_dir():
        pytest.skip("PostgreSQL 15 is not installed")
    else:
        with debian_server(OLDEST) as url:
            yield url


@pytest.fixture
def database_url(server_url: str) -> Iterator[str]:
    """An empty database on one of the servers."""
    with fresh_database(server_url) as url:
        yield url


def change(kind: str, table: str) -> sql.Composed:
    column = COLUMN.get(table, "number")
    return sql.SQL(CHANGES[kind]).format(table=sql.Identifier(table), column=sql.Identifier(column))


@contextmanager
def owner(log: Log) -> Iterator[psycopg.Connection]:
    """A connection as the login that made the tables, which is the server's superuser here."""
    with psycopg.connect(url_of(log.datastore), autocommit=True) as connection:
        yield connection


@pytest.fixture
def server_without_the_role(database_url: str) -> Iterator[None]:
    """The server as it was before the first log."""
    with without_role(database_url):
        yield


def live(log: Log) -> None:
    """Do all that a log does: backfill, follow, accept, hold, seal, reorg."""
    log.enrol_contracts([(TOKEN, FIRST_BLOCK)])
    shown = Evidence(EvidenceKind.END, FIRST_BLOCK, 6, 1, "http://node", 2)
    log.append_finalized(FIRST_BLOCK, run(6, 6)[0].header, placed(run(5, 6)), "a test", evidence=[shown])
    log.hold(Hold(8, 9, "a test"))
    log.extend(ref(6), run(7, 9))
    log.accept([task(1), task(2)], {("topic", 0): 2})
    log.seal(ref(7))
    log.release(8, 9)
    log.extend(ref(8), run(9, 10, branch="b", parent="a"))
    log.accept([task(2), task(3)])


@pytest.fixture
def lived(log: Log) -> Log:
    """A log with a row at least in each table that has rows by now; a cosigned checkpoint is put in by hand."""
    live(log)
    with log.datastore.transaction(commit=True) as cursor:
        cursor.execute("INSERT INTO log.checkpoint VALUES (1, %s, 'a note')", (bytes(32),))
        cursor.execute("INSERT INTO log.cosignature VALUES (1, 'a witness', %s, 'a line')", (bytes(4),))
    assert all(everything(log)[table] for table in IMMUTABLE)
    return log


@pytest.mark.parametrize("table", IMMUTABLE)
def test_the_programs_role_has_no_right_to_change(lived: Log, table: str) -> None:
    """Tries each change through the connections that the log itself uses."""
    before = everything(lived)
    for kind in CHANGES:
        with (
            pytest.raises(ProgrammingError, match=f"permission denied for table {table}") as refused,
            lived.datastore.transaction(commit=True) as cursor,
        ):
            cursor.execute(change(kind, table))
        assert isinstance(refused.value.__cause__, InsufficientPrivilege)
    assert everything(lived) == before


@pytest.mark.parametrize("replicating", [False, True])
@pytest.mark.parametrize("table", IMMUTABLE)
def test_the_owner_is_refused_too(lived: Log, table: str, replicating: bool) -> None:
    """Tries each change as the superuser who owns the tables, also as a replica, where most triggers are silent."""
    before = everything(lived)
    with owner(lived) as connection:
        if replicating:
            connection.execute("SET session_replication_role = replica")
        for kind in CHANGES:
            verb = kind.partition(" ")[0]
            with pytest.raises(RestrictViolation, match=f"log.{table} is immutable: {verb} is refused"):
                connection.execute(change(kind, table))
    assert everything(lived) == before


@pytest.mark.parametrize(
    "statement",
    [
        b"INSERT INTO log.checkpoint VALUES (1, sha256(''), '') ON CONFLICT (size) DO UPDATE SET note = excluded.note",
        b"MERGE INTO log.checkpoint c USING (SELECT 1 AS size) n ON n.size = c.size WHEN MATCHED THEN DELETE",
    ],
)
def test_an_insert_cannot_overwrite(lived: Log, statement: bytes) -> None:
    """Tries, as the owner, the two statements that can do both, on a row that is there."""
    with owner(lived) as connection, pytest.raises(RestrictViolation):
        connection.execute(statement)


def test_every_table_is_either_immutable_or_not(log: Log) -> None:
    """Reads from the catalogue which triggers there are, and what the programs' role may do with each table."""
    with owner(log) as connection:
        tables = connection.execute(
            "SELECT relname::text, EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid AND tgenabled = 'A'"
            " AND tgfoid = 'log.refuse_change'::regproc) FROM pg_class c WHERE relnamespace = 'log'::regnamespace"
            " AND relkind = 'r' AND relname <> 'alembic_version'"
        ).fetchall()
        rights = dict[str, set[str]]()
        for table, right in connection.execute(
            "SELECT table_name, privilege_type FROM information_schema.role_table_grants"
            " WHERE table_schema = 'log' AND grantee = %s",
            (ROLE,),
        ):
            rights.setdefault(table, set()).add(right)
    assert sorted(name for name, refused in tables if refused) == list(IMMUTABLE)
    assert sorted(name for name, refused in tables if not refused) == list(CHANGEABLE)
    assert rights == {
        **{table: {"SELECT", "INSERT"} for table in IMMUTABLE},
        **{table: {"SELECT", "INSERT", "UPDATE", "DELETE"} for table in CHANGEABLE},
        "alembic_version": {"SELECT"},
    }


def test_the_log_works_as_the_role(log: Log) -> None:
    """Lets a superuser's log do all that it can, and asks its connections who they are."""
    live(log)
    assert [entry.position for entry in contents(log)] == list(range(1, 10))
    with log.datastore.cursor() as cursor:
        cursor.execute("SELECT current_user AS worker, session_user AS login")
        row = cursor.fetchone()
    assert row is not None
    assert row["worker"] == ROLE != row["login"]


@pytest.mark.parametrize("inherits", ["INHERIT", "NOINHERIT"])
def test_a_member_of_the_role_can_run_the_log_and_change_no_table(database_url: str, inherits: str) -> None:
    """Makes the schema as its owner, then runs a log as a login that has been granted the role and nothing else."""
    upgrade(database_url)
    with login(database_url, "writer", inherits, "IN ROLE", ROLE) as url, histories.opened(url) as log:
        live(log)
        assert [entry.position for entry in contents(log)] == list(range(1, 10))
        with pytest.raises(ProgrammingError, match="must be owner"), log.datastore.transaction(commit=True) as cursor:
            cursor.execute("ALTER TABLE log.sealed DISABLE TRIGGER ALL")
        with pytest.raises(ProgrammingError, match="permission denied"), log.datastore.transaction() as cursor:
            cursor.execute("CREATE TABLE log.mine ()")


def test_a_stranger_is_told_what_is_missing(database_url: str) -> None:
    """Opens a log that is up to date as a login without any right."""
    upgrade(database_url)
    with (
        login(database_url, "stranger") as url,
        histories.datastore(url) as store,
        pytest.raises(BadInput, match=rf"may not read the log .*permission denied.* grants it {ROLE}"),
    ):
        Log(store, histories.CHAIN_ID).create(GENESIS, FIRST_BLOCK)


def test_a_member_is_told_that_the_owner_has_to_upgrade(database_url: str) -> None:
    """Opens a log whose tables are old as a login that may use them, and may not change them."""
    upgrade(database_url)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE log.alembic_version SET version_num = '0002'")
    with (
        login(database_url, "writer", "IN ROLE", ROLE) as url,
        pytest.raises(BadInput, match=f"brought to version {VERSION}.* run `deepnode log migrate` as their owner"),
    ):
        upgrade(url)


@pytest.mark.usefixtures("server_without_the_role")
def test_an_owner_who_may_make_roles_makes_the_log(database_url: str) -> None:
    """Lets a login with CREATEROLE, which is no superuser, own everything; its log works as the role all the same."""
    with login(database_url, "owner", "CREATEROLE") as url:
        give(database_url, url)
        with histories.opened(url) as log:
            live(log)
            with log.datastore.cursor() as cursor:
                cursor.execute("SELECT current_user AS worker")
                assert cursor.fetchone() == {"worker": ROLE}
            with owner(log) as connection, pytest.raises(RestrictViolation):
                connection.execute("DELETE FROM log.sealed")


@pytest.mark.usefixtures("server_without_the_role")
def test_an_owner_who_may_make_no_roles_is_told_what_an_administrator_runs(database_url: str) -> None:
    """Makes a log as an owner without CREATEROLE, runs the two statements of the message, and makes it again."""
    with login(database_url, "owner") as url:
        give(database_url, url)
        with pytest.raises(BadInput, match="an administrator runs: CREATE ROLE deepnode_app NOLOGIN; GRANT") as refused:
            upgrade(url)
        with psycopg.connect(database_url, autocommit=True) as connection:
            assert connection.execute("SELECT to_regnamespace('log')").fetchone() == (None,)
            for statement in str(refused.value).partition("runs: ")[2].rstrip(";").split(";"):
                connection.execute(statement.encode())
        assert upgrade(url).after == VERSION
        with histories.opened(url) as log:
            live(log)


def give(database_url: str, url: str) -> None:
    """Make a login the owner of its database."""
    settings = conninfo_to_dict(url)
    with psycopg.connect(database_url, autocommit=True) as connection:
        names = (sql.Identifier(str(settings[key])) for key in ("dbname", "user"))
        connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(*names))
