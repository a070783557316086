"""From a request's bytes to what the client gets: the faults of one profile, stage by stage.

In order: the connection and the request (delays, cuts, HTTP errors, rate limits), each call (limits, errors), the view
of the chain, the node, the lies in its results, the ids. Within a stage faults go by their order in the profile. What
no fault concerns passes as the node wrote it.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from deepnode_indexer.devnet.faults.block_lies import BLOCK_LIES
from deepnode_indexer.devnet.faults.branch import Memory
from deepnode_indexer.devnet.faults.draw import Draws
from deepnode_indexer.devnet.faults.exchange import (
    LOG_METHODS,
    RECEIPT_METHODS,
    Call,
    Reply,
    Request,
    number_of,
    quantity,
    read_answer,
    read_request,
    write_question,
)
from deepnode_indexer.devnet.faults.fault import (
    BehindHead,
    CapLogs,
    CapRange,
    ChangeMind,
    Cut,
    Delay,
    FailCalls,
    FailRequests,
    Fault,
    HideLogs,
    RateLimit,
    StaleBranch,
    WrongIds,
)
from deepnode_indexer.devnet.faults.log_lies import LOG_LIES
from deepnode_indexer.devnet.faults.provider_words import Json, Refused, too_many_blocks, too_many_logs
from deepnode_indexer.devnet.faults.view import Behind, Honest, Stale, View

TOO_MANY: Final = Refused(-32005, "rate limit exceeded: too many requests")


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; ``cut`` says where its connection breaks, as ``Cut.at`` does."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: str | None = None


Post = Callable[[bytes], Answer]
"""Send bytes to the node."""

_Placed = tuple[int, Fault]


class Answering:
    """One profile's faults under one seed, in front of one node. Safe among threads."""

    def __init__(self, faults: Sequence[Fault], draws: Draws, post: Post, stopped: threading.Event) -> None:
        self._placed = list(enumerate(faults))
        self._draws = draws
        self._post = post
        self._stopped = stopped
        self._memories = {place: Memory(each.depth) for place, each in self._placed if isinstance(each, StaleBranch)}
        self._buckets = {
            place: _Bucket(each.per_second)
            for place, each in self._placed
            if isinstance(each, RateLimit) and each.per_second is not None
        }

    def answer(self, body: bytes) -> tuple[Answer, int]:
        """Return what the client gets, and how many calls its request held."""
        request = read_request(body)
        if request is None or not self._placed:
            return self._post(body), 1 if request is None else len(request.calls)
        ended = self._before(request)
        return self._whole(request) if ended is None else ended, len(request.calls)

    def noticed(self, told: dict[str, Json]) -> list[Json]:
        """Return what a subscriber hears in place of a log or a new head: it, a lie, nothing, or it twice."""
        if "topics" in told:
            call, reply = Call("eth_getFilterChanges", [told.get("blockHash")]), Reply([told])
        elif "parentHash" in told:
            call, reply = Call("eth_getBlockByHash", [told.get("hash")]), Reply(told)
        else:
            return [told]
        self._lie(call, reply)
        return reply.value if isinstance(reply.value, list) else [] if reply.value is None else [reply.value]

    def _before(self, request: Request) -> Answer | None:
        """Let the faults of connections and requests strike; returns an answer if one of them ends the request."""
        for place, fault in self._placed:
            match fault:
                case Delay():
                    if self._strikes(place, fault, request.question):
                        share = self._draws.share(place, request.question, "late")
                        self._stopped.wait(fault.seconds_min + share * (fault.seconds_max - fault.seconds_min))
                case Cut(at="before") if self._strikes(place, fault, request.question):
                    return Answer(cut=fault.at)
                case FailRequests() if self._strikes(place, fault, request.question):
                    kind = "text/html" if fault.body.startswith("<") else "text/plain"
                    return Answer(fault.body.encode(), fault.status, {"content-type": kind})
                case RateLimit(style="http" | "batch") if self._limited(place, fault, request.question, request):
                    return _too_many(fault)
        return None

    def _whole(self, request: Request) -> Answer:
        """Answer every call of the request, by one question to the node at most."""
        view = self._view(request)
        replies: list[Reply | None] = []
        asked: list[tuple[int, Call]] = []
        for number, call in enumerate(request.calls):
            reply = self._refusal(request, call)
            if reply is None:
                before = view.before(call)
                if isinstance(before, Call):
                    asked.append((number, before))
                else:
                    reply = before
            replies.append(reply)
        if asked:
            calls = [call for _, call in asked]
            answer = self._post(write_question(calls, batch=request.batch))
            found = read_answer(answer.body, calls, batch=request.batch) if answer.status == 200 else None
            if found is None:
                return _renumbered(answer, calls)
            for (number, _), reply in zip(asked, found, strict=True):
                view.after(request.calls[number], reply)
                replies[number] = reply
        whole = [reply for reply in replies if reply is not None]
        for call, reply in zip(request.calls, whole, strict=True):
            self._lie(call, reply)
        return self._written(request, whole)

    def _refusal(self, request: Request, call: Call) -> Reply | None:
        """Refuse a call before the node is asked."""
        refused: Refused | None = None
        for place, fault in self._placed:
            match fault:
                case CapRange() if call.method == "eth_getLogs":
                    refused = self._range_refusal(place, fault, call)
                case RateLimit(style="call") if self._limited(place, fault, call.question, None):
                    refused = TOO_MANY
                case FailCalls() if not fault.methods or call.method in fault.methods:
                    if self._strikes(place, fault, call.question):
                        refused = Refused(fault.code, fault.message)
            if refused is not None:
                return _refused(refused)
        return None

    def _range_refusal(self, place: int, fault: CapRange, call: Call) -> Refused | None:
        first, last = self._range(call)
        if last - first + 1 > fault.blocks and self._strikes(place, fault, call.question):
            return too_many_blocks(fault.provider, fault.blocks, first, last)
        return None

    def _range(self, call: Call) -> tuple[int, int]:
        wanted = call.filter()
        if "blockHash" in wanted:
            return 0, 0
        tags = [wanted.get("fromBlock"), wanted.get("toBlock")]
        open_ended = any(quantity(tag) is None for tag in tags)
        head = (quantity(self._ask("eth_blockNumber", ())) or 0) if open_ended else 0
        first, last = (number_of(tag, head) for tag in tags)
        return (head if first is None else first), (head if last is None else last)

    def _view(self, request: Request) -> View:
        if not request.asks_for_the_chain:
            return Honest()
        for place, fault in self._placed:
            if isinstance(fault, BehindHead) and self._strikes(place, fault, request.question):
                head = quantity(self._ask("eth_blockNumber", ())) or 0
                return Behind(max(0, head - fault.blocks), fault.logs_only)
            if isinstance(fault, StaleBranch):
                memory = self._memories[place]
                memory.look(self._ask_many, fault.requests)
                old = memory.old_branch()
                if old is not None and self._strikes(place, fault, request.question):
                    memory.told()
                    return Stale(old, self._ask)
        return Honest()

    def _lie(self, call: Call, reply: Reply) -> None:
        for place, fault in self._placed:
            if reply.error is not None:
                return
            if isinstance(fault, CapLogs) and call.method == "eth_getLogs":
                self._cap_logs(place, fault, call, reply)
                continue
            for kind, lie in LOG_LIES:
                if isinstance(fault, kind) and _concerns(fault, call):
                    lie(self._draws, place, fault, call, reply)
            for kind, block_lie, methods in BLOCK_LIES:
                if isinstance(fault, kind) and call.method in methods:
                    block_lie(self._draws, place, fault, call, reply, self._ask)

    def _cap_logs(self, place: int, fault: CapLogs, call: Call, reply: Reply) -> None:
        logs = reply.value or []
        if len(logs) <= fault.logs or not self._strikes(place, fault, call.question):
            return
        first, last = self._range(call)
        # The blocks of the first so many logs, without the block that is cut; one block at least.
        fitting = max(first, (quantity(logs[fault.logs]["blockNumber"]) or first) - 1)
        reply.refuse(too_many_logs(fault.provider, fault.logs, first, last, fitting))

    def _written(self, request: Request, replies: list[Reply]) -> Answer:
        written = [reply.written(call.id) for call, reply in zip(request.calls, replies, strict=True)]
        for place, fault in self._placed:
            if isinstance(fault, WrongIds) and (request.batch or fault.ids not in ("swapped", "missing", "doubled")):
                possible = fault.ids != "swapped" or len(written) > 1
                if possible and self._strikes(place, fault, request.question):
                    written = _with_wrong_ids(fault.ids, written)
        status = 200 if request.batch or replies[0].error is None else replies[0].status
        body = msgspec.json.encode(written if request.batch else written[0])
        return Answer(body, status, {"content-type": "application/json"}, self._cut(request))

    def _cut(self, request: Request) -> str | None:
        for place, fault in self._placed:
            if isinstance(fault, Cut) and fault.at != "before" and self._strikes(place, fault, request.question):
                return fault.at
        return None

    def _strikes(self, place: int, fault: Fault, subject: str) -> bool:
        return self._draws.strikes(place, fault, subject)

    def _limited(self, place: int, fault: RateLimit, subject: str, request: Request | None) -> bool:
        bucket = self._buckets.get(place)
        if bucket is None:
            return self._strikes(place, fault, subject)
        calls = 1 if request is None else len(request.calls)
        return not bucket.take(calls) and self._draws.deal(place, fault, subject)

    def _ask(self, method: str, params: Sequence[Json]) -> Json:
        return self._ask_many([(method, params)])[0]

    def _ask_many(self, questions: Sequence[tuple[str, Sequence[Json]]]) -> list[Json]:
        if not questions:
            return []
        calls = [Call(method, params) for method, params in questions]
        answer = self._post(write_question(calls, batch=True))
        replies = read_answer(answer.body, calls, batch=True)
        return [None] * len(calls) if replies is None else [reply.value for reply in replies]


