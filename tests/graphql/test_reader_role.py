"""What the database refuses to the API, whatever a query might make it do."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from starlette.testclient import TestClient

from deepnode_graphql import database
from deepnode_graphql.app import make_app
from deepnode_graphql.database import SESSION, make_engine, reading_transaction
from deepnode_ledger.reader import READER
from deepnode_projections.rebuild import rebuild
from deepnode_projections.schema import create_books
from tests.graphql.small_books import ALICE, NOBODY, Scribe, transfer

META = {"query": "{ _meta { position } }"}


@contextmanager
def reading(url: str) -> Iterator[Connection]:
    """A transaction as the API has it."""
    engine = make_engine(url, "books", connections=1)
    try:
        with reading_transaction(engine) as connection:
            yield connection
    finally:
        engine.dispose()


@contextmanager
def login(url: str, name: str, *rights: str) -> Iterator[str]:
    """The URL of a login of its own with these rights."""
    role = sql.Identifier(name)
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
        for right in rights:
            owner.execute(sql.SQL(right).format(role))
        try:
            yield make_conninfo(url, user=name)
        finally:
            owner.execute(sql.SQL("DROP OWNED BY {}").format(role))
            owner.execute(sql.SQL("DROP ROLE {}").format(role))


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO books.checkpoint DEFAULT VALUES",
        "UPDATE books.posting SET amount = 0",
        "DELETE FROM log.pending",
        "TRUNCATE books.posting",
        "DROP TABLE books.posting",
        "CREATE TABLE books.mine (a integer)",
        "ALTER TABLE books.posting ADD COLUMN mine integer",
        "SELECT nextval('log.evidence_number_seq')",
        "SELECT log.lock_sealed()",
        "COPY books.posting TO PROGRAM 'cat'",
        "SELECT pg_read_file('postgresql.conf')",
        "CREATE ROLE mine",
    ],
)
@pytest.mark.parametrize("read_only", [True, False])
def test_the_server_refuses_the_api_everything_but_reading(
    small_books: Scribe, statement: str, read_only: bool
) -> None:
    """Tries each through the API's engine, as it is and after it has talked itself out of the read-only transaction."""
    with reading(small_books.url) as connection:
        if not read_only:
            # A transaction that has not read yet may still become one that writes; the role stays.
            connection.execute(text("SET TRANSACTION READ WRITE"))
        with pytest.raises(DBAPIError) as refused:
            connection.execute(text(statement))
    state = refused.value.orig
    assert isinstance(state, psycopg.errors.InsufficientPrivilege | psycopg.errors.ReadOnlySqlTransaction)
    assert read_only or isinstance(state, psycopg.errors.InsufficientPrivilege)


def test_every_table_of_the_books_and_of_the_log_can_be_read(small_books: Scribe) -> None:
    """Selects from each table there is, as the reader; the session is held to its limits."""
    with reading(small_books.url) as connection:
        assert connection.execute(text("SELECT current_user")).scalar() == READER
        tables = connection.execute(
            text("SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('books', 'log')")
        ).all()
        assert len(tables) > 50
        for schema, table in tables:
            connection.execute(text(f'SELECT * FROM "{schema}"."{table}" LIMIT 1'))
        for name, value in SESSION.items():
            shown = connection.execute(text(f"SHOW {name}")).scalar()
            assert shown in (value, "5min"), name


def test_books_that_are_made_again_can_be_read(own_books: Scribe) -> None:
    """Takes the reader's rights away as books of an older program had none; the projections' start gives them back."""
    own_books.block(transfer(NOBODY, ALICE, 5))
    with psycopg.connect(own_books.url, autocommit=True) as owner:
        owner.execute(f"ALTER DEFAULT PRIVILEGES IN SCHEMA books REVOKE SELECT ON TABLES FROM {READER}".encode())
        owner.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA books FROM {READER}".encode())
        owner.execute(f"REVOKE ALL ON SCHEMA books FROM {READER}".encode())
    create_books(own_books.url, "books")
    with reading(own_books.url) as connection:
        assert connection.execute(text("SELECT current_user")).scalar() == READER
        assert connection.execute(text("SELECT count(*) FROM books.posting")).scalar() == 2


def test_a_login_of_the_readers_reads_and_can_do_no_more(small_books: Scribe) -> None:
    """Serves with a login that is in the role and nothing else."""
    with (
        login(small_books.url, "api_only", f"GRANT {READER} TO {{}}") as url,
        TestClient(make_app(url, small_books.manifest)) as http,
    ):
        assert http.post("/graphql", json=META).json() == {"data": {"_meta": {"position": 15}}}


def test_a_login_that_cannot_become_the_reader_reads_as_itself(
    small_books: Scribe, caplog: pytest.LogCaptureFixture
) -> None:
    """Serves with a login that may select and is in no role: it works, read-only, and the log warns once."""
    rights = [
        f"GRANT {right} {{}}"
        for schema in ("log", "books")
        for right in (f"USAGE ON SCHEMA {schema} TO", f"SELECT ON ALL TABLES IN SCHEMA {schema} TO")
    ]
    database._warn_once.cache_clear()
    with caplog.at_level(logging.WARNING), login(small_books.url, "by_itself", *rights) as url:
        with TestClient(make_app(url, small_books.manifest)) as http:
            for _ in range(3):
                assert http.post("/graphql", json=META).json() == {"data": {"_meta": {"position": 15}}}
        with reading(url) as connection, pytest.raises(DBAPIError, match="read-only transaction"):
            connection.execute(text("DELETE FROM books.posting"))
    assert sum("the API reads as by_itself" in each.getMessage() for each in caplog.records) == 1


def test_a_login_without_rights_is_told_what_it_lacks(small_books: Scribe) -> None:
    """Serves with a login that may do nothing: 503 with the role's name, and no word of tables."""
    with login(small_books.url, "nobody_at_all") as url, TestClient(make_app(url, small_books.manifest)) as http:
        answer = http.post("/graphql", json=META)
    assert answer.status_code == 503
    assert answer.json()["errors"][0]["message"] in (
        f"the API's login may not read the books: grant it {READER}",
        "the books are not there yet: the projections make their tables when they start",
    )


def test_a_connection_from_before_the_books_becomes_the_reader_later(
    database_url: str, small_books: Scribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asks an empty database, makes log and books, and asks again when the connection is old enough."""
    engine = make_engine(database_url, "books", connections=1)
    with reading_transaction(engine) as connection:
        before = connection.execute(text("SELECT current_user")).scalar()
    monkeypatch.setattr(database, "LOGIN_SECONDS_MAX", 0)
    other = Scribe(database_url, small_books.manifest)
    try:
        with reading_transaction(engine) as connection:
            after = connection.execute(text("SELECT current_user")).scalar()
    finally:
        other.close()
        engine.dispose()
    assert before != READER
    assert after == READER


def test_rebuilt_books_can_be_read_by_the_reader(own_books: Scribe) -> None:
    """Rebuilds the books, which puts another schema in their place."""
    own_books.block(transfer(NOBODY, ALICE, 5))
    own_books.projector.close()
    rebuild(own_books.url, own_books.manifest)
    with reading(own_books.url) as connection:
        assert connection.execute(text("SELECT current_user")).scalar() == READER
        assert connection.execute(text("SELECT count(*) FROM posting")).scalar() == 2
