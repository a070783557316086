"""The verification as a whole: which stages run, in which order, and what becomes of what they find.

Files come first: everything else rests on their hashes. Then two lanes run beside each other: the other stages one
after the other, each on all cores, and the replay, which can only go entry by entry and follows what the stage of the
entries has found well-formed. What a stage raises is a finding as well: nothing that a bundle holds may keep the other
stages from looking, and what could not be looked at is not right.
"""

import hashlib
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from deepnode_cli.verifying.finding import (
    CHARACTERS_MAX,
    FINDINGS_MAX,
    Brought,
    Finding,
    Outcome,
    Severity,
    Sound,
    Stage,
    StageOutcome,
    said_of,
)
from deepnode_cli.verifying.kept import Kept
from deepnode_cli.verifying.showing import Showing
from deepnode_cli.verifying.workers import Workers
from deepnode_ledger.bundle import Bundle, open_bundle
from deepnode_ledger.errors import BadInput, Damaged, DeepNodeError, TryAgain
from deepnode_ledger.transparency import Verifier, open_checkpoint

OPENING: Final = "opening"
FILES: Final = "files"
ENTRIES: Final = "entries"

SMALL_BYTES: Final = 16 * 1024 * 1024
"""A bundle of fewer bytes is looked at before other processes would have started."""

Piece = TypeVar("Piece")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Planned:
    """A stage that is to be run.

    Attributes:
        name: the stage's.
        stage: what looks.
        skipped: why it is not run; empty: it is.
        beside: whether it runs beside the others from the start.
        is_kept: whether its result is kept for a verification that goes on; what the network said never is.
    """

    name: str
    stage: Stage
    skipped: str = ""
    beside: bool = False
    is_kept: bool = True


@dataclass(frozen=True, slots=True)
class Done:
    """What a stage left behind, as it is kept."""

    counted: dict[str, int]
    findings: tuple[Finding, ...]
    numbers: dict[Severity, int]
    seconds: float


@dataclass(slots=True)
class Running:
    """A stage that is at work: the examination that it is given."""

    bundle: Bundle
    brought: Brought
    sound: Sound
    name: str
    workers: Workers
    kept: Kept | None
    showing: Showing | None
    counted: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def each(
        self,
        work: Callable[[Bundle, Piece], Result],
        pieces: Iterable[Piece],
        result: type[Result],
        *,
        key: Callable[[Piece], str] | None = None,
    ) -> Iterator[Result]:
        """Run a function over pieces on all cores; what was kept of an earlier run is not done again."""
        if key is None or self.kept is None:
            yield from self.workers.each(work, pieces)
            return
        order = list(pieces)
        names = [f"{self.name} {key(piece)}" for piece in order]
        missing = [number for number, name in enumerate(names) if not self.kept.has(name)]
        fresh = self.workers.each(work, [order[number] for number in missing])
        waiting = set(missing)
        for number, name in enumerate(names):
            if number in waiting:
                made = next(fresh)
                self.kept.keep(name, made)
                yield made
            else:
                again = self.kept.find(name, result)
                yield work(self.bundle, order[number]) if again is None else again

    def total(self, units: int, unit: str) -> None:
        """Say how much work the stage has."""
        if self.showing is not None:
            self.showing.total(self.name, units, unit)

    def done(self, units: int) -> None:
        """Say that so much of it is done."""
        if self.showing is not None:
            self.showing.done(self.name, units)

    def count(self, what: str, number: int) -> None:
        """Add to what the stage has looked at."""
        self.counted[what] += number


def verify(
    path: Path,
    stages: Sequence[Planned],
    brought: Brought,
    *,
    jobs: int | None = 1,
    keep: Callable[[str], Path] | None = None,
    showing: Showing | None = None,
) -> Outcome:
    """Verify a bundle.

    Args:
        path: the bundle, a directory or a tar.
        stages: what is looked at, in the order of the report; files first.
        brought: what the auditor knows from elsewhere.
        jobs: how many processes look at pieces; 1: this one does. None: as many as there are cores, if it is worth it.
        keep: says where finished pieces are kept, of a hash of all that they depend on; None: nowhere.
        showing: shows how far it is.

    Raises:
        BadInput: there is no bundle at the path, or it is of a format that this program does not know.
        TryAgain: a node that the auditor named does not answer.
    """
    try:
        bundle = open_bundle(path)
    except Damaged as error:
        return unopened(path, str(error))
    with bundle, Workers(bundle, path, _jobs(bundle) if jobs is None else jobs) as workers:
        kept = None
        if keep is not None:
            of = _of(bundle, brought)
            kept = Kept(keep(of), of)
        try:
            outcomes = _Lanes(bundle, brought, workers, kept, showing).run(stages)
            if kept is not None:
                kept.forget()
        finally:
            if kept is not None:
                kept.close()
        return _outcome(path, bundle, stages, outcomes, brought)


