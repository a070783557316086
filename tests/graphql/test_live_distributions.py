"""The stream of distributions: reward lines, many at once, filters that some kinds do not have, and rates."""

from collections.abc import Iterator
from contextlib import suppress

import pytest

from deepnode_graphql.app import make_app
from deepnode_graphql.live.feed import ROWS_MAX
from deepnode_graphql.schema import KINDS
from deepnode_graphql.service import Service, make_service
from deepnode_graphql.terms import Terms
from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.rules.emission import Allocation, ClaimedTotal
from deepnode_projections.rules.pools import Reward
from tests.conftest import fresh_database
from tests.graphql.live_books import Reader
from tests.graphql.live_clients import Server, Socket
from tests.graphql.registers.thing_books import thing_books
from tests.graphql.small_books import ALICE, BOB, DOMAIN, NOBODY, Scribe, address_of, scribe, transfer, word

LINES = 2 * ROWS_MAX + 50
HEAD = "place position finality sealedPosition retraction { keptPosition fromPosition reorg }"
REWARDS = "rewards { position epoch asset earner subject amount path }"
TOKEN = address_of("DNToken")


@pytest.fixture(scope="module")
def service(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Books in which one log entry brought more reward lines than a page has, between others; to be read only."""
    folder = tmp_path_factory.mktemp("manifest")
    with fresh_database(postgres_url) as url, scribe(url, folder) as scribed, thing_books(scribed, KINDS) as books:
        books.put(Allocation(1, DOMAIN, TOKEN, 1, 2, 3, 4, 5, 6, 7))
        books.put(*(_line(number) for number in range(LINES)))
        books.put(ClaimedTotal(ALICE, TOKEN, 5), Allocation(2, DOMAIN, TOKEN, 1, 2, 3, 4, 5, 6, 7))
        books.put(ClaimedTotal(BOB, TOKEN, 6))
        made = make_service(scribed.url, scribed.manifest, "books")
        yield made
        made.engine.dispose()


def _line(number: int) -> Reward:
    earner = ALICE if number % 2 else BOB
    return Reward(1, DOMAIN, TOKEN, "miner", "work", word("subject", number), earner, 10**20 + number, f"p{number}")


def read(service: Service, arguments: str, selection: str = REWARDS) -> Reader:
    """A reader that has come to the end."""
    reader = Reader(service, "distributions", arguments, f"{HEAD} {selection}")
    reader.all()
    return reader


def test_all_lines_of_a_log_entry_come_in_one_message(service: Service) -> None:
    """Reads from the beginning: the lines of one position are one message, though they are more than a page."""
    messages = read(service, "").messages
    assert [len(message["rewards"]) for message in messages if message["rewards"]] == [LINES]
    amounts = {row["amount"] for message in messages for row in message["rewards"]}
    assert amounts == {str(10**20 + number) for number in range(LINES)}


def test_an_earner_is_told_of_what_has_an_earner(service: Service) -> None:
    """Follows Alice in DN: half of the lines and her claim, and no allocation, which is nobody's."""
    lists = f"{REWARDS} claimedTotals {{ position earner amount }} allocations {{ position epoch }}"
    rows = read(service, f', where: {{ earner: "{to_hex(ALICE)}", asset: "DN" }}', lists).rows
    assert {row["earner"] for _, _, row in rows} == {to_hex(ALICE)}
    assert [name for _, name, _ in rows].count("rewards") == LINES // 2
    assert [(position, name) for position, name, _ in rows if name != "rewards"] == [(3, "claimedTotals")]


def test_only_the_kinds_and_the_epoch_that_are_asked_for_come(service: Service) -> None:
    """Asks for allocations of epoch 2, and for claims, which have no epoch."""
    lists = "allocations { position epoch } claimedTotals { position }"
    arguments = ", where: { kinds: [ALLOCATIONS, CLAIMED_TOTALS], epoch: 2 }"
    assert [row[:2] for row in read(service, arguments, lists).rows] == [(3, "allocations")]
    arguments = ", where: { kinds: [CLAIMED_TOTALS] }"
    assert [row[:2] for row in read(service, arguments, lists).rows] == [(3, "claimedTotals"), (4, "claimedTotals")]


def test_what_was_there_before_is_read_at_the_clients_rate(own_books: Scribe) -> None:
    """Allows one request a second: a client that follows from the beginning gets its first pages at once, and waits."""
    for _ in range(9):
        own_books.block(*(transfer(NOBODY, ALICE, 1) for _ in range(ROWS_MAX)))
    server = Server(make_app(own_books.url, own_books.manifest, terms=Terms(request_rate=1)))
    server.start()
    try:
        with Socket(server) as behind:
            behind.subscribe("subscription { entries(from: 0) { position } }")
            told = [behind.follow()["position"]]
            with suppress(TimeoutError):
                while len(told) < 9:
                    told.append(_next(behind))
            assert told == [ROWS_MAX * number for number in range(1, len(told) + 1)]
            assert len(told) < 9
    finally:
        server.stop()


def _next(socket: Socket) -> int:
    message = socket.take(seconds=0.4)
    return int(message["payload"]["data"]["entries"]["position"])
