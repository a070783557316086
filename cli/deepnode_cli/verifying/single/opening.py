"""What a single file is, and who verifies it. It is known by its content; CSV and NDJSON go by their names, too."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

import orjson

from deepnode_cli.proving import proof_file
from deepnode_cli.verifying.finding import Finding
from deepnode_cli.verifying.single.export import verify_export
from deepnode_cli.verifying.single.proof import verify_proof
from deepnode_cli.verifying.single.proof_beside import verify_beside
from deepnode_cli.verifying.single.statement import verify_statement
from deepnode_ledger.errors import BadInput
from deepnode_ledger.transparency import Verifier

BYTES_MAX: Final = 512 * 1024 * 1024
"""A file of JSON or text is no larger. Parquet and Arrow files are read batch by batch and may be of any size."""

_PARQUET: Final = b"PAR1"
_ARROW_STREAM: Final = b"\xff\xff\xff\xff"
_STATEMENT: Final = b"deepnode-statement/"


def verify_file(path: Path, *, bundle: Path | None, verifiers: Collection[Verifier]) -> Iterator[Finding]:
    """Yield what there is to say of a single file; nothing that it holds makes this fail.

    Args:
        path: a proof, a statement (JSON, CSV) or an export (Parquet, Arrow, CSV, NDJSON).
        bundle: what every row is held against, if given.
        verifiers: the log's keys that are trusted: for proofs.

    Raises:
        BadInput: it cannot be read, or is of no kind that is known; the bundle cannot be opened.
    """
    start = _read(path, 4096)
    if start.startswith((_PARQUET, _ARROW_STREAM)) or path.suffix in (".parquet", ".arrow", ".ndjson"):
        yield from verify_export(path, bundle)
        return
    if start.lstrip().startswith(b"{"):
        content = _read(path, BYTES_MAX + 1)
        if _STATEMENT in start or _format_of(content).startswith(_STATEMENT.decode()):
            yield from verify_statement(path, content, bundle)
        else:
            yield from verify_proof(path, content, verifiers)
            if bundle is not None:
                yield from verify_beside(content, bundle)
        return
    if path.suffix == ".csv":
        if start.startswith(b"time,type,account,"):
            yield from verify_statement(path, _read(path, BYTES_MAX + 1), bundle)
        else:
            yield from verify_export(path, bundle)
        return
    raise BadInput(
        f"{path} is no proof ({proof_file.FORMAT}), no statement (JSON, CSV), no export (Parquet, Arrow, CSV, NDJSON)"
    )


def _format_of(content: bytes) -> str:
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError:
        return ""
    said = found.get("format") if isinstance(found, dict) else None
    return said if isinstance(said, str) else ""


def _read(path: Path, bytes_max: int) -> bytes:
    try:
        with path.open("rb") as file:
            found = file.read(bytes_max)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    if len(found) > BYTES_MAX:
        raise BadInput(f"{path} has more than {BYTES_MAX} bytes")
    return found
