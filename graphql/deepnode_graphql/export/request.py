"""What is asked for: a source, a format and parameters, checked against the books; and what the file says of itself.

HTTP and the command line ask in the same words, so that a file is the same whichever way it came.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

import psycopg
import pyarrow as pa
from sqlalchemy import text

from deepnode_graphql.database import TookTooLong, database_errors
from deepnode_graphql.export.books import Books
from deepnode_graphql.export.filters import whole
from deepnode_graphql.export.formats import FORMATS
from deepnode_graphql.export.formats.format import Format
from deepnode_graphql.export.source import Selection, Source
from deepnode_graphql.export.sources import SOURCES
from deepnode_graphql.moments import At
from deepnode_graphql.reading import Reading, driver_connection
from deepnode_graphql.reads.meta import code_version
from deepnode_graphql.scalars import Long
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import to_hex

MOMENTS: Final = ("at_block", "at_position", "at_time", "at_epoch")
"""Parameters that name the moment; one at most."""

PARAMETERS: Final = (*MOMENTS, "from_position")
"""Parameters that every source takes, beside its filters."""

EXPORT_STATEMENT_SECONDS_MAX: Final = 60
"""For each page: a filter that keeps few rows reads past many."""


class NotThere(BadInput):
    """There is no source or no format of the name."""


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody asks for, in words: a source, a format, parameters and filters, and how these were written."""

    source: str
    suffix: str
    given: Mapping[str, str]
    query: str


@dataclass(frozen=True, slots=True)
class Asked:
    """An export that can be made: equal ``tag`` means equal bytes."""

    source: Source
    format: Format
    selection: Selection
    metadata: Mapping[str, str]
    tag: str

    @property
    def name(self) -> str:
        """What the file may be called."""
        chain, position = self.metadata["deepnode.chain_id"], self.selection.moment.position
        return f"deepnode-{chain}-{self.source.name}-{position}.{self.format.suffix}"

    @property
    def final(self) -> bool:
        """Whether no reorg can change it any more."""
        return self.selection.moment.final


@dataclass
class Export:
    """An export that has begun, and the transaction that it is read in. For one thread, but for ``cancel``."""

    asked: Asked
    chunks: Iterator[bytes]
    rows: Callable[[], int]
    connection: psycopg.Connection[Any]
    resources: ExitStack

    def next_chunk(self) -> bytes | None:
        """Return the next bytes (empty: work goes on), or None at the end.

        Raises:
            BadInput: a page took too long.
            TryAgain: the database is away.
        """
        try:
            with database_errors():
                return next(self.chunks, None)
        except TookTooLong:
            said = f"a page of rows took more than {EXPORT_STATEMENT_SECONDS_MAX} seconds to find"
            raise TookTooLong(f"{said}: export with fewer filters, or from a later from_position") from None

    def cancel(self) -> None:
        """Have the database stop the statement that runs; whoever waits for it gets an error."""
        self.connection.cancel_safe(timeout=5)

    def close(self) -> None:
        """End the transaction, and remove what was written on the way."""
        close = getattr(self.chunks, "close", None)
        try:
            if close is not None:
                close()
        finally:
            self.resources.close()


def source_of(name: str) -> Source:
    """Find a source.

    Raises:
        NotThere: there is none of that name.
    """
    if name not in SOURCES:
        raise NotThere(f"there is no source {name!r:.80}: there are {', '.join(SOURCES)}")
    return SOURCES[name]


def format_of(suffix: str) -> Format:
    """Find a format.

    Raises:
        NotThere: there is none of that name.
    """
    if suffix not in FORMATS:
        raise NotThere(f"there is no format {suffix!r:.80}: there are {', '.join(FORMATS)}")
    return FORMATS[suffix]


def ask(reading: Reading, source: Source, form: Format, question: Question) -> Asked:
    """Check what is asked for against the books.

    Args:
        reading: of the books.
        source: what is exported.
        form: how it is written.
        question: with the parameters.

    Raises:
        BadInput: a parameter is unknown, or breaks a rule. Values of filters are checked by ``begin``.
    """
    given, known = question.given, (*PARAMETERS, *source.filters)
    for name in given:
        if name not in known:
            raise BadInput(f"unknown parameter {name!r:.80}: there are {', '.join(known)}")
    filters = {name: given[name] for name in source.filters if name in given}
    from_position = whole("from_position", given.get("from_position", "1"))
    selection = Selection(reading.moment(_at(given)), from_position, filters)
    metadata = describe(reading, source, selection, question.query)
    return Asked(source, form, selection, metadata, _tag(reading, form, metadata))


