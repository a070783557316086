"""Small histories for tests of the log: blocks with branches, contract logs, task events, and what a log holds."""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from eventsourcing.postgres import PostgresDatastore
from hypothesis import Phase

from deepnode_ledger.database import open_datastore
from deepnode_ledger.log import Log
from deepnode_ledger.record import Block, BlockRef, ChainLog, Header, LogEntry, TaskEvent
from deepnode_ledger.snapshot import snapshot

# Where each example makes a database, the shrinking of a failure would take minutes and tell little more.
WITHOUT_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)

CHAIN_ID = 8453
OTHER_CHAIN = 10
GENESIS = b"\x07" * 32
FIRST_BLOCK = 5
TOKEN = b"\xaa" * 20


def word(*parts: object) -> bytes:
    """32 bytes that are the same for the same parts."""
    return hashlib.sha256(repr(parts).encode()).digest()


def ref(number: int, branch: str = "a") -> BlockRef:
    """The block of a branch at a height."""
    return BlockRef(number, word("block", number, branch), 1_700_000_000 + 2 * number)


def chain_log(block: BlockRef, index: int, data: bytes = b"\x01" * 32, topics: int = 3) -> ChainLog:
    """A contract log whose bytes are told by its place."""
    transaction = word("transaction", block.hash, index)
    return ChainLog(transaction, index, index, TOKEN, tuple(word("topic", index, n) for n in range(topics)), data)


def block(number: int, *, logs: int = 0, branch: str = "a", parent: str | None = None) -> Block:
    """A block with so many logs; ``parent`` is the branch that it grows from, if that is another one."""
    own = ref(number, branch)
    header = Header(own, ref(number - 1, parent or branch).hash)
    return Block(header, tuple(chain_log(own, index) for index in range(logs)))


def run(first: int, last: int, *, logs: int = 1, branch: str = "a", parent: str | None = None) -> list[Block]:
    """The blocks ``first`` to ``last`` of a branch, the first of them grown from ``parent``."""
    return [
        block(number, logs=logs, branch=branch, parent=parent if number == first else None)
        for number in range(first, last + 1)
    ]


def placed(blocks: Sequence[Block]) -> list[tuple[BlockRef, ChainLog]]:
    """The logs of blocks, each with its block, as a backfill hands them over."""
    return [(each.header.block, log) for each in blocks for log in each.logs]


def task(
    number: int, *, producer: str = "urn:p", payload: bytes | None = None, event_id: str | None = None
) -> TaskEvent:
    """The producer's event with this sequence number."""
    text = b'{"n": %d}' % number if payload is None else payload
    return TaskEvent(producer, event_id or f"e{number}", number, "TaskCreated", text, b"\x05" * 65)


@contextmanager
def opened(url: str, *, beside: Collection[int] = ()) -> Iterator[Log]:
    """A log on an empty chain that starts at ``FIRST_BLOCK``, or the one that is in the database."""
    with datastore(url) as store:
        log = Log(store, CHAIN_ID)
        log.create(GENESIS, FIRST_BLOCK, beside=beside)
        yield log


def other_chain(log: Log, first_block: int = FIRST_BLOCK) -> Log:
    """The same log, for what happens on another chain: ``OTHER_CHAIN``, which starts at ``first_block``."""
    other = Log(log.datastore, OTHER_CHAIN)
    other.create(GENESIS, first_block, beside=[log.chain_id])
    return other


@contextmanager
def datastore(url: str) -> Iterator[PostgresDatastore]:
    """A datastore whose connections are closed in the end."""
    store = open_datastore(url)
    try:
        yield store
    finally:
        store.close()


def contents(log: Log) -> list[LogEntry]:
    """The whole log, read through one snapshot."""
    with snapshot(log.datastore) as view:
        return list(view.entries(1))


def records(log: Log) -> list[ChainLog | TaskEvent]:
    """The whole log without places."""
    return [entry.record for entry in contents(log)]


def everything(log: Log) -> dict[str, list[str]]:
    """Every row of every table of the log: what must not change when something is refused."""
    with log.datastore.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'log' ORDER BY 1")
        names = [row["table_name"] for row in cursor.fetchall()]
        dump: dict[str, list[str]] = {}
        for name in names:
            cursor.execute(f'SELECT t::text AS line FROM log."{name}" t ORDER BY 1'.encode())
            dump[name] = [row["line"] for row in cursor.fetchall()]
    assert "pending" in dump
    return dump
