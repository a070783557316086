"""A role that may read the log and nothing else, for programs that answer strangers."""

revision = "0007"
down_revision = "0006"

STATEMENTS = (
    # Roles belong to the whole server. A login that may not make one goes without: the log does not need it.
    """DO $$
    BEGIN
        IF to_regrole('deepnode_reader') IS NULL THEN
            CREATE ROLE deepnode_reader NOLOGIN;
        END IF;
    EXCEPTION WHEN insufficient_privilege OR duplicate_object OR unique_violation THEN
        NULL;
    END $$""",
    """DO $$
    BEGIN
        IF to_regrole('deepnode_reader') IS NOT NULL THEN
            GRANT USAGE ON SCHEMA log TO deepnode_reader;
            GRANT SELECT ON ALL TABLES IN SCHEMA log TO deepnode_reader;
            ALTER DEFAULT PRIVILEGES IN SCHEMA log GRANT SELECT ON TABLES TO deepnode_reader;
        END IF;
    END $$""",
    # Who may write may become the one who reads alone.
    """DO $$
    BEGIN
        IF NOT pg_has_role('deepnode_app', to_regrole('deepnode_reader'), 'MEMBER') THEN
            GRANT deepnode_reader TO deepnode_app;
        END IF;
    EXCEPTION WHEN insufficient_privilege OR unique_violation THEN
        NULL;
    END $$""",
)


def upgrade() -> None:
    """Make the role, if this login may, and let it read."""
    from alembic import op

    for statement in STATEMENTS:
        op.execute(statement)
