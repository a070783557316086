"""The manifest: which files there are, what is in them, and what the books were at the end of each epoch.

It depends upon the books alone, not on when or in how many steps it was made. Epochs form a chain: each has a digest of
all that is said about it, which includes the digest of the epoch before. So one digest, the last (``head``), stands for
every byte of the dataset, and a longer manifest shows that it goes on from a shorter one.

A digest is the SHA-256 of the epoch as JSON without its ``digest``: keys sorted, no white space, UTF-8.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Annotated, Final

import msgspec
import pyarrow as pa

from deepnode_ledger.errors import Damaged

FORMAT: Final = "deepnode.dataset/1"

NAME: Final = "manifest.json"

PARTITION: Final = "in_epoch"
"""The epoch in which a row's log entry stands, as Hive names a partition. It is not ``epoch``: what a reward, a root or
a distribution is *for* stands in a column of that name, and readers put the partition in its place."""

GENESIS: Final = "0" * 64
"""What stands before the first epoch."""

_PATH: Final = re.compile(rf"(?P<source>[a-z][a-z_]*)/{PARTITION}=(?P<epoch>0|[1-9][0-9]*)/part-0\.parquet", re.ASCII)


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file: the rows of a source in an epoch. Positions are those of its first and last row, None if it has none.

    ``schema`` is a digest of its columns, see ``schema_digest``.
    """

    path: str
    rows: int
    bytes: int
    sha256: str
    first_position: int | None
    last_position: int | None
    schema: str

    @property
    def source(self) -> str:
        """The name of the source."""
        return self.path.partition("/")[0]


@dataclass(frozen=True, slots=True)
class EpochFiles:
    """An epoch: its positions, the block and the state root of its end, and its files in the order of their paths.

    ``block`` is the home chain's number, hash and time, None before its first. ``previous`` is the digest of the epoch
    before.
    """

    epoch: int
    first_position: int
    last_position: int
    block: tuple[int, str, int] | None
    state_root: str
    files: tuple[DataFile, ...]
    previous: str
    digest: str = ""

    def closed(self) -> "EpochFiles":
        """Return it with its digest."""
        return replace(self, digest=self._digest())

    def check(self, number: int, previous: str) -> None:
        """Assure that it is the epoch of a number behind another, and that its digest is its own.

        Raises:
            Damaged: it is not.
        """
        if self.epoch != number or self.previous != previous or self.digest != self._digest():
            raise Damaged(f"{NAME}: what it says of epoch {number} is not what was written (its digest is another)")
        paths = [each.path for each in self.files]
        if paths != sorted(set(paths)):
            raise Damaged(f"{NAME}: the files of epoch {number} are not in order")
        for each in self.files:
            found = _PATH.fullmatch(each.path)
            if found is None or found["epoch"] != str(number):
                raise Damaged(f"{NAME}: {each.path!r:.120} is no path of a file of epoch {number}")

    def _digest(self) -> str:
        said = asdict(self)
        del said["digest"]
        text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class DatasetManifest:
    """What a directory holds: of which chain, made with which deployment's manifest (its digest), by epoch."""

    chain_id: int
    deployment_digest: str
    epochs: tuple[EpochFiles, ...] = ()

    @property
    def head(self) -> str:
        """The digest of the last epoch, which stands for all."""
        return self.epochs[-1].digest if self.epochs else GENESIS

    @cached_property
    def files(self) -> Mapping[str, DataFile]:
        """Every file by its path."""
        return {each.path: each for epoch in self.epochs for each in epoch.files}

    def text(self) -> bytes:
        """Write it as JSON: the same manifest gives the same bytes."""
        said = {
            "format": FORMAT,
            "chain_id": self.chain_id,
            "manifest_digest": self.deployment_digest,
            "head": self.head,
            "epochs": [asdict(each) for each in self.epochs],
        }
        return (json.dumps(said, sort_keys=True, indent=1, ensure_ascii=False) + "\n").encode()


def parse(text: bytes) -> DatasetManifest:
    """Read a manifest and check its chain of digests.

    Raises:
        Damaged: it is not what was written.
    """
    try:
        # Of known types only: a text that nests deeper than these is refused where it does.
        said = msgspec.json.decode(text, type=_Said)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Damaged(f"{NAME} is no manifest of a dataset: {error!s:.200}") from error
    if said.format != FORMAT:
        raise Damaged(f"{NAME} has the format {said.format!r:.80}, not {FORMAT}")
    made = DatasetManifest(said.chain_id, said.manifest_digest, tuple(_epochs(said.epochs)))
    if made.head != said.head or made.text() != text:
        raise Damaged(f"{NAME} is not what was written")
    return made


def file_path(source: str, epoch: int) -> str:
    """Return where the rows of a source in an epoch stand, relative to the manifest."""
    path = f"{source}/{PARTITION}={epoch}/part-0.parquet"
    assert _PATH.fullmatch(path), path
    return path


def schema_digest(schema: pa.Schema) -> str:
    """Hash columns: a line each with its name, its type and whether it may be null (hexadecimal)."""
    lines = [f"{each.name} {each.type} {'null' if each.nullable else 'not null'}\n" for each in schema]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _epochs(said: list["_SaidEpoch"]) -> Iterator[EpochFiles]:
    previous = GENESIS
    for number, each in enumerate(said):
        fields = msgspec.structs.asdict(each)
        fields["files"] = tuple(DataFile(**msgspec.structs.asdict(file)) for file in each.files)
        made = EpochFiles(**fields)
        made.check(number, previous)
        previous = made.digest
        yield made


class _SaidFile(msgspec.Struct, forbid_unknown_fields=True):
    path: str
    rows: Annotated[int, msgspec.Meta(ge=0)]
    bytes: Annotated[int, msgspec.Meta(ge=0)]
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    first_position: int | None
    last_position: int | None
    schema: str


class _SaidEpoch(msgspec.Struct, forbid_unknown_fields=True):
    epoch: int
    first_position: int
    last_position: int
    block: tuple[int, str, int] | None
    state_root: str
    files: list[_SaidFile]
    previous: str
    digest: str


class _Said(msgspec.Struct, forbid_unknown_fields=True):
    format: str
    chain_id: int
    manifest_digest: str
    head: str
    epochs: list[_SaidEpoch]
