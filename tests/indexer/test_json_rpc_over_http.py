"""A node may say anything: an answer is used only if it is one, and what a URL hides stays hidden."""

import json
import traceback
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from deepnode_indexer import rpc as rpcs
from deepnode_indexer.rpc import (
    AT_ONCE,
    AnswerTooLarge,
    BadAnswer,
    JsonRpc,
    MethodMissing,
    NodeAway,
    NodeError,
    Patience,
    RangeRefused,
    RateLimited,
    shown,
)
from deepnode_ledger.errors import BadInput, TryAgain
from tests.indexer.fake_node import Reply, as_json, serving

CALLS: list[tuple[str, tuple[Any, ...]]] = [("eth_chainId", ()), ("eth_blockNumber", ())]


def result(number: Any, value: Any = "0x1") -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "result": value}


def ask(reply: Reply) -> list[bytes]:
    """Ask two questions of a node that gives this answer."""
    with serving(lambda _request: reply) as url:
        rpc = JsonRpc(url, patience=AT_ONCE)
        try:
            return [bytes(raw) for raw in rpc.batch(CALLS)]
        finally:
            rpc.close()


def test_results_come_in_the_order_of_the_calls() -> None:
    """Answers in reverse order, with fields that nobody asked for."""
    assert ask(as_json([result(1, "b"), result(0, {"a": None}) | {"more": 1}])) == [b'{"a": null}', b'"b"']


def test_one_request_carries_all_calls() -> None:
    """Looks at what arrives at the node."""
    seen = []

    def answer(request: Any) -> Reply:
        seen.append(request)
        return as_json([result(call["id"]) for call in request])

    with serving(answer) as url:
        rpc = JsonRpc(url)
        rpc.batch([("a", (1, {"x": []})), ("b", ())])
        assert bytes(rpc.call("c", True)) == b'"0x1"'
        rpc.close()
    assert seen == [
        [
            {"jsonrpc": "2.0", "id": 0, "method": "a", "params": [1, {"x": []}]},
            {"jsonrpc": "2.0", "id": 1, "method": "b", "params": []},
        ],
        [{"jsonrpc": "2.0", "id": 0, "method": "c", "params": [True]}],
    ]


def test_a_node_that_is_not_there_is_away() -> None:
    """Asks a port where a server was a moment ago."""
    with serving(lambda _request: Reply(b"")) as url:
        pass
    with pytest.raises(NodeAway, match=rf"the node at {url} cannot be reached"):
        JsonRpc(url, patience=AT_ONCE).batch(CALLS)


@pytest.mark.parametrize("status", [204, 301, 401, 403, 404, 429, 500, 502, 503])
def test_another_status_than_200_is_no_answer(status: int) -> None:
    """Gives good JSON under other statuses, a redirect among them."""
    good = as_json([result(0), result(1)])
    body = b"" if status == 204 else good.body
    with pytest.raises(NodeAway, match=f"answered HTTP {status}"):
        ask(Reply(body, status, {"location": "http://127.0.0.1:9/"} if status == 301 else {}))


@pytest.mark.parametrize("status", [400, 413])
def test_a_refused_question_may_be_asked_in_parts(status: int) -> None:
    """Refuses the question by the statuses with which providers say that a range is too long for them."""
    with pytest.raises(AnswerTooLarge, match=f"refused the question with HTTP {status}"):
        ask(Reply(b"range too long", status))


def test_a_redirect_is_not_followed() -> None:
    """Redirects to a server that would answer well: it must not be asked."""
    asked = []

    def elsewhere(request: Any) -> Reply:
        asked.append(request)
        return as_json([result(0), result(1)])

    with serving(elsewhere) as other:
        for status in (301, 302, 307, 308):
            with pytest.raises(NodeAway, match=f"HTTP {status}"):
                ask(Reply(b"", status, {"location": other}))
    assert asked == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Bad gateway</html>",
        b"null",
        b"[]",
        b"{}",
        b"[1, 2]",
        b"\xff\xfe",
        b"[" * 100_000,
        json.dumps([result(0)]).encode(),
        json.dumps([result(0), result(0)]).encode(),
        json.dumps([result(0), result(2)]).encode(),
        json.dumps([result(0), result(1), result(2)]).encode(),
        json.dumps([result(0), result(1), result(1, "another")]).encode(),
        json.dumps([result("0"), result("1")]).encode(),
        json.dumps([result(None), result(None)]).encode(),
        json.dumps([result(0), result(1)]).encode()[:-1],
        json.dumps([result(0), result(1)]).encode() + b"more",
        json.dumps(result(0)).encode(),
        json.dumps({"error": "no"}).encode(),
        json.dumps([result(0), {"id": 1, "error": {"message": "no code"}}]).encode(),
    ],
)
def test_what_is_no_batch_of_answers_is_a_bad_answer(body: bytes) -> None:
    """Gives other text, other JSON, too few, too many, repeated, foreign and broken answers."""
    with pytest.raises(BadAnswer):
        ask(Reply(body))


