"""The files that belong to the project, for the tests of tidiness: what git tracks, and nothing that lies beside."""

import functools
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("ledger", "indexer", "projections", "graphql", "cli")
PACKAGES = tuple(f"{room}/deepnode_{room}" for room in ROOMS)


@functools.cache
def tracked_files() -> tuple[Path, ...]:
    """The tracked files, relative to the root; skips the test where there is no git to tell them."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so nothing tells the project's files from others that lie here")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    # A file that was deleted but not committed yet is still listed.
    return tuple(Path(name) for name in sorted(listed.stdout.split("\0")) if name and (ROOT / name).is_file())


def python_files(*under: str) -> list[Path]:
    """The tracked Python files, or those below the given folders."""
    files = [path for path in tracked_files() if path.suffix == ".py"]
    return [path for path in files if not under or any(path.is_relative_to(folder) for folder in under)]


def text_of(path: Path) -> str:
    """The file's text; nothing for a binary file."""
    try:
        return (ROOT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""
