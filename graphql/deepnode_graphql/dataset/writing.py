"""Writing: the rows of a source in a closed epoch as a Parquet file.

What is written depends on the books alone: rows are as they were at the end of the epoch, in one order, and the file
says of itself what it is of and not when or by which version of the program it was made. Only another version of the
library that writes Parquet makes other bytes of the same rows; it names itself in the file.
"""

import hashlib
from collections.abc import Iterator
from typing import IO, Final

import pyarrow as pa

from deepnode_graphql.dataset.epochs import ClosedEpoch
from deepnode_graphql.dataset.manifest import DataFile, file_path, schema_digest
from deepnode_graphql.export.formats.parquet import PARQUET
from deepnode_graphql.export.request import describe
from deepnode_graphql.export.source import Selection, Source
from deepnode_graphql.export.sources import SOURCES
from deepnode_graphql.export.sources.records import HISTORY
from deepnode_graphql.moments import At, Moment
from deepnode_graphql.reading import Reading
from deepnode_graphql.scalars import Long

_NOT_OF_THE_ROWS: Final = ("deepnode.code_version", "deepnode.manifest", "deepnode.query")
"""What an export says of itself that is not told by its rows: another operator names his manifest as he likes."""


def epoch_sources() -> list[Source]:
    """Return the sources whose rows belong to an epoch by their position, in the order of their names.

    Only the balances do not: they are a state, and every posting has the balance behind it.
    """
    return sorted((each for each in SOURCES.values() if each.sorted_by[0] == "position"), key=lambda each: each.name)


def end_of(reading: Reading, epoch: ClosedEpoch) -> Moment:
    """Return the moment at the end of a closed epoch."""
    moment = reading.moment(At(position=Long(epoch.last_position)))
    assert moment.final, f"epoch {epoch.epoch} is not final"
    return moment


def write_file(reading: Reading, source: Source, epoch: ClosedEpoch, to: IO[bytes]) -> DataFile:
    """Write the rows of a source in an epoch: for records all versions that began in it.

    Memory is a few batches. The reading has the limits of an export (see ``export.request.prepare``).

    Raises:
        BadInput: a page took too long.
        TryAgain: the database is away.
    """
    whole = {HISTORY: "true"} if HISTORY in source.filters else {}
    selection = Selection(end_of(reading, epoch), epoch.first_position, whole)
    metadata = describe(reading, source, selection, "")
    metadata = {name: value for name, value in metadata.items() if name not in _NOT_OF_THE_ROWS}
    metadata |= {"deepnode.epoch": str(epoch.epoch), "deepnode.first_position": str(epoch.first_position)}
    rows, digest, length = _Seen(source.batches(reading, selection)), hashlib.sha256(), 0
    for chunk in PARQUET.write(rows, source.schema, metadata):
        to.write(chunk)
        digest.update(chunk)
        length += len(chunk)
    return DataFile(
        path=file_path(source.name, epoch.epoch),
        rows=rows.count,
        bytes=length,
        sha256=digest.hexdigest(),
        first_position=rows.first,
        last_position=rows.last,
        schema=schema_digest(source.schema),
    )


class _Seen:
    """Batches on their way: how many rows there were, and the positions of the first and the last."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self.count = 0
        self.first: int | None = None
        self.last: int | None = None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self._batches:
            positions = batch.column("position")
            if self.first is None:
                self.first = positions[0].as_py()
            self.last = positions[-1].as_py()
            self.count += batch.num_rows
            yield batch
