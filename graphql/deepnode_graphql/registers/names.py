"""What a kind of record and its fields are called in the schema, and what is said of them.

The table's name gives all names: ``task_slot`` is the type ``TaskSlot``, one record is ``taskSlot`` and a list of them
``taskSlots``. The last word takes the plural, or the one before ``of``, ``in``, ``at`` or ``by`` (``roundsOfModel``).
Where English has another plural or none, ``PLURALS`` has it, or the kind itself as ``PLURAL: ClassVar[str]``. A kind
whose names are taken in the schema is called ``…_record``: ``AccountRecord``, ``accountRecord``, ``accountRecords``.

What the record's docstring says is the type's description, and its sentences that name a field are that field's.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from strawberry.utils.str_converters import capitalize_first, to_camel_case

from deepnode_projections.registers.record import Field, Record, fields_of

PLURALS: Final = {
    "burned": "burned_amounts",
    "checked": "checked_parts",
    "collateral": "collaterals",
    "current_epoch": "current_epochs",
    "earned": "earned_amounts",
    "economics": "economics_by_epoch",
    "emission_weights": "emission_weight_sets",
    "epoch": "epochs",
    "feedback": "feedback_given",
    "model_sales": "model_sales_by_asset",
    "trust": "trust_scores",
    "validator_work": "validator_works",
    "work": "works",
}
"""Tables whose plural no rule gives."""

OWN_FIELDS: Final = ("position", "until", "finality", "history")
"""What every record has beside its fields."""

_LINKS: Final = frozenset({"of", "in", "at", "by"})
_CODE: Final = re.compile(r"``([^`]*)``")
_NONE: Final = re.compile(r"(?<=[^.] )None\b|(?<=\()None\b")
"""Python's word, which is null in the schema; at the beginning of a sentence it may be English."""
_SENTENCE_END: Final = re.compile(r"(?<=\.)\s+")


@dataclass(frozen=True, slots=True)
class Names:
    """The names of a kind in the schema: of its type, of a field that finds one, of a field that lists them."""

    type: str
    one: str
    many: str

    @property
    def types(self) -> frozenset[str]:
        """All types that are made for the kind."""
        return frozenset({self.type, *(f"{self.type}{part}" for part in ("Where", "Order", "Connection", "Edge"))})


def names_of(kind: type[Record], taken_types: set[str], taken_fields: set[str]) -> Names:
    """Name a kind by its table; with ``_record`` behind it if one of its names is taken."""
    for name in (kind.TABLE, f"{kind.TABLE}_record"):
        many = plural(kind) if name == kind.TABLE else f"{name}s"
        found = Names(capitalize_first(to_camel_case(name)), to_camel_case(name), to_camel_case(many))
        assert found.one != found.many, f"{kind.TABLE} needs a PLURAL of its own"
        if not found.types & taken_types and not {found.one, found.many} & taken_fields:
            return found
    raise AssertionError(f"every name for {kind.TABLE} is taken")


def plural(kind: type[Record]) -> str:
    """Return the plural of a table's name."""
    given = getattr(kind, "PLURAL", None) or PLURALS.get(kind.TABLE)
    if given is not None:
        return str(given)
    words = kind.TABLE.split("_")
    place = next((place for place, word in enumerate(words) if place and word in _LINKS), len(words)) - 1
    words[place] = _plural_of_word(words[place])
    return "_".join(words)


def field_name(field: Field) -> str:
    """Return the name of a field in the schema, without the underscore that tells ``yield_`` from Python's own."""
    return to_camel_case(field.name.rstrip("_"))


def description(kind: type[Record]) -> str:
    """Return what the kind's docstring says, in the schema's names."""
    return " ".join(_sentences(kind))


def summary(kind: type[Record]) -> str:
    """Return the first sentence of it."""
    return _sentences(kind)[0]


def field_description(kind: type[Record], field: Field) -> str:
    """Return the sentences of the kind's docstring that name a field, or else what its type says."""
    mark = f"`{field_name(field)}`"
    said = [sentence for sentence in _sentences(kind) if mark in sentence]
    if not said:
        said = [f"{_sort(kind, field)}."]
    if field.may_be_unknown:
        said.append("Null if there is none.")
    return " ".join(said)


def _sort(kind: type[Record], field: Field) -> str:
    part = "part of the key" if field in fields_of(kind)[: kind.KEY] else ""
    sort = {bytes: "bytes", str: "text", bool: "true or false", int: "a whole number"}[field.type]
    if field.is_amount:
        sort = "an amount in base units, or another number of any size"
    elif field.is_place:
        sort = "a position of the log"
    elif field.name.endswith("_ppm"):
        sort = "parts in a million"
    return capitalize_first(": ".join(filter(None, (part, sort))))


def _sentences(kind: type[Record]) -> Sequence[str]:
    shown = {"None": "null", **{field.name: field_name(field) for field in fields_of(kind)}}
    text = _NONE.sub("null", " ".join((kind.__doc__ or "").split()))
    text = _CODE.sub(lambda code: f"`{shown.get(code[1], code[1])}`", text)
    return _SENTENCE_END.split(text)


def _plural_of_word(word: str) -> str:
    if word.endswith("y") and word[-2] not in "aeiou":
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith(("s", "x", "ch", "sh")) else f"{word}s"
