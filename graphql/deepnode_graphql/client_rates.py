"""Client rates: how much one client may ask in a second, in requests and in what its queries cost.

A bucket may go into debt: a request is let in as a whole while its client's buckets hold anything, and charged in full;
the next one waits until the debt is paid. So no query is too large to ever pass, the rate holds in the long run, and
who sends the same again always gets on. A refusal says after how many seconds the same request is welcome.

Who the client is, is the address of the connection's other end. If that is a trusted proxy, it is the last address of
``X-Forwarded-For`` that is no trusted proxy itself: what stands before it anybody can write.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

import orjson
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from deepnode_graphql.terms import Terms
from deepnode_ledger.errors import TryAgain

BURST_SECONDS: Final = 5
"""Who was quiet may ask at once for what the rate allows in this many seconds."""

BUCKETS_MAX: Final = 10_000
"""So many clients are remembered. One that was quiet for a while is forgotten, as one that never came."""

VALUES_OF_A_REFUSAL: Final = 100
"""What a request counts for that is not executed: it was read and checked."""

FREE: Final = ("/health", "/ready", "/metrics", "/log/")
"""Paths without a rate: an operator's, and the published log, whose readers fetch many small files of a disk."""

GRAPHQL_PATH: Final = "/graphql"
UNKNOWN: Final = "unknown"
TRY_AGAIN_LATER: Final = 1013
"""WebSocket's code for: come again."""


class TooFast(TryAgain):
    """A client's rate is used up; the same request is welcome after ``retry_seconds``. ``limit`` names the rate."""

    def __init__(self, limit: str, rate: int, retry_seconds: int) -> None:
        super().__init__(f"a client may ask for {rate} {limit} a second: try again in {retry_seconds} s")
        self.limit = limit
        self.retry_seconds = retry_seconds


class Buckets:
    """One token bucket a client, all of one rate (0: no limit). Used on the event loop alone, so it needs no lock."""

    def __init__(self, limit: str, rate: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._rate = rate
        self._clock = clock
        self._full = float(rate * BURST_SECONDS)
        self._buckets: dict[str, tuple[float, float]] = {}

    def check(self, client: str) -> None:
        """Look whether a request would be let in now.

        Raises:
            TooFast: the rate is used up.
        """
        if self._rate and (tokens := self._tokens(client)) <= 0:
            raise TooFast(self._limit, self._rate, max(1, math.ceil((1 - tokens) / self._rate)))

    def charge(self, client: str, tokens: int) -> None:
        """Take from a client's bucket, if need be more than it holds."""
        if self._rate:
            self._buckets[client] = (self._tokens(client) - tokens, self._clock())
            if len(self._buckets) > BUCKETS_MAX:
                self._forget()

    def _tokens(self, client: str) -> float:
        tokens, seen = self._buckets.get(client, (self._full, self._clock()))
        return min(self._full, tokens + (self._clock() - seen) * self._rate)

    def _forget(self) -> None:
        # A full bucket says no more than a missing one. If all are in use, the oldest go: better a client too many is
        # let in than memory grows with the number of addresses.
        self._buckets = {client: held for client, held in self._buckets.items() if self._tokens(client) < self._full}
        for client in list(self._buckets)[: max(0, len(self._buckets) - BUCKETS_MAX // 2)]:
            del self._buckets[client]


class ClientRates:
    """The rates of one API. ``limited`` counts, by the rate's name, what was answered with 429."""

    def __init__(self, terms: Terms, clock: Callable[[], float] = time.monotonic) -> None:
        self._requests = Buckets("requests", terms.request_rate, clock)
        self._values = Buckets("values", terms.value_rate, clock)
        self.limited: Counter[str] = Counter({"requests": 0, "values": 0})

    def let_in(self, client: str) -> None:
        """Let in one request, and charge it as such.

        Raises:
            TooFast: one of the client's rates is used up.
        """
        try:
            self._requests.check(client)
            self._values.check(client)
        except TooFast as error:
            self.limited[error.limit] += 1
            raise
        self._requests.charge(client, 1)

    def charge(self, client: str, cost: int) -> None:
        """Charge what a query cost, once that is known."""
        self._values.charge(client, max(cost, VALUES_OF_A_REFUSAL))


class Door:
    """What every request passes first: it finds out who asks, and whether it is too much.

    Behind it the connection's other end is the client, not the proxy. A web page of another origin may open a WebSocket
    only if its origin is allowed, as its other requests may.
    """

    def __init__(self, app: ASGIApp, terms: Terms, rates: ClientRates) -> None:
        self._app = app
        self._terms = terms
        self._rates = rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one connection of the server's."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        client = client_of(scope, headers, self._terms.networks)
        scope["client"] = (client, 0)
        path: str = scope["path"]
        try:
            if not path.startswith(FREE):
                self._rates.let_in(client)
        except TooFast as error:
            await _refuse(error, scope, receive, send)
            return
        if scope["type"] == "websocket" and not self._may_open(headers):
            # Before it is accepted, closing it is answered with 403.
            await send({"type": "websocket.close", "code": 1008, "reason": "the page's origin is not allowed"})
            return
        await self._app(scope, receive, send)

    def _may_open(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        # No browser leaves it out; other programs need no web page to do harm.
        return origin is None or self._terms.allows_origin(origin) or origin.partition("://")[2] == headers.get("host")


def client_of(scope: Scope, headers: Headers, proxies: Sequence[IPv4Network | IPv6Network]) -> str:
    """Say who asks: an IPv4 address, or the /64 network of an IPv6 address, which is what one customer has."""
    named: str = (scope.get("client") or (UNKNOWN,))[0]
    hops = ",".join(headers.getlist("x-forwarded-for")).split(",")
    while hops and _is_in(named, proxies):
        hop = hops.pop().strip()
        if _address(hop) is None:
            break
        named = hop
    address = _address(named)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address) >> 64 << 64, 64)))
    return named if address is None else str(address)


def _is_in(named: str, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    address = _address(named)
    return address is not None and any(address in network for network in networks)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


async def _refuse(error: TooFast, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": TRY_AGAIN_LATER, "reason": str(error)})
        return
    shown = {"message": str(error), "extensions": {"code": "TRY_AGAIN"}}
    other = {"error": {"message": str(error), "code": "TRY_AGAIN"}}
    body = {"errors": [shown]} if scope["path"] == GRAPHQL_PATH else other
    headers = {"Retry-After": str(error.retry_seconds), "Cache-Control": "no-store"}
    await Response(orjson.dumps(body), 429, headers, "application/json")(scope, receive, send)
