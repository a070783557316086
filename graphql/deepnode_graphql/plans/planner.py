"""The planner: keeps plans, and answers requests by them.

What it cannot answer, or what turns out to be an error on the way, it leaves to the library's executor, so that every
error is that one's own. A plan that answers gives the same bytes.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any, Final

import psycopg
from graphql import DocumentNode, GraphQLError, OperationDefinitionNode, OperationType
from graphql.execution.values import VariableValues, get_variable_values
from psycopg import pq
from sqlalchemy import PoolProxiedConnection, literal_column, select
from sqlalchemy.exc import DBAPIError

from deepnode_graphql.database import TookTooLong, database_errors, known_error
from deepnode_graphql.moments import Moment, present
from deepnode_graphql.plans import wire
from deepnode_graphql.plans.capturing import POSITION_MAX, at_of, is_given
from deepnode_graphql.plans.compiling import Plan, compile_plan
from deepnode_graphql.plans.marks import Unsupported
from deepnode_graphql.plans.nodes import nodes_of
from deepnode_graphql.plans.output import Page, Token
from deepnode_graphql.plans.roots import Allowance, Given, Root
from deepnode_graphql.plans.selections import Selector, deciding_variables
from deepnode_graphql.plans.walking import Path, find_path
from deepnode_graphql.plans.wire import Ask, Rows
from deepnode_graphql.reading import Reading, checkpoint_of, driver_connection
from deepnode_graphql.registers.register import Register
from deepnode_graphql.schema import LedgerSchema
from deepnode_ledger.errors import BadInput, TryAgain
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import Manifest
from deepnode_projections.checkpoint import NAME
from deepnode_projections.tables import checkpoint as checkpoint_table

PLANS_MAX: Final = 16
"""Plans of one document: one for each choice that its directives' variables make."""

_CHECKPOINT_COLUMNS: Final = tuple(column.name for column in checkpoint_table.c)
_CHECKPOINT: Final = Ask(
    str(select(checkpoint_table).where(checkpoint_table.c.name == literal_column("$1"))).encode(), [NAME.encode()]
)
_ASSETS: Final = Ask(b"SELECT asset_id, symbol, address, decimals FROM asset")


@dataclass(frozen=True, slots=True)
class Way:
    """How plans reach the books: ``connect`` takes a connection out of the pool, ``manifest`` is that of the books."""

    connect: Callable[[], PoolProxiedConnection]
    manifest: Manifest


@dataclass(slots=True)
class Job:
    """An operation of a validated document, with the plans that were made for it.

    ``requests`` counts how often it was asked: whoever executes it counts.
    """

    document: DocumentNode
    operation: OperationDefinitionNode
    requests: int = 0
    deciding: tuple[str, ...] | None = None
    plans: dict[tuple[Any, ...], Plan | None] = field(default_factory=dict)
    paths: dict[tuple[Any, ...], Path | None] = field(default_factory=dict)

    def choice(self, variables: VariableValues) -> tuple[Any, ...]:
        """Return what the variables choose of the selections."""
        if self.deciding is None:
            self.deciding = deciding_variables(self.document)
        return tuple([variables.coerced.get(name) is True for name in self.deciding])


@dataclass(frozen=True, slots=True)
class _Bound:
    """A plan with one request's arguments, which belong to its roots one by one; ``at`` is taken out of them."""

    plan: Plan
    arguments: tuple[dict[str, Any], ...]
    moments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Errand:
    """A request that one round trip answers: the statements that go out, and what their rows are for.

    ``position`` is the highest at which something is asked for, 0 if all is of the books' end. ``assets`` are those
    that the program knew when it was prepared; ``with_assets`` if the statements rest on them.
    """

    plan: Plan
    given: Sequence[Given | None]
    position: int
    assets: Rows
    with_assets: bool
    asks: Sequence[Ask]


