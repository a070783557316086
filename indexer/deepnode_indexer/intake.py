"""Task intake over HTTP: signed task events in, one answer a line, durable before it is acknowledged.

``POST /task-events`` takes envelopes (see ``deepnode_ledger.task_event``), one JSON object a line, up to 1 000. The
answer has an outcome for each line, in order. A bad line never takes a good one down with it: each line that is
``accepted`` is in the log, whatever the others are. The status is that of the worst line: 200 all accepted, 400 a line
is not a genuine event, 409 a line contradicts the log, 503 nothing was taken in (try again after ``Retry-After``).
"""

from collections.abc import Sequence
from typing import Any, Final

from anyio import to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from deepnode_indexer.status import Status
from deepnode_ledger.errors import BadInput, Conflict, TryAgain
from deepnode_ledger.log import ACCEPT_MAX, Log
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.record import TaskEvent
from deepnode_ledger.tail import Accepted
from deepnode_ledger.task_event import open_envelope

BODY_BYTES_MAX: Final = 4 * 1024 * 1024
RETRY_SECONDS: Final = 2

Outcome = Accepted | BadInput
"""What became of one line."""


def take_in(log: Log, manifest: Manifest, lines: Sequence[bytes]) -> list[Outcome]:
    """Check the lines and make the genuine events durable; return an outcome for each line.

    Raises:
        TryAgain: the log is away; nothing was taken in.
    """
    assert len(lines) <= ACCEPT_MAX, len(lines)
    opened: list[TaskEvent | BadInput] = []
    for line in lines:
        try:
            opened.append(open_envelope(line, manifest.producers))
        except BadInput as error:
            opened.append(error)
    events = [each for each in opened if isinstance(each, TaskEvent)]
    answers = iter(log.accept(events) if events else [])
    return [next(answers) if isinstance(each, TaskEvent) else each for each in opened]


def make_app(log: Log, manifest: Manifest, status: Status) -> Starlette:
    """Wire the indexer's HTTP door: ``/task-events``, ``/health``, ``/ready``, ``/metrics``."""

    async def task_events(request: Request) -> Response:
        body = await _body(request)
        if body is None:
            return _refused(413, f"a body may have {BODY_BYTES_MAX} bytes")
        lines = [line for line in body.split(b"\n") if line.strip()]
        if not 1 <= len(lines) <= ACCEPT_MAX:
            return _refused(413 if lines else 400, f"a body holds 1 to {ACCEPT_MAX} lines, not {len(lines)}")
        try:
            outcomes = await to_thread.run_sync(take_in, log, manifest, lines)
        except TryAgain as error:
            return _refused(503, str(error), {"retry-after": str(RETRY_SECONDS)})
        status.count(outcomes)
        return JSONResponse({"outcomes": [_described(outcome) for outcome in outcomes]}, _worst(outcomes))

    async def health(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(_request: Request) -> Response:
        reason = status.not_ready()
        if reason is None:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "not ready", "reason": reason}, 503)

    async def metrics(_request: Request) -> Response:
        return PlainTextResponse(status.metrics(), media_type="text/plain; version=0.0.4")

    return Starlette(
        routes=[
            Route("/task-events", task_events, methods=["POST"]),
            Route("/health", health),
            Route("/ready", ready),
            Route("/metrics", metrics),
        ]
    )


async def _body(request: Request) -> bytes | None:
    """Read the body up to its limit; None if it is larger (the declared length is not believed)."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            return None
    return bytes(body)


def _described(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Accepted):
        return {"accepted": True, "position": outcome.position, "duplicate": outcome.duplicate}
    code = "CONFLICT" if isinstance(outcome, Conflict) else "BAD_INPUT"
    return {"accepted": False, "code": code, "message": str(outcome)}


def _worst(outcomes: Sequence[Outcome]) -> int:
    if any(isinstance(outcome, Conflict) for outcome in outcomes):
        return 409
    return 400 if any(isinstance(outcome, BadInput) for outcome in outcomes) else 200


def _refused(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    code = "TRY_AGAIN" if status == 503 else "BAD_INPUT"
    return JSONResponse({"code": code, "message": message}, status, headers)
