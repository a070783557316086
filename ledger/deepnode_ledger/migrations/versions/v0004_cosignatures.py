"""What witnesses have put under checkpoints, kept so that it can be published again."""

revision = "0004"
down_revision = "0003"

STATEMENTS = (
    # line: the signature line as the witness answered it. The first one of a witness for a size stays.
    """CREATE TABLE log.cosignature (
        size bigint NOT NULL,
        name text NOT NULL,
        key_id bytea NOT NULL CHECK (octet_length(key_id) = 4),
        line text NOT NULL,
        PRIMARY KEY (size, name, key_id)
    )""",
    # Which tree a witness has seen last.
    "CREATE INDEX cosignature_witness ON log.cosignature (name, key_id, size)",
    """CREATE TRIGGER immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON log.cosignature
        FOR EACH STATEMENT EXECUTE FUNCTION log.refuse_change()""",
    "ALTER TABLE log.cosignature ENABLE ALWAYS TRIGGER immutable",
    "GRANT SELECT, INSERT ON log.cosignature TO deepnode_app",
)


def upgrade() -> None:
    """Make the table, immutable like the checkpoints."""
    from alembic import op

    for statement in STATEMENTS:
        op.execute(statement)
