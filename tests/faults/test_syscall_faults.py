"""Every system call of the paths that write fails in turn, and the log keeps what it acknowledged.

strace makes a call fail with EIO or ENOSPC, or kills the process in it, in our process, in the backend of the database
that serves it, and in the database's own writers. After each case the log is read anew, a fresh writer repeats what
was not acknowledged, and what is left is judged: ``fault_verdict`` says how.

A case that fails names itself, and is run again alone by that name:

    FAULT_CASE=append/backend/fdatasync/2/EIO/4711 make test ARGS="tests/faults/test_syscall_faults.py"
"""

import os
from typing import Final

import pytest

from tests.faults.fault_runner import KILLS, Runner, Tally

CASES_MIN: Final = {
    ("append", "worker"): 62,
    ("append", "backend"): 76,
    ("seal", "worker"): 56,
    ("seal", "backend"): 60,
    ("publish", "worker"): 112,
    ("publish", "backend"): 56,
    ("append", "checkpointer"): 30,
}
"""How many cases each path and process gets at least; with the kills at random moments, 500 and more."""

SOAK_TIMES: Final = 5


def test_there_are_at_least_five_hundred_cases() -> None:
    """Adds up the numbers that the tests below and beside assert."""
    assert sum(CASES_MIN.values()) + KILLS >= 500


@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize(("path", "target"), CASES_MIN)
def test_no_failing_system_call_breaks_the_log(runner: Runner, path: str, target: str) -> None:
    """Counts the calls of a path in a process, then makes them fail one by one and judges the log after each."""
    cases = CASES_MIN[path, target]
    check(runner.run(path, target, seed=1, cases=cases), cases)


@pytest.mark.soak
@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize(("path", "target"), CASES_MIN)
def test_no_failing_system_call_of_thousands_breaks_the_log(runner: Runner, path: str, target: str) -> None:
    """The same with other calls chosen, and many more of them."""
    cases = CASES_MIN[path, target] * SOAK_TIMES
    check(runner.run(path, target, seed=2, cases=cases), CASES_MIN[path, target])


def check(tally: Tally, cases: int) -> None:
    """A fault that was not injected tests nothing, so such cases do not count."""
    if "FAULT_CASE" not in os.environ:
        assert tally.total >= cases, tally
