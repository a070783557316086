"""Explanations as the schema has them: what `deepnode explain` tells, as typed data and as its text."""

from collections.abc import Sequence
from typing import Annotated, Final

import strawberry

from deepnode_graphql.connections import check_first
from deepnode_graphql.moments import Moment
from deepnode_graphql.nodes import Asset
from deepnode_graphql.reading import Reading
from deepnode_graphql.reads.log_entries import LogEntry, log_entries_at
from deepnode_graphql.scalars import BigInt, Long
from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections import explaining

PLACES_MAX: Final = 100
"""Entries of the log that the text tells of, each: with more, it names their positions alone."""

First = Annotated[int, strawberry.argument(description="How many of them, 1 to 1000.")]


@strawberry.type
class RulesetAnswer:
    """What the ruleset in force answers to a question that the documents leave open.

    Attributes:
        path: which question.
        value: the answer.
        seed: the document that leaves it open.
    """

    path: str
    value: str
    seed: str


@strawberry.type
class ExplanationTable:
    """The integers of a step.

    Attributes:
        head: what stands in each column.
        row_count: how many rows there are.
        note: what is left out, if anything is.
    """

    table: strawberry.Private[explaining.Table]
    head: list[str]
    row_count: int
    note: str

    @strawberry.field
    def rows(self, first: First = 100) -> list[list[str | None]]:
        """The first rows: numbers in decimal digits, ids and addresses in hexadecimal ones."""
        return [[_cell(cell) for cell in row] for row in self.table.rows[: check_first(first)]]


@strawberry.type
class ExplanationStep:
    """A step from events to an amount.

    Attributes:
        title: what the step is.
        said: what was done, in sentences.
        formulas: lines of arithmetic with the integers put in, remainders and extra units included.
        table: the integers that the step rests on.
        seeds: the documents that the rule is from, with the section.
        ruleset: the answers of the ruleset in force that it needed.
        holds: false where what was found does not add up to what is explained.
    """

    step: strawberry.Private[explaining.Step]
    title: str
    said: list[str]
    formulas: list[str]
    table: ExplanationTable | None
    seeds: list[str]
    ruleset: list[RulesetAnswer]
    holds: bool

    @strawberry.field
    def positions(self, first: First = 100) -> list[Long]:
        """The first entries of the log that it rests on."""
        return [Long(each) for each in self.step.positions[: check_first(first)]]


@strawberry.type
class Explanation:
    """An amount led back to events, ruleset, formulas and integers, as the books were at a position.

    Attributes:
        title: what is explained.
        position: by which state of the books.
        amount: what is explained, in base units; null where it is no amount.
        asset: of which asset.
        holds: whether every step adds up.
        position_count: how many entries of the log it rests on.
        steps: the steps, in order.
    """

    explained: strawberry.Private[explaining.Explanation]
    reading: strawberry.Private[Reading]
    moment: strawberry.Private[Moment]
    title: str
    position: Long
    amount: BigInt | None
    asset: Asset | None
    holds: bool
    position_count: int
    steps: list[ExplanationStep]

    @strawberry.field
    def log(self, first: First = 50) -> list[LogEntry]:
        """The first entries of the log that it rests on, oldest first."""
        positions = self.explained.positions[: check_first(first)]
        found = log_entries_at(self.reading, positions, self.moment)
        return [found[each] for each in positions if each in found]

    @strawberry.field
    def text(self) -> str:
        """What `deepnode explain` writes. With more than 100 entries of the log it names their positions alone."""
        positions = self.explained.positions
        places: Sequence[explaining.LogPlace] = ()
        if len(positions) <= PLACES_MAX:
            places = explaining.log_places(self.reading.snapshot, self.reading.contracts, positions)
        return explaining.as_text(self.explained, places)


def explanation_of(reading: Reading, moment: Moment, explained: explaining.Explanation) -> Explanation:
    """Make the node of an explanation."""
    asset = None if explained.asset is None else reading.asset_at(explained.asset.address)
    return Explanation(
        explained=explained,
        reading=reading,
        moment=moment,
        title=explained.title,
        position=Long(explained.position),
        amount=None if explained.amount is None else BigInt(explained.amount),
        asset=asset,
        holds=explained.holds,
        position_count=len(explained.positions),
        steps=[_step(each) for each in explained.steps],
    )


def _step(step: explaining.Step) -> ExplanationStep:
    table = step.table
    return ExplanationStep(
        step=step,
        title=step.title,
        said=[*step.said],
        formulas=[*step.formulas],
        table=None
        if table is None
        else ExplanationTable(table=table, head=[*table.head], row_count=len(table.rows), note=table.note),
        seeds=[*step.seeds],
        ruleset=[RulesetAnswer(path=each.path, value=str(each.value), seed=each.seed) for each in step.fields],
        holds=step.holds,
    )


def _cell(cell: bytes | str | int | bool | None) -> str | None:
    match cell:
        case None:
            return None
        case bool():
            return "true" if cell else "false"
        case bytes():
            return to_hex(cell)
        case _:
            return str(cell)
