"""What alembic runs around the versions: the connection comes from ``schema``, and so does its transaction."""

from alembic import context

from deepnode_ledger.tables import SCHEMA

context.configure(connection=context.config.attributes["connection"], version_table_schema=SCHEMA)
with context.begin_transaction():
    context.run_migrations()
