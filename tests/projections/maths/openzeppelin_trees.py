"""OpenZeppelin's own Merkle tree library, run by Node: the judge of our claim trees.

It is installed once into the user's cache, from exact versions and hashes, and no script of a package is run.
"""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deepnode_indexer.devnet.toolchain import node_command
from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.maths import Entitlement
from tests.npm_judge import installed_judge

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
    command = [*node_command(), str(FOLDER / "trees.cjs"), str(installed_judge(FOLDER, "claim-tree-judge")), *arguments]
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)
