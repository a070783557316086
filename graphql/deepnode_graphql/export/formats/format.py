"""What a format is: a way to write batches as a file, piece by piece."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

Write = Callable[[Iterable[pa.RecordBatch], pa.Schema, Mapping[str, str]], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file.

    ``version`` changes when the same rows are written as other bytes. ``write`` yields the pieces of a file while the
    batches are read, so that memory is a few batches; a piece may be empty, which says that work goes on. It takes the
    batches, their schema, and what the file says of itself (where the format has a place for that). The same of all
    three give the same bytes.
    """

    name: str
    suffix: str
    media_type: str
    version: int
    write: Write


class Sink:
    """A file to write to that keeps what was written until somebody takes it."""

    closed = False

    def __init__(self) -> None:
        self._written: list[bytes] = []

    def write(self, data: bytes) -> int:
        """Keep a copy: the writer uses its buffer again."""
        self._written.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Do nothing: nothing is held back."""

    def take(self) -> bytes:
        """Return what was written since the last call."""
        taken = b"".join(self._written)
        self._written.clear()
        return taken
