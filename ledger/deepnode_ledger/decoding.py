"""Decoding: from an entry's bytes to what it says, as a pure function of the bytes and the manifest.

What cannot be decoded is not an error of the log: it is ``Unknown`` with a reason, so that it can be counted and shown,
and decoded later by a better manifest.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deepnode_ledger.abi import Undecodable
from deepnode_ledger.manifest import Contract, Manifest
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


def decode(entry: LogEntry, manifest: Manifest) -> ChainEvent | TaskEvent | Unknown:
    """Say what an entry says. Task events are returned as they are: their payload is text already."""
    if isinstance(entry.record, TaskEvent):
        return entry.record
    return decode_log(entry.record, manifest)


def decode_log(log: ChainLog, manifest: Manifest) -> ChainEvent | Unknown:
    """Say what a contract log says."""
    contract = manifest.contracts.get(log.address)
    if contract is None:
        return Unknown("no contract of the manifest has this address")
    if not log.topics:
        return Unknown("an anonymous event: it has no topic to tell it by")
    event = contract.events.get((log.topics[0], len(log.topics)))
    if event is None:
        return Unknown(f"the ABI of {contract.name} has no event with this first topic and {len(log.topics)} topics")
    try:
        return ChainEvent(contract, event.name, event.decode(log.topics, log.data))
    except Undecodable as error:
        return Unknown(str(error))
