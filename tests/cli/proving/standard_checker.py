"""docs/check_proof.py, run as an auditor runs it, or within the test where it is run often."""

import contextlib
import io
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

CHECKER = Path(__file__).parents[3] / "docs/check_proof.py"


@dataclass(frozen=True)
class Verdict:
    """Whether the checker accepts a file, and what it printed."""

    accepted: bool
    said: str

    @property
    def last(self) -> str:
        """The last line, which names the step where it refuses."""
        return self.said.rstrip("\n").rpartition("\n")[2]


def run(key: str, path: Path) -> Verdict:
    """Run the script in a Python that sees no installed package, in an empty environment."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(CHECKER), key, str(path)],
        env={},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    assert not done.stderr, done.stderr
    return Verdict(done.returncode == 0, done.stdout)


class Checker:
    """The script's text, which a test may have changed, compiled once."""

    def __init__(self, text: str | None = None) -> None:
        self._code = compile(CHECKER.read_text() if text is None else text, str(CHECKER), "exec")

    def __call__(self, key: str, path: Path) -> Verdict:
        """Run it as ``python check_proof.py KEY PATH`` would."""
        said, before = io.StringIO(), sys.argv
        sys.argv = [str(CHECKER), key, str(path)]
        try:
            with contextlib.redirect_stdout(said):
                exec(self._code, {"__name__": "__main__"})
        except SystemExit as ended:
            return Verdict(not ended.code, said.getvalue())
        finally:
            sys.argv = before
        return Verdict(True, said.getvalue())
