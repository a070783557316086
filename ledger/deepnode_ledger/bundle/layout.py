"""Where everything lies in a bundle: names that follow from numbers, and the only names that there can be.

A name from outside is used only if it is one of these, in its one spelling. So nothing outside the bundle can be
reached, whatever a list says, and two names never mean the same file.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from deepnode_ledger.errors import BadInput
from deepnode_ledger.transparency.tile import Tile, parse_path

FORMAT: Final = "deepnode.bundle/1"

CONTENTS: Final = "bundle.json"
CHECKPOINT: Final = "checkpoint"
CHECKPOINT_KEY: Final = "checkpoint.key"
CONSISTENCY: Final = "consistency.json"
COVERAGE: Final = "coverage.json"
README: Final = "README.md"
MANIFEST: Final = "manifest/manifest.toml"

LOG_FILE_ENTRIES: Final = 65_536
"""Positions of one log file, whatever the batches are that they were sealed in."""

LOG_FILES_MAX: Final = 10**9
FILES_MAX: Final = 1_000_000
"""Files of one bundle: some 230 million entries have as many."""

NAME_CHARACTERS_MAX: Final = 96
"""A tar's header has room for a hundred."""

_PLAIN: Final = frozenset({CHECKPOINT, CHECKPOINT_KEY, CONSISTENCY, COVERAGE, README})
_LOG: Final = re.compile(r"log/([0-9]{3})/([0-9]{3})/([0-9]{3})\.arrow")
_EVIDENCE: Final = re.compile(r"evidence/(?:headers|receipts)-[0-9]{6}\.arrow")
_RULESET: Final = re.compile(r"rulesets/0x[0-9a-f]{64}\.toml")
_BESIDE_MANIFEST: Final = re.compile(r"manifest(?:/[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}){1,4}")


@dataclass(frozen=True, slots=True)
class LogFile:
    """The file ``path`` holds the entries from position ``first`` to ``last``, both included."""

    path: str
    first: int
    last: int


def log_path(number: int) -> str:
    """Return where log file ``number`` (from 0) lies."""
    assert 0 <= number < LOG_FILES_MAX, number
    digits = f"{number:09}"
    return f"log/{digits[:3]}/{digits[3:6]}/{digits[6:]}.arrow"


def log_files(entries: int) -> Iterator[LogFile]:
    """Yield the log files of a log of so many entries, in the order of their positions."""
    for number, first in enumerate(range(1, entries + 1, LOG_FILE_ENTRIES)):
        yield LogFile(log_path(number), first, min(entries, first + LOG_FILE_ENTRIES - 1))


def ruleset_path(spec_hash: str) -> str:
    """Return where the ruleset with a hash (``0x`` and 64 digits) lies."""
    return f"rulesets/{spec_hash}.toml"


def check_name(name: str) -> str:
    """Return a name of a file in a bundle, as it came.

    Raises:
        BadInput: no file of a bundle has this name.
    """
    if len(name) <= NAME_CHARACTERS_MAX and (
        name in _PLAIN
        or _LOG.fullmatch(name)
        or _EVIDENCE.fullmatch(name)
        or _RULESET.fullmatch(name)
        or _BESIDE_MANIFEST.fullmatch(name)
        or _is_tile(name)
    ):
        return name
    raise BadInput(f"no file of a bundle has the name {name!r:.120}")


def _is_tile(name: str) -> bool:
    if not name.startswith("tile/"):
        return False
    try:
        return isinstance(parse_path(name), Tile)
    except BadInput:
        return False
