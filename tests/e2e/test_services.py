"""The services of docker-compose.yml, run by hand with the same commands, settings and health checks."""

import os
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
import urllib3
from ruamel.yaml import YAML

from deepnode_indexer.devnet.anvil import free_port
from tests.e2e.commands import READY_SECONDS, deepnode, service, wait_for_block
from tests.e2e.real_parts import Devnet

ROOT = Path(__file__).parents[2]


def test_the_compose_services_work_together(devnet: Devnet, database_url: str, tmp_path: Path) -> None:
    """Started by their compose commands and settings, all four become healthy, answer, and publish the log."""
    devnet.play(30)
    services = YAML(typ="safe").load(ROOT / "docker-compose.yml")["services"]
    ports = {"DEEPNODE_PORT": str(free_port()), "DEEPNODE_INTAKE_PORT": str(free_port())}
    here = {
        "DEEPNODE_RPC_URL": devnet.node.url,
        "DEEPNODE_DATABASE_URL": database_url,
        "DEEPNODE_MANIFEST": str(devnet.deployment.manifest),
        "DEEPNODE_HOST": "127.0.0.1",
        "DEEPNODE_INTAKE_HOST": "127.0.0.1",
        "PGPASSWORD": "unused",
        "DEEPNODE_LOG_DIRECTORY": str(tmp_path / "published"),
        "DEEPNODE_LOG_KEY": str(tmp_path / "log.key"),
        **ports,
    }
    assert deepnode(["keys", "new", "--name", "log.example/services", here["DEEPNODE_LOG_KEY"]], {}).returncode == 0
    with ExitStack() as running:
        for name in ("indexer", "projections", "publisher", "api"):
            wanted = services[name]["environment"]
            assert set(wanted) <= set(here), "the compose file sets nothing that this test does not know"
            # A health check runs in its service's container: with its settings and no others.
            settings = {key: here[key] for key in wanted}
            if name == "indexer":
                # Or a chain as short as this one would wait to be sealed.
                settings["DEEPNODE_SEAL_ENTRIES"] = "1"
            running.enter_context(service(services[name]["command"], settings, tmp_path / f"{name}.log"))
            check = services[name]["healthcheck"]["test"]
            assert check[:2] == ["CMD", "deepnode"], check
            wait_until_healthy(check[2:], settings, tmp_path / f"{name}.log")
        api = f"http://127.0.0.1:{ports['DEEPNODE_PORT']}"
        wait_for_block(api, devnet.economy.block_number)
        assert deepnode(["health", "projections"], here).returncode == 0
        devnet.play(70)
        # Blocks 64 below the head are final here, so that there is something to seal and to publish.
        wait_until_published(api)
    ended = deepnode(["health", "projections"], here)
    assert ended.returncode == 1
    assert "no projector is at work" in ended.stderr
    ended = deepnode(["health", "api"], here)
    assert ended.returncode == 1
    assert "the api does not answer" in ended.stderr
    ended = deepnode(["health", "publisher"], here)
    assert ended.returncode == 1
    assert "no publisher is at work" in ended.stderr


@pytest.mark.parametrize("embedded", [True, False])
def test_up_runs_a_ledger_of_ones_own(devnet: Devnet, database_url: str, tmp_path: Path, embedded: bool) -> None:
    """`deepnode up` serves the books of the given node and manifest, in a given database or in one of its own."""
    devnet.play(30)
    api, intake = free_port(), free_port()
    data = Path("/tmp") / f"deepnode-up-{os.getpid()}-{api}"
    arguments = ["--rpc", devnet.node.url, "--manifest", str(devnet.deployment.manifest), "--data", str(data)]
    arguments += ["--port", str(api), "--intake-port", str(intake)]
    arguments += [] if embedded else ["--database", database_url]
    for _ in range(2):
        # The second time it goes on with what it kept.
        with service(["up", *arguments], {}, tmp_path / "up.log"):
            wait_for_block(f"http://127.0.0.1:{api}", devnet.economy.block_number)
        devnet.play(5)
    assert (data / "postgres").exists() == embedded


def wait_until_published(api: str) -> None:
    """Ask until the API serves a signed checkpoint, and check that it proves an entry."""
    deadline = time.monotonic() + READY_SECONDS
    while (answer := urllib3.request("GET", f"{api}/log/checkpoint")).status != 200:
        assert time.monotonic() < deadline, answer.data
        time.sleep(0.2)
    assert answer.data.startswith(b"log.example/services\n")
    assert urllib3.request("GET", f"{api}/log/proof/1").status == 200


def wait_until_healthy(check: list[str], settings: dict[str, str], log: Path) -> None:
    """Ask by the service's own health check until it is well."""
    deadline = time.monotonic() + READY_SECONDS
    while (ended := deepnode(check, settings)).returncode != 0:
        assert time.monotonic() < deadline, ended.stderr + log.read_text()[-3000:]
