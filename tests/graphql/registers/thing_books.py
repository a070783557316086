"""Books with records of the tests' own: what was put at each position, and what a state in memory held there."""

import random
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import psycopg
from psycopg.rows import dict_row
from sqlalchemy import MetaData, create_engine
from sqlalchemy.pool import NullPool
from starlette.testclient import TestClient

from deepnode_graphql.app import make_app
from deepnode_graphql.execution import Executor
from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.registers.kept import Kept, roll_back
from deepnode_projections.registers.record import Amount, Record
from deepnode_projections.registers.state import MemoryState
from deepnode_projections.registers.tables import table_of
from tests.graphql.conftest import Api
from tests.graphql.small_books import NOBODY, Scribe, transfer

POSITIONS = 24


@dataclass(frozen=True, slots=True)
class Thing:
    """A thing of a ``group``, of every sort of field. ``limit`` is what ``amount`` should stay below, if anything is.

    It is a second paragraph. ``note`` is None, or ``None``, if nothing is noted. None is at its beginning.
    """

    TABLE: ClassVar[str] = "odd_thing"
    KEY: ClassVar[int] = 3

    group: bytes
    name: str
    number: int
    amount: Amount
    limit: Amount | None
    note: str | None
    mark: bytes | None
    yield_: int
    level: int | None
    is_over: bool
    is_known: bool | None


@dataclass(frozen=True, slots=True)
class Entry:
    """Its names are those of an accounting entry."""

    TABLE: ClassVar[str] = "entry"
    KEY: ClassVar[int] = 1

    entry: bool
    made_position: int


@dataclass(frozen=True, slots=True)
class Lone:
    """A record that is put once."""

    TABLE: ClassVar[str] = "lone"
    KEY: ClassVar[int] = 1
    PLURAL: ClassVar[str] = "lonely_ones"

    lone: bool
    count: int


KINDS: tuple[type[Record], ...] = (Thing, Lone)
DECLARED = (*KINDS, Entry)
"""The table of ``Entry`` cannot be made: the books have one of this name."""


class ThingBooks:
    """Books in which record after record is put, each at a position of its own."""

    def __init__(self, books: Scribe, kinds: Sequence[type[Record]] = KINDS) -> None:
        self.books, self.kinds = books, kinds
        self.memory = MemoryState()
        self.held: list[list[Thing]] = [[]]
        self.versions: list[tuple[int, Thing]] = []
        self._connection: psycopg.Connection[Any] = psycopg.connect(
            books.url, autocommit=True, options="-c search_path=books"
        )
        engine = create_engine("postgresql+psycopg://", creator=lambda: self._connection, poolclass=NullPool)
        metadata = MetaData()
        for kind in kinds:
            table_of(kind, metadata)
        with engine.connect() as alchemy:
            metadata.create_all(alchemy)
            alchemy.commit()
        self._connection = psycopg.connect(books.url, autocommit=True, options="-c search_path=books")

    def put(self, *records: Record) -> int:
        """Let a block with one event put these; return its position."""
        position = len(self.held)
        kept = Kept(self._connection.cursor(row_factory=dict_row))
        for state in (self.memory, kept):
            with state.attempt(position):
                for record in records:
                    state.put(record)
        with self._connection.transaction():
            kept.write()
        self.books.block(transfer(NOBODY, bytes([1]) * 20, 1))
        before = set(self.held[-1])
        self.held.append(list(self.memory.every(Thing)))
        self.versions += [(position, thing) for thing in self.held[-1] if thing not in before]
        return position

    def take_back(self, kept: int) -> None:
        """Let a reorg take back what stands above a position."""
        roll_back(self._connection.cursor(row_factory=dict_row), self.kinds, kept)

    def close(self) -> None:
        """Disconnect."""
        self._connection.close()


@contextmanager
def thing_books(books: Scribe, kinds: Sequence[type[Record]] = KINDS) -> Iterator[ThingBooks]:
    """Books without any record yet."""
    with closing(ThingBooks(books, kinds)) as made:
        yield made


@contextmanager
def thing_api(books: Scribe, kinds: Sequence[type[Record]] = KINDS) -> Iterator[Api]:
    """An API whose schema has these kinds of records."""
    app = make_app(books.url, books.manifest)
    service = app.state.service
    service.executor = Executor(service.reading, kinds)
    with TestClient(app) as http:
        yield Api(http)


def write_things(books: ThingBooks) -> None:
    """Put things of a few keys again and again, with edges of every type; the first half of it is final."""
    chance = random.Random(7)
    amounts = [0, -1, 5, 10**38 - 1, -(10**38) + 1, 2**63]
    notes = [None, "", "a", "A", "ä\ttab\n", "x" * 70 + "1", "x" * 70 + "2"]
    marks = [None, b"", b"\x00", b"\xff" * 32, b"\xfe" * 65]
    for position in range(1, POSITIONS + 1):
        things = [
            Thing(
                group=chance.choice([b"", b"\x00", b"\xff\x00"]),
                name=chance.choice(["", "b", "é\u2028\n"]),
                number=chance.choice([-1, 2**53 - 1]),
                amount=chance.choice(amounts),
                limit=chance.choice([None, *amounts]),
                note=chance.choice(notes),
                mark=chance.choice(marks),
                yield_=chance.randrange(3),
                level=chance.choice([None, 0, -5, 7]),
                is_over=chance.random() < 0.5,
                is_known=chance.choice([None, True, False]),
            )
            for _ in range(chance.randrange(3))
        ]
        books.put(*things, *([Lone(lone=True, count=3)] if position == 3 else []))
        if position == POSITIONS // 2:
            books.books.seal(position)


FIELDS = "group name number amount limit note mark yield level isOver isKnown"


def shown(thing: Thing) -> dict[str, Any]:
    """A thing as the API answers with it."""
    return {
        "group": to_hex(thing.group),
        "name": thing.name,
        "number": thing.number,
        "amount": str(thing.amount),
        "limit": None if thing.limit is None else str(thing.limit),
        "note": thing.note,
        "mark": None if thing.mark is None else to_hex(thing.mark),
        "yield": thing.yield_,
        "level": thing.level,
        "isOver": thing.is_over,
        "isKnown": thing.is_known,
    }
