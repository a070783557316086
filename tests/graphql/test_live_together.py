"""Everything at once over the wire: a chain that goes on and reorganizes, and subscribers that come and go."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override
from websockets.exceptions import ConnectionClosed

from deepnode_ledger.hexadecimal import to_hex
from tests.graphql.live_books import ENTRIES, Story, live_books
from tests.graphql.live_clients import Events, Server, Socket, served
from tests.graphql.small_books import ALICE, Scribe

STEPS = 25
LINES = "position kind postings { account { name } asset { symbol } amount balance }"


@pytest.fixture
def books(database_url: str, tmp_path: Path) -> Iterator[Scribe]:
    """Empty books of a manifest with emissions."""
    with live_books(database_url, tmp_path) as made:
        yield made


class Subscriber(threading.Thread):
    """A subscriber in a thread of its own, which leaves after a few messages and comes again with its last place."""

    def __init__(self, server: Server, patience: int) -> None:
        super().__init__()
        self.server, self.patience = server, patience
        self.place, self.retractions = "0", 0
        self.rows: list[Any] = []
        self.last: int | None = None
        self.failure: BaseException | None = None

    @override
    def run(self) -> None:
        """Follow until the last position is told."""
        try:
            while self.last is None or not self.place.startswith(f"{self.last}."):
                self.follow()
        except BaseException as error:  # noqa: BLE001 - the test's own thread raises it
            self.failure = error

    def follow(self) -> None:
        """Follow for a few messages, or until nothing comes for a while."""
        raise NotImplementedError

    def take(self, change: Any, field: str) -> None:
        """Carry a message out."""
        self.place = change["place"]
        if change["retraction"]:
            self.retractions += 1
            self.rows = [row for row in self.rows if row["position"] <= change["position"]]
        last = self.rows[-1]["position"] if self.rows else 0
        assert all(row["position"] > last for row in change[field]), "told twice"
        self.rows += change[field]


class ByWebSocket(Subscriber):
    """One that follows entries of Alice's accounts by WebSocket."""

    @override
    def follow(self) -> None:
        where = f'where: {{ holder: "{to_hex(ALICE)}" }}'
        with Socket(self.server) as socket:
            socket.subscribe(
                f'subscription {{ entries(from: "{self.place}", {where}, progress: true) {{ {ENTRIES} }} }}'
            )
            for _ in range(self.patience):
                try:
                    message = socket.take(seconds=0.3)
                except (TimeoutError, ConnectionClosed):
                    return
                if message["type"] == "next":
                    self.take(message["payload"]["data"]["entries"], "entries")


class ByEvents(Subscriber):
    """One that follows balances by server-sent events. A sign of life is its place, too."""

    @override
    def follow(self) -> None:
        with Events(self.server, "/live/balances", last=self.place) as events:
            for _ in range(self.patience):
                event = events.take()
                if "data" in event:
                    self.take(json.loads(event["data"]), "balances")
                else:
                    self.place = event.get("id", self.place)


def test_subscribers_that_come_and_go_hold_what_a_query_answers(books: Scribe) -> None:
    """Lets 25 things happen to the chain while six subscribers follow, each leaving after as many messages as it has
    patience for; when all have come to the end, what they hold is what queries answer."""
    story = Story(books, 5)
    with served(books) as server:
        server.app.state.live.beat_seconds = 0.1
        subscribers: list[Subscriber] = [ByWebSocket(server, patience) for patience in (1, 4, 1000)]
        subscribers += [ByEvents(server, patience) for patience in (3, 7, 100)]
        for each in subscribers:
            each.start()
        for _ in range(STEPS):
            story.go_on()
        last = server.ask("{ _meta { position } }")["_meta"]["position"]
        for each in subscribers:
            each.last = last
        for each in subscribers:
            each.join(timeout=60)
            assert each.failure is None, each.failure
            assert not each.is_alive()
        entries = _nodes(server, "entries", LINES)
        fields = "account { name } asset { symbol } amount position"
        balances = {(row["account"]["name"], row["asset"]["symbol"]): row for row in _nodes(server, "balances", fields)}
    mine = [entry for entry in entries if any(to_hex(ALICE) in each["account"]["name"] for each in entry["postings"])]
    for each in subscribers:
        if isinstance(each, ByWebSocket):
            assert each.rows == mine
        else:
            held = {(row["account"]["name"], row["asset"]["symbol"]): row for row in each.rows}
            found = {key: (row["amount"], row["position"]) for key, row in held.items()}
            assert found == {key: (row["amount"], row["position"]) for key, row in balances.items()}
    assert sum(each.retractions for each in subscribers) > 0


def _nodes(server: Server, field: str, selection: str) -> list[Any]:
    data = server.ask(f"{{ {field}(first: 1000) {{ edges {{ node {{ {selection} }} }} }} }}")
    return [edge["node"] for edge in data[field]["edges"]]
