"""Tables that got their keys and indexes behind their rows are the tables of the books."""

import psycopg

from deepnode_ledger.reader import READER
from deepnode_projections.schema import complete, create_bare, create_books, create_indexes, create_schema
from deepnode_projections.tables import metadata
from tests.projections.stories import rows

CATALOG = """
    SELECT 'column', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
        a.attnotnull::text || a.attnum || coalesce(l.collname, '')
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_collation l ON l.oid = a.attcollation
    WHERE n.nspname = current_schema AND a.attnum > 0
    UNION ALL SELECT 'constraint', c.conrelid::regclass::text, c.conname, pg_get_constraintdef(c.oid), ''
    FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace WHERE n.nspname = current_schema
    UNION ALL SELECT 'index', tablename, indexname, replace(indexdef, current_schema || '.', ''), ''
    FROM pg_indexes WHERE schemaname = current_schema
    UNION ALL SELECT 'table', c.relname, c.relkind::text, c.relacl::text, c.relpersistence::text
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = current_schema
    UNION ALL SELECT 'schema', '', '', n.nspacl::text, '' FROM pg_namespace n WHERE n.nspname = current_schema
    ORDER BY 1, 2, 3, 4"""


def test_bare_tables_become_the_tables_of_the_books(database_url: str) -> None:
    """Makes the tables in both ways, with the reader's role there, and compares what the server knows of them."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (READER,)).fetchone() is None:
            connection.execute(f"CREATE ROLE {READER}")
    create_books(database_url, "plain")
    create_indexes(database_url, "plain")
    create_schema(database_url, "late")
    with psycopg.connect(database_url, options="-c search_path=late") as connection:
        names = [table.name for table in metadata.sorted_tables]
        create_bare(connection, names)
        assert not connection.execute("SELECT FROM pg_indexes WHERE schemaname = 'late'").fetchall()
        for name in names:
            complete(connection, name)
    plain = rows(database_url, CATALOG, "plain")
    assert len(plain) > 10 * len(names)
    assert READER in repr(plain)
    assert rows(database_url, CATALOG, "late") == plain
    assert create_indexes(database_url, "late") == []
