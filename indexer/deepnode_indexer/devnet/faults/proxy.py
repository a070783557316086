"""The proxy: a node as its clients meet it, over real HTTP, with the faults of a profile that can change at any time.

``GET /faults`` tells the profile and what was dealt out, ``POST /faults`` sets another one; every other POST is a
question for the node. Over a WebSocket the same questions are answered, and the node's notices passed on.
"""

import socket
import threading
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec
import urllib3

from deepnode_indexer.devnet.faults.answering import Answer, Answering
from deepnode_indexer.devnet.faults.draw import Dealt, Draws, Tally
from deepnode_indexer.devnet.faults.fault import AnyFault, Fault
from deepnode_indexer.devnet.faults.profile import BUILT_IN, HONEST, Profile, from_toml, profile_of
from deepnode_indexer.devnet.faults.server import HOST, Server
from deepnode_indexer.devnet.faults.websocket import join
from deepnode_indexer.rpc import shown
from deepnode_ledger.errors import BadInput, TryAgain

NODE_SECONDS: Final = 120.0
CONNECTIONS: Final = 64


class PortTaken(TryAgain, BadInput):
    """Another program listens where the proxy should."""

    def __init__(self, port: int) -> None:
        super().__init__(f"port {port} on {HOST} is in use: choose another one")
        self.port = port


class FaultProxy:
    """A proxy before the node at ``target``. Use it as a context manager, or call ``start`` and ``stop``.

    May be asked and changed by several threads at once. Same seed, same profile, same questions: same faults.

    Raises:
        BadInput: the target is no URL of HTTP, or there is no such profile.
    """

    def __init__(
        self, target: str, faults: str | Path | Profile | Iterable[Fault] = HONEST, seed: int = 1, *, port: int = 0
    ) -> None:
        self.where = shown(target)
        """The node, without what may be a secret in its URL."""
        if not target.startswith(("http://", "https://")):
            raise BadInput(f"faults can be put before a node's http:// or https:// URL, and {self.where} is none")
        self._target = target
        self._port = port
        self._tally = Tally()
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._requests = self._calls = 0
        # Retries are the client's business: what the node did is to be seen.
        self._pool = urllib3.PoolManager(maxsize=CONNECTIONS, retries=False, timeout=NODE_SECONDS)
        self._server: Server | None = None
        self._thread: threading.Thread | None = None
        self.profile, self.seed = HONEST, seed
        self.set(faults)

    @property
    def url(self) -> str:
        """Where the proxy listens."""
        return f"http://{HOST}:{self._listening_port()}"

    @property
    def ws_url(self) -> str:
        """Where it serves WebSockets, if the node has one at its own URL."""
        return f"ws://{HOST}:{self._listening_port()}"

    @property
    def dealt(self) -> Counter[str]:
        """How many faults of each kind were dealt out since the proxy was made."""
        return self._tally.dealt()

    @property
    def recent(self) -> list[Dealt]:
        """The newest faults, at most 1 000, the newest last."""
        return self._tally.recent()

    @property
    def requests(self) -> int:
        """How many requests came."""
        return self._requests

    @property
    def calls(self) -> int:
        """How many calls these requests held."""
        return self._calls

    def set(self, faults: str | Path | Profile | Iterable[Fault], seed: int | None = None) -> None:
        """Deal these faults from now on; requests under way still meet the old ones. Draws begin anew.

        Raises:
            BadInput: there is no such profile, or a fault is not possible.
        """
        found = profile_of(faults)
        with self._lock:
            self.seed = self.seed if seed is None else seed
            self.profile = found
            draws = Draws(self.seed, self._tally)
            self._answering = Answering(found.faults, draws, self._post, self._stopped)

    def start(self) -> None:
        """Listen, from a thread of its own.

        Raises:
            PortTaken: another program listens on the port.
        """
        assert self._server is None, "a proxy is started once"
        try:
            self._server = Server(self._port, self)
        except OSError:
            raise PortTaken(self._port) from None
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="fault proxy", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Close every connection and the port. A second call does nothing."""
        self._stopped.set()
        if self._server is not None and self._thread is not None and self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.close_connections()
            self._server.server_close()
            self._pool.clear()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def answer(self, body: bytes) -> Answer:
        """Return what a client gets for this body; the server's side of HTTP."""
        answer, calls = self._answering.answer(body)
        with self._lock:
            self._requests += 1
            self._calls += calls
        return answer

    def join(self, client: socket.socket, head: bytes) -> None:
        """Serve a client that asks for a WebSocket, until it or the node ends it."""
        join(client, self._target, head, lambda: self._answering)

    def state(self) -> dict[str, Any]:
        """Return what ``GET /faults`` tells."""
        with self._lock:
            found, seed = self.profile, self.seed
        return {
            "target": self.where,
            "profile": found.name,
            "about": found.about,
            "seed": seed,
            "faults": found.faults,
            "dealt": dict(self.dealt),
            "requests": self.requests,
            "calls": self.calls,
        }

    def control(self, body: bytes, kind: str) -> None:
        """Do what ``POST /faults`` asks for.

        Raises:
            BadInput: the body is no profile; the message says what is wrong.
        """
        if "toml" in kind:
            self.set(from_toml(body.decode("utf-8", "replace")))
            return
        try:
            wanted = msgspec.json.decode(body, type=_Wanted)
        except msgspec.MsgspecError as error:
            raise BadInput(f"the faults to be set: {error}") from error
        if wanted.profile is None:
            self.set(Profile(wanted.name, wanted.faults, wanted.about), wanted.seed)
        else:
            # A file's name would let whoever reaches the port read files of this machine's.
            self.set(_built_in(wanted.profile), wanted.seed)

    def _post(self, body: bytes) -> Answer:
        try:
            response = self._pool.request(
                "POST", self._target, body=body, headers={"content-type": "application/json"}, redirect=False
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            text = f"the node at {self.where} cannot be reached: {type(error).__name__}"
            return Answer(text.encode(), 502, {"content-type": "text/plain"})
        headers = {name: response.headers[name] for name in ("content-type", "retry-after") if name in response.headers}
        return Answer(response.data, response.status, headers)

    def _listening_port(self) -> int:
        assert self._server is not None, "a proxy has an address once it is started"
        return int(self._server.server_address[1])


class _Wanted(msgspec.Struct, forbid_unknown_fields=True):
    profile: str | None = None
    faults: tuple[AnyFault, ...] = ()
    name: str = ""
    about: str = ""
    seed: int | None = None


def _built_in(name: str) -> Profile:
    if name not in BUILT_IN:
        raise BadInput(f"there is no profile {name!r}; there are {', '.join(BUILT_IN)}")
    return BUILT_IN[name]
