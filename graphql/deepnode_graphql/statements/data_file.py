"""The data file: a statement as JSON with a digest, which an amended statement is compared with.

Amounts are decimal strings of base units, bytes are ``0x`` texts, positions and times are JSON numbers. The digest is
the SHA-256 of the statement's own bytes in this very form (keys sorted, no white space), so a file that was changed by
hand is recognised.
"""

import hashlib
import json
from dataclasses import fields, is_dataclass
from typing import Any, Final

import orjson

from deepnode_graphql.statements.statement import Statement
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import to_hex

FORMAT: Final = "deepnode-statement/1"
BYTES_MAX: Final = 512 * 1024 * 1024

_LARGE: Final = frozenset(
    {"amount", "balance", "opening", "closing", "micros", "price_ppm", "corrected_amount", "told", "right"}
)
"""Numbers that may have more digits than every JSON reader keeps."""


def write(statement: Statement) -> bytes:
    """Write the data file."""
    data = as_data(statement)
    made = {"format": FORMAT, "digest": digest_of(data), "statement": data}
    return json.dumps(made, ensure_ascii=False, sort_keys=True, indent=1).encode() + b"\n"


def read(content: bytes) -> tuple[str, dict[str, Any]]:
    """Read a data file: its digest, and the statement as ``as_data`` gives it.

    Raises:
        BadInput: it is no data file of a statement, or was changed since it was made.
    """
    if len(content) > BYTES_MAX:
        raise BadInput(f"a statement's data file has at most {BYTES_MAX} bytes, not {len(content)}")
    try:
        # Unlike Python's own, it has a limit of nesting that no other library can raise.
        found = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise BadInput(f"the earlier statement is no JSON file: {error}") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT or not isinstance(found.get("statement"), dict):
        raise BadInput(f"the earlier statement is no file of the format {FORMAT}: make it with --format json")
    data = found["statement"]
    if digest_of(data) != found.get("digest"):
        raise BadInput(
            f"the earlier statement was changed since it was made: its digest is not {found.get('digest')!r:.80}"
        )
    return digest_of(data), data


def as_data(statement: Statement) -> dict[str, Any]:
    """Return a statement as what JSON holds."""
    made = _plain(statement)
    assert isinstance(made, dict)
    return made


def digest_of(data: dict[str, Any]) -> str:
    """Return the digest of a statement's data."""
    written = json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(written.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _plain(value: Any, name: str = "") -> Any:
    if isinstance(value, bytes):
        return to_hex(value)
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name), each.name) for each in fields(value)}
    if isinstance(value, int) and not isinstance(value, bool) and name in _LARGE:
        return str(value)
    # A member of an enumeration of texts is written as its text.
    return str(value) if isinstance(value, str) else value
