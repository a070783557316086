"""Findings: what a verification says, and what a stage of it is.

A finding is data: how grave it is, which stage found it, the file or the position at fault, a sentence that holds the
value and the rule, and the integers that differ. A stage yields findings and never raises for what a bundle holds: a
file that cannot be read is a finding too. What a stage counted (entries, signatures, hashes) says how much was looked
at, for a verification that found nothing because it looked at nothing is none.
"""

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from deepnode_ledger.transparency import Verifier, Witness

if TYPE_CHECKING:
    from deepnode_ledger.bundle import Bundle

FINDINGS_MAX: Final = 1_000
"""Findings that a stage yields; behind them it only counts. A forger cannot fill an auditor's disk."""

POSITIONS_MAX: Final = 100
"""Positions that a finding names; the first ones are enough to look at."""

CHARACTERS_MAX: Final = 2_000
"""Of the message of an error that a finding tells."""

_TEMPORARY: Final = re.compile(r"[^\s:'\"]*/deepnode-manifest-[^/\s]*/")

Piece = TypeVar("Piece")
Result = TypeVar("Result")


class Severity(IntEnum):
    """How grave a finding is; the numbers sort, the gravest last."""

    NOTE = 1
    """True and worth knowing, and nothing is wrong: a gap in a producer's numbers, a refused event."""
    WARNING = 2
    """Something could not be checked, or rests on the bundle's own word."""
    ERROR = 3
    """The bundle is not what it says, or a distribution is not what the rules make of the log."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found.

    Attributes:
        severity: how grave it is.
        stage: the name of the stage that found it.
        where: the file of the bundle, ``position 123``, ``block 8453:123``, ``epoch 7``: what to open.
        said: a sentence that names the value and the rule that it breaks.
        positions: the entries of the log that it is about, at most ``POSITIONS_MAX``.
        integers: the numbers that differ, by what they are: base units, positions, counts.
    """

    severity: Severity
    stage: str
    where: str
    said: str
    positions: tuple[int, ...] = ()
    integers: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.where, self
        assert self.said, self
        assert len(self.positions) <= POSITIONS_MAX, self


@dataclass(frozen=True, slots=True)
class Brought:
    """What the auditor brings: it is what the bundle is measured by, for a bundle cannot vouch for itself.

    Attributes:
        verifiers: the log's keys that are trusted; none: the bundle's own is taken, and that is a warning.
        witnesses: the witnesses' keys that are trusted.
        quorum: how many of them must have cosigned.
        manifest: the deployment's manifest as the auditor knows it; None: the bundle's is taken.
        blocks: hashes (32 bytes) of the last covered block, by the chain's id, from a node or an explorer.
        against: nodes of the auditor's, to compare with (``[CHAIN=]URL``); none: no network is used.
    """

    verifiers: Sequence[Verifier] = ()
    witnesses: Sequence[Witness] = ()
    quorum: int = 0
    manifest: Path | None = None
    blocks: Mapping[int, bytes] = field(default_factory=dict)
    against: Sequence[str] = ()


