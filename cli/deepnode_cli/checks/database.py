"""Is the database fit for the log: reachable, of the right version, with the right role, and free to be written to?"""

from collections.abc import Iterator
from typing import Final

from deepnode_cli.checks.finding import Finding, Unseen, bad, ok, skipped, unseen, warn
from deepnode_cli.checks.looks import Looks
from deepnode_ledger.database_state import SERVER_VERSION_MIN
from deepnode_ledger.tables import ROLE, VERSION

CONNECTIONS_FREE_MIN: Final = 20
"""What the indexer, the projector and the API may want together on one chain."""

CONNECTIONS_FREE_LEAST: Final = 3

LOCK_SECONDS: Final = 10.0
LOCK_SECONDS_MAX: Final = 60.0
"""The longest write of the log, a backfilled range, takes some seconds on a slow disk."""


def reachable(looks: Looks) -> Iterator[Finding]:
    """The server answers and is new enough."""
    state = looks.database
    if isinstance(state, Unseen):
        yield unseen("database", state, "start the server, or mend --database (DEEPNODE_DATABASE_URL) or the login")
        return
    says = f"PostgreSQL {state.server_version}, login {state.login!r}"
    if state.server_version_num < SERVER_VERSION_MIN:
        yield bad("database", says, f"upgrade the server to PostgreSQL {SERVER_VERSION_MIN // 10_000} or newer")
    else:
        yield ok("database", says)


def tables(looks: Looks) -> Iterator[Finding]:
    """The log's tables are of this program's version."""
    check, state = "database-tables", looks.database
    if isinstance(state, Unseen):
        yield skipped(check, "see database" if state.is_bad else state)
    elif not state.is_log_there:
        yield warn(check, "there is no log in this database yet", "`deepnode index` makes it when it starts")
    elif state.tables_version is None and state.is_role_there and not state.is_role_granted:
        yield skipped(check, f"the login {state.login!r} may not read the log")
    elif state.tables_version is None or state.tables_version < VERSION:
        says = f"the log's tables are of version {state.tables_version or 'none'}, this program's of {VERSION}"
        yield bad(check, says, "run `deepnode log migrate` as their owner")
    elif state.tables_version > VERSION:
        says = f"the log's tables are of version {state.tables_version}, this program knows up to {VERSION}"
        yield bad(check, says, "upgrade this program")
    else:
        yield ok(check, f"the log's tables are of version {VERSION}, as this program wants them")


def role(looks: Looks) -> Iterator[Finding]:
    """Programs can work as the role to which changes of the sealed log are refused."""
    check, state = "database-role", looks.database
    if isinstance(state, Unseen):
        yield skipped(check, "see database" if state.is_bad else state)
    elif not state.is_log_there:
        yield skipped(check, "there is no log in this database yet")
    elif state.is_role_granted:
        yield ok(check, f"the login {state.login!r} works as {ROLE}")
    elif state.is_role_there:
        says = f"the login {state.login!r} may not work as {ROLE}"
        yield bad(check, says, f"an administrator runs: GRANT {ROLE} TO {state.login}")
    else:
        says = f"the server has no role {ROLE}: triggers alone protect the sealed log"
        yield warn(check, says, f"an administrator runs: CREATE ROLE {ROLE} NOLOGIN, and restores its rights")


def connections(looks: Looks) -> Iterator[Finding]:
    """There is room for the connections of every part."""
    check, state = "database-connections", looks.database
    if isinstance(state, Unseen):
        yield skipped(check, "see database" if state.is_bad else state)
        return
    free = state.connections_max - state.connections
    says = f"{state.connections} of {state.connections_max} connections are taken"
    to_do = f"raise max_connections so that {CONNECTIONS_FREE_MIN} are free, or close idle clients"
    if free < CONNECTIONS_FREE_LEAST:
        yield bad(check, says, to_do)
    elif free < CONNECTIONS_FREE_MIN:
        yield warn(check, says, to_do)
    else:
        yield ok(check, says)


def lock(looks: Looks) -> Iterator[Finding]:
    """Nobody keeps the other writers of the log waiting."""
    check, state = "database-lock", looks.database
    if isinstance(state, Unseen):
        yield skipped(check, "see database" if state.is_bad else state)
        return
    if state.lock is None:
        yield ok(check, "nobody holds the log's lock at this moment")
        return
    held_seconds = state.lock.held_seconds
    since = "since when, this login may not see" if held_seconds is None else f"for {held_seconds:.1f} s"
    says = f"server process {state.lock.process} holds the log's lock {since}, {state.lock.waiting} wait for it"
    to_do = (
        f"look at it in pg_stat_activity; SELECT pg_terminate_backend({state.lock.process}) ends it, undoing its write"
    )
    if held_seconds is None or held_seconds < LOCK_SECONDS:
        yield ok(check, says)
    elif held_seconds < LOCK_SECONDS_MAX:
        yield warn(check, says, to_do)
    else:
        yield bad(check, says, to_do)
