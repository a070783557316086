"""Somebody who indexes the chain, and how they are measured: from an empty database to the last transfer's row.

Nobody is believed: every account's balance is compared with what the contract's rule says.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import psycopg
from benchmarks.ingest.chain import Span, balances
from benchmarks.ingest.processes import ChildFailed, Children, Command, cost_of
from psycopg import errors

LOOK_SECONDS: Final = 0.02
"""Between two looks whether the last row is there; a look is one read of an index."""

SECONDS_MAX: Final = 900.0


@dataclass(frozen=True, slots=True)
class Assignment:
    """What to index (``last_block`` None: follow the head), and where to put it."""

    rpc: str
    genesis: str
    last_block: int | None
    block_logs: int
    database: str
    directory: Path


@dataclass(frozen=True, slots=True)
class Contender:
    """``commands`` says what to run, ``seen`` is a query that has a row once a span is indexed to its end.

    ``balances`` is a query of every account's address (hexadecimal text) and balance. Both are empty for somebody who
    keeps nothing in the database: then the processes' end is what is waited for.
    """

    name: str
    commands: Callable[[Assignment], Sequence[Command]]
    seen: Callable[[Span], str]
    balances: str


@dataclass(frozen=True, slots=True)
class Measured:
    """What a run took: the contender's processes, and PostgreSQL's beside them."""

    seconds: float
    cpu_seconds: float
    database_cpu_seconds: float
    peak_mib: float


class WrongBalances(Exception):
    """A contender's books are not what the chain says."""


def race(contender: Contender, url: str, rpc: str, genesis: str, span: Span) -> Measured:
    """Index a span into a database, and say what it took from the processes' start to the last row.

    Raises:
        CannotInstall: a peer's programs are not there and cannot be had.
        ChildFailed: a process ended, or the time was over.
        WrongBalances: the outcome is wrong.
    """
    with scratch() as directory, Children(directory) as children, Watch(url, children) as watch:
        commands = contender.commands(Assignment(rpc, genesis, span.last_block, span.block_logs, url, directory))
        postgres = postmaster(url)
        before = cost_of(postgres).cpu_seconds
        began = time.perf_counter()
        for command in commands:
            children.start(command)
        watch.wait(contender.seen(span), SECONDS_MAX)
        seconds = time.perf_counter() - began
        cost = children.cost()
        taken = cost_of(postgres).cpu_seconds - before
        if contender.balances:
            check_balances(contender, url, span)
    return Measured(seconds, cost.cpu_seconds, taken, cost.peak_mib)


def check_balances(contender: Contender, url: str, span: Span) -> None:
    """Compare every account's balance with the contract's rule.

    Raises:
        WrongBalances: they differ.
    """
    with psycopg.connect(url) as connection:
        rows = connection.execute(contender.balances.encode()).fetchall()
    found = {str(address).lower(): int(balance) for address, balance in rows if balance}
    right = balances(span.logs)
    wrong = [address for address in found.keys() | right.keys() if found.get(address) != right.get(address)]
    if wrong:
        one = wrong[0]
        raise WrongBalances(
            f"{contender.name}: {len(wrong)} of {len(right)} balances are wrong; {one} has {found.get(one)}, "
            f"not {right.get(one)}"
        )


class Watch:
    """Waits until a query has a row; without a query, until all processes have ended."""

    def __init__(self, url: str, children: Children) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self._children = children

    def wait(self, query: str, seconds_max: float, look_seconds: float = LOOK_SECONDS) -> None:
        """Look again and again.

        Raises:
            ChildFailed: a process failed meanwhile, or the time was over.
        """
        deadline = time.monotonic() + seconds_max
        while not self._has_row(query):
            self._children.check()
            if time.monotonic() > deadline:
                raise ChildFailed(f"not done after {seconds_max:.0f} s: {self._children.told()}")
            time.sleep(look_seconds)

    def _has_row(self, query: str) -> bool:
        if not query:
            return self._children.done()
        try:
            return self._connection.execute(query.encode()).fetchone() is not None
        except (errors.UndefinedTable, errors.InvalidSchemaName):
            # Whoever is measured makes the tables.
            return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def postmaster(url: str) -> int:
    """Return the process id of the server that the benchmark runs."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)").fetchone()
    assert row is not None
    return int(row[0])


@contextmanager
def scratch() -> Iterator[Path]:
    """Make a directory for a while."""
    with tempfile.TemporaryDirectory(prefix="deepnode-bench-", ignore_cleanup_errors=True) as directory:
        yield Path(directory)
