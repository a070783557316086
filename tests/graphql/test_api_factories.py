"""The API reads what a factory's children wrote, from the log that announces them on, through seals and reorgs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from typing_extensions import override

from deepnode_graphql.app import make_app
from deepnode_ledger.abi import EventAbi
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import Manifest, load_manifest
from deepnode_ledger.record import BlockRef, ChainLog
from tests.graphql.conftest import Api
from tests.graphql.small_books import Event, Scribe
from tests.ledger.factories import FACTORY, TEXT, said, write_factories

CHILD, BACKER = b"\x11" * 20, b"\x14" * 20
QUERY = """query($where: LogEntryWhere) {
  logEntries(where: $where) { edges { node { position chainId address contract event args undecoded } } }
}"""


class Spoken(Event):
    """An event of the factory or of a child of its, from any address."""

    def __init__(self, address: bytes, name: str, **arguments: Any) -> None:
        super().__init__("", name, **arguments)
        self._address = address

    @override
    def log(self, manifest: Manifest, transaction: bytes, index: int) -> ChainLog:
        """The log that is written at the address."""
        factory = manifest.contracts[FACTORY]
        events: list[EventAbi] = [*factory.events.values(), *factory.creates[0].events.values()]
        [event] = [each for each in events if each.name == self.name]
        return said(self._address, event, BlockRef(1, transaction, 1), index, **self.arguments)


def created(child: bytes) -> Spoken:
    return Spoken(FACTORY, "Created", round=child, number=1)


def backed(child: bytes, amount: int) -> Spoken:
    return Spoken(child, "Backed", backer=BACKER, amount=amount)


@pytest.fixture
def books(database_url: str, tmp_path: Path) -> Iterator[Scribe]:
    """Empty books of one chain with a factory."""
    one_chain = TEXT.replace("start_block = 5", "start_block = 1").partition('[[contracts]]\nname = "FarFactory"')[0]
    before, _, behind = one_chain.partition("[[chains]]")
    path = write_factories(tmp_path, before + behind[behind.index("[[contracts]]") :])
    made = Scribe(database_url, load_manifest(path))
    yield made
    made.close()


@pytest.fixture
def factory_api(books: Scribe) -> Iterator[Api]:
    """An API over them."""
    with TestClient(make_app(books.url, books.manifest)) as http:
        yield Api(http)


def test_what_children_wrote_is_read_from_their_announcement_on(books: Scribe, factory_api: Api) -> None:
    """Lets a child speak before, behind and long behind its announcement, seals in between, and takes one back."""

    def entries(**where: Any) -> list[Any]:
        return [edge["node"] for edge in factory_api.ask(QUERY, where=where)["logEntries"]["edges"]]

    name = f"Round.{to_hex(CHILD)}"
    books.block(backed(CHILD, 1), created(CHILD), backed(CHILD, 2))
    [early, announced, late] = entries()
    assert announced["args"] == {"round": to_hex(CHILD), "number": "1"}
    assert (early["contract"], early["undecoded"]) == (None, "no contract of the manifest has this address")
    assert (late["contract"], late["event"], late["args"]["amount"]) == (name, "Backed", "2")
    assert {each["chainId"] for each in (early, announced, late)} == {books.manifest.chain_id}
    books.seal(1)
    other = b"\x12" * 20
    books.block(backed(CHILD, 3), created(other), backed(other, 4))
    assert [each["contract"] for each in entries()][3:] == [name, "Factory", f"Round.{to_hex(other)}"]
    books.reorg(1, [backed(other, 5), backed(CHILD, 6)])
    assert [each["contract"] for each in entries()][3:] == [None, name]
    by_name, by_signature = entries(event="Backed"), entries(event="Backed(address,uint256)")
    assert by_name == by_signature == [early, late, *entries(position_gt=3)]
