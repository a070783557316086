"""Operations: a subscription that was asked for, checked once, and executed for each message.

The document is held against the same limits as a query's. Each message is an execution of the operation's selection
over what the feed brings, in the reading that it was read in.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    create_source_event_stream,
    execute_subscription_event,
    get_operation_ast,
    parse,
    validate,
)
from graphql.execution import Executor

from deepnode_graphql import limits
from deepnode_graphql.answers import Answer, Outcome, executed, refused, refused_with, try_again
from deepnode_graphql.database import TookTooLong
from deepnode_graphql.execution import GraphQLRequest
from deepnode_graphql.live.feed import ROWS_MAX, Asked
from deepnode_graphql.live.pages import begin, read_changes
from deepnode_graphql.reading import Reading
from deepnode_graphql.schema import LedgerSchema
from deepnode_ledger.errors import BadInput, TryAgain
from deepnode_ledger.subscription import Place

COST_MAX: Final = limits.COST_MAX * limits.ROWS_OF_A_PLAIN_LIST // ROWS_MAX
"""What a message may cost by the rule, which counts ``ROWS_OF_A_PLAIN_LIST`` rows for its list of ``ROWS_MAX``."""


class Refused(Exception):
    """A subscription that is not begun, or that cannot go on: ``answer`` says why."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.body["errors"][0]["message"])
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it goes out: the JSON of its payload, and the place behind it."""

    payload: bytes
    place: Place
    is_retraction: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Messages that follow one another, the place behind them, and whether that is the books' end."""

    messages: Sequence[Message]
    place: Place
    at_end: bool


@dataclass(frozen=True, slots=True)
class Operation:
    """A subscription that was begun. It has no state: where its reader stands is the reader's.

    ``cost`` is what a full message counts by the rule of the limits.
    """

    schema: LedgerSchema
    request: GraphQLRequest
    document: DocumentNode
    asked: Asked
    start: Place
    cost: int
    is_bare: bool

    @property
    def key(self) -> bytes:
        """What is the same for operations that give the same messages from the same place."""
        request = self.request
        return orjson.dumps([request.query, request.variables, request.operation_name, self.is_bare])

    def read(self, reading: Reading, place: Place, *, first: bool = False) -> Page:
        """Return what comes behind a place; ``first`` if it is where the subscription began.

        Raises:
            TryAgain: the database is away.
            Refused: the operation asks for too much at once.
        """
        changes = read_changes(reading, self.asked.feed, place, progress=self.asked.progress, first=first)
        messages = []
        for change in changes.changes:
            event = self.asked.feed.message(change.head, change.content)
            result = execute_subscription_event(self._executor(reading, event))
            assert isinstance(result, ExecutionResult), result
            answer = executed(result.data, result.errors)
            if answer.outcome is Outcome.TRY_AGAIN:
                raise TryAgain(answer.body["errors"][0]["message"])
            if answer.outcome is not Outcome.ANSWERED or answer.body["data"] is None:
                # To go on behind a message that could not be made would be to leave it out.
                raise Refused(answer)
            body = next(iter(answer.body["data"].values())) if self.is_bare else answer.body
            messages.append(Message(orjson.dumps(body), change.head.place, change.head.retraction is not None))
        return Page(messages, changes.place, changes.at_end)

    def _executor(self, reading: Reading, event: object) -> Executor[Any]:
        return _executor(self.schema, self.request, self.document, reading, event)


def operation_of(request: GraphQLRequest) -> OperationType | None:
    """Say what kind of operation a request is; None if that cannot be said, so that it is no subscription."""
    try:
        operation = get_operation_ast(_parse(request.query), request.operation_name)
    except GraphQLError:
        return None
    return None if operation is None else operation.operation


def begin_operation(
    schema: LedgerSchema, read: Callable[[], Any], request: GraphQLRequest, *, is_bare: bool = False
) -> Operation:
    """Check a subscription and find out where it begins.

    Args:
        schema: what may be asked.
        read: opens a reading.
        request: a subscription.
        is_bare: whether the messages' payloads are the values of the root field alone.

    Raises:
        Refused: the document, its variables or its place break a rule, or the database is away.
    """
    document, cost = _checked(schema, request)
    try:
        with read() as reading:
            stream = create_source_event_stream(_executor(schema, request, document, reading, None))
            if isinstance(stream, ExecutionResult):
                raise Refused(_not_begun(stream.errors or []))
            assert isinstance(stream, Asked), stream
            start = begin(reading, stream.resume)
            return Operation(schema, request, document, stream, start, cost, is_bare)
    except TryAgain as error:
        raise Refused(try_again(error)) from error
    except TookTooLong as error:
        raise Refused(refused(str(error), "LIMIT_EXCEEDED")) from error
    except BadInput as error:
        raise Refused(refused(str(error), "BAD_INPUT")) from error


def _checked(schema: LedgerSchema, request: GraphQLRequest) -> tuple[DocumentNode, int]:
    try:
        document = _parse(request.query)
    except GraphQLError as error:
        over = "Parsing aborted" in error.message
        raise Refused(refused_with([error], "LIMIT_EXCEEDED" if over else "GRAPHQL_PARSE_FAILED")) from error
    operation = get_operation_ast(document, request.operation_name)
    assert isinstance(operation, OperationDefinitionNode), "the caller has looked"
    assert operation.operation is OperationType.SUBSCRIPTION, "the caller has looked"
    try:
        cost = limits.check(schema.core, document, operation, request.variables)
    except limits.LimitExceeded as error:
        raise Refused(refused(str(error), "LIMIT_EXCEEDED")) from error
    if cost > COST_MAX:
        said = f"a message of the subscription may cost {COST_MAX}, this one costs {cost}: ask for fewer fields"
        raise Refused(refused(said, "LIMIT_EXCEEDED"))
    if mistakes := validate(schema.core, document, max_errors=limits.MISTAKES_MAX, hide_suggestions=True):
        raise Refused(refused_with(mistakes, "GRAPHQL_VALIDATION_FAILED"))
    return document, cost * ROWS_MAX // limits.ROWS_OF_A_PLAIN_LIST


def _executor(
    schema: LedgerSchema, request: GraphQLRequest, document: DocumentNode, reading: Reading, event: object
) -> Executor[Any]:
    built = Executor.build(
        schema.core,
        document,
        event,
        reading,
        request.variables,
        request.operation_name,
        hide_suggestions=True,
    )
    if not isinstance(built, Executor):
        raise Refused(_not_begun(built))
    return built


def _not_begun(errors: Sequence[GraphQLError]) -> Answer:
    answer = executed(None, errors)
    # Whatever it is, there is no stream.
    outcome = Outcome.TRY_AGAIN if answer.outcome is Outcome.TRY_AGAIN else Outcome.REFUSED
    return Answer(outcome, {"errors": answer.body["errors"]})


def _parse(query: str) -> DocumentNode:
    return parse(
        query,
        max_lexical_tokens=limits.TOKENS_MAX,
        max_comments=limits.COMMENTS_MAX,
        max_source_length=limits.CHARACTERS_MAX,
    )
