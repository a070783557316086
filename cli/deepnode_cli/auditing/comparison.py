"""Comparing two logs: where their entries begin to differ, and what else they do not agree upon.

Hashes are compared first, from the largest subtrees down, so what is the same is not read. What tiles say is believed
here and shown to be so by ``deepnode verify``; but where they agree and the log files do not, these are read in full.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from deepnode_cli.auditing.entry_difference import WINDOW_ENTRIES, Changed, EntryDifference, entry_difference
from deepnode_cli.auditing.first_difference import CHUNK_LEVEL, differing
from deepnode_cli.auditing.sides import Side
from deepnode_ledger.bundle.layout import log_files
from deepnode_ledger.transparency.checkpoint import TreeHead
from deepnode_ledger.transparency.tree import NotProven, consistency_proof, root, verify_consistency

POSITIONS_MAX: Final = 100
"""Positions that are named, of those at which the entries differ."""

PARTS: Final = ("chain", "manifest", "root", "rulesets", "state root", "checkpoint")
"""What is compared beside the entries."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Something beside the entries that is not the same: a part of ``PARTS``, what of it, and what each side says."""

    part: str
    what: str
    one: str
    other: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two sides, named ``names``, with so many ``entries``, have in common and what not.

    ``first`` is the first difference of their entries up to the shorter one's end, ``positions`` are those at which
    they differ, the first hundred of them. ``is_prefix`` says that there is none, but one is longer. ``mismatches`` are
    the parts that contradict each other, ``notes`` what may well differ between two bundles of one log.
    """

    names: tuple[str, str]
    entries: tuple[int, int]
    first: EntryDifference | None
    positions: Sequence[int]
    mismatches: Sequence[Mismatch]
    epochs: int
    checkpoints: int
    notes: Sequence[str]

    @property
    def is_prefix(self) -> bool:
        """Whether the shorter one is the beginning of the longer one."""
        return self.first is None and self.entries[0] != self.entries[1]

    @property
    def same(self) -> bool:
        """Whether they tell the same history."""
        return self.first is None and self.entries[0] == self.entries[1] and not self.mismatches


def compare(one: Side, other: Side) -> Comparison:
    """Compare two sides.

    Raises:
        Damaged: something that is read is not what the side's list says.
    """
    size = min(one.entries, other.entries)
    positions = _positions(one, other, size)
    first = None if not positions else _look(one, other, positions)
    checked = list(_heads(one, other))
    mismatches = [
        *_plain(one, other),
        *(found for each in (one, other) for found in _stated_root(each)),
        *_state_roots(one, other),
        *(found for found in checked if found is not None),
    ]
    shared = 0 if one.epochs is None or other.epochs is None else len(one.epochs.keys() & other.epochs.keys())
    counts = (one.entries, other.entries)
    return Comparison(
        (one.name, other.name), counts, first, positions, mismatches, shared, len(checked), _notes(one, other)
    )


def _positions(one: Side, other: Side, size: int) -> list[int]:
    """Find the positions at which the entries differ, the first hundred of them."""
    level_max = CHUNK_LEVEL if one.made or other.made else 62
    found = [
        index + 1 for index in islice(differing(size, one.hashes, other.hashes, level_max=level_max), POSITIONS_MAX)
    ]
    if found or one.made or other.made:
        return found
    for file in log_files(size):
        if one.files.get(file.path) != other.files.get(file.path):
            # The trees agree: either the files are only written otherwise, or one of them is not what its tiles say.
            for position in range(file.first, file.last + 1, WINDOW_ENTRIES):
                last = min(file.last, position + WINDOW_ENTRIES - 1)
                rows = zip(one.rows(position, last), other.rows(position, last), strict=True)
                found += [position + place for place, (ours, theirs) in enumerate(rows) if ours != theirs]
            if found:
                return found[:POSITIONS_MAX]
    return found


def _look(one: Side, other: Side, positions: Sequence[int]) -> EntryDifference:
    at = positions[0]
    before = one.rows(at - WINDOW_ENTRIES, at - 1) if at > 1 else []
    ours, theirs = (each.rows(at, at + WINDOW_ENTRIES - 1) for each in (one, other))
    found = entry_difference(at, ours, theirs, before)
    if found.kind == "changed" and len(positions) == 2:
        # Two entries far from one another may have changed places.
        rows = [[_without_position(each.rows(place, place)[0]) for place in positions] for each in (one, other)]
        if rows[0] == rows[1][::-1]:
            return EntryDifference("order", at, 2, found.fields)
    return found


def _without_position(row: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in row.items() if name != "position"}


def _plain(one: Side, other: Side) -> Iterator[Mismatch]:
    if one.chain_id != other.chain_id:
        yield Mismatch("chain", "home chain", str(one.chain_id), str(other.chain_id))
    if one.manifest != other.manifest:
        yield Mismatch("manifest", "digest", one.manifest, other.manifest)
    if one.rulesets is None or other.rulesets is None:
        return
    # A longer log may have met a ruleset that the shorter one has not.
    for each in sorted(one.rulesets ^ other.rulesets):
        has = each in one.rulesets
        if (one if has else other).entries <= (other if has else one).entries:
            yield Mismatch("rulesets", each, "is there" if has else "is missing", "is missing" if has else "is there")


def _stated_root(side: Side) -> Iterator[Mismatch]:
    if side.root is not None and (found := root(side.entries, side.hashes)) != side.root:
        yield Mismatch("root", f"of {side.name}", f"stated {side.root.hex()}", f"its tiles lead to {found.hex()}")


def _state_roots(one: Side, other: Side) -> Iterator[Mismatch]:
    if one.epochs is None or other.epochs is None:
        return
    for epoch in sorted(one.epochs.keys() & other.epochs.keys()):
        if one.epochs[epoch] != other.epochs[epoch]:
            yield Mismatch("state root", f"epoch {epoch}", one.epochs[epoch], other.epochs[epoch])


def _heads(one: Side, other: Side) -> Iterator[Mismatch | None]:
    """Compare each side's signed tree heads with the other side's tree, or its heads of the same size."""
    for mine, theirs, is_swapped in ((one, other, False), (other, one, True)):
        for head in mine.heads:
            if head.size <= theirs.entries:
                yield _contained(mine, theirs, head, is_swapped=is_swapped)
            elif not is_swapped:
                yield from (_same_size(head, each) for each in theirs.heads if each.size == head.size)


def _contained(mine: Side, theirs: Side, head: TreeHead, *, is_swapped: bool) -> Mismatch | None:
    """Prove that a signed tree is the beginning of the other side's."""
    whole = root(theirs.entries, theirs.hashes)
    proof = consistency_proof(head.size, theirs.entries, theirs.hashes)
    try:
        verify_consistency(head.size, head.root, theirs.entries, whole, proof)
    except NotProven:
        found = root(head.size, theirs.hashes)
        said = f"signed {head.root.hex()}", f"has {found.hex()}"
        return Mismatch("checkpoint", f"of {head.size} entries, signed by {head.origin!a:.80}, of {mine.name}",
                        *(said[::-1] if is_swapped else said))  # fmt: skip
    return None


