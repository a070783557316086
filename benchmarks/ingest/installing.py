"""The peers' programs: installed once into DeepNode's cache folder, from the lock files that lie in peers/.

The folder's name holds a digest of what it was made from, so a change of a configuration makes a new one.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from benchmarks.ingest.chain import PEERS

from deepnode_indexer.devnet.toolchain import ToolchainError, cache_dir, node_command, npm_command

INSTALL_SECONDS_MAX: Final = 600
OUTPUT_CHARACTERS: Final = 1_000


class CannotInstall(Exception):
    """A peer cannot be had on this machine; the message says why."""


def installed(name: str) -> Path:
    """Return the folder of a peer that is ready to run.

    Raises:
        CannotInstall: it is not there and cannot be fetched.
    """
    source = PEERS / name
    home = cache_dir() / "peers" / f"{name}-{digest(source)}"
    if not home.is_dir():
        home.parent.mkdir(parents=True, exist_ok=True)
        # Under its final name there is a whole installation or none.
        with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=home.parent) as scratch:
            staging = Path(scratch) / name
            shutil.copytree(source, staging)
            try:
                _INSTALL.get(name, _install_npm)(staging)
            except ToolchainError as error:
                raise CannotInstall(str(error)) from error
            staging.rename(home)
    return home


def digest(folder: Path) -> str:
    """Return a short digest of every file in a folder."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()[:12]


def run(command: list[str], folder: Path, environment: Mapping[str, str] | None = None) -> None:
    """Run a step of an installation.

    Raises:
        CannotInstall: it failed; the message has the end of what it wrote.
    """
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS_MAX,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotInstall(f"`{' '.join(command)}`: {error}") from error
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()[-OUTPUT_CHARACTERS:]
        raise CannotInstall(f"`{' '.join(command)}` ended with code {done.returncode}: {said}")


def with_pnpm(envio: Path) -> dict[str, str]:
    """Return the environment in which Envio's tools find pnpm and Node, and in which no package runs a script."""
    node = shutil.which(node_command()[0])
    assert node is not None, "node_command names a program that is there"
    tools = (str(envio / "tool" / "node_modules" / ".bin"), str(Path(node).parent), os.environ.get("PATH", ""))
    return {"PATH": os.pathsep.join(tools), "npm_config_ignore_scripts": "true"}


def _install_npm(folder: Path) -> None:
    # Not `npm ci`: it refuses a lock file without other systems' optional packages. `npm install` keeps to it as well.
    run([*npm_command(), "install", "--ignore-scripts", "--no-audit", "--no-fund"], folder)


def _install_envio(folder: Path) -> None:
    _install_npm(folder / "tool")
    run(["pnpm", "install", "--frozen-lockfile", "--ignore-scripts"], folder / "project", with_pnpm(folder))


def _install_cryo(folder: Path) -> None:
    packages = folder / "packages"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    run([*pip, "install", "--quiet", "--no-deps", "--target", str(packages), "-r", "requirements.txt"], folder)


_INSTALL: Final = {"envio": _install_envio, "cryo": _install_cryo}