class Sound:
    """How far the entries were found well-formed, while other stages are at work: nothing else is folded."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._position = 0
        self._over = False

    def up_to(self, position: int) -> None:
        """Say that the entries up to a position are well-formed and in order."""
        with self._changed:
            self._position = max(self._position, position)
            self._changed.notify_all()

    def end(self) -> None:
        """Say that no more will be: all were looked at, or one is not well-formed."""
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def wait(self, position: int) -> bool:
        """Wait until it is known of the entries up to a position; say whether they are."""
        with self._changed:
            self._changed.wait_for(lambda: self._over or self._position >= position)
            return self._position >= position


class Examination(Protocol):
    """What a stage works with: the open bundle, what the auditor brought, and the cores.

    ``each`` runs ``work(bundle, piece)`` for every piece on all cores and yields the results in the pieces' order. No
    more pieces are in flight than cores need, so memory stays flat however many there are. ``work`` is a function of a
    module (it is run in another process), reads nothing but the bundle and its piece, and writes nothing; pieces and
    results are plain values (``msgspec`` can write them: dataclasses, structs, tuples, integers, text, bytes). With
    ``key`` a result is kept under that name, so that a verification that was ended goes on behind it: the key must
    name stage and piece.
    """

    @property
    def bundle(self) -> "Bundle":
        """The bundle, open."""
        ...

    @property
    def brought(self) -> Brought:
        """What the auditor knows from elsewhere."""
        ...

    @property
    def sound(self) -> Sound:
        """How far the entries are known to be well-formed: what folds them keeps behind it."""
        ...

    def each(
        self,
        work: "Callable[[Bundle, Piece], Result]",
        pieces: Iterable[Piece],
        result: type[Result],
        *,
        key: Callable[[Piece], str] | None = None,
    ) -> Iterator[Result]:
        """Run a function over pieces on all cores; the results come in the pieces' order."""
        ...

    def total(self, units: int, unit: str) -> None:
        """Say how much work the stage has, for the time that is left: ``total(2_000_000, "entries")``."""
        ...

    def done(self, units: int) -> None:
        """Say that so much of it is done."""
        ...

    def count(self, what: str, number: int) -> None:
        """Add to what the stage has looked at: ``count("signatures", 12)``. It stands in the report."""
        ...


class Stage(Protocol):
    """A function of the examination that yields what it finds. Its name is told apart, in ``stages.STAGES``."""

    def __call__(self, examination: Examination, /) -> Iterator[Finding]:
        """Look, and yield what is found."""
        ...


@dataclass(frozen=True, slots=True)
class StageOutcome:
    """What became of a stage.

    Attributes:
        name: the stage's.
        skipped: why it was not run; empty if it was.
        counted: what it looked at, by name.
        findings: how many it had of each severity, those behind ``FINDINGS_MAX`` included.
        seconds: how long it took (for people; it differs from run to run).
    """

    name: str
    skipped: str
    counted: Mapping[str, int]
    findings: Mapping[Severity, int]
    seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """A whole verification: what was verified, with which keys, what each stage did, and all findings.

    Attributes:
        bundle: the path as it was given.
        bundle_sha256: of the file bundle.json, 32 bytes in hexadecimal: what a resumed run and a report are bound to.
        entries: of the log that the bundle says it holds; None if bundle.json cannot be read.
        root: the tree root of them that bundle.json names, in hexadecimal; None likewise.
        origin: the log's identity as the checkpoint says it; None if the checkpoint could not be opened.
        size: how many entries the signed checkpoint commits to; None likewise.
        keys: names and ids of the keys that were trusted.
        trusted: whether the auditor brought a key; else the bundle vouches for itself.
        chains: id, first and last covered block, and the last one's hash (hexadecimal), as bundle.json names them.
        against: the nodes that the chain was compared with, without credentials; empty if none.
        stages: in their order.
        findings: in the order of the stages, gravest first within one.
        version: of the program.
        is_file: whether it was a single file and no bundle; ``bundle`` and ``bundle_sha256`` are the file's then.
    """

    bundle: str
    bundle_sha256: str
    entries: int | None
    root: str | None
    origin: str | None
    size: int | None
    keys: Sequence[str]
    trusted: bool
    chains: Sequence[tuple[int, int, int, str]]
    against: str
    stages: Sequence[StageOutcome]
    findings: Sequence[Finding]
    version: str
    is_file: bool = False

    @property
    def ok(self) -> bool:
        """Whether there is no finding of severity ERROR."""
        return all(stage.findings.get(Severity.ERROR, 0) == 0 for stage in self.stages)

    def counts(self) -> dict[str, int]:
        """How many findings there are of each severity, by its name."""
        return {each.name: sum(stage.findings.get(each, 0) for stage in self.stages) for each in Severity}


def said_of(error: BaseException) -> str:
    """Return an error's message for a finding: not without end, and without names that differ from run to run."""
    # A manifest is read from a folder of its own, so that nothing in it leads out of the bundle.
    return _TEMPORARY.sub("manifest/", str(error))[:CHARACTERS_MAX]
