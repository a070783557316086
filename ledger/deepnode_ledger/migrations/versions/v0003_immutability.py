"""What must not change is refused: by triggers to every role, and by privilege to the role that programs work as."""

revision = "0003"
down_revision = "0002"

IMMUTABLE = "log.sealed, log.batch, log.sealing, log.reorg, log.checkpoint"
CHANGEABLE = "log.head, log.chain, log.header, log.pending, log.task_key, log.coverage, log.segment"

STATEMENTS = (
    """CREATE FUNCTION log.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION 'log.% is immutable: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
    END $$""",
    # A statement is refused even if it finds no row. ALWAYS: also where replication switches other triggers off.
    *(
        f"CREATE TRIGGER immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION log.refuse_change()"
        for table in IMMUTABLE.split(", ")
    ),
    *(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER immutable" for table in IMMUTABLE.split(", ")),
    # Roles belong to the whole server, so it can be there already, and another database's upgrade can be quicker.
    """DO $$
    DECLARE
        to_become CONSTANT text :=
            CASE WHEN current_setting('server_version_num')::integer >= 160000 THEN 'SET' ELSE 'MEMBER' END;
    BEGIN
        IF to_regrole('deepnode_app') IS NULL THEN
            BEGIN
                CREATE ROLE deepnode_app NOLOGIN;
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;
            END;
        END IF;
        IF NOT pg_has_role(session_user, 'deepnode_app', to_become) THEN
            BEGIN
                EXECUTE format('GRANT deepnode_app TO %I', session_user);
            EXCEPTION WHEN unique_violation THEN
                NULL;
            END;
        END IF;
    EXCEPTION WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'the login % may not make the role deepnode_app or give it to itself', quote_ident(session_user)
            USING ERRCODE = 'invalid_role_specification', HINT = format(
                'an administrator runs: CREATE ROLE deepnode_app NOLOGIN; GRANT deepnode_app TO %I;', session_user
            );
    END $$""",
    "GRANT USAGE ON SCHEMA log TO deepnode_app",
    "GRANT SELECT ON ALL TABLES IN SCHEMA log TO deepnode_app",
    f"GRANT INSERT ON {IMMUTABLE} TO deepnode_app",
    f"GRANT INSERT, UPDATE, DELETE ON {CHANGEABLE} TO deepnode_app",
    "GRANT USAGE ON SEQUENCE log.sealed_notification_id_seq TO deepnode_app",
    # The lock of a table asks for more than the right to insert: for that of changing or maintaining it.
    """CREATE FUNCTION log.lock_sealed() RETURNS void LANGUAGE plpgsql
        SECURITY DEFINER SET search_path = pg_catalog, pg_temp
        AS $$ BEGIN LOCK TABLE log.sealed IN EXCLUSIVE MODE; END $$""",
    "REVOKE ALL ON FUNCTION log.lock_sealed() FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION log.lock_sealed() TO deepnode_app",
)


def upgrade() -> None:
    """Make the triggers, the role if the server has none, and its rights."""
    from alembic import op

    for statement in STATEMENTS:
        op.execute(statement)
