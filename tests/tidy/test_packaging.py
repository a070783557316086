"""What is pinned is what is asked for, and what is shipped is there."""

import re
import tomllib
from typing import Any

import pytest

from tests.tidy.tracked import PACKAGES, ROOMS, ROOT

PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;]+)", re.MULTILINE)


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def pins(lock: str) -> dict[str, str]:
    return {found["name"]: found["version"] for found in PIN.finditer((ROOT / lock).read_text())}


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower() for requirement in requirements}


def test_every_dependency_is_pinned(project: dict[str, Any]) -> None:
    """Compares the names in pyproject.toml with those in the two lock files; `make lock` brings them together."""
    assert names(project["project"]["dependencies"]) - set(pins("requirements.lock")) == set()
    assert names(project["dependency-groups"]["dev"]) - set(pins("requirements-dev.lock")) == set()


def test_tests_run_with_what_users_run() -> None:
    """The pins of the tests' environment must repeat those of the program's, and may add to them."""
    assert pins("requirements.lock").items() <= pins("requirements-dev.lock").items()


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_every_pin_has_a_hash(lock: str) -> None:
    """Splits the lock file at its pins; each part must hold at least one SHA-256."""
    parts = re.split(r"^(?=[A-Za-z0-9])", (ROOT / lock).read_text(), flags=re.MULTILINE)[1:]
    # A package may have a pin for older Pythons beside that for newer ones.
    assert {part.partition("==")[0] for part in parts} == set(pins(lock))
    assert [part.splitlines()[0] for part in parts if "--hash=sha256:" not in part] == []


def test_the_wheel_holds_the_five_packages_and_the_contracts(project: dict[str, Any]) -> None:
    """Hatchling passes over a path that is not there in silence, so each is looked for here."""
    build = project["tool"]["hatch"]["build"]
    wheel = build["targets"]["wheel"]
    assert wheel["packages"] == list(PACKAGES)
    assert build["dev-mode-dirs"] == list(ROOMS)
    assert set(PACKAGES) < set(wheel["only-include"])
    assert [path for path in wheel["only-include"] if not (ROOT / path).exists()] == []
    assert list((ROOT / "indexer/contracts/artifacts").glob("*.json"))