def test_an_error_of_one_call_is_the_error_of_all() -> None:
    """Refuses the second of two calls."""
    error = {"code": -32000, "message": "header not found " + "x" * 1000}
    with pytest.raises(NodeError, match="eth_blockNumber failed with -32000: header not found") as refused:
        ask(as_json([result(0), {"jsonrpc": "2.0", "id": 1, "error": error}]))
    assert refused.value.code == -32000
    assert len(str(refused.value)) < 500


def test_one_error_may_refuse_the_whole_batch() -> None:
    """Gives a single error object in place of a list, as some nodes do."""
    with pytest.raises(NodeError, match="failed with -32600: batches are not supported"):
        ask(as_json({"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "batches are not supported"}}))


def test_a_larger_answer_than_is_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lowers the limit and gives an answer of the limit and one more byte."""
    good = as_json([result(0), result(1)])
    monkeypatch.setattr(rpcs, "RESPONSE_BYTES_MAX", len(good.body))
    assert len(ask(good)) == 2
    with pytest.raises(AnswerTooLarge):
        ask(Reply(good.body + b" "))


def test_an_answer_that_cannot_be_unpacked_is_no_answer() -> None:
    """Says that the answer is packed and sends something that is not."""
    with pytest.raises((NodeAway, BadAnswer)):
        ask(Reply(b"[", headers={"content-encoding": "gzip"}))


SECRETS = ("alice", "pa55word", "KEY123", "hunter2")


def failure_of(url: str) -> str:
    with pytest.raises(TryAgain) as failed:
        JsonRpc(url, patience=AT_ONCE).batch(CALLS)
    return "".join(traceback.format_exception(failed.value))


@pytest.mark.parametrize("status", [200, 302, 500])
def test_a_message_never_tells_what_a_url_hides(status: int) -> None:
    """Asks by a URL with a user, a password and keys, fails in every way, and reads the whole traceback."""
    with serving(lambda _request: Reply(b"no", status, {"location": "/elsewhere"})) as url:
        secret = url.replace("//", "//alice:pa55word@") + "/v2/KEY123?token=hunter2"
        messages = [failure_of(secret)]
    messages.append(failure_of(secret))
    for message in messages:
        assert url in message
        assert not [word for word in SECRETS if word in message]
    assert JsonRpc(secret).where == shown(secret) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "8545",
        "ftp://node.example/",
        "node.example/v2/KEY123",
        "alice:pa55word@node.example/KEY123",
        "https:/alice:pa55word@node.example/KEY123",
        "http://",
        "http:///v2/KEY123",
        "http://node.example:99999/KEY123",
        "http://node.example:port/KEY123",
        "http://alice:pa55word@node.example:port/KEY123",
        "http://[::1/KEY123",
        "wss://node.example/KEY123",
    ],
)
def test_what_is_no_url_of_a_node_is_refused_without_its_secrets(url: str) -> None:
    """Offers mistyped URLs: no scheme, a slash too few, impossible ports, other schemes."""
    with pytest.raises(BadInput, match=r"http://127\.0\.0\.1:8545") as refused:
        JsonRpc(url)
    assert not [word for word in SECRETS if word in str(refused.value)]


def error_reply(message: str, code: int = -32000, status: int = 200, **headers: str) -> Reply:
    body = json.dumps({"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}).encode()
    return Reply(body, status, {name.replace("_", "-"): value for name, value in headers.items()})


@dataclass
class Waits:
    """Notes the pauses instead of waiting."""

    seconds: list[float] = field(default_factory=list)

    def patience(self, **values: Any) -> Patience:
        return Patience(wait=self.seconds.append, **values)


def ask_in_turn(replies: list[Reply], patience: Patience) -> list[bytes]:
    """Ask a node that gives these answers one after another."""
    waiting = iter(replies)
    with serving(lambda _request: next(waiting)) as url, closing(JsonRpc(url, patience=patience)) as rpc:
        return [bytes(raw) for raw in rpc.batch(CALLS)]


GOOD = as_json([result(0), result(1)])
TOO_MANY = [
    Reply(b"slow down", 429),
    error_reply("Your app has exceeded its compute units per second capacity", 429),
    error_reply("daily request count exceeded, request rate limited", -32005, 429),
    as_json([result(0), {"id": 1, "error": {"code": -32005, "message": "limit exceeded"}}]),
    error_reply("50/second request limit reached", -32007),
]


@pytest.mark.parametrize("limited", TOO_MANY)
def test_a_rate_limited_question_is_asked_again_later(limited: Reply) -> None:
    """Limits the rate three times in each form, then answers: pauses grow, with jitter."""
    waits = Waits()
    assert len(ask_in_turn([limited] * 3 + [GOOD], waits.patience())) == 2
    assert [0.125 * 2**n <= pause <= 0.25 * 2**n for n, pause in enumerate(waits.seconds)] == [True] * 3
    with pytest.raises(RateLimited):
        ask_in_turn([limited] * 6, waits.patience())
    with pytest.raises(RateLimited):
        ask_in_turn([limited], AT_ONCE)


def test_the_pause_that_a_node_asks_for_is_kept() -> None:
    """Asks for pauses in seconds and until a date; for one that is too long, and in a way that makes no sense."""
    waits = Waits()
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=5), usegmt=True)
    replies = [Reply(b"", status, {"retry-after": text}) for status, text in ((429, "3"), (503, date), (429, "soon"))]
    ask_in_turn([*replies, GOOD], waits.patience())
    assert [3 <= waits.seconds[0] < 3.1, 3.5 < waits.seconds[1] < 5.2, waits.seconds[2] <= 1] == [True] * 3
    with pytest.raises(RateLimited) as limited:
        ask_in_turn([Reply(b"", 429, {"retry-after": "600"})], waits.patience())
    assert limited.value.retry_after_seconds == 600
    assert len(waits.seconds) == 3


def test_a_broken_connection_is_tried_again_a_few_times() -> None:
    """Fails as a gateway does, twice and then always; an answer that says no is not tried again."""
    waits = Waits()
    assert len(ask_in_turn([Reply(b"", 502), Reply(b"", 500), GOOD], waits.patience())) == 2
    with pytest.raises(NodeAway, match="HTTP 502"):
        ask_in_turn([Reply(b"", 502)] * 3, waits.patience())
    assert len(waits.seconds) == 4
    for status in (401, 403, 404):
        with pytest.raises(NodeAway, match=f"HTTP {status}"):
            ask_in_turn([Reply(b"", status)], waits.patience())


@pytest.mark.parametrize("status", [200, 400, 413, 500])
def test_a_refused_range_is_told_from_a_node_that_is_away(status: int) -> None:
    """Refuses a range in a provider's words under the statuses that they use."""
    message = "eth_getLogs is limited to a 10,000 range"
    with pytest.raises(RangeRefused, match="limited to a 10,000 range") as refused:
        ask(error_reply(message, -32614, status))
    assert refused.value.blocks_max == 10_000
    with pytest.raises(MethodMissing):
        ask(error_reply("method not found", -32601, status))


def test_a_nodes_message_does_not_tell_the_key_either() -> None:
    """Repeats the key and the whole path in an error, as some gateways do."""
    with serving(lambda _request: error_reply("no such project: /v2/KEY123456 (KEY123456) hunter22")) as url:
        rpc = JsonRpc(url + "/v2/KEY123456?token=hunter22", patience=AT_ONCE)
        with pytest.raises(NodeError, match="no such project: /v2/…") as failed:
            rpc.batch(CALLS)
        rpc.close()
    assert "KEY123456" not in str(failed.value) + failed.value.message
    assert "hunter22" not in str(failed.value) + failed.value.message


def test_answers_and_failures_are_counted() -> None:
    """Answers twice, limits once and fails once."""
    replies = iter([GOOD, GOOD, Reply(b"", 429), Reply(b"", 500)])
    with serving(lambda _request: next(replies)) as url, closing(JsonRpc(url, patience=AT_ONCE)) as rpc:
        for _ in range(2):
            rpc.batch(CALLS)
        for _ in range(2):
            with pytest.raises(NodeAway):
                rpc.batch(CALLS)
        meter = rpc.meter
    assert (meter.requests, meter.failures, meter.rate_limited) == (4, 2, 1)
    assert meter.answer_bytes == 2 * len(GOOD.body)
    assert 0 < meter.latency_seconds < 5
