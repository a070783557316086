"""`deepnode devnet --faults PROFILE --before URL` as a process: it serves, counts, and ends when told to."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import urllib3
from typer.testing import CliRunner

from deepnode_indexer.devnet.faults import FaultProxy
from deepnode_ledger.errors import BadInput
from tests.command_line import app

COMMAND = [sys.executable, "-m", "deepnode_cli.main", "devnet"]


@contextmanager
def node() -> Iterator[str]:
    """A node that is away, behind a proxy that answers in its place."""
    with FaultProxy("http://127.0.0.1:9/v2/secret") as proxy:
        yield proxy.url


def test_any_node_can_be_given_faults() -> None:
    """Starts the command before a node, asks through it, stops it, and reads what it says."""
    with node() as url:
        command = [*COMMAND, "--faults", "silent", "--before", f"{url}/v2/secret", "--faults-port", "0"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            told = process.stderr.readline()
            [found] = re.findall(r"with faults (http://127\.0\.0\.1:\d+) \(silent\)", told)
            asked = urllib3.request("POST", found, body=b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}')
            process.send_signal(signal.SIGTERM)
            told += process.stderr.read()
        assert process.returncode == 0
        assert asked.status == 502
        assert "requests 1, faults dealt: none" in told
        assert url in told
        assert "secret" not in told


def test_wrong_use_is_said() -> None:
    """Leaves out the profile, and names one that there is not."""
    lacking = CliRunner().invoke(app, ["devnet", "--before", "http://127.0.0.1:9"])
    assert (lacking.exit_code, "--faults" in lacking.output) == (2, True)
    wrong = CliRunner().invoke(app, ["devnet", "--before", "http://127.0.0.1:9", "--faults", "nowhere"])
    assert isinstance(wrong.exception, BadInput)
    assert "nowhere" in str(wrong.exception)