def _jobs(bundle: Bundle) -> int:
    if sum(each.bytes for each in bundle.contents.files) < SMALL_BYTES:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def unopened(path: Path, said: str) -> Outcome:
    """Return what there is to say of a bundle whose list cannot be read."""
    finding = Finding(Severity.ERROR, OPENING, "bundle.json", said[:CHARACTERS_MAX])
    stage = StageOutcome(OPENING, "", {}, {Severity.ERROR: 1}, 0.0)
    return Outcome(str(path), "", None, None, None, None, (), False, (), "", (stage,), (finding,), version())


def single_file(path: Path, findings: Sequence[Finding], brought: Brought) -> Outcome:
    """Return what there is to say of a single file, by the stages that its findings name."""
    numbers: dict[str, Counter[Severity]] = {}
    for finding in findings:
        numbers.setdefault(finding.stage, Counter())[finding.severity] += 1
    run = tuple(StageOutcome(name, "", {}, dict(counts), 0.0) for name, counts in numbers.items())
    keys = tuple(map(_named, brought.verifiers))
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Outcome(
        bundle=str(path),
        bundle_sha256=digest,
        entries=None,
        root=None,
        origin=None,
        size=None,
        keys=keys,
        trusted=bool(keys),
        chains=(),
        against="",
        stages=run,
        findings=tuple(findings),
        version=version(),
        is_file=True,
    )


def version() -> str:
    """Return this program's version."""
    return metadata.version("deepnode-ledger")


@dataclass(slots=True)
class _Lanes:
    """The stages at work: one after the other, and beside them those that go their own pace."""

    bundle: Bundle
    brought: Brought
    workers: Workers
    kept: Kept | None
    showing: Showing | None
    sound: Sound = field(default_factory=Sound)
    outcomes: dict[str, Done] = field(default_factory=dict)
    lost: list[BaseException] = field(default_factory=list)

    def run(self, stages: Sequence[Planned]) -> dict[str, Done]:
        wanted = [each for each in stages if not each.skipped]
        for planned in wanted:
            if planned.name == FILES:
                self._one(planned)
        beside = [each for each in wanted if each.beside]
        others = [each for each in wanted if not each.beside and each.name != FILES]
        if all(each.name != ENTRIES for each in wanted):
            # Nobody looks at the entries as such: what reads them finds out for itself.
            self.sound.up_to(self.bundle.contents.entries)
        if self.workers.jobs == 1:
            for planned in [*others, *beside]:
                self._one(planned)
            return self.outcomes
        threads = [threading.Thread(target=self._thread, args=(each,), name=each.name, daemon=True) for each in beside]
        for thread in threads:
            thread.start()
        try:
            for planned in others:
                self._one(planned)
        finally:
            self.sound.end()
        for thread in threads:
            thread.join()
        if self.lost:
            raise self.lost[0]
        return self.outcomes

    def _one(self, planned: Planned) -> None:
        kept = self.kept if planned.name != FILES else None
        running = Running(self.bundle, self.brought, self.sound, planned.name, self.workers, kept, self.showing)
        try:
            done = _looked(planned, running)
        finally:
            if planned.name == ENTRIES:
                self.sound.end()
            if self.showing is not None:
                self.showing.finished(planned.name)
        if planned.name == FILES and done.numbers.get(Severity.ERROR):
            # What is kept was made of files with the hashes of bundle.json.
            self.kept = None
        self.outcomes[planned.name] = done

    def _thread(self, planned: Planned) -> None:
        try:
            self._one(planned)
        except BaseException as error:  # noqa: BLE001 (it is raised where all lanes come together)
            self.lost.append(error)


