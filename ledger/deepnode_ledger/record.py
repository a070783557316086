"""What the log keeps: the bytes as they came in, and where they stand.

A ``ChainLog`` is a log of a contract on Base, a ``TaskEvent`` what a producer signed off-chain. Either becomes a
``LogEntry`` once it has a position. Nothing here is decoded: what the bytes mean is a pure function of them and of a
manifest (see ``decoding``), so an ABI learned later makes sense of what was kept earlier.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

DATA_BYTES_MAX: Final = 4 * 1024 * 1024
"""A log's data above this cannot come from a chain whose blocks cost gas by the byte; refused before it is kept."""

TOPICS_MAX: Final = 4


class Kind(IntEnum):
    """Which door an entry came in by. The numbers are stored and never change."""

    CHAIN_LOG = 1
    TASK_EVENT = 2


class Finality(StrEnum):
    """Whether an entry can still be taken back by a reorg."""

    PENDING = "PENDING"
    SEALED = "SEALED"


@dataclass(frozen=True, slots=True)
class BlockRef:
    """A block by number and hash (32 bytes); ``time`` is the block's own, in seconds since 1970."""

    number: int
    hash: bytes
    time: int

    def __post_init__(self) -> None:
        assert self.number >= 0, self
        assert self.time >= 0, self
        assert len(self.hash) == 32, self


@dataclass(frozen=True, slots=True)
class Header:
    """A block and the hash of its parent: what continuity is checked with."""

    block: BlockRef
    parent_hash: bytes


@dataclass(frozen=True, slots=True)
class ChainLog:
    """One contract log: ``address`` 20 bytes, at most four ``topics`` of 32 bytes, ``data`` as the contract wrote it.

    Its key is (chain id, block hash, ``log_index``); ``log_index`` counts within the block.
    """

    transaction_hash: bytes
    transaction_index: int
    log_index: int
    address: bytes
    topics: tuple[bytes, ...]
    data: bytes

    def __post_init__(self) -> None:
        assert len(self.transaction_hash) == 32, self
        assert len(self.address) == 20, self
        assert len(self.topics) <= TOPICS_MAX, self
        assert all(len(topic) == 32 for topic in self.topics), self
        assert len(self.data) <= DATA_BYTES_MAX, len(self.data)


@dataclass(frozen=True, slots=True)
class TaskEvent:
    """A signed task event: ``payload`` is the exact text (UTF-8) that the producer signed, ``signature`` 65 bytes.

    Its key is (``producer``, ``event_id``). ``sequence`` counts a producer's events from 1; a hole is visible.
    """

    producer: str
    event_id: str
    sequence: int
    type: str
    payload: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry of the log at its ``position`` (gapless from 1).

    ``block`` is the block that holds the log or, for a task event, the head block under which it was accepted.
    """

    position: int
    finality: Finality
    chain_id: int
    block: BlockRef
    record: ChainLog | TaskEvent


@dataclass(frozen=True, slots=True)
class Block:
    """A block of the tail as the indexer hands it over: its header and the logs of the manifest's contracts."""

    header: Header
    logs: tuple[ChainLog, ...]
