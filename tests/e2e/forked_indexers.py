"""`deepnode index`, started so often that loading it each time would be most of the test.

One process loads the program and then waits. For every line on its stdin it forks, and the child runs the command that
the line holds (JSON), with everything that belongs to a start but the loading; its process id goes to stdout.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Indexers:
    """The process that they are forked from."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._last: int | None = None

    def start(self, arguments: Sequence[str]) -> int:
        """Start a command and return its process id."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(list(arguments)) + "\n")
        self._process.stdin.flush()
        self._last = int(self._process.stdout.readline())
        return self._last

    def kill(self) -> None:
        """Kill -9 the last one that was started, if it still runs."""
        if self._last is not None:
            # Its parent has not reaped it before the next line, so the number is not another process's.
            os.kill(self._last, signal.SIGKILL)
            self._last = None


@contextmanager
def indexers(settings: dict[str, str], log: Path) -> Iterator[Indexers]:
    """Load the program once; whatever it started last is killed at the end."""
    with (
        log.open("ab") as output,
        subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.forked_indexers"],
            env=os.environ | settings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
            cwd=ROOT,
        ) as process,
    ):
        started = Indexers(process)
        try:
            yield started
        finally:
            started.kill()
            process.kill()


def serve() -> None:
    """Fork for each line of stdin."""
    from deepnode_cli import index, main, reporting  # noqa: F401 (loaded before the fork)
    from deepnode_indexer import service  # noqa: F401 (loaded before the fork)

    child = None
    for line in sys.stdin:
        if child is not None:
            os.waitpid(child, 0)
        child = os.fork()
        if child == 0:
            os.dup2(2, 1)
            sys.argv = ["deepnode", *json.loads(line)]
            main.app_main()
            os._exit(0)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
