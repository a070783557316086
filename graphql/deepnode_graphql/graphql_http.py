"""GraphQL over HTTP: how a request comes in and which status an answer goes out with.

It follows the specification of that name (https://graphql.github.io/graphql-over-http/draft/). A client that accepts
``application/graphql-response+json`` gets 400 for a request that was not executed; one that accepts only
``application/json`` gets 200 where the request was at least well-formed, as older clients expect.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from deepnode_graphql.answers import Answer, Outcome, failed, refused
from deepnode_graphql.client_rates import UNKNOWN
from deepnode_graphql.execution import GraphQLRequest
from deepnode_graphql.persisted import NO_DOCUMENTS, Documents, NotRegistered
from deepnode_graphql.plans import lane
from deepnode_graphql.service import Service
from deepnode_ledger.errors import BadInput

BODY_BYTES_MAX: Final = 1024 * 1024

GRAPHQL_RESPONSE: Final = "application/graphql-response+json"
PLAIN_JSON: Final = "application/json"

FINAL_SECONDS: Final = 24 * 60 * 60
"""How long an answer at a final moment may be kept without a look. No reorg can change it, but books can that are made
again by mended rules, and whoever keeps it shall hear of that within a day."""

TAGS_MAX: Final = 100
_TAG_ENDINGS: Final = {GRAPHQL_RESPONSE: "-g", PLAIN_JSON: "-j"}
"""Answers of different media types are different answers to HTTP."""


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
        documents = self._service.documents
        by_post = request.method == "POST"
        try:
            asked = await read_body(request, documents) if by_post else read_parameters(request.query_params, documents)
        except Malformed as error:
            self._count(request, Outcome.REFUSED, 0)
            return _respond(refused(str(error), "BAD_INPUT"), media, error.status)
        run = self._service.executor.run
        seen = None if by_post else tags_of(request.headers.getlist("if-none-match"), media)
        try:
            answer = await self._service.quickly(asked) if by_post and _is_small(request) else None
            if answer is None:
                answer = await self._service.in_thread(lambda: run(asked, queries_only=not by_post, seen=seen))
        except Exception as error:  # noqa: BLE001 - whatever it is, the client is told of it, by an id
            answer = failed(error)
        self._count(request, answer.outcome, answer.cost)
        if answer.by_post:
            return _respond(answer, media, 405, {"Allow": "POST"})
        return _respond(answer, media, _status(answer, media), _cached(answer, media))

    def _count(self, request: Request, outcome: Outcome, cost: int) -> None:
        self._service.answered["graphql", outcome.value] += 1
        self._service.rates.charge(request.client.host if request.client else UNKNOWN, cost)


def _is_small(request: Request) -> bool:
    length = request.headers.get("content-length", "")
    return len(length) < 10 and length.isdecimal() and int(length) <= lane.BODY_BYTES_MAX


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


async def read_body(request: Request, documents: Documents = NO_DOCUMENTS) -> GraphQLRequest:
    """Read the body of a POST, which may name one of the documents by its id.

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
    return request_of(parsed, documents)


def read_parameters(parameters: QueryParams, documents: Documents = NO_DOCUMENTS) -> GraphQLRequest:
    """Read the parameters of a GET, which may name one of the documents by its id.

    Raises:
        Malformed: not a GraphQL request.
    """
    parts: dict[str, Any] = {}
    for name, value in parameters.multi_items():
        if name in parts:
            raise Malformed(f"{name!r:.80} is given twice")
        parts[name] = value
    for name in ("variables", "extensions"):
        if parts.get(name):
            try:
                parts[name] = orjson.loads(parts[name])
            except orjson.JSONDecodeError as error:
                raise Malformed(f"{name} is not JSON: {error}") from error
        else:
            parts.pop(name, None)
    return request_of(parts, documents)


def request_of(parts: Mapping[str, Any], documents: Documents = NO_DOCUMENTS) -> GraphQLRequest:
    """Make a request of its parts, which may name one of the documents by its id.

    Raises:
        Malformed: not a GraphQL request.
    """
    variables, operation = parts.get("variables"), parts.get("operationName")
    try:
        query = documents.query_of(parts)
    except NotRegistered as error:
        raise Malformed(str(error), error.status) from error
    except BadInput as error:
        raise Malformed(str(error)) from error
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
        case Outcome.UNCHANGED:
            return 304
        case Outcome.TRY_AGAIN:
            return 503
        case Outcome.FAILED:
            return 500
        case Outcome.REFUSED:
            return 400 if media == GRAPHQL_RESPONSE else 200


def tags_of(headers: Sequence[str], media: str) -> frozenset[str]:
    """Return which answers of a media type the headers If-None-Match say that the client has.

    A proxy that compresses an answer marks its tag as weak; it is the same answer all the same.
    """
    found = re.findall(r'(?:W/)?"([^"]*)"', ",".join(headers))
    ending = _TAG_ENDINGS[media]
    return frozenset(each.removesuffix(ending) for each in found[:TAGS_MAX] if each.endswith(ending))


def _cached(answer: Answer, media: str) -> dict[str, str]:
    if answer.tag is None:
        return {}
    kept = f"public, max-age={FINAL_SECONDS}, immutable" if answer.tag.is_final else "no-cache"
    return {"ETag": f'"{answer.tag.value}{_TAG_ENDINGS[media]}"', "Cache-Control": kept}


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
    if status == 304:
        return Response(status_code=status, headers=headers)
    return Response(orjson.dumps(answer.body), status, headers, f"{media}; charset=utf-8")
