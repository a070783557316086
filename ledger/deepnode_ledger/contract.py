"""A contract of a deployment: where it stands, how its logs are read, and which contracts it creates.

An upgradeable contract says other things after an upgrade, so its ABI may depend on the block. A factory's children are
contracts like any other, but nobody can list them beforehand: each counts from the log that announces it.
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Protocol

from deepnode_ledger import vocabulary
from deepnode_ledger.abi import EventAbi

EventKey = tuple[bytes, int]
"""What a log's event is told by: the first topic (32 bytes) and the number of topics."""

Events = dict[EventKey, EventAbi]
"""The events of an ABI."""

Place = tuple[int, int]
"""Where a log stands on its chain: the block's number, and the log's index within the block."""


@dataclass(frozen=True, slots=True)
class Creates:
    """What a factory makes: logs of the events ``keys`` name a new contract's address in their ``argument``.

    ``event`` is the event's signature. The rest is what the children share; a child is named ``name.0x…``.
    """

    event: str
    keys: frozenset[EventKey]
    argument: str
    name: str
    kind: str
    events: Events = field(repr=False)
    symbol: str | None = None
    decimals: int | None = None
    asset: str | None = None
    abis: tuple[tuple[int, Events], ...] = field(default=(), repr=False)
    creates: tuple["Creates", ...] = ()


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract whose logs are taken in, from ``start_block`` on.

    ``kind`` says what the books make of its events; ``name`` is unique and names its pockets. A token has ``symbol``
    and ``decimals``; a collateral contract holds the token named ``asset``. ``chain_id`` None is the home chain.

    ``abis`` are the versions of an upgradeable contract's ABI, each with the block from which it holds, in ascending
    order; ``events`` is then all of them together, from which nothing may be read. Empty: ``events`` holds everywhere.
    """

    name: str
    kind: str
    address: bytes
    start_block: int
    events: Events = field(repr=False)
    symbol: str | None = None
    decimals: int | None = None
    asset: str | None = None
    chain_id: int | None = None
    abis: tuple[tuple[int, Events], ...] = field(default=(), repr=False)
    creates: tuple[Creates, ...] = ()
    _namesakes: tuple[EventAbi, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        known = vocabulary.KINDS.get(self.kind, ())
        names = {event.name for event in known}
        versions = [events for _, events in self.abis] or [self.events]
        declared = (event for events in versions for event in events.values())
        namesakes = tuple(event for event in declared if event.name in names and event not in known)
        object.__setattr__(self, "_namesakes", namesakes)

    def event(self, topic0: bytes, topics_count: int, block_number: int | None = None) -> EventAbi | None:
        """Return the event of a log with this first topic and number of topics, or None if the ABI has none.

        The block says which version of the ABI holds; without one, the newest. In the block of an upgrade itself logs
        of both versions can stand: what the newer does not know is looked up in the one before.
        """
        key = (topic0, topics_count)
        if not self.abis:
            return self.events.get(key)
        newest = len(self.abis) - 1
        number = newest if block_number is None else max(0, bisect_right(self.abis, block_number, key=_from_block) - 1)
        found = self.abis[number][1].get(key)
        if found is None and number > 0 and self.abis[number][0] == block_number:
            return self.abis[number - 1][1].get(key)
        return found

    def name_of(self, event: EventAbi) -> str:
        """Return the name by which the books know one of the contract's events.

        An event that is named like one of the vocabulary and has other arguments goes by its signature, so that no rule
        takes it for the one that it knows.
        """
        return event.signature if self._namesakes and event in self._namesakes else event.name


class Contracts(Protocol):
    """Whoever knows which contract an address is: a manifest, or a roster, which knows the factories' children too."""

    def get(
        self, address: bytes, chain_id: int | None = None, place: Place | None = None, position: int | None = None
    ) -> Contract | None:
        """Return the contract at an address of a chain (None: the home chain), or None if it is not known.

        A child is known behind the log that announces it: to a log by its ``place`` on the chain, to what has none by
        its ``position``. With neither it is known as soon as it was learned.
        """


def _from_block(version: tuple[int, Events]) -> int:
    return version[0]
