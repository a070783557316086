"""A JSON-RPC node for tests, over real HTTP: a chain of branches that it tells, or whatever it is told to say."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import override

from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.record import Block, BlockRef, Header
from tests.ledger.histories import CHAIN_ID, GENESIS
from tests.ledger.histories import block as make_block

Json = Any
"""What JSON can hold; the tests break it in every way."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer as it is sent."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


def as_json(value: Json) -> Reply:
    return Reply(json.dumps(value).encode(), headers={"content-type": "application/json"})


Answer = Callable[[Json], Reply]
"""From the parsed request to the HTTP answer."""


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """Serve POST requests with ``answer``; gives the URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            reply = answer(json.loads(body))
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        @override
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class FakeChain:
    """A chain that a test grows and reorganises, and a node that serves it; every answer can be changed on its way."""

    def __init__(self) -> None:
        self.blocks: dict[int, Block] = {0: genesis_block()}
        self.branches: dict[int, str] = {0: "a"}
        self.finalized: int | None = None
        self.chain_id = CHAIN_ID
        self.range_max: int | None = None
        self.calls_max: int | None = None
        self.extra: dict[str, Callable[..., Json]] = {}
        self.with_times = True
        self.requests: list[Json] = []
        self.spoil: Callable[[str, Json, Json], Json] = lambda _method, _parameters, result: result
        self._lock = threading.Lock()

    @property
    def head(self) -> int:
        return max(self.blocks)

    def grow(self, count: int, *, logs: int = 1, branch: str | None = None) -> None:
        """Add blocks, of a new branch if one is named."""
        for number in range(self.head + 1, self.head + count + 1):
            own = branch or self.branches[number - 1]
            block = make_block(number, logs=logs, branch=own, parent=self.branches[number - 1])
            if number == 1:
                block = Block(Header(block.header.block, GENESIS), block.logs)
            self.blocks[number], self.branches[number] = block, own

    def drop(self, count: int) -> None:
        """Take the newest blocks back."""
        for number in range(self.head, self.head - count, -1):
            del self.blocks[number], self.branches[number]

    def reorganise(self, depth: int, branch: str, *, count: int | None = None, logs: int = 1) -> None:
        """Replace the newest blocks by those of another branch, as many unless said otherwise."""
        self.drop(depth)
        self.grow(depth if count is None else count, logs=logs, branch=branch)

    def answer(self, request: Json) -> Reply:
        """The node's side of HTTP."""
        with self._lock:
            if self.calls_max is not None and len(request) > self.calls_max:
                message = f"Batch of more than {self.calls_max} requests are not allowed on free tier"
                return as_json({"jsonrpc": "2.0", "id": None, "error": {"code": 31, "message": message}})
            self.requests += [(call["method"], call["params"]) for call in request]
            responses = []
            for call in request:
                result = self.spoil(call["method"], call["params"], self._result(call["method"], call["params"]))
                response = {"jsonrpc": "2.0", "id": call["id"]}
                if isinstance(result, dict) and "code" in result:
                    responses.append(response | {"error": result})
                else:
                    responses.append(response | {"result": result})
            return as_json(responses)

    def _result(self, method: str, parameters: Json) -> Json:
        if method == "eth_chainId":
            return hex(self.chain_id)
        if method == "eth_getBlockByNumber":
            tag = parameters[0]
            number = self.head if tag == "latest" else self.finalized if tag in ("finalized", "safe") else int(tag, 16)
            found = None if number is None else self.blocks.get(number)
            return None if found is None else header_json(found)
        if method in self.extra:
            return self.extra[method](*parameters)
        assert method == "eth_getLogs", method
        [wanted] = parameters
        if "blockHash" in wanted:
            found = next((b for b in self.blocks.values() if to_hex(b.header.block.hash) == wanted["blockHash"]), None)
            return {"code": -32000, "message": "unknown block"} if found is None else self._asked(wanted, [found])
        first, last = int(wanted["fromBlock"], 16), int(wanted["toBlock"], 16)
        if self.range_max is not None and last - first + 1 > self.range_max:
            return {"code": -32602, "message": f"ranges of more than {self.range_max} blocks are refused"}
        return self._asked(wanted, [self.blocks[n] for n in range(first, last + 1) if n in self.blocks])

    def _asked(self, wanted: Json, blocks: list[Block]) -> list[Json]:
        return [log for block in blocks for log in self.logs_json(block) if log["address"] in wanted["address"]]

    def logs_json(self, block: Block) -> list[Json]:
        """The block's logs as a node tells them."""
        return [log_json(block, index, with_time=self.with_times) for index in range(len(block.logs))]


def genesis_block() -> Block:
    """Block 0, whose hash is the manifest's."""
    return Block(Header(BlockRef(0, GENESIS, 1_700_000_000), bytes(32)), ())


def header_json(block: Block) -> dict[str, Json]:
    """A block as a node tells it; more fields than anybody reads."""
    own = block.header.block
    return {
        "number": hex(own.number),
        "hash": to_hex(own.hash),
        "parentHash": to_hex(block.header.parent_hash),
        "timestamp": hex(own.time),
        "gasUsed": "0x1",
        "transactions": [],
    }


def log_json(block: Block, index: int, *, with_time: bool = True) -> dict[str, Json]:
    """A log as a node tells it."""
    log, own = block.logs[index], block.header.block
    told = {
        "address": to_hex(log.address),
        "topics": [to_hex(topic) for topic in log.topics],
        "data": to_hex(log.data),
        "blockNumber": hex(own.number),
        "blockHash": to_hex(own.hash),
        "transactionHash": to_hex(log.transaction_hash),
        "transactionIndex": hex(log.transaction_index),
        "logIndex": hex(log.log_index),
        "removed": False,
    }
    return told | ({"blockTimestamp": hex(own.time)} if with_time else {})
