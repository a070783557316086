"""Executing a GraphQL request: parse, limits, validation, one reading of the books, answer.

All of it waits or computes, so it belongs in a worker thread.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from graphql import (
    DocumentNode,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    get_operation_ast,
    parse,
    print_ast,
    validate,
)
from strawberry.extensions import SchemaExtension
from typing_extensions import override

from deepnode_graphql import limits
from deepnode_graphql.answers import Answer, Outcome, executed, refused, refused_with, try_again
from deepnode_graphql.database import TookTooLong
from deepnode_graphql.entity_tags import tag_of
from deepnode_graphql.plans.planner import Errand, Failed, Job, Planner, Way
from deepnode_graphql.plans.wire import Rows
from deepnode_graphql.reading import Reading
from deepnode_graphql.registers.register import registers_of
from deepnode_graphql.schema import KINDS, LedgerSchema, make_schema, taken_names
from deepnode_ledger.errors import BadInput, TryAgain
from deepnode_projections.registers.record import Record

DOCUMENTS_KEPT: Final = 256
KEPT_CHARACTERS_MAX: Final = 16_384
"""Longer queries are parsed each time, so that the kept ones stay small."""
INTROSPECTIONS_KEPT: Final = 16
"""An answer that describes the schema is a megabyte."""


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """A request as GraphQL over HTTP has it, with the types of its parts checked."""

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = None


@dataclass(slots=True)
class _Known:
    """What is known of a document and the operation that is asked of it: found out once, when it is first needed.

    It is kept by the query's text: a document's own hash is that of all its nodes, made anew each time.
    """

    document: DocumentNode
    operation: OperationDefinitionNode | None
    weight: limits.Weight | None = None
    mistakes: list[GraphQLError] | None = None
    job: Job | None = None


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A request that was checked, and that one trip to the database answers."""

    errand: Errand
    cost: int


class _ParsedAlready(SchemaExtension):
    """Gives the library the document that was parsed and validated before."""

    @override
    def on_operation(self) -> Iterator[None]:
        context = self.execution_context
        assert context.operation_extensions is not None
        context.graphql_document = context.operation_extensions["document"]
        context.validation_rules = ()
        yield


