"""docs/live.md says what is so, and its examples run."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from graphql import GraphQLObjectType

from deepnode_graphql.live import documents, feed, live, websocket
from deepnode_graphql.live.figures import LiveFigures
from deepnode_graphql.schema import make_schema
from deepnode_ledger.hexadecimal import to_hex
from tests.graphql.live_books import branch
from tests.graphql.live_clients import Server, Socket, newer_node, served
from tests.graphql.small_books import ALICE, BOB, NOBODY, Scribe, transfer
from tests.graphql.test_live_clients import FOLDER as JUDGE
from tests.npm_judge import installed_judge

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "live.md").read_text("utf-8")


def block(language: str) -> str:
    """The page's block of a language."""
    [found] = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    return str(found)


def at(server: Server, text: str) -> str:
    """An example, for a server that listens elsewhere."""
    assert "127.0.0.1:8000" in text
    return text.replace("127.0.0.1:8000", server.address)


@contextmanager
def running(command: list[str], folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """A program that goes on until it is ended."""
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def until(process: "subprocess.Popen[str]", last: str) -> list[str]:
    """The lines of a program up to the one that begins so."""
    assert process.stdout is not None
    found = []
    for line in process.stdout:
        found.append(line.rstrip("\n"))
        if line.startswith(last):
            return found
    raise AssertionError(found)


def test_the_page_names_every_stream_field_parameter_and_limit() -> None:
    """Looks for the names and the figures of the code in the page."""
    schema = make_schema().core
    assert isinstance(schema.subscription_type, GraphQLObjectType)
    change = schema.get_type("EntriesChange")
    assert isinstance(change, GraphQLObjectType)
    parameters = {name for stream in documents.STREAMS.values() for name in stream.parameters}
    assert set(documents.STREAMS) == set(schema.subscription_type.fields)
    names = {*schema.subscription_type.fields, *change.fields, *parameters, "progress", "from"}
    assert [name for name in sorted(names) if f"`{name}" not in TEXT] == []
    figures = [
        live.CONNECTIONS_MAX, live.CONNECTIONS_PER_CLIENT_MAX, live.SUBSCRIPTIONS_MAX,
        live.SUBSCRIPTIONS_PER_CONNECTION_MAX, live.BEAT_SECONDS, live.SEND_SECONDS_MAX, feed.ROWS_MAX,
        websocket.INIT_SECONDS_MAX, websocket.PONG_SECONDS_MAX, websocket.MESSAGE_CHARACTERS_MAX,
        websocket.MESSAGES_AT_ONCE, websocket.MESSAGES_PER_SECOND,
    ]  # fmt: skip
    assert [each for each in figures if f"{int(each):,}".replace(",", " ") not in TEXT] == []
    counted = set(re.findall(r"^# TYPE (\w+)", "".join(LiveFigures().lines()), re.MULTILINE))
    assert [name for name in sorted(counted) if f"`{name}`" not in TEXT] == []


def test_the_pages_curl_reads_events(small_books: Scribe, tmp_path: Path) -> None:
    """Runs the command for as long as the small history takes to be told."""
    with served(small_books) as server:
        command = at(server, block("sh")).strip()
        with running(["sh", "-c", f"exec {command} -s"], tmp_path) as process:
            lines = until(process, "id: 15.1")
            assert process.stdout is not None
            data = json.loads(process.stdout.readline().removeprefix("data: "))
    assert lines[0] == "retry: 2000"
    assert data["balances"][0]["asset"]["symbol"] == "DN"


def test_the_pages_subscription_is_followed(small_books: Scribe) -> None:
    """Asks for it from the beginning."""
    with served(small_books) as server, Socket(server) as socket:
        socket.subscribe(block("graphql"), **{"from": "0"})
        assert socket.follow()["balances"]


def test_the_pages_python_folds_what_holds_through_a_reorg_and_a_restart(own_books: Scribe, tmp_path: Path) -> None:
    """Runs the program while blocks and a reorg come, and its server is replaced by another in the middle."""
    own_books.block(transfer(NOBODY, ALICE, 100))
    with ExitStack() as stack:
        with served(own_books) as first:
            code = at(first, block("python")).replace("time.sleep(1)", "time.sleep(0.05)")
            process = stack.enter_context(running([sys.executable, "-c", code], tmp_path))
            until(process, "1.0")
            own_books.block(transfer(ALICE, BOB, 1))
            until(process, "2.0")
        branch(own_books, 1, "b", [transfer(ALICE, BOB, 5)], [transfer(ALICE, BOB, 6)])
        with served(own_books, port=int(first.address.rpartition(":")[2])):
            [*_, last] = until(process, "3.1")
    held = {"Mint": "-100", f"Wallet:{to_hex(ALICE)}": "89", f"Wallet:{to_hex(BOB)}": "11"}
    assert json.loads(last.partition(" ")[2]) == held


def test_the_pages_javascript_follows(own_books: Scribe, tmp_path: Path) -> None:
    """Runs the program by Node while a block and a reorg come."""
    (tmp_path / "node_modules").symlink_to(installed_judge(JUDGE, "live-judge") / "node_modules")
    own_books.block(transfer(NOBODY, ALICE, 100))
    with served(own_books) as server:
        (tmp_path / "follow.mjs").write_text(at(server, block("javascript")), "utf-8")
        with running([newer_node(), "follow.mjs"], tmp_path) as process:
            until(process, "1.0 1")
            own_books.block(transfer(ALICE, BOB, 1), transfer(ALICE, BOB, 1))
            until(process, "3.0 3")
            branch(own_books, 1, "b", [transfer(ALICE, BOB, 5)])
            assert until(process, "2.1 2")[-1] == "2.1 2"
