"""Fields and arguments of the schema that are made of declarations: one way to put them together."""

from collections.abc import Mapping, Sequence
from inspect import Parameter, Signature
from typing import Annotated, Any, Final

import strawberry

FIRST: Final = "How many rows, 1 to 1000; 50 if neither `first` nor `last` is given."
AFTER: Final = "The cursor behind which to go on."
LAST: Final = "How many rows from the end, 1 to 1000, instead of `first`."
BEFORE: Final = "The cursor before which to end."

_WINDOW: Final = (("first", int, FIRST), ("after", str, AFTER), ("last", int, LAST), ("before", str, BEFORE))


def argument(name: str, of: Any, shown: str, said: str, default: Any = Parameter.empty) -> Parameter:
    """Describe an argument: its name in Python, its type, its name in the schema, what is said of it."""
    annotation = Annotated[of, strawberry.argument(name=shown, description=said)]
    return Parameter(name, Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def page_arguments(where: Any, orders: Any, by_key: Any) -> list[Parameter]:
    """Return the arguments of a list: its window, conditions and order."""
    unset = strawberry.UNSET
    return [
        *(argument(name, of | None, name, said, unset) for name, of, said in _WINDOW),
        argument("where", where | None, "where", "Which of them.", unset),
        argument("order_by", orders, "orderBy", "How they are sorted; by their key if left out.", by_key),
    ]


def window_arguments(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return those of some arguments that choose a list's window."""
    return {name: given[name] for name, _, _ in _WINDOW if name in given}


def field(resolver: Any, arguments: Sequence[Parameter], answers: Any, name: str, said: str, *, of_root: bool) -> Any:
    """Make a field of the schema of a resolver that takes these arguments.

    Args:
        resolver: called with the request (``info``) if ``of_root``, else with the object; and the arguments by name.
        arguments: of the field.
        answers: the field's type.
        name: in the schema.
        said: its description.
        of_root: whether it is a field of the query itself.
    """
    place = Parameter.POSITIONAL_OR_KEYWORD
    of = Parameter("info", place, annotation=strawberry.Info) if of_root else Parameter("root", place, annotation=Any)
    resolver.__signature__ = Signature([of, *arguments])
    return strawberry.field(resolver=resolver, graphql_type=answers, name=name, description=said)