def _same_size(head: TreeHead, other: TreeHead) -> Mismatch | None:
    if (head.origin, head.root) == (other.origin, other.root):
        return None
    said = [f"{each.origin!a:.80} signed {each.root.hex()}" for each in (head, other)]
    return Mismatch("checkpoint", f"of {head.size} entries", *said)


def _notes(one: Side, other: Side) -> Sequence[str]:
    if not one.files or not other.files:
        return ()
    names = sorted(
        name
        for name in one.files.keys() & other.files.keys()
        if one.files[name] != other.files[name] and not name.startswith(("tile/", "log/"))
    )
    alone = [
        f"only {side.name} has {len(found)} files of evidence"
        for side, others in ((one, other), (other, one))
        if (found := [each for each in side.files.keys() - others.files.keys() if each.startswith("evidence/")])
    ]
    return (*(f"{name} is not the same" for name in names), *alone)


def in_words(comparison: Comparison) -> str:
    """Say what is different about the entries, in a sentence."""
    one, other = comparison.names
    found = comparison.first
    if found is None:
        if comparison.is_prefix:
            shorter, longer = (one, other) if comparison.entries[0] < comparison.entries[1] else (other, one)
            count = min(comparison.entries)
            return f"{shorter} is the beginning of {longer}: their first {count} entries are the same"
        return f"all {comparison.entries[0]} entries are the same"
    more = "" if found.kind not in {"missing", "added"} or not found.doubled else ", repeating what stands before"
    several = f"{found.entries} entries" if found.entries != 1 else "an entry"
    said = {
        "missing": f"{several} of {one} {'are' if found.entries != 1 else 'is'} not in {other}{more}",
        "added": f"{several} of {other} {'are' if found.entries != 1 else 'is'} not in {one}{more}",
        "changed": f"{several} changed",
        "order": f"{found.entries} entries are the same and in another order",
        "encoding": "the entry is the same, and the trees say otherwise: verify both bundles",
        "unlike": f"nothing is alike in the next {found.entries} entries",
    }[found.kind]
    return f"from position {found.position} on they differ: {said}"


def changed_in_words(changed: Changed) -> str:
    """Say what a field was and is."""
    return f"{changed.field}: {_value(changed.one)} → {_value(changed.other)}"


def _value(value: object) -> str:
    if isinstance(value, bytes):
        return f"0x{value.hex()}" if len(value) <= 96 else f"0x{value[:96].hex()}… ({len(value)} bytes)"
    # Somebody else wrote the text: it is shown as it is, and does nothing to a terminal.
    return f"{value!a:.200}"
