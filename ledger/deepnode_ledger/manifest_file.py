"""A manifest's file: the form that it must have before anybody asks what it means.

An unknown field, a wrong type or a number out of its range is refused here, with the place where it stands. The rules
between the parts are in ``manifest``.
"""

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from deepnode_ledger.errors import BadInput

MANIFEST_BYTES_MAX: Final = 1024 * 1024
"""A manifest, or an ABI beside it, is no larger."""


class DeclaredChain(msgspec.Struct, forbid_unknown_fields=True):
    """A chain, and its block 0."""

    id: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    genesis_hash: str


_Name = Annotated[str, msgspec.Meta(pattern="^[A-Za-z][A-Za-z0-9_]{0,63}\\Z")]
_Block = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class DeclaredAbi(msgspec.Struct, forbid_unknown_fields=True):
    """An ABI file, and the block from which it holds."""

    from_block: _Block
    abi: str


class DeclaredCreates(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What a factory makes."""

    event: str
    argument: str
    name: _Name
    kind: str
    abi: str | Annotated[list[DeclaredAbi], msgspec.Meta(min_length=1, max_length=1_000)]
    symbol: Annotated[str, msgspec.Meta(pattern="^[!-~]{1,32}\\Z")] | None = None
    decimals: Annotated[int, msgspec.Meta(ge=0, le=38)] | None = None
    asset: str | None = None
    creates: Annotated[list["DeclaredCreates"], msgspec.Meta(max_length=100)] = []


class DeclaredContract(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A contract; ``chain`` None is the home chain."""

    name: _Name
    kind: str
    address: str
    start_block: _Block
    abi: str | Annotated[list[DeclaredAbi], msgspec.Meta(min_length=1, max_length=1_000)]
    chain: int | None = None
    symbol: Annotated[str, msgspec.Meta(pattern="^[!-~]{1,32}\\Z")] | None = None
    decimals: Annotated[int, msgspec.Meta(ge=0, le=38)] | None = None
    asset: str | None = None
    creates: Annotated[list[DeclaredCreates], msgspec.Meta(max_length=100)] = []


class DeclaredProducer(msgspec.Struct, forbid_unknown_fields=True):
    """A producer of task events."""

    id: Annotated[str, msgspec.Meta(pattern="^[!-~]{1,256}\\Z")]
    key: str


class ManifestFile(msgspec.Struct, forbid_unknown_fields=True):
    """All of the file."""

    format: int
    name: Annotated[str, msgspec.Meta(pattern="^[!-~]{1,64}\\Z")]
    version: Annotated[int, msgspec.Meta(ge=1)]
    chain: DeclaredChain
    contracts: Annotated[list[DeclaredContract], msgspec.Meta(min_length=1, max_length=10_000)]
    producers: Annotated[list[DeclaredProducer], msgspec.Meta(max_length=10_000)] = []
    chains: Annotated[list[DeclaredChain], msgspec.Meta(max_length=1_000)] = []
    foundation: str | None = None


def parse_manifest(path: Path) -> ManifestFile:
    """Read a manifest's file.

    Raises:
        BadInput: it is missing, too large, no TOML, or not of this form; the message names file, place and rule.
    """
    try:
        return msgspec.convert(tomllib.loads(_read(path)), ManifestFile)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadInput(f"{path} is not TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise BadInput(f"{path}: {error}") from error


def read_json(path: Path) -> Any:
    """Read a JSON file that a manifest names.

    Raises:
        BadInput: it is missing, too large or no JSON.
    """
    try:
        return json.loads(_read(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise BadInput(f"{path} is not JSON: {error}") from error


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MANIFEST_BYTES_MAX:
            raise BadInput(f"{path} is larger than {MANIFEST_BYTES_MAX} bytes")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8 text: {error}") from error