def _looked(planned: Planned, running: Running) -> Done:
    """Run one stage to its end, or return what is kept of it."""
    name = f"stage {planned.name}"
    kept = running.kept if planned.is_kept else None
    again = None if kept is None else kept.find(name, Done)
    if again is not None:
        if planned.name == ENTRIES and not again.numbers.get(Severity.ERROR):
            running.sound.up_to(running.bundle.contents.entries)
        return again
    began = time.monotonic()
    numbers: Counter[Severity] = Counter()
    findings: list[Finding] = []
    is_whole = True
    for finding in _guarded(planned, running):
        numbers[finding.severity] += 1
        is_whole = is_whole and finding.where != planned.name
        if len(findings) < FINDINGS_MAX:
            findings.append(finding)
    findings.sort(key=lambda each: -each.severity)
    done = Done(dict(running.counted), tuple(findings), dict(numbers), time.monotonic() - began)
    if kept is not None and is_whole:
        kept.keep(name, done)
    return done


def _guarded(planned: Planned, running: Running) -> Iterator[Finding]:
    """Yield a stage's findings, and a last one if it could not go on to its end."""
    try:
        yield from planned.stage(running)
    except TryAgain:
        raise
    except DeepNodeError as error:
        yield Finding(Severity.ERROR, planned.name, planned.name, f"could not be finished: {said_of(error)}")
    except Exception as error:  # noqa: BLE001 (see below)
        # Whatever a hostile file makes a library raise: the other stages go on, and this one is not right.
        said = f"could not be finished: {type(error).__name__}: {said_of(error)}"
        yield Finding(Severity.ERROR, planned.name, planned.name, said)


def _outcome(
    path: Path, bundle: Bundle, stages: Sequence[Planned], outcomes: Mapping[str, Done], brought: Brought
) -> Outcome:
    contents = bundle.contents
    run = []
    findings: list[Finding] = []
    for planned in stages:
        done = outcomes.get(planned.name, Done({}, (), {}, 0.0))
        run.append(StageOutcome(planned.name, planned.skipped, done.counted, done.numbers, done.seconds))
        findings += done.findings
    origin, size, keys = _signed(bundle, brought)
    chains = tuple(
        (each.chain_id, each.first_block, each.last_block, each.last_hash)
        for each in contents.chains
        if each.last_block is not None and each.last_hash is not None
    )
    return Outcome(
        bundle=str(path),
        bundle_sha256=bundle.sha256,
        entries=contents.entries,
        root=contents.root,
        origin=origin,
        size=size,
        keys=keys,
        trusted=bool(brought.verifiers),
        chains=chains,
        against=" ".join(map(_node, brought.against)),
        stages=tuple(run),
        findings=tuple(findings),
        version=version(),
    )


def _of(bundle: Bundle, brought: Brought) -> str:
    """Hash what a kept result depends on: the bundle, the program, and what the auditor brought."""
    manifest = b"" if brought.manifest is None else brought.manifest.read_bytes()
    told = {**asdict(brought), "manifest": hashlib.sha256(manifest).hexdigest()}
    told["verifiers"], told["witnesses"] = [list(map(str, each)) for each in (brought.verifiers, brought.witnesses)]
    told["blocks"] = sorted((chain, block_hash.hex()) for chain, block_hash in brought.blocks.items())
    line = msgspec.json.encode([bundle.sha256, version(), told], order="sorted")
    return hashlib.sha256(line).hexdigest()


def _signed(bundle: Bundle, brought: Brought) -> tuple[str | None, int | None, tuple[str, ...]]:
    """Return origin and size of the checkpoint as far as it opens, and the keys that it was opened with."""
    try:
        keys = brought.verifiers or (Verifier.parse(bundle.checkpoint_key()),)
        named = tuple(map(_named, keys))
        head = open_checkpoint(bundle.checkpoint(), keys).head
    except BadInput:
        return None, None, tuple(map(_named, brought.verifiers))
    return head.origin, head.size, named


def _named(key: Verifier) -> str:
    """Name a key by its name and id."""
    return f"{key.name}+{key.key_id.hex()}"


def _node(given: str) -> str:
    """Say which node is meant, without what may be a secret."""
    # Where no node is named, nothing that speaks to one is even loaded.
    from deepnode_cli.nodes import chain_and_url
    from deepnode_indexer.rpc import shown

    chain_id, url = chain_and_url(given)
    return shown(url) if chain_id is None else f"{chain_id}={shown(url)}"
