"""Task intake over HTTP: signed task events in, one answer an event, durable before it is acknowledged.

``POST /task-events`` takes envelopes (see ``deepnode_ledger.task_event``), one JSON object a line, or CloudEvents with
their signatures beside them (see ``delivery``), up to 1 000. The answer has an outcome for each, in order. A bad one
never takes a good one down with it: each that is ``accepted`` is in the log, whatever the others are. The status is
that of the worst: 200 all accepted, 400 one is not a genuine event, 409 one contradicts the log, 429 one was not looked
at because a limit was reached, 503 nothing was taken in (429 and 503: try again after ``Retry-After``).
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
from anyio import CapacityLimiter, fail_after, to_thread
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from deepnode_indexer.admission import InHand, Limits, Rates, TooMuch
from deepnode_indexer.delivery import SIGNATURE_HEADER, Delivery, deliveries_of, open_delivery
from deepnode_indexer.group_commit import GroupCommit
from deepnode_indexer.producers import Producers
from deepnode_indexer.status import Status
from deepnode_ledger.errors import BadInput, Conflict, TryAgain
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.log import ACCEPT_MAX, Log
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.record import BlockRef, TaskEvent
from deepnode_ledger.tail import Accepted

BODY_BYTES_MAX: Final = 4 * 1024 * 1024
BODY_SECONDS_MAX: Final = 30
RETRY_SECONDS: Final = 2
CHECKERS: Final = 2
"""Threads that check signatures: more would only take turns."""

Outcome = Accepted | BadInput
"""What became of one event."""


def take_in(
    log: Log,
    manifest: Manifest,
    deliveries: Sequence[Delivery],
    offsets: Mapping[tuple[str, int], int] | None = None,
) -> list[Outcome]:
    """Check what came and make the genuine events durable; return an outcome for each.

    Args:
        log: where they go.
        manifest: whose events count.
        deliveries: at most ``ACCEPT_MAX``.
        offsets: how far their source was read, to be noted in the transaction that makes them durable.

    Raises:
        TryAgain: the log is away; nothing was taken in.
    """
    assert len(deliveries) <= ACCEPT_MAX, len(deliveries)
    opened = _opened(deliveries, manifest)
    events = [each for each in opened if isinstance(each, TaskEvent)]
    answers = iter(log.accept(events, offsets) if events or offsets else [])
    return [next(answers) if isinstance(each, TaskEvent) else each for each in opened]


def make_app(log: Log, manifest: Manifest, status: Status, limits: Limits | None = None) -> Starlette:
    """Wire the indexer's HTTP door: ``/task-events``, ``/tip``, ``/producers``, ``/health``, ``/ready``, metrics."""
    door = TaskDoor(log, manifest, status, limits or Limits())
    producers = Producers(log, manifest)

    async def health(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(_request: Request) -> Response:
        reason = status.not_ready()
        if reason is None:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "not ready", "reason": reason}, 503)

    async def metrics(_request: Request) -> Response:
        text = status.metrics() + door.metrics() + await producers.metrics()
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    async def known_producers(_request: Request) -> Response:
        try:
            return JSONResponse(await producers.described())
        except TryAgain as error:
            return _refused(503, str(error), RETRY_SECONDS)

    return Starlette(
        routes=[
            Route("/task-events", door.post, methods=["POST"]),
            Route("/tip", door.tip),
            Route("/producers", known_producers),
            Route("/health", health),
            Route("/ready", ready),
            Route("/metrics", metrics),
        ]
    )


