"""Books with emissions for the tests of live updates, blocks that differ on every branch, and what readers fold."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from deepnode_graphql.execution import GraphQLRequest
from deepnode_graphql.live.operation import Operation, begin_operation
from deepnode_graphql.service import Service
from deepnode_ledger.subscription import Place
from tests.graphql import small_books
from tests.graphql.small_books import (
    ALICE,
    BOB,
    CAROL,
    DOMAIN,
    NOBODY,
    Event,
    Scribe,
    address_of,
    scribe,
    transfer,
    word,
)

HEAD = "place position finality sealedPosition block { number } retraction { keptPosition fromPosition reorg }"
ENTRIES = f"{HEAD} entries {{ position kind postings {{ account {{ name }} asset {{ symbol }} amount balance }} }}"
BALANCES = f"{HEAD} balances {{ account {{ name }} asset {{ symbol }} amount position }}"
EPOCHS = 60
DISTRIBUTIONS = (
    f"{HEAD} allocations {{ epoch domain asset miners undistributed position }} "
    "rewardRoots { epoch asset root total disabledReason position } claimedTotals { earner asset amount position }"
)


@contextmanager
def live_books(url: str, folder: Path) -> Iterator[Scribe]:
    """A scribe whose manifest has emissions and rewards beside the small one's contracts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(small_books.CONTRACTS, "Emission", ("Emission", 'asset = "DNToken"'))
        patch.setitem(small_books.CONTRACTS, "Rewards", ("Rewards", ""))
        with scribe(url, folder) as books:
            yield books


def branch(books: Scribe, kept: int, name: object, *blocks: Sequence[Event]) -> None:
    """Replace everything behind the block ``kept`` by these blocks, whose hashes are the branch's own."""
    books.blocks = books.blocks[:kept]
    for events in blocks:
        books.block(*events, branch=str(name))


def allocated(epoch: int, amount: int) -> Event:
    """A pool is divided for an epoch."""
    legs = {"stakers": 2, "validators": 3, "owner": 4, "models": 5, "foundation": 6, "undistributed": 7}
    return Event(
        "Emission", "EpochAllocated", epoch=epoch, domain=DOMAIN, asset=address_of("DNToken"), miners=amount, **legs
    )


def opened(epoch: int) -> Event:
    """An epoch begins."""
    return Event("Emission", "EpochOpened", epoch=epoch, startBlock=1)


def submitted(epoch: int, total: int) -> Event:
    """A root is submitted."""
    return Event(
        "Rewards", "RootSubmitted", epoch=epoch, root=word("root", epoch, total), asset=address_of("DNToken"),
        total=total, endBlock=9, uri="ipfs://tree", ruleset=word("rules"), activatesAt=77,
    )  # fmt: skip


def disabled(epoch: int) -> Event:
    """A root is disabled."""
    return Event("Rewards", "RootDisabled", epoch=epoch, asset=address_of("DNToken"), reason=word("wrong"))


def claimed(epoch: int, earner: bytes, amount: int) -> Event:
    """An earner claims."""
    return Event(
        "Rewards", "Claimed", epoch=epoch, earner=earner, asset=address_of("DNToken"), to=earner, amount=amount
    )


class Reader:
    """A subscriber without a wire: it reads page by page and folds what it is told, as a client does.

    ``rows`` are those of every message that stand now: (position, row).
    """

    def __init__(self, service: Service, field: str, arguments: str = "", selection: str = "") -> None:
        self.field, self.arguments, self.selection = field, arguments, selection
        self.service = service
        self.messages: list[Any] = []
        self.rows: list[tuple[int, str, Any]] = []
        self.written, self.sealed = "0", 0
        self.resume()

    def resume(self) -> None:
        """Forget the operation, as one that was disconnected, and begin a new one from the last message's place."""
        query = f'subscription {{ {self.field}(from: "{self.written}"{self.arguments}) {{ {self.selection} }} }}'
        schema = self.service.executor.schema
        self.operation: Operation = begin_operation(schema, self.service.reading, GraphQLRequest(query), is_bare=True)
        self.place: Place = self.operation.start

    def read(self) -> bool:
        """Read a page; say whether there is more."""
        with self.service.reading() as reading:
            page = self.operation.read(reading, self.place)
        for message in page.messages:
            self.take(orjson.loads(message.payload))
        self.place = page.place
        return not page.at_end

    def take(self, message: Any) -> None:
        """Carry a message out."""
        self.messages.append(message)
        self.written = message["place"]
        before, self.sealed = self.sealed, message["sealedPosition"]
        if message["retraction"] is not None:
            kept = message["position"]
            assert kept >= before, "what was sealed is taken back"
            assert kept == message["retraction"]["keptPosition"] < message["retraction"]["fromPosition"]
            assert [name for name, rows in message.items() if isinstance(rows, list) and rows] == []
            self.rows = [row for row in self.rows if row[0] <= kept]
            return
        last = self.rows[-1][0] if self.rows else 0
        for name, rows in message.items():
            for row in rows if isinstance(rows, list) else ():
                assert last < row["position"] <= message["position"], "out of order, or told already"
                self.rows.append((row["position"], name, row))

    def all(self) -> None:
        """Read to the books' end."""
        while self.read():
            pass


class Story:
    """Blocks, reorgs and finality by a seed: transfers in two tokens, allocations, roots and claims."""

    def __init__(self, books: Scribe, seed: int) -> None:
        self.books, self.chance = books, random.Random(seed)
        self.sealed, self.step = 2, 0
        self.roots = [1]
        tokens = ("DNToken", "USDCStandIn")
        books.block(*(transfer(NOBODY, who, 10**6, token) for who in (ALICE, BOB) for token in tokens))
        books.block(*(opened(epoch) for epoch in range(1, EPOCHS + 1)), submitted(1, 100), claimed(1, ALICE, 5))
        books.seal(self.sealed)

    def go_on(self) -> None:
        """Let one thing happen."""
        self.step += 1
        books, chance = self.books, self.chance
        tip = len(books.blocks)
        if chance.random() < 0.25 and tip > self.sealed:
            kept = chance.randint(max(self.sealed, tip - 4), tip - 1)
            branch(books, kept, self.step, *([self._event() for _ in range(chance.randint(0, 3))] for _ in range(2)))
        elif chance.random() < 0.15 and tip > self.sealed + 3:
            self.sealed = chance.randint(self.sealed + 1, tip - 2)
            books.seal(self.sealed)
        else:
            books.block(*(self._event() for _ in range(chance.randint(0, 4))), branch=str(self.step))

    def _event(self) -> Event:
        chance = self.chance
        epoch, amount = chance.choice(self.roots), chance.randint(1, 50)
        match chance.randint(0, 7):
            case 0:
                return allocated(chance.randint(1, EPOCHS - 1), amount)
            case 1:
                self.roots.append(self.step + 1)
                return submitted(self.step + 1, 1000 * self.step)
            case 2:
                return disabled(epoch)
            case 3:
                return claimed(epoch, chance.choice((ALICE, BOB)), amount)
        token = chance.choice(("DNToken", "USDCStandIn"))
        return transfer(chance.choice((ALICE, BOB)), chance.choice((BOB, CAROL)), amount, token)
