"""The deployment's manifest as files of a bundle: itself, and every ABI that it names, below one folder.

A manifest may name ABIs anywhere. In a bundle they lie beside it, so a name that leads elsewhere is written anew; that
changes no digest, because names are not a part of what a manifest says.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from deepnode_ledger.bundle import layout
from deepnode_ledger.errors import BadInput
from deepnode_ledger.manifest import MANIFEST_BYTES_MAX, load_manifest
from deepnode_ledger.manifest_file import DeclaredAbi, DeclaredContract, DeclaredCreates, ManifestFile, parse_manifest

_FOLDER: Final = "manifest/"


def abis_of(parsed: ManifestFile) -> set[str]:
    """Return every name of an ABI file that stands in a manifest, as it is written there."""
    return {name for contract in parsed.contracts for name in _names(contract)}


def files_of(path: Path, digest: bytes) -> dict[str, bytes]:
    """Return the files of a manifest with a digest, by their names in a bundle.

    Raises:
        BadInput: the manifest is refused, or an ABI lies in a place whose name cannot be written anew.
    """
    text = _read(path).decode()
    files: dict[str, bytes] = {}
    for number, name in enumerate(sorted(abis_of(parse_manifest(path)))):
        inside = name
        if not _may_stay(name):
            inside = f"abi/{number:04}.json"
            for quoted in (f'"{name}"', f"'{name}'"):
                text = text.replace(quoted, json.dumps(inside))
        files[_FOLDER + inside] = _read(path.parent / name)
    files[layout.MANIFEST] = text.encode()
    _check(path, files, digest)
    return files


def _check(path: Path, files: dict[str, bytes], digest: bytes) -> None:
    """See that the manifest of the bundle says what the manifest says."""
    with TemporaryDirectory(prefix="deepnode-manifest-") as place:
        for name, data in files.items():
            copy = Path(place) / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(data)
        copied = Path(place) / layout.MANIFEST
        inside = {f"{_FOLDER}{name}" for name in abis_of(parse_manifest(copied))}
        if not inside <= set(files) or load_manifest(copied).digest != digest:
            raise BadInput(f"{path} names ABI files in a way that cannot be kept in a bundle: put them beside it")


def _may_stay(name: str) -> bool:
    inside = _FOLDER + name
    try:
        layout.check_name(inside)
    except BadInput:
        return False
    return inside != layout.MANIFEST


def _names(declared: DeclaredContract | DeclaredCreates) -> Iterator[str]:
    listed: list[DeclaredAbi] | str = declared.abi
    yield from [listed] if isinstance(listed, str) else [each.abi for each in listed]
    for made in declared.creates:
        yield from _names(made)


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > MANIFEST_BYTES_MAX:
        raise BadInput(f"{path} is larger than {MANIFEST_BYTES_MAX} bytes")
    return data
