"""Verifying: whether the files are those of the manifest, and whether the books still say the same."""

import tempfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from deepnode_graphql.database import database_errors
from deepnode_graphql.dataset.directory import Directory
from deepnode_graphql.dataset.epochs import ClosedEpoch, closed_epochs
from deepnode_graphql.dataset.making import check_epochs, check_same_books, describe_epoch
from deepnode_graphql.dataset.manifest import NAME, DatasetManifest, EpochFiles
from deepnode_graphql.dataset.writing import epoch_sources, write_file
from deepnode_graphql.export.books import Books
from deepnode_graphql.export.request import prepare
from deepnode_graphql.reading import Reading
from deepnode_ledger.errors import BadInput


@dataclass(frozen=True, slots=True)
class Fault:
    """What is not as it should be: the path of a file relative to the directory, and how it differs."""

    path: str
    difference: str


def read_manifest(path: Path) -> DatasetManifest:
    """Read the manifest of a directory.

    Raises:
        BadInput: there is none.
        Damaged: it is not what was written.
    """
    manifest = Directory(path).manifest()
    if manifest is None:
        raise BadInput(f"{path / NAME} is not there: `deepnode dataset {path}` makes it")
    return manifest


def chosen_epochs(manifest: DatasetManifest, chosen: Collection[int]) -> list[EpochFiles]:
    """Return the epochs of a manifest that were chosen; all if none were.

    Raises:
        BadInput: one is not there.
    """
    for each in chosen:
        if not 0 <= each < len(manifest.epochs):
            raise BadInput(f"epoch {each} is not in the dataset, which has {len(manifest.epochs)} epochs from 0 on")
    return [each for each in manifest.epochs if not chosen or each.epoch in chosen]


def compare_with_manifest(path: Path, chosen: Collection[int] = ()) -> Iterator[Fault]:
    """Yield what is not as the manifest says; every byte of the chosen epochs' files is read.

    Raises:
        BadInput: there is no manifest, or no such epoch.
        Damaged: the manifest is not what was written.
    """
    directory, manifest = Directory(path), read_manifest(path)
    for epoch in chosen_epochs(manifest, chosen):
        for file in epoch.files:
            difference = directory.differs(file)
            if difference is not None:
                yield Fault(file.path, difference)
    for stranger in directory.strangers(manifest):
        yield Fault(stranger, f"is not in {NAME}")


def compare_with_books(
    books: Books, path: Path, chosen: Collection[int] = (), progress: Callable[[int], None] = lambda _: None
) -> Iterator[Fault]:
    """Make the chosen epochs again, beside the directory, and yield what the books say otherwise.

    A file that another version of the Parquet library wrote is compared row by row. The files themselves are taken for
    those of the manifest (see ``compare_with_manifest``).

    Raises:
        BadInput: as for ``make``, or there is no manifest or no such epoch.
        Damaged: the manifest is not what was written, or its epochs are at other positions in the books.
        TryAgain: the database is away.
    """
    manifest = read_manifest(path)
    epochs = chosen_epochs(manifest, chosen)
    with database_errors(), books.reading() as reading:
        check_same_books(manifest, reading)
        closed = closed_epochs(reading)
        check_epochs(manifest, closed)
    for known in epochs:
        with database_errors(), books.reading() as reading:
            prepare(reading)
            yield from _epoch(reading, path, manifest, known, closed[known.epoch])
        progress(known.epoch)


def _epoch(
    reading: Reading, path: Path, manifest: DatasetManifest, known: EpochFiles, epoch: ClosedEpoch
) -> Iterator[Fault]:
    said = describe_epoch(reading, epoch, known.files, known.previous)
    if said.state_root != known.state_root:
        yield Fault(NAME, f"epoch {known.epoch} has the state root {known.state_root}, the books {said.state_root}")
    same_end = said.digest == known.digest
    if said.block != known.block:
        yield Fault(NAME, f"epoch {known.epoch} ends in block {known.block}, in the books {said.block}")
    listed = {each.source: each for each in known.files}
    sources = {each.name: each for each in epoch_sources()}
    # A source that the program got later has no files of the epochs before.
    expected = {file.source for each in manifest.epochs[: known.epoch + 1] for file in each.files}
    for name in sorted({*listed, *sources}):
        if name not in sources:
            yield Fault(listed[name].path, "is of a source that this program does not have")
            continue
        with tempfile.NamedTemporaryFile(suffix=".parquet") as again:
            made = write_file(reading, sources[name], epoch, again)
            again.flush()
            file = listed.get(name)
            if file is None:
                if made.rows and name in expected:
                    yield Fault(made.path, f"is missing: the books have {made.rows} rows for it")
                continue
            if made == file or _same_rows(path / file.path, Path(again.name), same_end=same_end):
                continue
            yield Fault(file.path, f"has the SHA-256 {file.sha256}, of the books it would be {made.sha256}")


def _same_rows(kept: Path, made: Path, *, same_end: bool) -> bool:
    """Say whether files whose bytes differ for a reason that is known have the same columns and rows.

    A reason is that different versions of the library wrote them, or that the books were not the same at the end of the
    epoch, which each file says of itself.
    """
    try:
        files = pq.ParquetFile(kept), pq.ParquetFile(made)
    except (OSError, pa.ArrowInvalid):
        return False
    first, second = files
    if same_end and first.metadata.created_by == second.metadata.created_by:
        return False
    if not first.schema_arrow.equals(second.schema_arrow, check_metadata=same_end):
        return False
    if first.num_row_groups != second.num_row_groups:
        return False
    return all(
        _plain(first.read_row_group(number)).equals(_plain(second.read_row_group(number)))
        for number in range(first.num_row_groups)
    )


def _plain(rows: pa.Table) -> pa.Table:
    """Return rows without dictionaries, whose order says nothing."""
    fields = [
        each.with_type(each.type.value_type) if pa.types.is_dictionary(each.type) else each for each in rows.schema
    ]
    return rows.cast(pa.schema(fields))
