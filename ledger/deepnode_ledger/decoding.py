"""Decoding: from an entry's bytes to what it says, as a pure function of the bytes and the manifest.

What cannot be decoded is not an error of the log: it is ``Unknown`` with a reason, so that it can be counted and shown,
and decoded later by a better manifest.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deepnode_ledger.abi import Undecodable
from deepnode_ledger.contract import Contract, Contracts, Place
from deepnode_ledger.record import ChainLog, LogEntry, TaskEvent


@dataclass(frozen=True, slots=True)
class ChainEvent:
    """A decoded contract log. ``args`` by argument name: numbers are ints, addresses 20 bytes, ids 32 bytes."""

    contract: Contract
    name: str
    args: Mapping[str, Any]

    def uint(self, name: str) -> int:
        """Return a number argument."""
        value = self.args[name]
        assert isinstance(value, int), (self.name, name, value)
        return value

    def address(self, name: str) -> bytes:
        """Return an address argument (20 bytes)."""
        return self._bytes(name, 20)

    def word(self, name: str) -> bytes:
        """Return an id or hash argument (32 bytes)."""
        return self._bytes(name, 32)

    def _bytes(self, name: str, length: int) -> bytes:
        value = self.args[name]
        assert isinstance(value, bytes), (self.name, name, value)
        assert len(value) == length, (self.name, name, value)
        return value


@dataclass(frozen=True, slots=True)
class Unknown:
    """A log that the manifest gives no meaning: ``reason`` says which rule it fails."""

    reason: str


def decode(entry: LogEntry, known: Contracts) -> ChainEvent | TaskEvent | Unknown:
    """Say what an entry says. Task events are returned as they are: their payload is text already.

    Args:
        entry: what the log holds.
        known: a manifest or, where it names factories, a roster that has learned of the children.
    """
    if isinstance(entry.record, TaskEvent):
        return entry.record
    place = (entry.block.number, entry.record.log_index)
    return _decode(entry.record, known.get(entry.record.address, entry.chain_id, place), entry.block.number)


def decode_log(
    log: ChainLog, known: Contracts, *, chain_id: int | None = None, block_number: int | None = None
) -> ChainEvent | Unknown:
    """Say what a contract log says.

    Without a chain it is taken for one of the home chain; without a block it is read by the newest ABI, and a child's
    log also before the child was announced.
    """
    place: Place | None = None if block_number is None else (block_number, log.log_index)
    return _decode(log, known.get(log.address, chain_id, place), block_number)


def _decode(log: ChainLog, contract: Contract | None, block_number: int | None) -> ChainEvent | Unknown:
    if contract is None:
        return Unknown("no contract of the manifest has this address")
    if not log.topics:
        return Unknown("an anonymous event: it has no topic to tell it by")
    event = contract.event(log.topics[0], len(log.topics), block_number)
    if event is None:
        return Unknown(f"the ABI of {contract.name} has no event with this first topic and {len(log.topics)} topics")
    try:
        return ChainEvent(contract, contract.name_of(event), event.decode(log.topics, log.data))
    except Undecodable as error:
        return Unknown(str(error))
