"""The state depends on the log alone: not on the process's hash seed, its time zone, its language or its step size."""

import json
import os
import subprocess
import sys
from typing import Final

from tests.e2e.real_parts import Devnet, Ledger

SURROUNDINGS: Final = (
    {"PYTHONHASHSEED": "0", "TZ": "Asia/Kathmandu", "LC_ALL": "C"},
    {"PYTHONHASHSEED": "4711", "TZ": "America/St_Johns", "LC_ALL": "tr_TR.UTF-8"},
)


def test_books_that_another_process_makes_have_the_same_root(devnet: Devnet, ledger: Ledger) -> None:
    """Rebuilds the books in processes of their own, each in other surroundings, and compares their state roots."""
    ledger.live(devnet, 70)
    live = ledger.root()
    ledger.projector.close()
    settings = ["--database", ledger.url, "--manifest", str(devnet.deployment.manifest), "--json"]
    roots = []
    for surroundings in SURROUNDINGS:
        done = subprocess.run(
            [sys.executable, "-c", "from deepnode_cli.main import app_main; app_main()", "rebuild", *settings],
            env={**os.environ, **surroundings},
            capture_output=True,
            text=True,
            check=True,
        )
        roots.append(json.loads(done.stdout.splitlines()[-1])["stateRoot"])
    assert roots == [live, live]
    ledger.projector.open()
