"""The stage ``statements``: every task event is genuine, none stands twice, and what never came is named.

A gap in a producer's numbers is a note: the log waits for nobody, and an event that was lost on its way is visible this
way. Two events with one id or one number are an error: the intake refuses the second.
"""

import itertools
from collections.abc import Iterator
from typing import Final

import numpy as np

from deepnode_cli.verifying.finding import POSITIONS_MAX, Examination, Finding, Severity
from deepnode_cli.verifying.statement_pieces import (
    KEY_BYTES,
    Heard,
    Named,
    Sought,
    Statements,
    hear,
    id_key,
    seek,
    sequence_key,
)
from deepnode_ledger.manifest import Manifest, load_manifest

STAGE: Final = "statements"

GAPS_MAX: Final = 100
"""Gaps that are named of one producer."""


def statements(examination: Examination) -> Iterator[Finding]:
    """Check every task event, and the keys and numbers of all of them together."""
    bundle = examination.bundle
    manifest = trusted_manifest(examination)
    producers = tuple((each.id, each.key) for each in manifest.producers.values())
    files = bundle.log_files()
    pieces = [Statements(file.path, file.first, file.last, manifest.chain_id, producers) for file in files]
    examination.total(bundle.contents.entries, "entries")
    keys: list[bytes] = []
    sequences: dict[str, list[tuple[int, int]]] = {}
    heard = examination.each(hear, pieces, Heard, key=lambda piece: piece.path)
    for piece, each in zip(pieces, heard, strict=True):
        examination.done(piece.last - piece.first + 1)
        examination.count("signatures", each.signatures)
        keys.append(each.keys)
        for producer, runs in each.runs.items():
            sequences[producer] = _joined([*sequences.get(producer, []), *runs])
        yield from (wrong.finding(STAGE) for wrong in each.wrong)
    yield from _repeated(examination, b"".join(keys))
    for producer, runs in sorted(sequences.items()):
        yield from _gaps(producer, runs)


def trusted_manifest(examination: Examination) -> Manifest:
    """Return the manifest that the auditor brought, else the bundle's.

    Raises:
        BadInput: it is refused as any manifest is.
    """
    brought = examination.brought.manifest
    return examination.bundle.manifest() if brought is None else load_manifest(brought)


def _repeated(examination: Examination, keys: bytes) -> Iterator[Finding]:
    """Look for keys that come twice; only then are the events sought that have them."""
    values, counts = np.unique(np.frombuffer(keys, ">u8"), return_counts=True)
    again = frozenset(int(value).to_bytes(KEY_BYTES) for value in values[counts > 1])
    if not again:
        return
    pieces = [Sought(file.path, file.first, file.last, again) for file in examination.bundle.log_files()]
    by_key: dict[tuple[str, str, str], list[Named]] = {}
    for named in (each for found in examination.each(seek, pieces, list) for each in found):
        for what, key, shown in (
            ("id", id_key(named.producer, named.event_id), repr(named.event_id)),
            ("sequence number", sequence_key(named.producer, named.sequence), str(named.sequence)),
        ):
            if key in again:
                by_key.setdefault((what, named.producer, shown), []).append(named)
    for (what, producer, shown), events in by_key.items():
        if len(events) > 1:
            positions = tuple(each.position for each in events)[:POSITIONS_MAX]
            said = f"{len(events)} task events of {producer} have the {what} {shown}, which only one may have"
            integers = {"events": len(events), "sequence": events[0].sequence}
            yield Finding(Severity.ERROR, STAGE, f"position {positions[1]}", said, positions, integers)


def _gaps(producer: str, runs: list[tuple[int, int]]) -> Iterator[Finding]:
    borders = [(0, 0), *runs]
    gaps = [(a[1] + 1, b[0] - 1) for a, b in itertools.pairwise(borders) if b[0] - a[1] > 1]
    for first, last in gaps[:GAPS_MAX]:
        number = f"{first}" if first == last else f"{first} to {last}"
        said = f"number {number} never came; a later one did"
        yield Finding(Severity.NOTE, STAGE, f"producer {producer}", said, integers={"first": first, "last": last})
    if len(gaps) > GAPS_MAX:
        missing = sum(last - first + 1 for first, last in gaps)
        said = f"{len(gaps)} gaps, {missing} numbers never came; the first {GAPS_MAX} gaps are named"
        integers = {"gaps": len(gaps), "missing": missing}
        yield Finding(Severity.NOTE, STAGE, f"producer {producer}", said, integers=integers)


def _joined(runs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for first, last in sorted(runs):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return joined
