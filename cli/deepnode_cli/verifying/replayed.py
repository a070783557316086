"""The stage ``replay``: the entries are folded again from nothing, and give the state roots and the distributions.

The state root at every epoch's end is that of bundle.json, value is conserved there, what the rules refused is counted,
and every distribution that the chain reports is held against what the rules make of the same entries
(``distributions``).
"""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from deepnode_cli.verifying.distributions import distributions
from deepnode_cli.verifying.finding import POSITIONS_MAX, Examination, Finding, Severity
from deepnode_cli.verifying.statements import trusted_manifest
from deepnode_ledger.bundle import Contents, EpochPart
from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.replay import EpochEnd, Fed, Replay, Verdicts

STAGE: Final = "replay"

CHARACTERS_MAX: Final = 500


def replayed(examination: Examination) -> Iterator[Finding]:
    """Fold every entry, and compare what comes of it with bundle.json and with what the chain reports."""
    bundle = examination.bundle
    contents = bundle.contents
    replay = Replay(trusted_manifest(examination))
    verdicts = Verdicts(replay)
    roots = _Roots(contents)
    without_effect = _Effectless()
    examination.total(contents.entries, "entries")
    for file in bundle.log_files():
        if not examination.sound.wait(file.last):
            said = f"it ends at position {replay.position}: the entries behind it are not well-formed"
            yield Finding(Severity.ERROR, STAGE, f"position {replay.position + 1}", said, (replay.position + 1,))
            break
        for batch in bundle.batches_of(file, file.first, file.last):
            fed = replay.feed(batch)
            examination.count("entries", batch.num_rows)
            examination.done(batch.num_rows)
            without_effect.add(fed)
            for end in fed.ended:
                examination.count("state roots", 1)
                yield from roots.compare(end)
    else:
        yield from roots.finish(replay)
        yield from _below_zero(replay)
    yield from without_effect.findings()
    for checked in verdicts.counts():
        examination.count(f"{checked.subject}: {checked.what}", checked.comparisons)
    yield from distributions(STAGE, verdicts, replay.state)


def _below_zero(replay: Replay) -> Iterator[Finding]:
    """Name the accounts that have less than nothing in the end: what a contract moves, it must have got before."""
    where = f"position {replay.position}"
    for account, asset, amount in replay.below_zero():
        said = f"{account} has {amount} base units of {to_hex(asset)}: nothing may be below zero"
        yield Finding(Severity.ERROR, STAGE, where, said, (replay.position,), {"balance": amount})


class _Roots:
    """The state roots that bundle.json names, beside those of the replay."""

    def __init__(self, contents: Contents) -> None:
        self._named = {each.epoch: each for each in contents.epochs}
        self._entries = contents.entries
        self._open = dict(self._named)

    def compare(self, end: EpochEnd) -> Iterator[Finding]:
        """Compare the end of an epoch."""
        named = self._open.pop(end.epoch, None)
        if named is not None:
            yield from _root(named, end.position, end.root)
        elif end.epoch and self._named:
            said = f"it ended at position {end.position}, and bundle.json does not name its state root"
            yield Finding(Severity.ERROR, STAGE, f"epoch {end.epoch}", said, (end.position,))

    def finish(self, replay: Replay) -> Iterator[Finding]:
        """Compare the epoch that ends with the bundle, and name what is left over."""
        last = self._open.pop(max(self._open), None) if self._open else None
        if last is not None:
            yield from _root(last, replay.position, replay.root())
        for epoch in self._open.values():
            said = f"bundle.json says that it ended at position {epoch.position}; the entries open no such epoch"
            yield Finding(Severity.ERROR, STAGE, f"epoch {epoch.epoch}", said, (epoch.position,))
        if not self._named:
            said = "bundle.json names no state roots: the replay is compared with what the chain reports alone"
            yield Finding(Severity.NOTE, STAGE, "bundle.json", said)


def _root(named: EpochPart, position: int, root: bytes) -> Iterator[Finding]:
    where = f"epoch {named.epoch}"
    if named.position != position:
        integers = {"bundle.json": named.position, "replay": position}
        said = f"it ends at position {position}, bundle.json says {named.position}"
        yield Finding(Severity.ERROR, STAGE, where, said, (position,), integers)
    if named.root != to_hex(root):
        said = (
            f"the entries up to position {position} make the state root {to_hex(root)}, bundle.json says {named.root}"
        )
        yield Finding(Severity.ERROR, STAGE, where, said, (position,))


class _Effectless:
    """Entries that the rules refused, and those that no ABI explains, counted by what they are."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._positions: dict[tuple[str, str], list[int]] = {}

    def add(self, fed: Fed) -> None:
        """Take in what a batch did."""
        for refused in fed.refused:
            self._one((f"{refused.kind} of {refused.source}", f"refused: {refused.reason}"), refused.position)
        for strange in fed.quarantined:
            topic = "no topic" if strange.topic0 is None else to_hex(strange.topic0)
            self._one((to_hex(strange.address), f"no meaning ({topic}): {strange.reason}"), strange.position)

    def _one(self, key: tuple[str, str], position: int) -> None:
        short = (key[0][:CHARACTERS_MAX], key[1][:CHARACTERS_MAX])
        self._counts[short] += 1
        positions = self._positions.setdefault(short, [])
        if len(positions) < POSITIONS_MAX:
            positions.append(position)

    def findings(self) -> Iterator[Finding]:
        """Yield a note of each kind."""
        for (source, reason), count in sorted(self._counts.items()):
            positions = tuple(self._positions[source, reason])
            said = f"{source}: {count} without effect, {reason}"
            yield Finding(Severity.NOTE, STAGE, f"position {positions[0]}", said, positions, {"entries": count})
