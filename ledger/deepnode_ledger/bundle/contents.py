"""``bundle.json``: what a bundle holds, and the hash of every file of it.

It is JSON in one spelling: keys sorted, no white space, one line feed at the end. What is spelled in another way, names
a file that no bundle has, or lists others than its number of entries asks for, is refused before anything is read.
"""

import itertools
from typing import Annotated, Final

import msgspec

from deepnode_ledger.bundle import layout
from deepnode_ledger.bundle.layout import FORMAT
from deepnode_ledger.errors import BadInput, Damaged
from deepnode_ledger.transparency import tiles_of

CONTENTS_BYTES_MAX: Final = 256 * 1024 * 1024
"""A million files take 150 MB."""

Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Hash = Annotated[str, msgspec.Meta(pattern=r"\A0x[0-9a-f]{64}\Z")]
Digest = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
To = Annotated[str, msgspec.Meta(pattern=r"\A(?:checkpoint|sealed|(?:epoch|block|position):(?:0|[1-9][0-9]{0,18}))\Z")]


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the contents: its fields are those of the JSON object."""


class ChainPart(Part, frozen=True, forbid_unknown_fields=True):
    """A chain of the log.

    Attributes:
        chain_id: of the chain.
        genesis_hash: of its block 0.
        first_block: where intake started.
        last_block: the block under which the chain's last entry stands; None if the bundle has no entry of it. If the
            bundle ends within this block, further entries of it are not in the bundle.
        last_hash: of that block.
    """

    chain_id: Number
    genesis_hash: Hash
    first_block: Number
    last_block: Number | None
    last_hash: Hash | None


class EpochPart(Part, frozen=True, forbid_unknown_fields=True):
    """An epoch that is over: its last position, and the state root of the books there."""

    epoch: Number
    position: Number
    root: Hash


class FilePart(Part, frozen=True, forbid_unknown_fields=True):
    """A file: where it lies, how many bytes it has, and their SHA-256 in plain digits, as ``sha256sum`` writes it."""

    path: str
    bytes: Number
    sha256: Digest


class Contents(Part, frozen=True, forbid_unknown_fields=True):
    """All of ``bundle.json``.

    Attributes:
        format: of the bundle.
        chain_id: the home chain's, under whose blocks task events stand.
        manifest: the digest of the deployment's manifest.
        entries: how many the bundle holds: positions 1 to this.
        root: of the tree over them.
        to: up to where the bundle was asked for.
        checkpoint_size: how many entries the signed checkpoint speaks of, at least ``entries``; None: none is there.
        chains: in the order of their ids.
        epochs: that are over at the last position, in their order.
        files: every other file, in the order of their paths.
    """

    format: str
    chain_id: Number
    manifest: Hash
    entries: Number
    root: Hash
    to: To
    checkpoint_size: Number | None
    chains: tuple[ChainPart, ...]
    epochs: tuple[EpochPart, ...]
    files: tuple[FilePart, ...]


def encode(contents: Contents) -> bytes:
    """Return the bytes of ``bundle.json``."""
    return msgspec.json.encode(contents, order="sorted") + b"\n"


def decode(raw: bytes) -> Contents:
    """Read the bytes of ``bundle.json``, which nobody trusts.

    Raises:
        BadInput: it is of another format.
        Damaged: it is not what ``encode`` writes of a bundle; the message says where.
    """
    if len(raw) > CONTENTS_BYTES_MAX:
        raise Damaged(f"{layout.CONTENTS} has more than {CONTENTS_BYTES_MAX} bytes")
    try:
        contents = msgspec.json.decode(raw, type=Contents)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise Damaged(f"{layout.CONTENTS} is not that of a {FORMAT}: {error}") from error
    if contents.format != FORMAT:
        raise BadInput(f"{layout.CONTENTS} is of the format {contents.format!r:.80}, this program reads {FORMAT}")
    if encode(contents) != raw:
        raise Damaged(f"{layout.CONTENTS} is spelled in another way than a bundle's is: sorted, and without spaces")
    _check_files(contents)
    _check_order("chains", [each.chain_id for each in contents.chains])
    _check_order("epochs", [each.epoch for each in contents.epochs])
    _check_order("the positions of epochs", [each.position for each in contents.epochs], rising=False)
    if contents.epochs and contents.epochs[-1].position > contents.entries:
        raise Damaged(f"{layout.CONTENTS} has an epoch's end behind its last position, {contents.entries}")
    if contents.chain_id not in {each.chain_id for each in contents.chains}:
        raise Damaged(f"{layout.CONTENTS} does not list its home chain, {contents.chain_id}")
    if contents.checkpoint_size is not None and contents.checkpoint_size < contents.entries:
        raise Damaged(f"{layout.CONTENTS} has {contents.entries} entries, signed are {contents.checkpoint_size}")
    return contents


def _check_files(contents: Contents) -> None:
    if not contents.entries:
        raise Damaged(f"{layout.CONTENTS} has no entries: such a bundle is never made")
    if len(contents.files) > layout.FILES_MAX:
        raise BadInput(f"{layout.CONTENTS} lists {len(contents.files)} files, of {layout.FILES_MAX} at most")
    paths = [each.path for each in contents.files]
    for path in paths:
        try:
            layout.check_name(path)
        except BadInput as error:
            raise Damaged(f"{layout.CONTENTS}: {error}") from error
    _check_order("files", paths)
    # As many names as a damaged number of entries would have never come about: it stops at the first that is missing.
    listed = set(paths)
    for kind, prefix, names in (
        ("log files", "log/", (each.path for each in layout.log_files(contents.entries))),
        ("tiles", "tile/", (each.path for each in tiles_of(contents.entries))),
    ):
        count = 0
        for name in names:
            if name not in listed:
                raise Damaged(f"{layout.CONTENTS} has {contents.entries} entries and does not list {name}")
            count += 1
        found = sum(path.startswith(prefix) for path in paths)
        if found != count:
            raise Damaged(f"{layout.CONTENTS} lists {found} {kind}, {contents.entries} entries have {count}")
    needed = [layout.COVERAGE, layout.MANIFEST, layout.README]
    signed = [layout.CHECKPOINT, layout.CHECKPOINT_KEY, layout.CONSISTENCY]
    for name in [*needed, *(signed if contents.checkpoint_size is not None else [])]:
        if name not in listed:
            raise Damaged(f"{layout.CONTENTS} does not list {name}")
    if contents.checkpoint_size is None and listed & {*signed}:
        raise Damaged(f"{layout.CONTENTS} lists {min(listed & {*signed})}, and names no checkpoint's size")


def _check_order(what: str, values: list[int] | list[str], *, rising: bool = True) -> None:
    for before, after in itertools.pairwise(values):
        if before > after or (rising and before == after):  # type: ignore[operator] # all of one type
            raise Damaged(f"{layout.CONTENTS}: {what} are not in their order at {after!r}")
