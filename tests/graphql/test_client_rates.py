"""How much one client may ask, who the client is, and whose web pages may read the answers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from deepnode_cli import asgi
from deepnode_graphql.app import make_app
from deepnode_graphql.client_rates import BUCKETS_MAX, BURST_SECONDS, Buckets, ClientRates, Door, TooFast, client_of
from deepnode_graphql.terms import Terms
from deepnode_ledger.errors import BadInput
from tests.graphql.small_books import Scribe

META = {"query": "{ _meta { position } }"}
PROXY = "10.1.2.3"
JSON = {"Accept": "application/graphql-response+json"}


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        """The time in seconds."""
        return self.seconds


@contextmanager
def api(books: Scribe, terms: Terms, clock: Callable[[], float] | None = None) -> Iterator[TestClient]:
    """The API on these terms, asked from the proxy's address."""
    app = make_app(books.url, books.manifest, terms=terms)
    if clock is not None:
        app.state.service.rates.__init__(terms, clock)
    with TestClient(app, client=(PROXY, 1)) as http:
        yield http


def test_a_client_that_asks_too_fast_is_told_when_to_come_again(small_books: Scribe) -> None:
    """Asks as often as a burst may, then once more: 429 and the seconds; after these the same request passes."""
    clock = Clock()
    with api(small_books, Terms(request_rate=2), clock) as http:
        for _ in range(2 * BURST_SECONDS):
            assert http.post("/graphql", json=META).status_code == 200
        refused = http.post("/graphql", json=META)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert refused.json()["errors"] == [
            {
                "message": "a client may ask for 2 requests a second: try again in 1 s",
                "extensions": {"code": "TRY_AGAIN"},
            }
        ]
        assert http.get("/export/postings.arrow").json()["error"]["code"] == "TRY_AGAIN"
        for path in ("/health", "/ready", "/metrics"):
            assert http.get(path).status_code == 200
        assert 'deepnode_api_limited_total{limit="requests"} 2' in http.get("/metrics").text
        clock.seconds += 1
        assert http.post("/graphql", json=META).status_code == 200


def test_a_costly_query_passes_and_the_next_one_waits_until_it_is_paid(small_books: Scribe) -> None:
    """Asks for twice of what a burst may hold: it is answered, and the client's debt is told in seconds."""
    clock = Clock()
    query = "{ entries(first: 1000) { edges { node { postings { amount } } } } }"
    with api(small_books, Terms(value_rate=1_000), clock) as http:
        assert http.post("/graphql", json={"query": query}).status_code == 200
        refused = http.post("/graphql", json=META)
        assert refused.status_code == 429
        assert "1000 values a second" in refused.json()["errors"][0]["message"]
        clock.seconds += int(refused.headers["retry-after"])
        assert http.post("/graphql", json=META).status_code == 200
        assert 'deepnode_api_limited_total{limit="values"} 1' in http.get("/metrics").text


def test_what_is_refused_is_charged_too(small_books: Scribe) -> None:
    """Sends nonsense until the burst is used up: checking it is work."""
    with api(small_books, Terms(value_rate=100), Clock()) as http:
        statuses = [http.post("/graphql", json={"query": "{"}, headers=JSON).status_code for _ in range(6)]
    assert statuses == [400] * 5 + [429]


def test_clients_do_not_pay_for_each_other(small_books: Scribe) -> None:
    """Uses up the rate of one client behind a trusted proxy; another one behind it is not concerned."""
    with api(small_books, Terms(request_rate=1, proxies=("10.0.0.0/8",)), Clock()) as http:
        asked = [http.post("/graphql", json=META, headers={"X-Forwarded-For": "192.0.2.1"}) for _ in range(6)]
        other = http.post("/graphql", json=META, headers={"X-Forwarded-For": "192.0.2.2"})
    assert [each.status_code for each in asked] == [200] * 5 + [429]
    assert other.status_code == 200


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        (PROXY, [], PROXY),
        (PROXY, ["192.0.2.1"], "192.0.2.1"),
        (PROXY, ["203.0.113.9, 192.0.2.1"], "192.0.2.1"),
        (PROXY, ["203.0.113.9, 192.0.2.1, 10.9.9.9"], "192.0.2.1"),
        (PROXY, ["203.0.113.9", "192.0.2.1, 10.9.9.9"], "192.0.2.1"),
        (PROXY, ["10.9.9.9, 10.8.8.8"], "10.9.9.9"),
        (PROXY, ["192.0.2.1, nonsense"], PROXY),
        (PROXY, ["192.0.2.1, nonsense, 10.9.9.9"], "10.9.9.9"),
        (PROXY, ["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
        ("198.51.100.7", ["192.0.2.1"], "198.51.100.7"),
        ("2001:db8:1:2::9", ["192.0.2.1"], "2001:db8:1:2::/64"),
        ("::ffff:10.1.2.3", ["192.0.2.1"], "192.0.2.1"),
        ("::1", ["192.0.2.1"], "192.0.2.1"),
        ("testclient", ["192.0.2.1"], "testclient"),
        (None, ["192.0.2.1"], "unknown"),
    ],
)
def test_only_a_trusted_proxy_says_who_the_client_is(peer: str | None, forwarded: list[str], client: str) -> None:
    """Takes the header from the right as far as trusted proxies wrote it; from anybody else it means nothing."""
    headers = Headers(raw=[(b"x-forwarded-for", each.encode()) for each in forwarded])
    scope = {"client": None if peer is None else (peer, 1)}
    assert client_of(scope, headers, Terms(proxies=("10.0.0.0/8", "::1")).networks) == client


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5_000)), max_size=60), st.integers(1, 500))
def test_over_time_nobody_gets_more_than_the_rate(calls: list[tuple[int, int]], rate: int) -> None:
    """Waits and asks at random: what was let in is at most the burst, the rate's due, and the last call's debt."""
    clock, passed, largest = Clock(), 0, 0
    buckets = Buckets("values", rate, clock)
    start = clock.seconds
    for wait_seconds, tokens in calls:
        clock.seconds += wait_seconds
        try:
            buckets.check("somebody")
        except TooFast as error:
            clock.seconds += error.retry_seconds
            buckets.check("somebody")
        buckets.charge("somebody", tokens)
        passed, largest = passed + tokens, max(largest, tokens)
    assert passed <= rate * (BURST_SECONDS + clock.seconds - start) + largest


