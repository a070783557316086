"""Capturing: the statement that a resolver would execute, and the order of its list, without executing anything.

So there is one definition of what a field reads: its resolver. A plan asks it once for its statement, with marks where
the request's values go, and keeps that.
"""

from dataclasses import dataclass
from typing import Any, Final

import strawberry
from sqlalchemy import Select
from strawberry.schema.schema_converter import get_arguments
from strawberry.types.arguments import convert_argument
from strawberry.types.field import StrawberryField
from typing_extensions import override

from deepnode_graphql.cursors import KnownCursor, Order
from deepnode_graphql.moments import At, Moment
from deepnode_graphql.plans.marks import MarkedInt, MarkedText, Slot, Unsupported
from deepnode_graphql.schema import LedgerSchema
from deepnode_ledger.errors import BadInput, TryAgain

POSITION_MAX: Final = 2**63 - 1
"""Above every position: the state of the books' end is all of their rows."""


class _Captured(BaseException):
    """Ends the resolver: what it was asked for is found."""

    def __init__(self, found: Any) -> None:
        super().__init__()
        self.found = found


class _Probe(KnownCursor):
    __slots__ = ()

    @override
    def key(self, order: Order) -> list[Any]:
        raise _Captured(order)


class _Database:
    def execute(self, statement: Any) -> Any:
        raise _Captured(statement)


class _Recorder:
    """Stands for a reading. What is not here cannot be known before there is one."""

    def __init__(self, moment: Moment) -> None:
        self.database = _Database()
        self._moment = moment

    def moment(self, _at: Any) -> Moment:
        return self._moment

    def asset_id(self, named: str) -> int:
        if not isinstance(named, MarkedText):
            raise Unsupported
        mark = MarkedInt(1)
        mark.slot = Slot("asset", named.slot.number)
        return mark


@dataclass(frozen=True, slots=True)
class _Info:
    context: _Recorder


@dataclass(frozen=True, slots=True)
class Resolver:
    """The resolver of a root field, to be asked for its statement."""

    schema: LedgerSchema
    field: StrawberryField

    def takes(self, argument: str) -> bool:
        """Say whether the field has an argument of that name."""
        return any(each.python_name == argument for each in self.field.arguments)

    def statement(self, arguments: dict[str, Any], *, moment: Moment) -> Select[Any]:
        """Return the statement that answers the field.

        Raises:
            BadInput: the arguments break a rule.
            Unsupported: the field needs more than a statement.
        """
        found = self._capture(arguments, moment=moment)
        if not isinstance(found, Select):
            raise Unsupported
        return found

    def order(self, arguments: dict[str, Any], *, moment: Moment) -> Order:
        """Return the order of the list.

        Raises:
            BadInput: the arguments break a rule.
            Unsupported: it is no list with cursors.
        """
        rest = {name: value for name, value in arguments.items() if name not in ("after", "before")}
        found = self._capture({**rest, "after": _Probe("-")}, moment=moment)
        if not isinstance(found, Order):
            raise Unsupported
        return found

    def _capture(self, arguments: dict[str, Any], *, moment: Moment) -> Any:
        info: Any = _Info(_Recorder(moment))
        converter = self.schema.schema_converter
        positional, named = get_arguments(
            field=self.field,
            source=None,
            info=info,
            kwargs=arguments,
            config=self.schema.config,
            scalar_registry=converter.scalar_registry,
        )
        resolver = self.field.base_resolver
        assert resolver is not None, self.field
        call: Any = resolver.wrapped_func
        try:
            call(*positional, **named)
        except _Captured as captured:
            return captured.found
        except (BadInput, TryAgain, Unsupported):
            raise
        except Exception as error:
            # The resolver looks at what a recorder does not have.
            raise Unsupported from error
        raise Unsupported


PRESENT: Final = Moment(POSITION_MAX, None, present=True, final=False)
"""The books' end, wherever that is."""


def past(position: int) -> Moment:
    """Return a moment before the books' end whose position is marked."""
    mark = MarkedInt(position)
    mark.slot = Slot("position")
    return Moment(mark, None, present=False, final=False)


def is_given(value: Any) -> bool:
    """Say whether an argument holds something."""
    return value is not None and value is not strawberry.UNSET


def at_of(schema: LedgerSchema, coerced: dict[str, Any]) -> At:
    """Return the moment that a coerced ``at`` names."""
    registry = schema.schema_converter.scalar_registry
    found = convert_argument(coerced, At, registry, schema.config)
    assert isinstance(found, At), found
    return found
