"""Answers: what a GraphQL request came to, and how its errors are shown.

A mistake of the client's is shown with its code and the rule that it breaks. A fault of ours is shown as an id only;
the log has the rest under that id.
"""

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from graphql import GraphQLError

from deepnode_graphql.database import TookTooLong, known_error
from deepnode_graphql.entity_tags import Tag
from deepnode_graphql.limits import LimitExceeded
from deepnode_ledger.errors import BadInput, TryAgain

logger = logging.getLogger(__name__)

MESSAGE_CHARACTERS_MAX: Final = 1_000
"""A message may repeat what was sent, and what was sent may be long."""


class Outcome(Enum):
    """What a request came to: how HTTP and the metrics see it."""

    ANSWERED = "answered"
    """It was executed. Single fields may still be errors."""

    REFUSED = "refused"
    """It was not executed: it is malformed, invalid, or asks for too much."""

    UNCHANGED = "unchanged"
    """It was not executed: the client has the answer already."""

    TRY_AGAIN = "try_again"
    """The database is away or has no books: the same request may succeed later."""

    FAILED = "failed"
    """A fault of ours kept it from being answered at all."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The body of a response, and what kind of answer it is.

    Args:
        outcome: what the request came to.
        body: what GraphQL calls the response.
        by_post: HTTP's answer is to ask by POST.
        cost: how many values were asked for, as the limits count them.
        tag: of the answer, if one was asked for and nothing in it is an error.
    """

    outcome: Outcome
    body: dict[str, Any]
    by_post: bool = False
    cost: int = 0
    tag: Tag | None = None


def refused(message: str, code: str, *, by_post: bool = False) -> Answer:
    """Answer a request that is not executed."""
    body = {"errors": [{"message": message, "extensions": {"code": code}}]}
    return Answer(Outcome.REFUSED, body, by_post)


def refused_with(errors: Sequence[GraphQLError], code: str) -> Answer:
    """Answer a request whose document has mistakes."""
    return Answer(Outcome.REFUSED, {"errors": [_shown(error, str(error.message), code) for error in errors]})


def try_again(error: TryAgain) -> Answer:
    """Answer a request that can succeed later."""
    return Answer(Outcome.TRY_AGAIN, {"errors": [{"message": str(error), "extensions": {"code": "TRY_AGAIN"}}]})


def executed(data: dict[str, Any] | None, errors: Sequence[GraphQLError] | None) -> Answer:
    """Answer with what the execution came to."""
    if not errors:
        return Answer(Outcome.ANSWERED, {"data": data})
    # One failed statement ends the transaction, so that every later field fails too: the first cause says it all.
    for error in errors:
        cause = _cause(error)
        known = cause if isinstance(cause, TryAgain) else known_error(cause)
        if isinstance(known, TryAgain):
            return try_again(known)
        if isinstance(known, TookTooLong):
            return refused(str(known), "LIMIT_EXCEEDED")
    shown = [show(error) for error in errors]
    if data is None and all(error.path is None for error in errors):
        # The variables do not fit: nothing was executed, so there is no data to speak of.
        return Answer(Outcome.REFUSED, {"errors": shown})
    return Answer(Outcome.ANSWERED, {"data": data, "errors": shown})


def show(error: GraphQLError) -> dict[str, Any]:
    """Show one error of an execution: a client's mistake as it is, a fault of ours by an id."""
    cause = _cause(error)
    match cause:
        case LimitExceeded() | TookTooLong():
            return _shown(error, str(cause), "LIMIT_EXCEEDED")
        case BadInput():
            return _shown(error, str(error.message), "BAD_INPUT")
        case None:
            return _shown(error, str(error.message), "BAD_INPUT")
    return _shown(error, incident(cause), "INTERNAL")


def failed(error: Exception) -> Answer:
    """Answer a request that nobody foresaw the end of."""
    return Answer(Outcome.FAILED, {"errors": [{"message": incident(error), "extensions": {"code": "INTERNAL"}}]})


def incident(cause: BaseException) -> str:
    """Write a fault of ours to the log, and return what a client may know of it: the id that it has there."""
    number = secrets.token_hex(8)
    logger.error("internal error %s", number, exc_info=cause)
    return f"internal error {number}: the log of the service says more"


def _cause(error: GraphQLError) -> BaseException | None:
    cause: BaseException | None = error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    return cause


def _shown(error: GraphQLError, message: str, code: str) -> dict[str, Any]:
    if len(message) > MESSAGE_CHARACTERS_MAX:
        message = f"{message[:MESSAGE_CHARACTERS_MAX]} …"
    shown: dict[str, Any] = {"message": message, "extensions": {"code": code}}
    if error.locations:
        shown["locations"] = [{"line": each.line, "column": each.column} for each in error.locations]
    if error.path:
        shown["path"] = error.path
    return shown
