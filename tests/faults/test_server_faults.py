"""What the database calls its own fault is tried again; what is damaged, or a bug of ours, is not hidden that way."""

import psycopg
import pytest
from eventsourcing.persistence import InternalError

from deepnode_ledger.database import database_errors, open_datastore
from deepnode_ledger.errors import TryAgain
from deepnode_ledger.standing import reading

RAISE = "DO $$ BEGIN RAISE EXCEPTION 'could not close file' USING ERRCODE = '{}'; END $$"


def test_a_fault_of_the_server_is_tried_again(database_url: str) -> None:
    """Lets the server raise XX000, through the library and through the driver alone."""
    datastore = open_datastore(database_url, pool_size=1)
    try:
        with pytest.raises(TryAgain, match="could not close file"), reading(datastore) as cursor:
            cursor.execute(RAISE.format("XX000"))
    finally:
        datastore.close()
    with (
        pytest.raises(TryAgain, match="could not close file"),
        database_errors(database_url),
        psycopg.connect(database_url) as connection,
    ):
        connection.execute(RAISE.format("XX000").encode())


def test_damage_and_bugs_are_no_passing_faults(database_url: str) -> None:
    """Lets the server raise XX001 (a damaged page) and 25P02 (a statement behind a failed one)."""
    datastore = open_datastore(database_url, pool_size=1)
    try:
        for code in ("XX001", "25P02"):
            with pytest.raises(InternalError), reading(datastore) as cursor:
                cursor.execute(RAISE.format(code))
    finally:
        datastore.close()
