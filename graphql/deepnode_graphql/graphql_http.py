"""GraphQL over HTTP: how a request comes in and which status an answer goes out with.

It follows the specification of that name (https://graphql.github.io/graphql-over-http/draft/). A client that accepts
``application/graphql-response+json`` gets 400 for a request that was not executed; one that accepts only
``application/json`` gets 200 where the request was at least well-formed, as older clients expect.
"""

import json
from typing import Any, Final

import orjson
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from deepnode_graphql.answers import Answer, Outcome, refused
from deepnode_graphql.client_rates import UNKNOWN
from deepnode_graphql.execution import GraphQLRequest
from deepnode_graphql.service import Service
from deepnode_ledger.errors import BadInput

BODY_BYTES_MAX: Final = 1024 * 1024

GRAPHQL_RESPONSE: Final = "application/graphql-response+json"
PLAIN_JSON: Final = "application/json"


class Malformed(BadInput):
    """The HTTP request is no GraphQL request: ``status`` is what HTTP calls it."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class GraphQLEndpoint:
    """POST and GET /graphql."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def answer(self, request: Request) -> Response:
        """Answer one HTTP request."""
        media = negotiate(request.headers.get("accept"))
        if media is None:
            message = f"this service answers with {GRAPHQL_RESPONSE} or {PLAIN_JSON}"
            return _respond(refused(message, "BAD_INPUT"), PLAIN_JSON, 406)
        try:
            asked = read_parameters(request.query_params) if request.method != "POST" else await read_body(request)
        except Malformed as error:
            self._count(request, Outcome.REFUSED, 0)
            return _respond(refused(str(error), "BAD_INPUT"), media, error.status)
        run = self._service.executor.run
        queries_only = request.method != "POST"
        answer = await self._service.in_thread(lambda: run(asked, queries_only=queries_only))
        self._count(request, answer.outcome, answer.cost)
        if answer.by_post:
            return _respond(answer, media, 405, {"Allow": "POST"})
        return _respond(answer, media, _status(answer, media))

    def _count(self, request: Request, outcome: Outcome, cost: int) -> None:
        self._service.answered["graphql", outcome.value] += 1
        self._service.rates.charge(request.client.host if request.client else UNKNOWN, cost)


def negotiate(accept: str | None) -> str | None:
    """Choose the media type of the answer by the Accept header; None if the client takes neither."""
    if accept is None or not accept.strip():
        return PLAIN_JSON
    best: tuple[int, int] = (0, 0)
    chosen = None
    for position, item in enumerate(accept.split(",")):
        media, _, parameters = item.partition(";")
        named = {
            GRAPHQL_RESPONSE: GRAPHQL_RESPONSE,
            PLAIN_JSON: PLAIN_JSON,
            "application/*": PLAIN_JSON,
            "*/*": PLAIN_JSON,
        }.get(media.strip().lower())
        rank = (_quality(parameters), -position)
        if named is not None and rank[0] > 0 and (chosen is None or rank > best):
            best, chosen = rank, named
    return chosen


async def read_body(request: Request) -> GraphQLRequest:
    """Read the body of a POST.

    Raises:
        Malformed: another media type, too large, not JSON, or not a GraphQL request.
    """
    media, _, parameters = request.headers.get("content-type", "").partition(";")
    if media.strip().lower() != PLAIN_JSON:
        raise Malformed(f"the body must be {PLAIN_JSON}, not {media!r:.80}", 415)
    name, _, charset = parameters.strip().lower().partition("=")
    if name == "charset" and charset.strip('" ') not in ("utf-8", "utf8"):
        raise Malformed(f"the body must be UTF-8, not {charset!r:.80}", 415)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise Malformed(f"the body may have {BODY_BYTES_MAX} bytes", 413)
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"the body is not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise Malformed("the body must be a JSON object: batches of requests are not taken")
    return _request(parsed)


def read_parameters(parameters: QueryParams) -> GraphQLRequest:
    """Read the parameters of a GET.

    Raises:
        Malformed: not a GraphQL request.
    """
    parts: dict[str, Any] = dict(parameters)
    for name in ("variables", "extensions"):
        if parts.get(name):
            try:
                parts[name] = json.loads(parts[name])
            except (ValueError, RecursionError) as error:
                raise Malformed(f"{name} is not JSON: {error}") from error
        else:
            parts.pop(name, None)
    return _request(parts)


def _request(parts: dict[str, Any]) -> GraphQLRequest:
    query, variables, operation = parts.get("query"), parts.get("variables"), parts.get("operationName")
    if not isinstance(query, str) or not query:
        raise Malformed("query must be a string that is not empty")
    if variables is not None and not isinstance(variables, dict):
        raise Malformed("variables must be a JSON object")
    if operation is not None and not isinstance(operation, str):
        raise Malformed("operationName must be a string")
    if not isinstance(parts.get("extensions", {}), dict | None):
        raise Malformed("extensions must be a JSON object")
    # By GET an empty operationName means none.
    return GraphQLRequest(query, variables, operation or None)


def _status(answer: Answer, media: str) -> int:
    match answer.outcome:
        case Outcome.ANSWERED:
            return 200
        case Outcome.TRY_AGAIN:
            return 503
        case Outcome.REFUSED:
            return 400 if media == GRAPHQL_RESPONSE else 200


def _quality(parameters: str) -> int:
    """Return the q of an Accept item in thousandths."""
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name.lower() == "q":
            whole, _, fraction = value.partition(".")
            digits = (fraction + "000")[:3]
            return int(whole + digits) if (whole + digits).isascii() and (whole + digits).isdigit() else 0
    return 1000


def _respond(answer: Answer, media: str, status: int, headers: dict[str, str] | None = None) -> Response:
    headers = {"Vary": "Accept", "Cache-Control": "no-store", **(headers or {})}
    if status == 503:
        headers["Retry-After"] = "2"
    return Response(orjson.dumps(answer.body), status, headers, f"{media}; charset=utf-8")
