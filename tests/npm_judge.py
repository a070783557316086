"""Judges that are npm packages: installed once into the user's cache, from exact versions and hashes."""

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from deepnode_indexer.devnet.toolchain import cache_dir, npm_command


def installed_judge(folder: Path, name: str) -> Path:
    """The folder that holds the packages of a lock file, under a name; no script of any package is run.

    ``folder`` has package.json, package-lock.json and .npmrc.
    """
    lock = (folder / "package-lock.json").read_bytes()
    home = cache_dir() / f"{name}-{hashlib.sha256(lock).hexdigest()[:16]}"
    if home.is_dir():
        return home
    home.parent.mkdir(parents=True, exist_ok=True)
    # Several processes may run tests: each installs for itself, and the first to be done has made the folder.
    with tempfile.TemporaryDirectory(prefix=f".{home.name}-", dir=home.parent) as scratch:
        staging = Path(scratch) / home.name
        staging.mkdir()
        for each in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copyfile(folder / each, staging / each)
        subprocess.run([*npm_command(), "ci", "--ignore-scripts"], cwd=staging, check=True, capture_output=True)
        try:
            staging.rename(home)
        except OSError:
            assert home.is_dir()
    return home
