"""docker-compose.yml is valid, keeps its promises, and names nothing that the program does not have."""

import json
import re
import subprocess
import sys
from typing import Any

import pytest
import typer.main

from tests.command_line import app
from tests.tidy.tracked import ROOT, python_files, text_of

COMPOSE = ROOT / "docker-compose.yml"
OURS = ("indexer", "projections", "publisher", "api")


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    # check-jsonschema brings the parser; YAML has no other use here, so it is no dependency of our own.
    from ruamel.yaml import YAML

    parsed: dict[str, dict[str, Any]] = YAML(typ="safe").load(COMPOSE)["services"]
    return parsed


@pytest.fixture(scope="module")
def commands() -> set[str]:
    return set(typer.main.get_group(app).commands)


def test_the_compose_file_is_valid() -> None:
    """Checks it by the Compose specification's own JSON schema, which check-jsonschema brings."""
    argv = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "compose-spec", "-o", "json", str(COMPOSE)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, json.dumps(json.loads(done.stdout), indent=2)


def test_every_service_says_how_it_is_and_comes_back(services: dict[str, dict[str, Any]]) -> None:
    """Looks for a health check and a restart policy in each service."""
    assert set(services) == {"postgres", *OURS}
    for name, service in services.items():
        assert service["healthcheck"]["test"], name
        assert service["restart"] == "unless-stopped", name


def test_services_wait_for_healthy_ones(services: dict[str, dict[str, Any]]) -> None:
    """Looks at the conditions under which each of our services starts."""
    for name in OURS:
        waits_for = services[name]["depends_on"]
        assert "postgres" in waits_for, name
        assert {wait["condition"] for wait in waits_for.values()} == {"service_healthy"}, name


def test_only_the_api_and_the_intake_are_reachable_and_only_from_this_machine(
    services: dict[str, dict[str, Any]],
) -> None:
    """Collects the published ports of all services."""
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert published == {"indexer": ["127.0.0.1:8001:8001"], "api": ["127.0.0.1:8000:8000"]}


def test_no_password_is_written_down(services: dict[str, dict[str, Any]]) -> None:
    """A variable whose name speaks of a password must come from the environment, without a default; URLs hold none."""
    for name, service in services.items():
        for variable, value in service["environment"].items():
            if "PASSWORD" in variable:
                assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), (name, variable)
            assert not re.search(r"://[^/@]*:[^/@]*@", str(value)), (name, variable)


def test_the_commands_exist(services: dict[str, dict[str, Any]], commands: set[str]) -> None:
    """Looks up what each container runs, and what its health check runs, among the commands of `deepnode`."""
    for name in OURS:
        assert services[name]["command"][0] in commands, name
        kind, program, command, stage = services[name]["healthcheck"]["test"]
        assert (kind, program, stage) == ("CMD", "deepnode", name)
        assert command in commands, name


@pytest.mark.usefixtures("commands")
def test_the_settings_exist(services: dict[str, dict[str, Any]]) -> None:
    """Looks for the name of each setting in the code of the command line, the only place that reads settings."""
    code = "".join(text_of(path) for path in python_files("cli"))
    known = set(re.findall(r"\bDEEPNODE_[A-Z_]+\b", code))
    given = {variable for service in services.values() for variable in service["environment"]}
    assert {variable for variable in given if variable.startswith("DEEPNODE_")} - known == set()
