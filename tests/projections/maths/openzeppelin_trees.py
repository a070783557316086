"""OpenZeppelin's own Merkle tree library, run by Node: the judge of our claim trees.

It is installed once into the user's cache, from exact versions and hashes, and no script of a package is run.
"""

import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deepnode_indexer.devnet.toolchain import cache_dir, node_command, npm_command
from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.maths import Entitlement

FOLDER = Path(__file__).with_name("openzeppelin")


def trees_of(claims: Sequence[Sequence[Entitlement]]) -> list[dict[str, Any]]:
    """The library's tree of each list: ``root``, ``dump``, and ``proofs`` in the order of the list."""
    values = [[[to_hex(e.earner), to_hex(e.asset), str(e.cumulative)] for e in each] for each in claims]
    found: list[dict[str, Any]] = _run(values)
    return found


def roots_of(dumps: Sequence[dict[str, Any]]) -> list[str]:
    """The root of each dump, once the library has loaded it, which checks every node of it."""
    found: list[str] = _run(dumps, "load")
    return found


def _run(given: Any, *arguments: str) -> Any:
    command = [*node_command(), str(FOLDER / "trees.cjs"), str(_installed()), *arguments]
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def _installed() -> Path:
    lock = (FOLDER / "package-lock.json").read_bytes()
    home = cache_dir() / f"claim-tree-judge-{hashlib.sha256(lock).hexdigest()[:16]}"
    if home.is_dir():
        return home
    home.parent.mkdir(parents=True, exist_ok=True)
    # Several processes may run tests: each installs for itself, and the first to be done has made the folder.
    with tempfile.TemporaryDirectory(prefix=f".{home.name}-", dir=home.parent) as scratch:
        staging = Path(scratch) / home.name
        staging.mkdir()
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copyfile(FOLDER / name, staging / name)
        subprocess.run([*npm_command(), "ci", "--ignore-scripts"], cwd=staging, check=True, capture_output=True)
        try:
            staging.rename(home)
        except OSError:
            assert home.is_dir()
    return home
