"""The clients that people use understand what is sent: the npm packages graphql-ws and graphql-sse are the judges."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.graphql.live_books import branch
from tests.graphql.live_clients import Server, newer_node, served
from tests.graphql.small_books import ALICE, BOB, NOBODY, Scribe, transfer
from tests.npm_judge import installed_judge

FOLDER = Path(__file__).with_name("live_judge")


def judge(server: Server, way: str, until: int = 0) -> "subprocess.Popen[str]":
    """The client as a process."""
    command = [
        newer_node(),
        str(FOLDER / "follow.cjs"),
        str(installed_judge(FOLDER, "live-judge")),
        server.address,
        way,
        str(until),
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("way", ["ws", "sse"])
def test_the_npm_clients_follow_entries_and_hear_of_a_reorg(own_books: Scribe, way: str) -> None:
    """Follows from the beginning while a block and a reorg come; the client pings, stops at the last and completes."""
    own_books.block(transfer(NOBODY, ALICE, 10), transfer(NOBODY, BOB, 10))
    with served(own_books) as server:
        process = judge(server, way, until=4)
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        own_books.block(transfer(ALICE, BOB, 1))
        branch(own_books, 1, "b", [transfer(ALICE, BOB, 2)], [transfer(ALICE, BOB, 3)])
        said, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")
    lines: list[Any] = [first, *map(json.loads, said.splitlines())]
    told = [line["data"]["entries"] for line in lines if "data" in line]
    retracted = [each for each in told if each["retraction"]]
    rows = {entry["position"] for each in told for entry in each["entries"]}
    assert (rows, told[0]["place"], told[-1]["place"]) == ({1, 2, 3, 4}, "2.0", "4.1")
    # The client may have seen nothing of the block that was replaced.
    assert [each["retraction"] for each in retracted] in ([{"keptPosition": 2}], [])
    assert lines[-1] == {"complete": True}


def test_the_npm_client_gets_a_query_answered(small_books: Scribe) -> None:
    """Asks a query by WebSocket: one next, and complete."""
    with served(small_books) as server:
        said, _ = judge(server, "query").communicate(timeout=20)
    assert [json.loads(line) for line in said.splitlines()] == [
        {"data": {"_meta": {"position": 15}}},
        {"complete": True},
    ]
