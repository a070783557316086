"""Making: the files of every epoch that has closed since, and then the manifest that lists them.

What is there is never written again. The manifest comes last, so it never names a file that is not whole; a run that
was cut off left files that the next one finds to be the very ones that it makes.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from deepnode_graphql.database import database_errors
from deepnode_graphql.dataset.directory import Directory, Parts
from deepnode_graphql.dataset.epochs import ClosedEpoch, closed_epochs
from deepnode_graphql.dataset.manifest import NAME, DataFile, DatasetManifest, EpochFiles
from deepnode_graphql.dataset.writing import end_of, epoch_sources, write_file
from deepnode_graphql.export.books import Books
from deepnode_graphql.export.request import prepare
from deepnode_graphql.export.source import Source
from deepnode_graphql.reading import Reading
from deepnode_ledger.errors import BadInput, Damaged
from deepnode_ledger.hexadecimal import to_hex

EPOCHS_UNLISTED_MAX: Final = 16
"""Epochs that are written before the manifest lists them: to write all of it anew for each would take the longest."""


@dataclass
class Made:
    """What a run did: the epochs and files that are new, and the manifest as it is now."""

    manifest: DatasetManifest
    epochs: list[int] = field(default_factory=list)
    files: int = 0
    rows: int = 0


def make(books: Books, path: Path, progress: Callable[[EpochFiles], None] = lambda _: None) -> Made:
    """Write the files of all closed epochs that are not in the directory yet.

    Args:
        books: what the files are made of.
        path: the directory, made if it is missing.
        progress: told of each epoch that is complete.

    Raises:
        BadInput: the directory is of another chain, or of books that were made with another manifest.
        Damaged: a file there is not what the books and the manifest say; it is named and left as it is.
        TryAgain: the database is away, or another process writes there.
    """
    directory = Directory(path)
    with directory.writing():
        with books.reading() as reading:
            manifest = directory.manifest() or of_books(reading)
            check_same_books(manifest, reading)
            closed = closed_epochs(reading)
        made = Made(manifest)
        check_epochs(manifest, closed)
        for epoch, known in zip(closed, manifest.epochs, strict=False):
            missing = [each for each in known.files if not directory.has(each)]
            if missing:
                _again(books, directory, epoch, missing)
                made.files += len(missing)
        try:
            for epoch in closed[len(manifest.epochs) :]:
                files = _epoch(books, directory, epoch, made.manifest.head)
                made.manifest = _longer(made.manifest, files)
                made.epochs.append(epoch.epoch)
                made.files += len(files.files)
                made.rows += sum(each.rows for each in files.files)
                progress(files)
                if len(made.epochs) % EPOCHS_UNLISTED_MAX == 0:
                    _write_manifest(directory, made.manifest)
        finally:
            _write_manifest(directory, made.manifest)
        return made


def of_books(reading: Reading) -> DatasetManifest:
    """Return the manifest of an empty dataset of these books."""
    return DatasetManifest(reading.manifest.chain_id, to_hex(reading.manifest.digest))


def check_same_books(manifest: DatasetManifest, reading: Reading) -> None:
    """Assure that a dataset is of the books that are read.

    Raises:
        BadInput: it is of another chain, or of books that were made with another manifest.
    """
    here = of_books(reading)
    if (manifest.chain_id, manifest.deployment_digest) != (here.chain_id, here.deployment_digest):
        raise BadInput(
            f"the dataset is of chain {manifest.chain_id} and the manifest {manifest.deployment_digest}, the books are "
            f"of chain {here.chain_id} and {here.deployment_digest}: make a dataset of these in another directory"
        )


def check_epochs(manifest: DatasetManifest, closed: list[ClosedEpoch]) -> None:
    """Assure that the epochs of a dataset are those of the books.

    Raises:
        BadInput: the books have not come as far.
        Damaged: an epoch of the dataset begins or ends at other positions.
    """
    if len(manifest.epochs) > len(closed):
        raise BadInput(
            f"the dataset has {len(manifest.epochs)} epochs, {len(closed)} are closed in the books: wait until they "
            "have come as far"
        )
    for known, epoch in zip(manifest.epochs, closed, strict=False):
        if (known.first_position, known.last_position) != (epoch.first_position, epoch.last_position):
            raise Damaged(
                f"epoch {epoch.epoch} is positions {epoch.first_position} to {epoch.last_position} in the books, "
                f"{known.first_position} to {known.last_position} in {NAME}"
            )


def describe_epoch(reading: Reading, epoch: ClosedEpoch, files: Iterable[DataFile], previous: str) -> EpochFiles:
    """Say of an epoch what the manifest does."""
    moment = end_of(reading, epoch)
    block = None if moment.block is None else (moment.block.number, to_hex(moment.block.hash), moment.block.time)
    return EpochFiles(
        epoch.epoch,
        epoch.first_position,
        epoch.last_position,
        block,
        to_hex(reading.root(moment)),
        tuple(sorted(files, key=lambda each: each.path)),
        previous,
    ).closed()


def _epoch(books: Books, directory: Directory, epoch: ClosedEpoch, previous: str) -> EpochFiles:
    with database_errors(), books.reading() as reading:
        prepare(reading)
        with directory.parts() as parts:
            files = [_write(reading, directory, parts, source, epoch) for source in epoch_sources()]
            parts.place()
        return describe_epoch(reading, epoch, (each for each in files if each is not None), previous)


def _write(reading: Reading, directory: Directory, parts: Parts, source: Source, epoch: ClosedEpoch) -> DataFile | None:
    """Write a file; without rows there is none, but in the first epoch, where readers find the columns."""
    with parts.open() as part:
        made = write_file(reading, source, epoch, part)
    if (directory.path / made.path).exists():
        _check_same(directory, made)
    elif made.rows or epoch.epoch == 0:
        parts.keep(made.path)
    else:
        return None
    return made


def _again(books: Books, directory: Directory, epoch: ClosedEpoch, missing: list[DataFile]) -> None:
    """Write files again that were lost."""
    sources = {each.name: each for each in epoch_sources()}
    with database_errors(), books.reading() as reading, directory.parts() as parts:
        prepare(reading)
        for known in missing:
            if known.source not in sources:
                raise Damaged(f"{directory.path / known.path} is missing, and this program has no such source")
            with parts.open() as part:
                made = write_file(reading, sources[known.source], epoch, part)
            if made != known:
                raise Damaged(
                    f"{directory.path / known.path} is missing, and what would be written has the SHA-256 "
                    f"{made.sha256} and not {known.sha256}: bring the file back from a copy"
                )
            parts.keep(known.path)
        parts.place()


def _check_same(directory: Directory, made: DataFile) -> None:
    difference = directory.differs(made)
    if difference is not None:
        raise Damaged(f"{directory.path / made.path} {difference}: it is not what the books say, and is left as it is")


def _longer(manifest: DatasetManifest, files: EpochFiles) -> DatasetManifest:
    return DatasetManifest(manifest.chain_id, manifest.deployment_digest, (*manifest.epochs, files))


def _write_manifest(directory: Directory, manifest: DatasetManifest) -> None:
    with directory.parts() as parts:
        with parts.open() as part:
            part.write(manifest.text())
        parts.keep(NAME)
        parts.place()