class _Bucket:
    """Lets so many calls a second through, and as many at once."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._left = float(per_second)
        self._at = time.monotonic()
        self._lock = threading.Lock()

    def take(self, calls: int) -> bool:
        with self._lock:
            now = time.monotonic()
            self._left = min(self._per_second, self._left + (now - self._at) * self._per_second)
            self._at = now
            # A batch of more calls than a second allows would never pass: a full bucket is enough for it.
            if self._left < min(calls, self._per_second):
                return False
            self._left -= calls
            return True


def _renumbered(answer: Answer, calls: Sequence[Call]) -> Answer:
    """Pass on an answer that is not one response a call, with the client's ids in the place of ours."""
    try:
        responses = msgspec.json.decode(answer.body, type=list[dict[str, Json]])
    except msgspec.MsgspecError:
        return answer
    ids = {number: call.id for number, call in enumerate(calls)}
    body = msgspec.json.encode([each | {"id": ids.get(each.get("id", -1))} for each in responses])
    return Answer(body, answer.status, answer.headers)


def _refused(refused: Refused) -> Reply:
    reply = Reply()
    reply.refuse(refused)
    return reply


def _too_many(fault: RateLimit) -> Answer:
    body = msgspec.json.encode({"jsonrpc": "2.0", "id": None, "error": TOO_MANY.as_json()})
    headers = {"content-type": "application/json"}
    if fault.retry_after_seconds is not None:
        headers["retry-after"] = str(fault.retry_after_seconds)
    return Answer(body, 429 if fault.style == "http" else 200, headers)


def _concerns(fault: Fault, call: Call) -> bool:
    """Whether a lie about logs looks at this call's result: only then is the result read."""
    if isinstance(fault, HideLogs):
        return call.method in LOG_METHODS or (fault.receipts and call.method in RECEIPT_METHODS)
    return call.method in LOG_METHODS or (isinstance(fault, ChangeMind) and call.method.startswith("eth_getBlockBy"))


def _with_wrong_ids(ids: str, written: list[dict[str, Json]]) -> list[dict[str, Json]]:
    match ids:
        case "shifted":
            return [each | {"id": 1_000_000 + place} for place, each in enumerate(written)]
        case "swapped":
            first, second, *rest = written
            return [first | {"id": second["id"]}, second | {"id": first["id"]}, *rest]
        case "missing":
            return written[:-1]
        case "null":
            return [written[0] | {"id": None}, *written[1:]]
        case _:
            return [*written, written[-1]]
