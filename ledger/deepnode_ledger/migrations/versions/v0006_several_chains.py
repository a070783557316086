"""Several chains in one log: what is told by block is told by chain and block."""

revision = "0006"
down_revision = "0005"

STATEMENTS = (
    # Who writes the log holds this lock to commit. Taken first, it keeps an older program's writes out until the end.
    "LOCK TABLE log.sealed IN EXCLUSIVE MODE",
    # Which blocks of which chains a sealed batch holds entries of. Per chain, blocks go up with batches.
    """CREATE TABLE log.batch_block (
        number bigint NOT NULL,
        chain_id bigint NOT NULL,
        first_block bigint NOT NULL,
        last_block bigint NOT NULL,
        PRIMARY KEY (number, chain_id)
    )""",
    # A log had one chain until now.
    """INSERT INTO log.batch_block SELECT number, chain_id, batch.first_block, last_block FROM log.batch, log.chain
        ORDER BY number""",
    "CREATE INDEX batch_block_place ON log.batch_block (chain_id, first_block, number)",
    "ALTER TABLE log.batch DROP COLUMN first_block, DROP COLUMN last_block",
    # Up to which block of each covered chain everything is in what a sealing had sealed.
    """CREATE TABLE log.sealing_block (
        number bigint NOT NULL,
        chain_id bigint NOT NULL,
        block_number bigint NOT NULL,
        block_hash bytea NOT NULL,
        parent_hash bytea NOT NULL,
        block_time bigint NOT NULL,
        PRIMARY KEY (number, chain_id)
    )""",
    """INSERT INTO log.sealing_block
        SELECT number, chain_id, block_number, block_hash, parent_hash, block_time FROM log.sealing, log.chain
        ORDER BY number""",
    """ALTER TABLE log.sealing DROP COLUMN block_number, DROP COLUMN block_hash, DROP COLUMN parent_hash,
        DROP COLUMN block_time""",
    # Up to which block another chain's sealing may take this chain's entries along, and by what evidence.
    """ALTER TABLE log.chain ADD COLUMN sealable_number bigint, ADD COLUMN sealable_hash bytea,
        ADD COLUMN sealable_evidence text""",
    "DROP INDEX log.pending_block",
    "CREATE INDEX pending_block ON log.pending (chain_id, block_number, position)",
    *(
        f"CREATE TRIGGER immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION log.refuse_change()"
        for table in ("log.batch_block", "log.sealing_block")
    ),
    *(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER immutable" for table in ("log.batch_block", "log.sealing_block")),
    "GRANT SELECT, INSERT ON log.batch_block, log.sealing_block TO deepnode_app",
    # A restored log goes on counting behind what was restored.
    "GRANT USAGE ON SEQUENCE log.evidence_number_seq TO deepnode_app",
)


def upgrade() -> None:
    """Make the tables from what a log of one chain says, and drop the columns that spoke of one chain."""
    from alembic import op

    for statement in STATEMENTS:
        op.execute(statement)