class Executor:
    """Executes requests against one schema. Any number of threads may use it."""

    def __init__(
        self,
        read: Callable[[], AbstractContextManager[Reading]],
        kinds: Sequence[type[Record]] = KINDS,
        way: Way | None = None,
    ) -> None:
        """Make an executor.

        Args:
            read: opens the reading of one request.
            kinds: the records of the books.
            way: to the books for plans; without it every request goes to the library's executor.
        """
        self._read = read
        self.schema: LedgerSchema = make_schema(_ParsedAlready, kinds=kinds)
        self.planner = None if way is None else Planner(self.schema, registers_of(kinds, *taken_names()), way)
        self._known = lru_cache(DOCUMENTS_KEPT)(_know)
        self._planned: dict[tuple[str, str | None], _Known] = {}
        self._introspected = lru_cache(INTROSPECTIONS_KEPT)(self._introspect)

    def mistakes(self, query: str) -> list[str]:
        """Tell what is wrong with a document, whatever its variables may be."""
        try:
            return [each.message for each in self._validate(_parse(query))]
        except GraphQLError as error:
            return [error.message]

    def run(
        self, request: GraphQLRequest, *, queries_only: bool = False, seen: Collection[str] | None = None
    ) -> Answer:
        """Parse, check and execute a request in one reading of the books.

        Args:
            request: what is asked.
            queries_only: refuse anything that would change something, as a GET must.
            seen: tags of answers that the client has, one of which is as good as a new answer; None if the answer
                needs no tag.
        """
        short = len(request.query) <= KEPT_CHARACTERS_MAX
        try:
            known = (self._known if short else _know)(request.query, request.operation_name)
        except GraphQLError as error:
            over = "Parsing aborted" in error.message
            return refused_with([error], "LIMIT_EXCEEDED" if over else "GRAPHQL_PARSE_FAILED")
        document, operation = known.document, known.operation
        if operation is None:
            named = request.operation_name
            rule = "give operationName: the document has several operations or none"
            return refused(rule if named is None else f"the document has no operation {named!r:.80}", "BAD_INPUT")
        if queries_only and operation.operation is not OperationType.QUERY:
            return refused("only a query may be asked by GET: use POST", "BAD_INPUT", by_post=True)
        if operation.operation is OperationType.SUBSCRIPTION:
            said = "a subscription is followed by WebSocket (graphql-transport-ws) or with Accept: text/event-stream"
            return refused(said, "BAD_INPUT")
        try:
            weight = known.weight = known.weight or limits.weigh(self.schema.core, document, operation)
            cost = weight.check(request.variables)
        except limits.LimitExceeded as error:
            return refused(str(error), "LIMIT_EXCEEDED")
        if known.mistakes is None:
            known.mistakes = self._validate(document)
        if known.mistakes:
            return refused_with(known.mistakes, "GRAPHQL_VALIDATION_FAILED")
        if weight.usual_introspection and not request.variables:
            return replace(self._introspected(print_ast(document), request.operation_name), cost=cost)
        job = known.job = known.job or Job(document, operation)
        job.requests += 1
        answer = self._execute(request, known, seen)
        return answer if answer.outcome is Outcome.UNCHANGED else replace(answer, cost=cost)

    def shortcut(self, request: GraphQLRequest, cost_max: int) -> Shortcut | None:
        """Prepare what one trip to the database answers, in little time; None if ``run`` has to look at the request.

        Args:
            request: what is asked.
            cost_max: values of the answer; what may be larger takes no shortcut.
        """
        known = self._planned.get((request.query, request.operation_name))
        if known is None:
            return None
        assert self.planner is not None
        assert known.weight is not None
        assert known.job is not None
        try:
            cost = known.weight.check(request.variables)
        except limits.LimitExceeded:
            return None
        errand = self.planner.errand(known.job, request.variables) if cost <= cost_max else None
        return None if errand is None else Shortcut(errand, cost)

    def at_the_end(self, shortcut: Shortcut, rows: Sequence[Rows]) -> Answer | None:
        """Make the answer of what the database said on a shortcut; None if ``run`` has to."""
        assert self.planner is not None
        data = self.planner.told(shortcut.errand, rows)
        return None if data is None else replace(executed(data, None), cost=shortcut.cost)

    def _note_planned(self, request: GraphQLRequest, known: _Known) -> None:
        if len(request.query) <= KEPT_CHARACTERS_MAX:
            if len(self._planned) >= DOCUMENTS_KEPT:
                self._planned.clear()
            self._planned[request.query, request.operation_name] = known

    def _execute(self, request: GraphQLRequest, known: _Known, seen: Collection[str] | None) -> Answer:
        document, job = known.document, known.job
        try:
            if self.planner is not None and job is not None and seen is None:
                data = self.planner.directly(job, request.variables)
                if data is not None:
                    self._note_planned(request, known)
                    return executed(data, None)
            try:
                with self._read() as reading:
                    return self._tagged(request, document, job, reading, seen)
            except Failed:
                # The plan's reading is over. What went wrong is the library's to say, in one of its own.
                with self._read() as reading:
                    return self._tagged(request, document, None, reading, seen)
        except TryAgain as error:
            return try_again(error)
        except TookTooLong as error:
            return refused(str(error), "LIMIT_EXCEEDED")
        except BadInput as error:
            return refused(str(error), "BAD_INPUT")

    def _tagged(
        self,
        request: GraphQLRequest,
        document: DocumentNode,
        job: Job | None,
        reading: Reading,
        seen: Collection[str] | None,
    ) -> Answer:
        if seen is None:
            return self._executed(request, document, job, reading)
        operation = get_operation_ast(document, request.operation_name)
        assert operation is not None, "it was found before"
        tag = tag_of(reading, document, operation, request.query, request.variables)
        if tag.value in seen:
            return Answer(Outcome.UNCHANGED, {}, tag=tag)
        answer = self._executed(request, document, job, reading)
        return answer if "errors" in answer.body else replace(answer, tag=tag)

    def _executed(self, request: GraphQLRequest, document: DocumentNode, job: Job | None, reading: Reading) -> Answer:
        if self.planner is not None and job is not None:
            data = self.planner.within(job, request.variables, reading)
            if data is not None:
                return executed(data, None)
        result = self.schema.execute_sync(
            request.query,
            variable_values=request.variables,
            operation_name=request.operation_name,
            context_value=reading,
            operation_extensions={"document": document},
        )
        return executed(result.data, result.errors)

    def _introspect(self, query: str, operation_name: str | None) -> Answer:
        # Of the schema alone, which stays as it is while the program runs.
        result = self.schema.execute_sync(
            query, operation_name=operation_name, operation_extensions={"document": parse(query)}
        )
        return executed(result.data, result.errors)

    def _validate(self, document: DocumentNode) -> list[GraphQLError]:
        return validate(self.schema.core, document, max_errors=limits.MISTAKES_MAX, hide_suggestions=True)


def _know(query: str, operation_name: str | None) -> _Known:
    document = _parse(query)
    return _Known(document, get_operation_ast(document, operation_name))


def _parse(query: str) -> DocumentNode:
    return parse(
        query,
        max_lexical_tokens=limits.TOKENS_MAX,
        max_comments=limits.COMMENTS_MAX,
        max_source_length=limits.CHARACTERS_MAX,
    )
