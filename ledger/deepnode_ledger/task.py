"""Which task an event is about: the member ``task`` of the CloudEvent's ``data`` (docs/task-events.md)."""

from typing import Annotated, Final

import msgspec

TASK_CHARACTERS_MAX: Final = 256


class _Data(msgspec.Struct):
    task: Annotated[str, msgspec.Meta(min_length=1, max_length=TASK_CHARACTERS_MAX)]


class _Event(msgspec.Struct):
    data: _Data


_DECODER: Final = msgspec.json.Decoder(_Event)


def task_of(payload: bytes) -> str | None:
    """Return the task that a signed payload names, or None if it names none.

    The answer is a help to find an event by, and no more: it is not part of what is hashed. So a payload that is not
    JSON, or whose task is no text of at most ``TASK_CHARACTERS_MAX`` characters, is no error here.
    """
    try:
        return _DECODER.decode(payload).data.task
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
