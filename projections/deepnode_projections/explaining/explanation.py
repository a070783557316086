"""The shape of an explanation: steps, each with words, integers, the rule that they follow, and where it is told.

An explanation is data. ``layout`` makes text of it for people; what a step says in words it also says in its formulas
and its table, so nothing has to be read out of sentences.
"""

from dataclasses import dataclass

from deepnode_ledger.errors import BadInput
from deepnode_projections.rulesets import FieldValue, Ruleset, fields_of

Cell = bytes | str | int | bool | None
"""What stands in a table: bytes are ids and addresses, numbers are whole."""


class NothingToExplain(BadInput):
    """The books hold nothing of this name at that position; the message names what was looked for."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A token: its address (20 bytes), its symbol, and how many decimals a unit has."""

    address: bytes
    symbol: str
    decimals: int

    def units(self, amount: int) -> str:
        """Write base units as units of the token, with every decimal that is not a trailing zero."""
        whole, part = divmod(abs(amount), 10**self.decimals)
        digits = str(part).rjust(self.decimals, "0").rstrip("0") if self.decimals else ""
        return f"{'-' if amount < 0 else ''}{whole}{'.' if digits else ''}{digits} {self.symbol}"

    def amount(self, amount: int) -> str:
        """Write an amount in base units, with the units of the token beside it."""
        return f"{amount} base units ({self.units(amount)})"


@dataclass(frozen=True, slots=True)
class Table:
    """Integers in a table. ``note`` says what is left out, if anything is."""

    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.head) for row in self.rows), self


@dataclass(frozen=True, slots=True)
class Step:
    """A step from events to an amount.

    ``said`` are sentences. ``formulas`` are lines of arithmetic, integers put in. ``seeds`` are the documents that the
    rule is from, ``fields`` the answers of the ruleset in force that it needed. ``positions`` are those of the log's
    entries that it rests on. ``holds`` is False where what was found does not add up to what is explained.
    """

    title: str
    said: tuple[str, ...]
    formulas: tuple[str, ...] = ()
    table: Table | None = None
    seeds: tuple[str, ...] = ()
    fields: tuple[FieldValue, ...] = ()
    positions: tuple[int, ...] = ()
    holds: bool = True


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is explained, by the books at ``position``: an amount of an asset in base units, or None, in steps."""

    title: str
    position: int
    amount: int | None
    asset: Asset | None
    steps: tuple[Step, ...]

    @property
    def positions(self) -> tuple[int, ...]:
        """All entries of the log that it rests on, each once, oldest first."""
        return tuple(sorted({each for step in self.steps for each in step.positions}))

    @property
    def holds(self) -> bool:
        """Whether every step adds up."""
        return all(step.holds for step in self.steps)


def answers(ruleset: Ruleset, *paths: str) -> tuple[FieldValue, ...]:
    """Return what a ruleset answers in some of its fields, in the order in which they are named."""
    known = {each.path: each for each in fields_of(ruleset)}
    return tuple(known[path] for path in paths)


def places(*positions: int | None) -> tuple[int, ...]:
    """Return the positions that are known, each once, oldest first."""
    return tuple(sorted({each for each in positions if each is not None}))


def counted(number: int, noun: str) -> str:
    """Write a number of things: ``1 task``, ``2 tasks``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
