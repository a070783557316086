"""A server that may crash and processes that may be killed, and the rule for machines that do not let us fault them."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.crashing_server import crashing_server
from tests.faults.fault_runner import Runner
from tests.faults.forked_worker import Workers
from tests.faults.strace_injection import traced

_told: list[str] = []


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """Runs fault cases in a server of its own; says at the end of the session how many there were."""
    memory = Path("/dev/shm")
    workers = Workers()
    try:
        with crashing_server(str(memory) if os.access(memory, os.W_OK) else None) as server:
            runner = Runner(server, workers, tmp_path_factory.mktemp("published"))
            yield runner
            _told.extend(runner.report())
    finally:
        workers.close()


@pytest.fixture(scope="session")
def strace(runner: Runner) -> None:
    """Skips where no process can be traced; never in CI, where that would hide that nothing was tested."""
    missing = _why_not(runner)
    if missing is not None:
        assert "CI" not in os.environ, missing
        pytest.skip(missing)


def _why_not(runner: Runner) -> str | None:
    if shutil.which("strace") is None:
        return "strace is not installed"
    try:
        # Of the server, which may run as another user than the tests.
        with traced(runner.server.process_of("checkpointer"), None, lives_on=True):
            return None
    except PermissionError as error:
        return f"this system does not let the tests trace a process: {error}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many cases were run, of which kind."""
    for line in _told:
        terminalreporter.write_line(line)
