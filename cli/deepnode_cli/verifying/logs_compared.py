"""Logs of a block, those that receipts or a node hold against those of the log: what was dropped, added or altered.

A log is known by its index in its block. Of one that is altered the differing fields are named and, of its data, the
first word that differs as the two integers that it holds: that is where an amount would be.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from deepnode_cli.verifying.finding import POSITIONS_MAX, Finding, Severity
from deepnode_ledger.hexadecimal import to_hex

WORD_BYTES: Final = 32
"""A word of the ABI, in which a number stands."""


class PlacedLog(NamedTuple):
    """A log and its place in its block; the fields are those of ``record.ChainLog``."""

    log_index: int
    transaction_index: int
    transaction_hash: bytes
    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


class Said(msgspec.Struct, frozen=True):
    """A finding as it goes from one process to another: integers of 256 bits are written as text."""

    severity: int
    where: str
    said: str
    positions: tuple[int, ...] = ()
    integers: tuple[tuple[str, str], ...] = ()

    def finding(self, stage: str) -> Finding:
        """Return the finding."""
        integers = {name: int(value) for name, value in self.integers}
        return Finding(Severity(self.severity), stage, self.where, self.said, self.positions, integers)


def error(where: str, said: str, positions: Sequence[int] = (), **integers: int) -> Said:
    """Return what is wrong."""
    return Said(int(Severity.ERROR), where, said, tuple(positions[:POSITIONS_MAX]), _written(integers))


def warning(where: str, said: str, **integers: int) -> Said:
    """Return what could not be looked at."""
    return Said(int(Severity.WARNING), where, said, integers=_written(integers))


def note(where: str, said: str, **integers: int) -> Said:
    """Return what is worth knowing."""
    return Said(int(Severity.NOTE), where, said, integers=_written(integers))


def _written(integers: Mapping[str, int]) -> tuple[tuple[str, str], ...]:
    return tuple((name.replace("_", " "), str(value)) for name, value in integers.items())


def block_of(chain_id: int, number: int) -> str:
    """Name a block as a finding does."""
    return f"block {chain_id}:{number}"


def compared(
    chain_id: int,
    number: int,
    expected: Sequence[PlacedLog],
    optional: frozenset[int],
    found: Sequence[tuple[int, PlacedLog]],
    source: str,
    *,
    cut: bool = False,
) -> Iterator[Said]:
    """Say where the log's entries of a block are not those that they must be.

    Args:
        chain_id: of the block.
        number: of the block.
        expected: the logs that count, in the order of the block.
        optional: indexes of those that the log may have or not.
        found: the log's entries, each with its position, in the order of the log.
        source: who says what is expected: ``its receipts``.
        cut: whether the log may end within the block, so that its last logs may be missing.
    """
    if len(expected) == len(found) and all(one == other for one, (_, other) in zip(expected, found, strict=True)):
        return
    where = block_of(chain_id, number)
    by_index = {each.log_index: each for each in expected}
    entries: dict[int, tuple[int, PlacedLog]] = {}
    before = -1
    for position, log in found:
        index = log.log_index
        if index in entries:
            positions = (entries[index][0], position)
            yield error(where, f"log {index} of block {number} is in the log twice", positions, log_index=index)
            continue
        entries[index] = position, log
        if index < before:
            said = f"log {index} of block {number} stands behind log {before}"
            yield error(where, said, (position,), log_index=index, log_before=before)
        before = max(before, index)
        if index not in by_index:
            said = (
                f"log {index} of block {number}, of {to_hex(log.address)}, was added: {source} have no such log of ours"
            )
            yield error(where, said, (position,), log_index=index)
        elif log != by_index[index]:
            yield _altered(where, number, by_index[index], position, log, source)
    for index, log in by_index.items():
        if index not in entries and index not in optional and not (cut and index > before):
            near = [entries[other][0] for other in sorted(entries) if other > index][:1]
            said = f"log {index} of block {number}, of {to_hex(log.address)}, is missing: {source} have it"
            yield error(where, said, near, log_index=index)


def missing(expected: Sequence[PlacedLog], optional: frozenset[int], found: Sequence[tuple[int, PlacedLog]]) -> int:
    """Count the logs at a block's end that the log does not have."""
    last = max((log.log_index for _, log in found), default=-1)
    return sum(each.log_index > last and each.log_index not in optional for each in expected)


def _altered(where: str, number: int, expected: PlacedLog, position: int, found: PlacedLog, source: str) -> Said:
    names = [
        name.replace("_", " ")
        for name, one, other in zip(PlacedLog._fields, expected, found, strict=True)
        if one != other
    ]
    integers: dict[str, int] = {"log_index": expected.log_index}
    if expected.transaction_index != found.transaction_index:
        integers |= {"expected": expected.transaction_index, "found": found.transaction_index}
    elif expected.data != found.data:
        integers |= _first_word(expected.data, found.data)
    said = (
        f"log {expected.log_index} of block {number}, of {to_hex(expected.address)}, is altered: {source} have another "
        f"{', '.join(names)}"
    )
    return error(where, said, (position,), **integers)


def _first_word(expected: bytes, found: bytes) -> dict[str, int]:
    """The first word of data that differs, as integers, and their difference; lengths if one is at its end."""
    for start in range(0, min(len(expected), len(found)), WORD_BYTES):
        one, other = (int.from_bytes(data[start : start + WORD_BYTES]) for data in (expected, found))
        if one != other:
            return {"word": start // WORD_BYTES, "expected": one, "found": other, "difference": other - one}
    one, other = len(expected), len(found)
    return {"expected_bytes": one, "found_bytes": other, "difference": other - one}