class Planner:
    """Answers requests by plans. Any number of threads may use it. ``answered`` counts what came to which end."""

    def __init__(self, schema: LedgerSchema, registers: Sequence[Register], way: Way, *, patience: int = 1) -> None:
        """Make a planner; ``patience`` is how often something is asked before it is planned."""
        self.patience = patience
        self._schema, self._way = schema, way
        self._books = way.manifest.chain_id, way.manifest.digest
        self._nodes = nodes_of(registers)
        self._assets: Rows = []
        self.answered: Counter[str] = Counter()

    def directly(self, job: Job, variables: dict[str, Any] | None) -> dict[str, Any] | None:
        """Answer a request in one round trip, with the data of the answer; None if it takes more than that.

        Raises:
            TryAgain: no connection can be had.
            TookTooLong: a statement ran into the time limit.
        """
        if job.requests <= self.patience:
            # To plan costs more than to execute once: it is for what is asked again.
            return None
        errand = self.errand(job, variables)
        return None if errand is None else self._run(errand)

    def errand(self, job: Job, variables: dict[str, Any] | None) -> Errand | None:
        """Prepare what one round trip answers; None if a request takes more than that."""
        bound = self._bound(job, variables)
        if bound is None:
            return None
        assets = self._assets
        try:
            positions = [self._position(*each) for each in zip(bound.plan.parts, bound.moments, strict=True)]
            given = _given(bound, [position is None for position in positions])
            asks = [
                each.ask(POSITION_MAX if position is None else position, partial(_asset_id, assets))
                for each, position in zip(given, positions, strict=True)
                if each is not None
            ]
        except (Unsupported, BadInput, GraphQLError):
            return None
        names_assets = any(each is not None and each.template.names_assets for each in given)
        with_assets = bound.plan.needs_tokens or names_assets
        ahead = [wire.BEGIN, _CHECKPOINT, *([_ASSETS] if with_assets else [])]
        highest = max((position for position in positions if position is not None), default=0)
        return Errand(bound.plan, given, highest, assets, with_assets, [*ahead, *asks, wire.ROLLBACK])

    def told(self, errand: Errand, answers: Sequence[Rows]) -> dict[str, Any] | None:
        """Make the data of the answer from the rows of an errand's statements; None if they do not answer it."""
        _, checkpoints, *rows, _ = answers
        if not checkpoints:
            return None
        if errand.with_assets and (now := rows.pop(0)) != errand.assets:
            # The ids that went out may be other assets' by now.
            self._assets = now
            return None
        row = SimpleNamespace(**dict(zip(_CHECKPOINT_COLUMNS, checkpoints[0], strict=True)))
        if (row.chain_id, row.manifest_digest) != self._books:
            return None
        checkpoint = checkpoint_of(row)
        if errand.position > checkpoint.position:
            return None
        nothing: Any = None
        reading = Reading(nothing, self._way.manifest, nothing, nothing, checkpoint)
        moments = [present(checkpoint)] * len(errand.given)
        try:
            data = _composed(errand.plan, errand.given, moments, errand.assets, rows, reading)
        except (Unsupported, BadInput, GraphQLError):
            return None
        self.answered["directly"] += 1
        return data

    def within(self, job: Job, variables: dict[str, Any] | None, reading: Reading) -> dict[str, Any] | None:
        """Answer a request in a reading that was begun; None if the library's executor must.

        Raises:
            Failed: a statement failed, and the reading with it.
            TryAgain: the database went away.
            TookTooLong: a statement ran into the time limit.
        """
        if job.requests <= self.patience:
            return None
        bound = self._bound(job, variables)
        data = self._read(bound, reading) if bound is not None else None
        return self._walked(job, variables, reading) if data is None else data

    def _read(self, bound: _Bound, reading: Reading) -> dict[str, Any] | None:
        try:
            moments = [self._moment(reading, at) for at in bound.moments]
            given = _given(bound, [moment.present for moment in moments])
            asks = [
                each.ask(moment.position, reading.asset_id)
                for each, moment in zip(given, moments, strict=True)
                if each is not None
            ]
            # What is said of assets must be known before a plan can go out at once, so it is always looked at here.
            needed = [_ASSETS, *asks]
            connection = driver_connection(reading.database)
            assets, *rows = wire.ask(connection, reading.database.info, needed)
            self._assets = assets
            data = _composed(bound.plan, given, moments, assets, rows, reading)
        except (Unsupported, BadInput, GraphQLError):
            return None
        except psycopg.Error as error:
            raise Failed from error
        self.answered["within"] += 1
        return data

    def _bound(self, job: Job, variables: dict[str, Any] | None) -> _Bound | None:
        found = self._variables(job, variables)
        plan = None if found is None else self._plan(job, found)
        if found is None or plan is None:
            return None
        try:
            arguments = tuple(part.arguments(found) if not isinstance(part, str) else {} for part in plan.parts)
        except GraphQLError:
            return None
        return _Bound(plan, arguments, tuple(each.pop("at", None) for each in arguments))

    def _variables(self, job: Job, variables: dict[str, Any] | None) -> VariableValues | None:
        declared = job.operation.variable_definitions or ()
        found = get_variable_values(self._schema.core, declared, variables or {}, 1, hide_suggestions=True)
        return None if isinstance(found, list) else found

    def _plan(self, job: Job, variables: VariableValues) -> Plan | None:
        chosen = job.choice(variables)
        if chosen in job.plans:
            return job.plans[chosen]
        plan: Plan | None = None
        try:
            plan = compile_plan(self._schema, self._nodes, job.document, job.operation, variables)
        except Unsupported:
            plan = None
        if len(job.plans) >= PLANS_MAX:
            job.plans.clear()
        job.plans[chosen] = plan
        return plan

    def _walked(self, job: Job, variables: dict[str, Any] | None, reading: Reading) -> dict[str, Any] | None:
        found = self._variables(job, variables)
        path = None if found is None else self._path(job, found)
        if found is None or path is None:
            return None
        try:
            data = path.data(found, reading)
        except (TryAgain, TookTooLong):
            raise
        except (DBAPIError, psycopg.Error) as error:
            known = known_error(error)
            raise (Failed() if known is None else known) from error
        except Exception:  # noqa: BLE001 # whatever it is, the library's executor meets it again and says it
            return None
        self.answered["walked"] += 1
        return data

    def _path(self, job: Job, variables: VariableValues) -> Path | None:
        chosen = job.choice(variables)
        if chosen in job.paths:
            return job.paths[chosen]
        path: Path | None = None
        if job.operation.operation is OperationType.QUERY:
            try:
                path = find_path(self._schema, Selector(self._schema.core, job.document, job.operation, variables))
            except Unsupported:
                path = None
        if len(job.paths) >= PLANS_MAX:
            job.paths.clear()
        job.paths[chosen] = path
        return path

    def _position(self, part: object, at: Any) -> int | None:
        """Return the position at which a part is asked for; None for the books' end.

        A position is a moment that needs no look at the books, but that they have come so far.
        """
        if not is_given(at):
            return None
        position = at_of(self._schema, at).position
        if not isinstance(part, Root) or not isinstance(position, int) or position < 0:
            raise Unsupported
        return position

    def _moment(self, reading: Reading, at: Any) -> Moment:
        return reading.moment(at_of(self._schema, at) if is_given(at) else None)

    def _run(self, errand: Errand) -> dict[str, Any] | None:
        with database_errors():
            pooled = self._way.connect()
        try:
            answers = _asked(pooled, errand.asks)
        except psycopg.Error as error:
            known = known_error(error)
            if isinstance(known, TookTooLong):
                raise known from error
            return None
        finally:
            pooled.close()
        return self.told(errand, answers)


