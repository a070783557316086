"""A real witness over HTTP on 127.0.0.1, which answers as C2SP tlog-witness says; and ones that do not."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from typing_extensions import override

from deepnode_ledger.errors import BadInput
from deepnode_ledger.publishing import WitnessService
from deepnode_ledger.transparency import (
    EMPTY_ROOT,
    NotProven,
    NotSigned,
    TreeHead,
    Verifier,
    Witness,
    WitnessSigner,
    open_checkpoint,
    parse_add_checkpoint,
    verify_consistency,
)
from deepnode_ledger.transparency.witness import SIZE_CONTENT_TYPE

Answer = tuple[int, bytes]


class WitnessServer:
    """Remembers the last tree that it has cosigned of one log; ``instead`` answers in its place.

    Attributes:
        seen: the last tree head that it has cosigned.
        answers: the status of every answer that it has given.
    """

    def __init__(self, name: str, log: Verifier) -> None:
        self.signer = WitnessSigner.generate(name)
        self.seen = TreeHead(log.name, 0, EMPTY_ROOT)
        self.answers: list[int] = []
        self.instead: Callable[[bytes], Answer] | None = None
        self.url = ""
        self._log = log
        self._one_at_a_time = threading.Lock()

    @property
    def service(self) -> WitnessService:
        """The witness as a publisher is told of it."""
        key = self.signer.verifier
        assert isinstance(key, Witness)
        return WitnessService(key, self.url)

    def answer(self, body: bytes) -> Answer:
        """What the witness says to a request."""
        with self._one_at_a_time:
            status, answer = self._add_checkpoint(body) if self.instead is None else self.instead(body)
            self.answers.append(status)
            return status, answer

    def _add_checkpoint(self, body: bytes) -> Answer:
        try:
            request = parse_add_checkpoint(body)
            head = open_checkpoint(request.checkpoint, self._log).head
        except NotSigned:
            return 403, b""
        except BadInput:
            return 400, b""
        if request.old_size > head.size:
            return 400, b""
        if request.old_size != self.seen.size:
            return 409, f"{self.seen.size}\n".encode()
        try:
            verify_consistency(self.seen.size, self.seen.root, head.size, head.root, request.proof)
        except NotProven:
            return 422, b""
        self.seen = head
        return 200, str(self.signer.cosign(str(head), 1_700_000_000 + head.size)).encode()


@contextmanager
def running(name: str, log: Verifier) -> Iterator[WitnessServer]:
    """A witness of one log, on a port that the system chooses."""
    witness = WitnessServer(name, log)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, answer = witness.answer(body) if self.path == "/w/add-checkpoint" else (404, b"")
            self.send_response(status)
            self.send_header("Content-Type", SIZE_CONTENT_TYPE if status == 409 else "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        @override
        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        witness.url = f"http://127.0.0.1:{server.server_port}/w"
        try:
            yield witness
        finally:
            server.shutdown()
            thread.join()