def begin(books: Books, question: Question) -> Export:
    """Open the reading of an export, before its first byte is made.

    Raises:
        BadInput: something that is asked for is not there, or breaks a rule.
        TryAgain: the database is away.
    """
    source, form = source_of(question.source), format_of(question.suffix)
    with ExitStack() as opening:
        reading = opening.enter_context(books.reading())
        prepare(reading)
        asked = ask(reading, source, form, question)
        counted = _Counted(source.batches(reading, asked.selection))
        chunks = form.write(counted, source.schema, asked.metadata)
        connection = driver_connection(reading.database)
        return Export(asked, chunks, counted.rows, connection, opening.pop_all())


def look(books: Books, question: Question) -> Asked:
    """Say what a file would be, without making it.

    Raises:
        BadInput: something that is asked for is not there, or breaks a rule.
        TryAgain: the database is away.
    """
    source, form = source_of(question.source), format_of(question.suffix)
    with books.reading() as reading:
        asked = ask(reading, source, form, question)
        # Their values are checked here and read by nobody.
        source.batches(reading, asked.selection)
        return asked


def prepare(reading: Reading) -> None:
    """Set the limits of an export's transaction."""
    seconds = f"{EXPORT_STATEMENT_SECONDS_MAX}s"
    # Workers would hand over the rows of a page in no order, and a page is too short for what compiling it costs.
    for setting in (f"statement_timeout = '{seconds}'", "max_parallel_workers_per_gather = 0", "jit = off"):
        reading.database.execute(text(f"SET LOCAL {setting}"))


def describe(reading: Reading, source: Source, selection: Selection, query: str) -> dict[str, str]:
    """Say what a file is of, for the metadata of its schema: equal files have equal descriptions."""
    moment = selection.moment
    # A final file says the same whenever it is made: not that the newest block was another one then.
    block = reading.moment(At(position=Long(moment.position))).block if moment.final else moment.block
    return {
        "deepnode.format": f"{source.name}/1",
        "deepnode.chain_id": str(reading.manifest.chain_id),
        "deepnode.block_number": "" if block is None else str(block.number),
        "deepnode.block_hash": "" if block is None else to_hex(block.hash),
        "deepnode.position": str(moment.position),
        "deepnode.finality": "SEALED" if moment.final else "PENDING",
        "deepnode.manifest": f"{reading.manifest.name} {reading.manifest.version}",
        "deepnode.manifest_digest": to_hex(reading.manifest.digest),
        "deepnode.code_version": code_version(),
        "deepnode.query": query,
        "deepnode.sorted_by": ",".join(source.sorted_by),
        "deepnode.state_root": to_hex(reading.root(moment)),
    }


def _tag(reading: Reading, form: Format, metadata: Mapping[str, str]) -> str:
    """Hash all that the bytes of a file depend on; of one that can still change also where the books stand."""
    parts: dict[str, Any] = {**metadata, "form": [form.name, form.version], "library": pa.__version__}
    if metadata["deepnode.finality"] != "SEALED":
        checkpoint = reading.checkpoint
        parts["books"] = [checkpoint.position, checkpoint.sealed_position, checkpoint.reorg_number]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _at(given: Mapping[str, str]) -> At | None:
    moments = {name.removeprefix("at_"): whole(name, given[name]) for name in MOMENTS if name in given}
    if len(moments) > 1:
        raise BadInput(f"give one of {', '.join(MOMENTS)}, not {len(moments)}")
    return At(**{name: Long(value) for name, value in moments.items()}) if moments else None


class _Counted:
    """Batches on their way, counted."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches, self._rows = batches, 0

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self._batches:
            self._rows += batch.num_rows
            yield batch

    def rows(self) -> int:
        """Return how many rows have passed."""
        return self._rows
