"""Arrow IPC streams: batches as bytes while they are made, so that memory is one batch."""

from collections.abc import Iterable, Iterator, Mapping

import pyarrow as pa

MEDIA_TYPE = "application/vnd.apache.arrow.stream"


class _Chunks:
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


def ipc_stream(batches: Iterable[pa.RecordBatch], schema: pa.Schema, metadata: Mapping[str, str]) -> Iterator[bytes]:
    """Write batches as one IPC stream, with ``metadata`` in its schema.

    A stream that ends without its end mark was cut off, and readers say so.
    """
    chunks = _Chunks()
    described = schema.with_metadata(dict(metadata))
    with pa.ipc.new_stream(pa.PythonFile(chunks, mode="w"), described) as writer:
        yield chunks.take()
        for batch in batches:
            writer.write_batch(batch.replace_schema_metadata(described.metadata))
            yield chunks.take()
    yield chunks.take()
