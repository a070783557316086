"""The file of a proof: one canonical JSON object, with limits for whoever reads one from a stranger.

Keys are sorted and there is no white space, one newline ends it. Amounts and weights are decimal texts, positions and
epochs JSON numbers, ids and addresses ``0x`` texts, entries of the log and hashes of its tree base64. ``digest`` is the
SHA-256 of the same object without it, so that a file that was damaged on its way is recognised; whoever changes a file
on purpose can make the digest again, and fails at what the log's key and the chain's root bind. docs/checker.md has the
format.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, Final

import orjson

from deepnode_ledger.errors import BadInput

FORMAT: Final = "deepnode.proof/1"
BYTES_MAX: Final = 64 * 1024 * 1024
"""A proof is no larger: those of a hundred thousand tasks of a pool have about half of it."""


def canonical(proof: dict[str, Any]) -> bytes:
    """Return an object's canonical bytes, without the newline."""
    written = json.dumps(proof, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return written.encode("utf-8", "surrogatepass")


def digest_of(proof: dict[str, Any]) -> str:
    """Return the digest of a proof, of which a digest that it has is no part."""
    return "sha256:" + hashlib.sha256(canonical({k: v for k, v in proof.items() if k != "digest"})).hexdigest()


def write(proof: dict[str, Any]) -> bytes:
    """Return a proof's file, with its digest."""
    made = canonical({**proof, "digest": digest_of(proof)}) + b"\n"
    if len(made) > BYTES_MAX:
        raise BadInput(f"the proof has {len(made)} bytes: at most {BYTES_MAX} make a file")
    return made


def read(content: bytes) -> dict[str, Any]:
    """Read a proof's file; nothing in it is to be believed.

    Raises:
        BadInput: too large, no JSON, of another format, or not written canonically.
    """
    if len(content) > BYTES_MAX:
        raise BadInput(f"a proof has at most {BYTES_MAX} bytes, not {len(content)}")
    try:
        # Unlike Python's own, it has a limit of nesting that no other library can raise.
        found = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise BadInput(f"the proof is no JSON: {error}") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise BadInput(f"the file is no proof of the format {FORMAT}")
    if canonical(found) + b"\n" != content:
        raise BadInput("the proof is not written canonically: keys sorted, no white space, one newline at its end")
    return found


def load(path: Path) -> dict[str, Any]:
    """Read a proof from a path.

    Raises:
        BadInput: it cannot be read, or as ``read``.
    """
    try:
        with path.open("rb") as file:
            return read(file.read(BYTES_MAX + 1))
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
