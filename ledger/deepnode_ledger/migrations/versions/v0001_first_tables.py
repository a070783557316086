"""The log's first tables, as programs made them that knew no versions: what is there already stays as it is.

``sealed``, its type and its index are what the ``eventsourcing`` library's recorder creates, word for word.
"""

revision = "0001"
down_revision = None

STATEMENTS = (
    # The type is of use to the library's database functions alone, which are not created; it asks for the type though.
    """DO $$ BEGIN
        IF to_regtype('log.stored_event_text') IS NULL THEN
            CREATE TYPE log.stored_event_text AS (
                originator_id text, originator_version bigint, topic text, state bytea
            );
        END IF;
    END $$""",
    """CREATE TABLE IF NOT EXISTS log.sealed (
        originator_id text NOT NULL,
        originator_version bigint NOT NULL,
        topic text,
        state bytea,
        notification_id bigserial,
        PRIMARY KEY (originator_id, originator_version)
    ) WITH (
        autovacuum_enabled = true,
        autovacuum_vacuum_threshold = 100000000,
        autovacuum_vacuum_scale_factor = 0.5,
        autovacuum_analyze_threshold = 1000,
        autovacuum_analyze_scale_factor = 0.01
    )""",
    "CREATE UNIQUE INDEX IF NOT EXISTS sealed_notification_id_idx ON log.sealed (notification_id ASC)",
    # One row: where the log stands. It is changed under the log's lock alone, in the transaction of what it counts.
    """CREATE TABLE IF NOT EXISTS log.head (
        one boolean PRIMARY KEY DEFAULT true CHECK (one),
        tables_version integer NOT NULL,
        last_position bigint NOT NULL,
        sealed_position bigint NOT NULL CHECK (sealed_position BETWEEN 0 AND last_position),
        batches bigint NOT NULL CHECK (batches >= 0)
    )""",
    "INSERT INTO log.head VALUES (true, 1, 0, 0, 0) ON CONFLICT DO NOTHING",
    # tip: the last block whose logs are all in the log. Null until the first block is covered.
    """CREATE TABLE IF NOT EXISTS log.chain (
        chain_id bigint PRIMARY KEY,
        genesis_hash bytea NOT NULL,
        first_block bigint NOT NULL,
        tip_number bigint, tip_hash bytea, tip_time bigint,
        finalized_number bigint, finalized_hash bytea, finalized_time bigint
    )""",
    # The headers of the tail, and of the last sealed block: what a reorg is recognised by.
    """CREATE TABLE IF NOT EXISTS log.header (
        chain_id bigint NOT NULL,
        number bigint NOT NULL,
        hash bytea NOT NULL,
        parent_hash bytea NOT NULL,
        time bigint NOT NULL,
        PRIMARY KEY (chain_id, number)
    )""",
    # Which sealed batch holds a position or a block, so that neither search reads the batches.
    """CREATE TABLE IF NOT EXISTS log.batch (
        number bigint PRIMARY KEY,
        first_position bigint NOT NULL UNIQUE,
        last_position bigint NOT NULL UNIQUE,
        first_block bigint NOT NULL,
        last_block bigint NOT NULL
    )""",
    """CREATE TABLE IF NOT EXISTS log.pending (
        position bigint PRIMARY KEY,
        kind smallint NOT NULL,
        chain_id bigint NOT NULL,
        block_number bigint NOT NULL,
        block_hash bytea NOT NULL,
        block_time bigint NOT NULL,
        transaction_hash bytea,
        transaction_index integer,
        log_index integer,
        address bytea,
        topic0 bytea, topic1 bytea, topic2 bytea, topic3 bytea,
        data bytea NOT NULL,
        producer text,
        event_id text,
        sequence bigint,
        event_type text,
        signature bytea
    )""",
    """CREATE UNIQUE INDEX IF NOT EXISTS pending_log_key
        ON log.pending (chain_id, block_hash, log_index) WHERE log_index IS NOT NULL""",
    "CREATE INDEX IF NOT EXISTS pending_block ON log.pending (block_number)",
    # The key of every task event ever accepted, sealed or pending: what makes a second delivery add nothing.
    """CREATE TABLE IF NOT EXISTS log.task_key (
        producer text NOT NULL,
        event_id text NOT NULL,
        sequence bigint NOT NULL,
        position bigint NOT NULL,
        payload_sha256 bytea NOT NULL,
        PRIMARY KEY (producer, event_id),
        UNIQUE (producer, sequence)
    )""",
    # One row a reorg; a projection rolls back to the smallest kept_position that it has not seen yet.
    """CREATE TABLE IF NOT EXISTS log.reorg (
        number bigint PRIMARY KEY,
        chain_id bigint NOT NULL,
        kept_position bigint NOT NULL,
        kept_block bigint NOT NULL,
        old_tip_number bigint NOT NULL, old_tip_hash bytea NOT NULL,
        new_tip_number bigint NOT NULL, new_tip_hash bytea NOT NULL
    )""",
    # What says that a range of blocks is complete.
    """CREATE TABLE IF NOT EXISTS log.coverage (
        chain_id bigint NOT NULL,
        first_block bigint NOT NULL,
        last_block bigint NOT NULL,
        last_hash bytea NOT NULL,
        evidence text NOT NULL,
        PRIMARY KEY (chain_id, first_block)
    )""",
)


def upgrade() -> None:
    """Make the tables that are missing."""
    from alembic import op

    for statement in STATEMENTS:
        op.execute(statement)
