"""What a replay tells of the entries that it was fed."""

from dataclasses import dataclass, field

from deepnode_ledger.decoding import ChainEvent
from deepnode_projections.books import Page, Quarantined


@dataclass(frozen=True, slots=True)
class EpochEnd:
    """An epoch ended with the entry at ``position``; the state root there (32 bytes). Epoch 0 is before the first."""

    epoch: int
    position: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """An entry without effect: its ``kind`` of event, the contract or producer that ``source`` names, and why."""

    position: int
    kind: str
    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class Happened:
    """An event that is watched was folded, the entry at ``position``; ``refused`` says why it had no effect."""

    position: int
    event: ChainEvent
    refused: str | None


@dataclass(frozen=True, slots=True)
class Fed:
    """What a batch did: its pages as they were folded, what had no effect or no meaning, and which epochs ended.

    All are in the order of positions. A page's entries hold also those that went too far, which are ``refused``.
    """

    pages: list[Page] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    ended: list[EpochEnd] = field(default_factory=list)