def test_memory_does_not_grow_with_the_number_of_addresses() -> None:
    """Lets in many more clients than are remembered, each once, at one moment."""
    buckets = Buckets("requests", 1, Clock())
    for number in range(3 * BUCKETS_MAX):
        buckets.charge(str(number), 1)
    assert len(vars(buckets)["_buckets"]) <= BUCKETS_MAX


def test_without_a_rate_nobody_is_held_up() -> None:
    """Charges what no bucket holds; and a rate below 0 is refused."""
    rates = ClientRates(Terms())
    for _ in range(1_000):
        rates.let_in("somebody")
        rates.charge("somebody", 1_000_000)
    with pytest.raises(BadInput, match="a rate must be 0 or more, not -1"):
        Terms(request_rate=-1)


@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
    [
        ((), "https://explorer.example", None),
        (("https://explorer.example",), "https://explorer.example", "https://explorer.example"),
        (("https://explorer.example",), "https://evil.example", None),
        (("*",), "https://anybody.example", "*"),
    ],
)
def test_web_pages_read_answers_only_where_their_origin_is_allowed(
    small_books: Scribe, origins: tuple[str, ...], origin: str, allowed: str | None
) -> None:
    """Asks as a browser does for a page: first what it may, then the query; never with the page's credentials."""
    with api(small_books, Terms(origins=origins, request_rate=1), Clock()) as http:
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        before = http.options("/graphql", headers=asked | {"Access-Control-Request-Headers": "content-type"})
        assert before.headers.get("access-control-allow-origin") == allowed
        answers = [http.post("/graphql", json=META, headers={"Origin": origin}) for _ in range(8)]
        for answer in (answers[0], answers[-1]):
            assert answer.headers.get("access-control-allow-origin") == allowed
            assert "access-control-allow-credentials" not in answer.headers
            assert allowed is None or "Retry-After" in answer.headers["access-control-expose-headers"]
        assert answers[-1].status_code == 429


@pytest.mark.parametrize(
    ("origin", "opens"),
    [
        (None, True),
        ("http://testserver", True),
        ("https://explorer.example", True),
        ("https://evil.example", False),
        ("null", False),
    ],
)
def test_a_page_of_another_origin_opens_no_websocket(origin: str | None, opens: bool) -> None:
    """Opens one as a browser does for a page, and as a program does: CORS does not look at WebSockets."""

    async def greet(scope: Scope, receive: Receive, send: Send) -> None:
        socket = WebSocket(scope, receive, send)
        await socket.accept()
        await socket.send_text("come in")
        await socket.close()

    terms = Terms(origins=("https://explorer.example",))
    http = TestClient(Door(greet, terms, ClientRates(terms)))
    headers = {} if origin is None else {"Origin": origin}
    if opens:
        with http.websocket_connect("/graphql", headers=headers) as socket:
            assert socket.receive_text() == "come in"
    else:
        with pytest.raises(WebSocketDisconnect), http.websocket_connect("/graphql", headers=headers):
            pass


@pytest.mark.parametrize("origin", ["explorer.example", "https://explorer.example/", "https://*.example", "null", ""])
def test_an_origin_is_refused_that_no_browser_would_send(origin: str) -> None:
    """Writes what would never match, so that nobody waits for it to."""
    with pytest.raises(BadInput, match=r"an origin is like https://explorer\.example"):
        Terms(origins=(origin,))


def test_a_proxy_that_is_none_is_refused() -> None:
    """Names a host, and a network with bits behind its end."""
    for proxy in ("proxy.example", "10.0.0.1/8"):
        with pytest.raises(BadInput, match="a trusted proxy is an address or a network"):
            Terms(proxies=(proxy,))


def test_the_terms_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Sets each variable as for `deepnode serve`, and one badly."""
    for name, value in {
        "API_REQUEST_RATE": "7",
        "API_VALUE_RATE": "0",
        "TRUSTED_PROXIES": "10.0.0.0/8 ::1",
        "ORIGINS": "https://explorer.example http://localhost:3000",
        "DOCUMENTS": str(tmp_path),
        "DOCUMENTS_ONLY": "true",
    }.items():
        monkeypatch.setenv(f"DEEPNODE_{name}", value)
    assert asgi._terms() == Terms(
        7, 0, ("10.0.0.0/8", "::1"), ("https://explorer.example", "http://localhost:3000"), tmp_path, True
    )
    monkeypatch.setenv("DEEPNODE_API_REQUEST_RATE", "many")
    with pytest.raises(BadInput, match="DEEPNODE_API_REQUEST_RATE must be a whole number, not 'many'"):
        asgi._terms()