class Failed(Exception):
    """A statement of a plan failed: the reading is over, and the library's executor says what there is to say."""


def _given(bound: _Bound, present: Sequence[bool]) -> list[Given | None]:
    allowance = Allowance()
    return [
        part.given(arguments, allowance, present=at_the_end) if isinstance(part, Root) else None
        for part, arguments, at_the_end in zip(bound.plan.parts, bound.arguments, present, strict=True)
    ]


def _asked(pooled: PoolProxiedConnection, asks: Sequence[Ask]) -> list[Rows]:
    connection = pooled.driver_connection
    assert isinstance(connection, psycopg.Connection), connection
    try:
        try:
            return wire.ask(connection, pooled.info, asks)
        except psycopg.errors.InvalidSqlStatementName:
            # Somebody else has dropped the connection's prepared statements.
            wire.forget(connection, pooled.info)
            return wire.ask(connection, pooled.info, asks)
    except BaseException:
        _mend(pooled, connection)
        raise


def _mend(pooled: PoolProxiedConnection, connection: psycopg.Connection[Any]) -> None:
    if connection.pgconn.pipeline_status != pq.PipelineStatus.OFF:
        pooled.invalidate()
        return
    try:
        wire.forget(connection, pooled.info)
    except psycopg.Error:
        pooled.invalidate()


def _asset_id(assets: Rows, named: str) -> int:
    found = [number for number, symbol, address, _ in assets if named in (symbol, to_hex(address))]
    if len(found) != 1:
        raise Unsupported
    return int(found[0])


def _composed(
    plan: Plan,
    given: Sequence[Given | None],
    moments: Sequence[Moment],
    assets: Rows,
    rows: Sequence[Rows],
    reading: Reading,
) -> dict[str, Any]:
    tokens = {number: Token(symbol, to_hex(address), decimals) for number, symbol, address, decimals in assets}
    answers = iter(rows)
    sealed = reading.checkpoint.sealed_position

    def page(found: Rows, names: Sequence[str]) -> Page:
        columns = zip(*found, strict=True) if found else [()] * len(names)
        return Page(len(found), dict(zip(names, columns, strict=True)), sealed, tokens)

    data: dict[str, Any] = {}
    for key, part, own, moment in zip(plan.keys, plan.parts, given, moments, strict=True):
        if isinstance(part, Root):
            assert own is not None
            data[key] = part.value(own, next(answers), page)
        else:
            data[key] = part if isinstance(part, str) else part.value(reading, moment)
    return data
