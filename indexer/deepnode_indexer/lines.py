"""Bytes that come in pieces, taken apart into numbered lines of bounded length."""

from collections.abc import Iterator

from deepnode_ledger.task_event import ENVELOPE_BYTES_MAX

Line = tuple[int, bytes]
"""A line's number, from 1, and its bytes without the line's end."""


class LineSplitter:
    """Holds what has no line feed yet. Blank lines count, but are not handed out."""

    def __init__(self) -> None:
        self._number = 1
        self._half = b""
        self._too_long = False

    def feed(self, piece: bytes) -> Iterator[Line]:
        """Yield the lines that end in ``piece``.

        Of too long a line the beginning is handed out, to be refused; the rest of it is no line of its own.
        """
        *ended, rest = (self._half + piece).split(b"\n")
        self._half = b""
        for line in ended:
            if line.strip() and not self._too_long:
                yield self._number, line[: ENVELOPE_BYTES_MAX + 1].rstrip(b"\r")
            self._too_long = False
            self._number += 1
        if len(rest) > ENVELOPE_BYTES_MAX:
            if rest.strip() and not self._too_long:
                yield self._number, rest[: ENVELOPE_BYTES_MAX + 1]
            self._too_long = True
        elif not self._too_long:
            self._half = rest

    def end(self) -> Iterator[Line]:
        """Yield what has no line feed, where nothing more can come."""
        if self._half.strip():
            yield self._number, self._half.rstrip(b"\r")
        self._half = b""

    def skip(self, piece: bytes) -> None:
        """Pass over a piece, which is known, and only count its lines."""
        assert not self._half, "a known piece ends where a line ends"
        self._number += piece.count(b"\n")

    @property
    def between_lines(self) -> bool:
        """Whether every line so far has ended."""
        return not self._half and not self._too_long
