"""Conditions and ranges of a request (RFC 9110): what the client has already, and which part it still wants."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

_RANGE: Final = re.compile(r"^bytes=\s*(?P<first>\d{0,18})\s*-\s*(?P<last>\d{0,18})\s*$", re.ASCII)


@dataclass(frozen=True, slots=True)
class Range:
    """Bytes from ``first`` to ``last`` (both included, to the end if None); without ``first`` the last ``last``."""

    first: int | None
    last: int | None

    def within(self, length: int) -> tuple[int, int] | None:
        """Return where it begins and ends (not included) in a file, or None if nothing of the file is in it."""
        if self.first is None:
            start, stop = max(0, length - (self.last or 0)), length
        else:
            start, stop = self.first, length if self.last is None else min(self.last + 1, length)
        return (start, stop) if start < stop else None


def range_of(header: str | None) -> Range | None:
    """Read a Range header; None for what may be ignored: no header, another unit, several ranges, nonsense."""
    found = _RANGE.match(header or "")
    if found is None:
        return None
    first, last = (int(digits) if digits else None for digits in (found["first"], found["last"]))
    if (first is None and last is None) or (first is not None and last is not None and last < first):
        return None
    return Range(first, last)


def has_already(headers: Mapping[str, str], tag: str) -> bool:
    """Say whether If-None-Match names the file. The comparison is the weak one, as it has to be there."""
    given = headers.get("if-none-match", "")
    return given.strip() == "*" or f'"{tag}"' in _tags(given)


def may_resume(headers: Mapping[str, str], tag: str) -> bool:
    """Say whether If-Range allows a part: there is none, or it names this very file. A date is never the file's."""
    given = headers.get("if-range")
    return given is None or given.strip() == f'"{tag}"'


def _tags(given: str) -> Iterator[str]:
    return (each.strip().removeprefix("W/") for each in given.split(","))
