"""What was measured so far, kept as it comes, so that an interrupted benchmark goes on where it was."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from benchmarks.ingest.chain import PEERS
from benchmarks.ingest.installing import digest

BOOK: Final = Path(__file__).parents[2] / "build" / "bench-ingest.json"


class Notebook:
    """Figures by the names of what was measured. Those of another commit or other configurations do not count."""

    def __init__(self) -> None:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout
        self._state = f"{commit.strip()} {digest(PEERS)}"
        self._figures: dict[str, Any] = {}
        if BOOK.exists():
            kept = json.loads(BOOK.read_text(encoding="utf-8"))
            if kept["state"] == self._state:
                self._figures = kept["figures"]

    def has(self, name: str) -> bool:
        """Whether this was measured already."""
        return name in self._figures

    def figure(self, name: str, measure: Callable[[], Any]) -> Any:
        """Return what was noted under this name; if nothing was, measure now and note it."""
        if name not in self._figures:
            self._figures[name] = measure()
            BOOK.parent.mkdir(exist_ok=True)
            half = BOOK.with_suffix(".half")
            half.write_text(json.dumps({"state": self._state, "figures": self._figures}, indent=1), encoding="utf-8")
            half.replace(BOOK)
        return self._figures[name]

    def close(self) -> None:
        """Forget everything: the next benchmark begins anew."""
        BOOK.unlink(missing_ok=True)
