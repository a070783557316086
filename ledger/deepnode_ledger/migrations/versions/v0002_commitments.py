"""What the log is committed to and found by: batches' hashes, sealings, checkpoints, segments, indexes of the tail."""

revision = "0002"
down_revision = "0001"

STATEMENTS = (
    # Who writes the log holds this lock to commit. Taken first, it keeps an older program's writes out until the end.
    "LOCK TABLE log.sealed IN EXCLUSIVE MODE",
    # The task that an event of the tail speaks of. Events that were accepted before have none.
    "ALTER TABLE log.pending ADD COLUMN task text",
    *(
        f"CREATE INDEX pending_{column} ON log.pending ({column}) WHERE {column} IS NOT NULL"
        for column in ("transaction_hash", "topic0", "event_type", "producer", "task")
    ),
    # sha256: of the batch's stored bytes, so that damage shows without decoding them.
    "ALTER TABLE log.batch ADD COLUMN sha256 bytea",
    """UPDATE log.batch SET sha256 = sha256(sealed.state) FROM log.sealed
        WHERE sealed.originator_id = 'log' AND sealed.originator_version = batch.number""",
    "ALTER TABLE log.batch ALTER COLUMN sha256 SET NOT NULL, ADD CHECK (octet_length(sha256) = 32)",
    # One row a transaction that sealed entries or covered final blocks: what the log was committed to, and when.
    """CREATE TABLE log.sealing (
        number bigint PRIMARY KEY CHECK (number >= 1),
        sealed_position bigint NOT NULL,
        batches bigint NOT NULL,
        block_number bigint NOT NULL,
        block_hash bytea NOT NULL,
        parent_hash bytea NOT NULL,
        block_time bigint NOT NULL
    )""",
    # What was sealed so far counts as one sealing. Its block is the oldest whose header is kept.
    """INSERT INTO log.sealing
        SELECT 1, head.sealed_position, head.batches, header.number, header.hash, header.parent_hash, header.time
        FROM log.head, log.header
        WHERE EXISTS (SELECT FROM log.coverage) ORDER BY header.number LIMIT 1""",
    # A run of batches with the terms that occur in them. Made from the batches, and made anew when runs are joined.
    """CREATE TABLE log.segment (
        first_batch bigint PRIMARY KEY,
        last_batch bigint NOT NULL UNIQUE,
        postings bigint NOT NULL,
        terms bytea NOT NULL,
        batches bytea NOT NULL
    )""",
    # Not compressed, so that a part of a value is read without the rest.
    "ALTER TABLE log.segment ALTER terms SET STORAGE EXTERNAL, ALTER batches SET STORAGE EXTERNAL",
    # Each checkpoint that was ever signed, kept before it is published: the tree must never be shown in two ways.
    """CREATE TABLE log.checkpoint (
        size bigint PRIMARY KEY,
        root bytea NOT NULL CHECK (octet_length(root) = 32),
        note text NOT NULL
    )""",
    # A batch is compressed already: PostgreSQL's own attempt costs time and saves nothing.
    "ALTER TABLE log.sealed ALTER COLUMN state SET STORAGE EXTERNAL",
    # alembic's own table has the version now.
    "ALTER TABLE log.head DROP COLUMN tables_version",
)


def upgrade() -> None:
    """Add them, and fill in what they say of the batches that are there."""
    from alembic import op

    for statement in STATEMENTS:
        op.execute(statement)