class TaskDoor:
    """The door itself: reads a request, checks what it holds, waits until that is durable, and answers."""

    def __init__(self, log: Log, manifest: Manifest, status: Status, limits: Limits) -> None:
        self._log = log
        self._manifest = manifest
        self._status = status
        self._clients = Rates("client", limits.client_rate)
        self._producers = Rates("producer", limits.producer_rate)
        self._events = InHand("events", limits.events_in_hand_max)
        self._bytes = InHand("bytes", limits.bytes_in_hand_max)
        self._commits = GroupCommit(log)
        self._checkers: CapacityLimiter | None = None
        self._readers: CapacityLimiter | None = None
        self._limited = dict.fromkeys(("client", "producer", "events", "bytes"), 0)

    async def post(self, request: Request) -> Response:
        """Answer ``POST /task-events``."""
        body = bytearray()
        try:
            with fail_after(BODY_SECONDS_MAX):
                await self._read(request, body)
            return await self._answer(request, bytes(body))
        except TooMuch as error:
            self._limited[error.limit] += 1
            return _refused(429, str(error), error.retry_seconds)
        except TryAgain as error:
            return _refused(503, str(error), RETRY_SECONDS)
        except _TooLarge as error:
            return _refused(413, str(error))
        except BadInput as error:
            return _refused(400, str(error))
        except TimeoutError:
            return _refused(408, f"a body must come within {BODY_SECONDS_MAX} seconds")
        except ClientDisconnect:
            return _refused(400, "the body ended before its length")
        finally:
            self._bytes.give_back(len(body))

    async def tip(self, request: Request) -> Response:
        """Answer ``GET /tip``: the last block that is in the log, behind which a task event would come to stand now."""
        try:
            self._clients.charge(_client(request), 1)
            self._readers = self._readers or CapacityLimiter(1)
            chain = await to_thread.run_sync(self._log.chain, limiter=self._readers)
        except TooMuch as error:
            self._limited[error.limit] += 1
            return _refused(429, str(error), error.retry_seconds)
        except TryAgain as error:
            return _refused(503, str(error), RETRY_SECONDS)
        blocks = {"block": _block(chain.tip), "finalized": _block(chain.finalized)}
        return JSONResponse({"chain_id": chain.chain_id, **blocks})

    def metrics(self) -> str:
        """Write what is in hand and what was turned away in Prometheus' text format."""
        lines = ["# TYPE deepnode_indexer_intake_limited_total counter\n"]
        for limit, count in self._limited.items():
            lines.append(f'deepnode_indexer_intake_limited_total{{limit="{limit}"}} {count}\n')
        for name, kind, value in (
            ("events_in_hand", "gauge", self._events.count),
            ("bytes_in_hand", "gauge", self._bytes.count),
            ("events_at_log", "gauge", self._commits.events),
            ("commits_total", "counter", self._commits.commits),
        ):
            lines.append(f"# TYPE deepnode_indexer_intake_{name} {kind}\ndeepnode_indexer_intake_{name} {value}\n")
        return "".join(lines)

    async def _read(self, request: Request, body: bytearray) -> None:
        """Read the body up to its limit (the declared length is not believed).

        Of somebody who is turned away the body is read too, and forgotten: an answer that comes in the middle of it is
        lost on many clients.
        """
        read_bytes, refusal = 0, None
        try:
            self._clients.check(_client(request))
        except TooMuch as error:
            refusal = error
        async for chunk in request.stream():
            read_bytes += len(chunk)
            if read_bytes > BODY_BYTES_MAX:
                raise _TooLarge(f"a body may have {BODY_BYTES_MAX} bytes")
            if refusal is None:
                try:
                    self._bytes.take(len(chunk))
                    body += chunk
                except TooMuch as error:
                    refusal = error
        if refusal is not None:
            raise refusal

    async def _answer(self, request: Request, body: bytes) -> Response:
        headers = request.headers
        deliveries = deliveries_of(
            body,
            headers.get("content-type"),
            ",".join(headers.getlist(SIGNATURE_HEADER)),
            binary_mode="ce-specversion" in headers,
        )
        if not 1 <= len(deliveries) <= ACCEPT_MAX:
            message = f"a body holds 1 to {ACCEPT_MAX} events, not {len(deliveries)}"
            raise _TooLarge(message) if deliveries else BadInput(message)
        self._clients.charge(_client(request), len(deliveries))
        self._checkers = self._checkers or CapacityLimiter(CHECKERS)
        async with self._in_hand(len(deliveries)):
            opened = await to_thread.run_sync(_opened, deliveries, self._manifest, limiter=self._checkers)
            limited = self._over_their_rate(opened)
            let_in = [each for each in opened if isinstance(each, TaskEvent) and each.producer not in limited]
            answers = iter(await self._commits.accept(let_in))
        outcomes: list[Outcome | TooMuch] = []
        for each in opened:
            if isinstance(each, TaskEvent):
                outcomes.append(limited[each.producer] if each.producer in limited else next(answers))
            else:
                outcomes.append(each)
        self._status.count([outcome for outcome in outcomes if not isinstance(outcome, TooMuch)])
        return _described(outcomes)

    def _over_their_rate(self, opened: Sequence[TaskEvent | BadInput]) -> dict[str, TooMuch]:
        # After the signature: otherwise anyone could use up another's rate.
        counts: dict[str, int] = {}
        for each in opened:
            if isinstance(each, TaskEvent):
                counts[each.producer] = counts.get(each.producer, 0) + 1
        over: dict[str, TooMuch] = {}
        for producer, count in counts.items():
            try:
                self._producers.charge(producer, count)
            except TooMuch as error:
                over[producer] = error
                self._limited[error.limit] += 1
        return over

    @asynccontextmanager
    async def _in_hand(self, count: int) -> AsyncIterator[None]:
        self._events.take(count)
        try:
            yield
        finally:
            self._events.give_back(count)


def _block(block: BlockRef | None) -> dict[str, Any] | None:
    return None if block is None else {"number": block.number, "hash": to_hex(block.hash), "time": block.time}


def _client(request: Request) -> str:
    return request.client.host if request.client else "somebody"


class _TooLarge(BadInput):
    """More bytes or events than a request may have."""


def _opened(deliveries: Sequence[Delivery], manifest: Manifest) -> list[TaskEvent | BadInput]:
    opened: list[TaskEvent | BadInput] = []
    for delivery in deliveries:
        try:
            opened.append(open_delivery(delivery, manifest))
        except BadInput as error:
            opened.append(error)
    return opened


def _described(outcomes: Sequence[Outcome | TooMuch]) -> Response:
    waits = [outcome.retry_seconds for outcome in outcomes if isinstance(outcome, TooMuch)]
    # A limit counts as worse than a mistake: an event that was not looked at must come again, and then the mistake is
    # told once more.
    status = 200
    if waits:
        status = 429
    elif any(isinstance(outcome, Conflict) for outcome in outcomes):
        status = 409
    elif any(isinstance(outcome, BadInput) for outcome in outcomes):
        status = 400
    body = msgspec.json.encode({"outcomes": [_outcome(outcome) for outcome in outcomes]})
    headers = {"retry-after": str(max(waits))} if waits else None
    return Response(body, status, headers, media_type="application/json")


def _outcome(outcome: Outcome | TooMuch) -> dict[str, Any]:
    if isinstance(outcome, Accepted):
        return {"accepted": True, "position": outcome.position, "duplicate": outcome.duplicate}
    code = "BAD_INPUT"
    if isinstance(outcome, Conflict):
        code = "CONFLICT"
    elif isinstance(outcome, TryAgain):
        code = "TRY_AGAIN"
    return {"accepted": False, "code": code, "message": str(outcome)}


def _refused(status: int, message: str, retry_seconds: int | None = None) -> Response:
    code = "BAD_INPUT" if retry_seconds is None else "TRY_AGAIN"
    headers = None if retry_seconds is None else {"retry-after": str(retry_seconds)}
    return JSONResponse({"code": code, "message": message}, status, headers)
