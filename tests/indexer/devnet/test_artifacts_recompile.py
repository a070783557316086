"""The committed artifacts are what the sources compile to."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from deepnode_indexer.devnet.toolchain import cache_dir, contracts_dir, node_command, npm_command


@pytest.fixture
def node_modules() -> Path:
    """The compiler and the libraries: those of the checkout, else installed once into the cache from the lock file."""
    contracts = contracts_dir()
    if (contracts / "node_modules" / "solc").is_dir():
        return contracts / "node_modules"
    home = cache_dir() / "compiler"
    lock = (contracts / "package-lock.json").read_bytes()
    if not (home / "node_modules" / "solc").is_dir() or (home / "package-lock.json").read_bytes() != lock:
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copyfile(contracts / name, home / name)
        subprocess.run([*npm_command(), "ci"], cwd=home, check=True, capture_output=True)
    return home / "node_modules"


def test_the_committed_artifacts_are_what_the_sources_compile_to(node_modules: Path, tmp_path: Path) -> None:
    """Compiling the sources again gives the committed files, byte for byte: nobody edits an artifact by hand."""
    compiler = contracts_dir() / "compile.js"
    environment = {**os.environ, "DEEPNODE_NODE_MODULES": str(node_modules)}
    subprocess.run([*node_command(), str(compiler), str(tmp_path)], env=environment, check=True, capture_output=True)
    committed = {path.name: path.read_bytes() for path in (contracts_dir() / "artifacts").glob("*.json")}
    compiled = {path.name: path.read_bytes() for path in tmp_path.glob("*.json")}
    assert compiled.keys() == committed.keys()
    for name, stored in committed.items():
        assert compiled[name] == stored, f"{name} differs: run `make contracts`"


def test_artifacts_name_no_folder_of_the_machine_that_made_them() -> None:
    """An artifact holds nothing of the machine on which it was compiled: no path and no metadata in the bytecode."""
    for path in (contracts_dir() / "artifacts").glob("*.json"):
        artifact = json.loads(path.read_text("utf-8"))
        assert artifact.keys() == {"contractName", "compiler", "settings", "abi", "bytecode"}
        assert artifact["settings"]["metadata"] == {"appendCBOR": False, "bytecodeHash": "none"}
        assert str(Path.home()) not in path.read_text("utf-8")


def test_the_lock_file_names_no_server() -> None:
    """Packages are pinned by version and hash, and come from whatever registry the user's npm is set to."""
    lock = json.loads((contracts_dir() / "package-lock.json").read_text("utf-8"))
    assert all("resolved" not in package for package in lock["packages"].values())
