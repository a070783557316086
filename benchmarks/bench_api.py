"""GraphQL over HTTP: ours, strawberry as it comes, and an endpoint without GraphQL, over the same tables in one run.

Each server is one process with the same uvicorn; eight connections ask it the same question again and again, with other
variables each time. The figures are requests a second, and the CPU time that the server's process spent on a request,
without the database's. See ``benchmarks.api_servers`` for what each server is.
"""

import argparse
import http.client
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import orjson
import psycopg
from benchmarks import page
from benchmarks.api_books import TASKS, write_books
from benchmarks.postgres import database, server
from benchmarks.result import RUNS, Result, publish, result

CONNECTIONS = 8
TICKS = os.sysconf("SC_CLK_TCK")
STRAWBERRY = "strawberry as it comes"
GOAL = "≥ 8 × the peer"

_TASK = "task domain model price stage difficultyPpm producer position"
_PAGE = "pageInfo { hasNextPage endCursor }"
_POSTING = "position leg amount balance kind transactionHash account { name } asset { symbol }"


@dataclass(frozen=True)
class Case:
    """A question: as ours has it, as the peer has it, and the variables of each request."""

    name: str
    title: str
    ours: str
    peer: str
    variables: list[dict[str, Any]]
    goal: str


def cases(tasks: list[str]) -> list[Case]:
    """Return what is asked."""
    stages: list[dict[str, Any]] = [{"first": 100, "stage": stage} for stage in ("open", "assigned", "approved")]
    tasks_page = f"edges {{ node {{ {_TASK} }} }} {_PAGE}"
    postings_page = f"edges {{ node {{ {_POSTING} }} }} {_PAGE}"
    return [
        Case(
            "tasks",
            "100 records x 8 fields",
            f"query tasks($first: Int, $stage: String) {{ tasks(first: $first, where: {{stage: {{_eq: $stage}}}}, "
            f"orderBy: POSITION_DESC) {{ {tasks_page} }} }}",
            f"query tasks($first: Int!, $stage: String!) {{ tasks(first: $first, stage: $stage) {{ {tasks_page} }} }}",
            stages,
            GOAL,
        ),
        Case(
            "postings",
            "100 postings x 8 fields",
            f"query postings($first: Int!) {{ postings(first: $first, orderBy: POSITION_DESC) {{ {postings_page} }} }}",
            f"query postings($first: Int!) {{ postings(first: $first) {{ {postings_page} }} }}",
            [{"first": 100}],
            GOAL,
        ),
        Case(
            "task",
            "one record by its key",
            f"query task($task: Hex!) {{ task(task: $task) {{ {_TASK} }} }}",
            f"query task($task: String!) {{ task(task: $task) {{ {_TASK} }} }}",
            [{"task": task} for task in tasks],
            "",
        ),
    ]


@dataclass(frozen=True)
class Server:
    """A process that serves; the port, and the process's id."""

    name: str
    port: int
    pid: int

    def load(self, case: Case, seconds: float) -> tuple[float, float]:
        """Ask for some seconds over ``CONNECTIONS`` connections; return requests/s and CPU µs a request."""
        query = case.ours if self.name == "ours" else case.peer
        bodies = [
            orjson.dumps({"query": query, "operationName": case.name, "variables": each}) for each in case.variables
        ]
        counts = [0] * CONNECTIONS
        until = time.perf_counter() + seconds
        threads = [
            threading.Thread(target=_ask, args=(self.port, bodies[number:] + bodies[:number], until, counts, number))
            for number in range(CONNECTIONS)
        ]
        cpu, began = _cpu(self.pid), time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        total = sum(counts)
        return total / (time.perf_counter() - began), (_cpu(self.pid) - cpu) / total * 1e6

    def answer(self, case: Case) -> dict[str, Any]:
        """Ask once."""
        query = case.ours if self.name == "ours" else case.peer
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        body = orjson.dumps({"query": query, "operationName": case.name, "variables": case.variables[0]})
        connection.request("POST", "/graphql", body, {"Content-Type": "application/json"})
        said: dict[str, Any] = orjson.loads(connection.getresponse().read())
        connection.close()
        assert "errors" not in said, (self.name, said)
        data: dict[str, Any] = said["data"]
        return data


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--dry", action="store_true", help="print, and write nothing")
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(database(stack.enter_context(server())))
        write_books(url, folder)
        servers = [
            stack.enter_context(serving(name, url, folder / "manifest.toml"))
            for name in ("ours", "strawberry", "orjson")
        ]
        results = [found for case in cases(_some_tasks(url)) for found in compare(case, servers, given)]
    publish("api", results, write=not given.dry)
    if not given.dry:
        page.write()


def compare(case: Case, servers: list[Server], given: argparse.Namespace) -> list[Result]:
    """Ask all servers in turn, ``runs`` times round; return the medians."""
    answers = [each.answer(case) for each in servers]
    assert _nodes(answers[0]) == _nodes(answers[1]) == _nodes(answers[2]), "they do not answer the same"
    found: dict[str, list[tuple[float, float]]] = {each.name: [] for each in servers}
    for each in servers:
        each.load(case, min(1.0, given.seconds))
    for _ in range(given.runs):
        for each in servers:
            found[each.name].append(each.load(case, given.seconds))
    rate = {name: statistics.median(one for one, _ in values) for name, values in found.items()}
    cpu = {name: statistics.median(one for _, one in values) for name, values in found.items()}
    return [
        result(case.title, "requests/s", rate["ours"], STRAWBERRY, rate["strawberry"], bound=rate["orjson"],
               goal=case.goal, runs=given.runs),
        result(f"{case.title}: CPU, the server's process", "µs/request", cpu["ours"], STRAWBERRY, cpu["strawberry"],
               bound=cpu["orjson"], goal="", runs=given.runs),
    ]  # fmt: skip


@contextmanager
def serving(name: str, url: str, manifest: Path) -> Iterator[Server]:
    """Run a server for a while."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "benchmarks.api_servers", name, str(port), url, str(manifest)]
    process = subprocess.Popen(command)
    try:
        _wait(port, process)
        yield Server(name, port, process.pid)
    finally:
        process.terminate()
        process.wait()


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("the server did not start")


def _ask(port: int, bodies: list[bytes], until: float, counts: list[int], number: int) -> None:
    # As little as can be done for a request, for the client takes its time from the same two cores.
    line = socket.create_connection(("127.0.0.1", port))
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    head = b"POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: "
    requests = cycle([head + str(len(body)).encode() + b"\r\n\r\n" + body for body in bodies])
    while time.perf_counter() < until:
        line.sendall(next(requests))
        got = line.recv(262_144)
        while b"\r\n\r\n" not in got:
            got += line.recv(262_144)
        said, _, body = got.partition(b"\r\n\r\n")
        assert said.startswith(b"HTTP/1.1 200"), said
        length = int(said.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        missing = length - len(body)
        while missing > 0:
            missing -= len(line.recv(262_144))
        counts[number] += 1
    line.close()


def _cpu(pid: int) -> float:
    """Return the seconds that a process has computed, in its own and the kernel's name."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _nodes(data: dict[str, Any]) -> Any:
    [found] = data.values()
    return [edge["node"] for edge in found["edges"]] if "edges" in found else found


def _some_tasks(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT '0x' || encode(task, 'hex') FROM books.task WHERE position %% %s = 0 LIMIT 64", (TASKS // 100,)
        )
        return [task for (task,) in rows]


if __name__ == "__main__":
    main()
