"""Statements: what a producer's task events say, as typed values.

A task event is kept as the text that was signed; a statement is that text understood. Reading is a pure function of the
event and never fails: an unknown type, or data that breaks a rule, is ``Unreadable`` with the value and the rule, which
the books show as a row. Whether a statement has an effect is for the rules of the books to say.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Final, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from deepnode_ledger.record import TaskEvent
from deepnode_ledger.statement_data import DATA_OF, Data
from deepnode_ledger.statement_form import Form, Malformed

D = TypeVar("D", bound=Data)


@dataclass(frozen=True, slots=True)
class Statement:
    """An event ``event_id`` of ``producer``, its ``sequence`` and ``type``, and what it says.

    ``time`` is when that happened as the producer puts it (RFC 3339); the books go by positions and never by it.
    """

    producer: str
    event_id: str
    sequence: int
    type: str
    time: str
    data: Data


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A task event that the books cannot understand: ``reason`` names the value and the rule that it breaks."""

    reason: str


def said(statement: Statement, kind: type[D]) -> D:
    """Return a statement's data, which is of this kind: rules are chosen by type, so anything else is a bug of ours."""
    assert isinstance(statement.data, kind), (statement.type, kind)
    return statement.data


class _Event(msgspec.Struct):
    id: str
    source: str
    type: str
    sequence: str
    time: Annotated[str, msgspec.Meta(pattern="^[!-~]{1,64}\\Z")]
    data: dict[str, Any]


_DECODER: Final = msgspec.json.Decoder(_Event)


def read(event: TaskEvent) -> Statement | Unreadable:
    """Say what a task event says."""
    kind = DATA_OF.get(event.type)
    if kind is None:
        return Unreadable(f"type {event.type!a:.80} is none of the {len(DATA_OF)} types that the books know")
    try:
        text = _DECODER.decode(event.payload)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        return Unreadable(f"the payload is no CloudEvent: {error}")
    said = (text.source, text.id, text.sequence, text.type)
    kept = (event.producer, event.event_id, str(event.sequence), event.type)
    if said != kept:
        return Unreadable(f"the log has it as {kept!a:.200}, its payload says {said!a:.200}")
    try:
        data = _struct(kind, text.data, "data")
    except Malformed as error:
        return Unreadable(str(error))
    return Statement(event.producer, event.event_id, event.sequence, event.type, text.time, data)


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    form: Form | type[msgspec.Struct]
    may_be_left_out: bool


S = TypeVar("S", bound=msgspec.Struct)


def _struct(kind: type[S], written: object, name: str) -> S:
    if not isinstance(written, Mapping):
        raise Malformed(f"{name} must be a JSON object, not {written!a:.80}")
    values: dict[str, object] = {}
    for member in _members(kind):
        value = written.get(member.name)
        if value is None and member.may_be_left_out:
            continue
        if value is None and member.name not in written:
            raise Malformed(f"{name} of a {kind.__name__} must have {member.name}")
        if isinstance(member.form, Form):
            values[member.name] = member.form.value(member.name, value)
        else:
            values[member.name] = _struct(member.form, value, member.name)
    return kind(**values)


@cache
def _members(kind: type[msgspec.Struct]) -> tuple[_Member, ...]:
    hints = get_type_hints(kind, include_extras=True)
    return tuple(_member(name, hints[name]) for name in kind.__struct_fields__)


def _member(name: str, hint: Any) -> _Member:
    parts = [part for part in get_args(hint) if part is not type(None)]
    may_be_left_out = get_origin(hint) is not None and type(None) in get_args(hint)
    own = parts[0] if may_be_left_out else hint
    if isinstance(own, type):
        assert issubclass(own, msgspec.Struct), (name, hint)
        return _Member(name, own, may_be_left_out)
    form = own.__metadata__[0]
    assert isinstance(form, Form), (name, hint)
    return _Member(name, form, may_be_left_out)
