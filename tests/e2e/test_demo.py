"""`deepnode demo`, run and left as its users do."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest
import urllib3

from deepnode_cli.up import EXAMPLE_QUERY
from deepnode_indexer.devnet.anvil import free_port
from deepnode_ledger.transparency import Bundle, Tile, bundles_of, note, parse_head, tiles_of
from tests.ledger.transparency.go_judge import GoJudge, running_judge

START_SECONDS = 90
TOTALS = """
{
  balances(first: 1000, at: { position: POSITION }) {
    pageInfo { hasNextPage } edges { node { amount account { name } asset { symbol } } }
  }
  _meta(at: { position: POSITION }) { stateRoot }
}
"""

BY_THE_BOOKS = """
{
  epochs(first: 9) { edges { node { epoch } } }
  refusals(first: 9) { edges { node { position kind reason } } }
  differences(first: 9, where: { reason: { _eq: "" } }) { edges { node { position subject what expected fact } } }
}
"""


@pytest.fixture
def demo(tmp_path: Path) -> Any:
    """A running demo: the process, its API's address, and what it printed so far."""
    api, intake, node = free_port(), free_port(), free_port()
    log = tmp_path / "demo.log"
    ports = ["--port", str(api), "--intake-port", str(intake), "--node-port", str(node), "--pace", "0.3"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "deepnode_cli.main", "demo", *ports], stdout=output, stderr=output
        )
    try:
        wait_until(lambda: "Ctrl-C stops" in log.read_text(), process, log)
        yield process, f"http://127.0.0.1:{api}", log
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def test_the_demo_answers_the_readmes_query_and_the_answer_follows_the_blocks(
    demo: Any, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The example query has data, which changes as blocks come; sums and proofs hold by others' tools."""
    process, api, log = demo
    first = ask(api, EXAMPLE_QUERY)
    assert len(first["balances"]["edges"]) == 5
    assert len(first["postings"]["edges"]) == 3
    assert all(int(edge["node"]["amount"]) > 0 for edge in first["balances"]["edges"])
    wait_until(lambda: ask(api, EXAMPLE_QUERY)["_meta"]["block"] != first["_meta"]["block"], process, log)
    later = ask(api, EXAMPLE_QUERY)
    assert later["postings"] != first["postings"]
    assert later["_meta"]["stateRoot"] != first["_meta"]["stateRoot"]
    assert urllib3.request("GET", f"{api}/").status == 200

    export_agrees(api)
    wait_until(lambda: urllib3.request("GET", f"{api}/log/checkpoint").status == 200, process, log)
    [vkey] = [line.split()[1] for line in log.read_text().splitlines() if line.strip().startswith("verifier ")]
    with running_judge(tmp_path_factory.getbasetemp() / "go-judge") as judge:
        log_is_published(api, vkey, judge, tmp_path / "downloaded")
    wait_until(lambda: len(ask(api, BY_THE_BOOKS)["epochs"]["edges"]) >= 3, process, log)
    everything_is_explained(api)


def test_ctrl_c_stops_what_the_demo_started_and_nothing_else(demo: Any) -> None:
    """After SIGINT none of the demo's processes runs, and a stranger's process does."""
    process, _, _ = demo
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    try:
        family = family_of(process.pid)
        assert len(family) >= 8, "database and its server, devnet, node, indexer, projections, publisher and API"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        deadline = time.monotonic() + 10
        while any(alive(pid) for pid in family) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert [pid for pid in family if alive(pid)] == []
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_kill_nine_of_the_demo_ends_its_children(demo: Any) -> None:
    """Even if the demo is killed outright, its database, node and services end by themselves."""
    process, _, _ = demo
    family = family_of(process.pid)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 30
    while any(alive(pid) for pid in family) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [pid for pid in family if alive(pid)] == []


def log_is_published(api: str, vkey: str, judge: GoJudge, folder: Path) -> None:
    """Download what is published, as an auditor does, and let Go's note and tlog check all of it."""
    checkpoint = urllib3.request("GET", f"{api}/log/checkpoint").data
    head = parse_head(note.parse(checkpoint).text)
    assert head.size > 0
    parts: list[Tile | Bundle] = [*tiles_of(head.size), *bundles_of(head.size)]
    for part in parts:
        answer = urllib3.request("GET", f"{api}/log/{part.path}")
        full = answer.status == 404
        if full:
            # More was published meanwhile, and the full tile has taken the partial one's place.
            answer = urllib3.request("GET", f"{api}/log/{part.full.path}")
        assert answer.status == 200, part.path
        file = folder / (part.full.path if full else part.path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(answer.data)
    (folder / "checkpoint").write_bytes(checkpoint)
    assert judge.check_directory(folder, vkey)["size"] == head.size


def everything_is_explained(api: str) -> None:
    """Nothing that was said is refused, and the chain's figures are the books', over the epochs played so far."""
    data = ask(api, BY_THE_BOOKS)
    assert [edge["node"] for edge in data["refusals"]["edges"]] == []
    assert [edge["node"] for edge in data["differences"]["edges"]] == []


def export_agrees(api: str) -> None:
    """Read the export with three libraries and compare its sums with GraphQL's at the same position."""
    while True:
        body = urllib3.request("GET", f"{api}/export/postings.arrow", timeout=60).data
        table = pa.ipc.open_stream(body).read_all()
        described = {name.decode(): value.decode() for name, value in table.schema.metadata.items()}
        data = ask(api, TOTALS.replace("POSITION", described["deepnode.position"]))
        # A reorg between the two answers gives the position another past; then both are asked again.
        if data["_meta"]["stateRoot"] == described["deepnode.state_root"]:
            break
    answer = data["balances"]
    assert answer["pageInfo"]["hasNextPage"] is False
    graphql: dict[str, int] = {}
    for edge in answer["edges"]:
        node = edge["node"]
        key = f"{node['account']['name']} {node['asset']['symbol']}"
        graphql[key] = graphql.get(key, 0) + int(node["amount"])
    assert table.schema.field("amount").type == pa.decimal128(38, 0)
    arrow: dict[str, int] = {}
    for account, asset, amount in zip(
        table["account"].to_pylist(), table["asset"].to_pylist(), table["amount"].to_pylist(), strict=True
    ):
        arrow[f"{account} {asset}"] = arrow.get(f"{account} {asset}", 0) + int(amount)
    assert {k: v for k, v in arrow.items() if v} == {k: v for k, v in graphql.items() if v}
    absolute = sum(abs(int(amount)) for amount in table["amount"].to_pylist())
    frame = pl.read_ipc_stream(body)
    assert sum(abs(int(amount)) for amount in frame["amount"].to_list()) == absolute
    connection = duckdb.connect()
    connection.register("postings", pa.ipc.open_stream(body).read_all())
    [row] = connection.execute("SELECT sum(abs(amount))::VARCHAR, count(*) FROM postings").fetchall()
    assert (int(row[0]), row[1]) == (absolute, table.num_rows)


def ask(api: str, query: str) -> Any:
    """Send a GraphQL query and return its data."""
    answer = urllib3.request("POST", f"{api}/graphql", json={"query": query}, timeout=30).json()
    assert "errors" not in answer, answer
    return answer["data"]


def wait_until(true: Any, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for something to come true while the process runs."""
    deadline = time.monotonic() + START_SECONDS
    while not true():
        assert process.poll() is None, log.read_text()[-3000:]
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.1)


def family_of(pid: int) -> list[int]:
    """The processes that a demo started, and theirs, and so on; with its database server, which has left the family."""
    listed = subprocess.run(["ps", "-ww", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True)
    processes = [line.split(None, 2) for line in listed.stdout.splitlines()]
    found, waiting = [], [pid]
    while waiting:
        parent = waiting.pop()
        children = [int(child) for child, its_parent, _ in processes if int(its_parent) == parent]
        found += children
        waiting += children
    [data] = {args.split("--data ")[1] for child, _, args in processes if int(child) in found and "--data " in args}
    servers = [int(child) for child, _, args in processes if f"-D {data}" in args and int(child) not in found]
    assert servers, "a PostgreSQL server runs on the demo's data"
    return found + servers


def alive(pid: int) -> bool:
    """Whether a process runs: one that has ended and was not yet collected does not."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat")
        return not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
