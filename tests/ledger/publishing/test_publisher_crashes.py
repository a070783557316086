"""A publisher that fails anywhere publishes the same in the end, and no reader ever sees what does not hold."""

import itertools
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from deepnode_ledger.errors import TryAgain
from deepnode_ledger.publishing import Directory, Publisher
from tests.conftest import fresh_database
from tests.ledger.histories import opened
from tests.ledger.publishing import failing_disk
from tests.ledger.publishing.failing_disk import FailingDisk
from tests.ledger.publishing.sealed_history import SIGNER, VKEY, checkpoints, files, head, publish, seal
from tests.ledger.transparency.go_judge import GoJudge

FIRST, SECOND = 300, 260
"""Two rounds: the second completes a bundle and a tile, and removes partial ones."""

_copies = itertools.count(1)


@dataclass(frozen=True)
class Case:
    """A log of which the first round is published and the second is sealed, and what is published of it in the end."""

    server: str
    url: str
    folder: Path
    right: dict[str, bytes]
    calls: int

    @contextmanager
    def copied(self, folder: Path) -> Iterator[str]:
        """A copy of the database and of the directory, for one try."""
        name = f"copy_{next(_copies)}"
        shutil.copytree(self.folder, folder)
        with psycopg.connect(self.server, autocommit=True) as connection:
            template = sql.Identifier(str(conninfo_to_dict(self.url)["dbname"]))
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), template))
            try:
                yield make_conninfo(self.url, dbname=name)
            finally:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
                shutil.rmtree(folder)


@pytest.fixture(scope="module")
def case(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    """Both rounds, and a run of the second without a failure."""
    folder = tmp_path_factory.mktemp("case") / "published"
    with fresh_database(postgres_url) as url:
        with opened(url) as log:
            seal(log, FIRST)
            publish(log, folder)
            seal(log, SECOND)
        unfailing = Case(postgres_url, url, folder, {}, 0)
        disk = FailingDisk()
        with unfailing.copied(folder.with_name("right")) as copy:
            with Publisher(copy, Directory(folder.with_name("right"), disk), SIGNER) as publisher:
                publisher.publish()
            yield Case(postgres_url, url, folder, files(folder.with_name("right")), disk.calls)


@pytest.mark.parametrize("late", [False, True])
def test_a_disk_that_fails_at_any_call_costs_a_round(case: Case, tmp_path: Path, go_judge: GoJudge, late: bool) -> None:
    """Lets each call of the second round fail, before or after it has taken effect; Go checks what readers see then."""
    assert case.calls > 20
    folder = tmp_path / "try"
    for number in range(1, case.calls + 1):
        with case.copied(folder) as url:
            disk = FailingDisk(number, late=late)
            with Publisher(url, Directory(folder, disk), SIGNER) as publisher:
                with pytest.raises(TryAgain, match="No space left on device"):
                    publisher.publish()
                go_judge.check_directory(folder, VKEY)
                assert head(folder).size in {FIRST, FIRST + SECOND}
                publisher.publish()
            finished(url, case, folder)


def test_a_process_that_dies_at_a_call_costs_a_start(case: Case, tmp_path: Path, go_judge: GoJudge) -> None:
    """Ends a process at every third call of its round; the next one goes on with what lies there."""
    folder = tmp_path / "try"
    for number in range(1, case.calls + 1, 3):
        with case.copied(folder) as url:
            argv = [sys.executable, "-m", failing_disk.__name__, url, str(folder), str(number)]
            assert subprocess.run(argv, check=False).returncode == failing_disk.DIED
            go_judge.check_directory(folder, VKEY)
            with Publisher(url, folder, SIGNER) as publisher:
                publisher.publish()
            finished(url, case, folder)


def test_a_database_that_goes_away_at_the_commit_costs_a_round(case: Case, tmp_path: Path, go_judge: GoJudge) -> None:
    """Has the server end the session that commits the checkpoint: nothing of it is stored or seen, and then all is."""
    folder = tmp_path / "try"
    with case.copied(folder) as url, Publisher(url, folder, SIGNER) as publisher:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "CREATE FUNCTION public.go_away() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER"
                " AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$"
            )
            connection.execute(
                "CREATE CONSTRAINT TRIGGER go_away AFTER INSERT ON log.checkpoint DEFERRABLE INITIALLY DEFERRED"
                " FOR EACH ROW EXECUTE FUNCTION public.go_away()"
            )
            with pytest.raises(TryAgain, match="is away"):
                publisher.publish()
            assert head(folder).size == FIRST
            go_judge.check_directory(folder, VKEY)
            connection.execute("DROP TRIGGER go_away ON log.checkpoint")
        publisher.publish()
        publisher.close()
        finished(url, case, folder)


def finished(url: str, case: Case, folder: Path) -> None:
    """All is as if nothing had failed; partial files that a late failure forgot go with the next start."""
    with opened(url) as log:
        assert checkpoints(log) == [FIRST, FIRST + SECOND]
        publish(log, folder)
    assert files(folder) == case.right
