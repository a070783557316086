"""Arrow IPC streams: batches as they are."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import pyarrow as pa

from deepnode_graphql.export.formats.format import Format, Sink


def ipc_stream(batches: Iterable[pa.RecordBatch], schema: pa.Schema, metadata: Mapping[str, str]) -> Iterator[bytes]:
    """Write batches as one IPC stream, with ``metadata`` in its schema.

    A stream that ends without its end mark was cut off, and readers say so.
    """
    sink = Sink()
    described = schema.with_metadata(dict(metadata))
    with pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), described) as writer:
        yield sink.take()
        for batch in batches:
            writer.write_batch(batch.replace_schema_metadata(described.metadata))
            yield sink.take()
    yield sink.take()


ARROW: Final = Format("Arrow IPC stream", "arrow", "application/vnd.apache.arrow.stream", 1, ipc_stream)
