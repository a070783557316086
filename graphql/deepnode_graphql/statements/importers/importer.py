"""An importer: a file that a tax or portfolio tool reads, and how a statement's lines become rows of it.

Each tool has a file of its own beside this one, which names the public page that its header and labels are from. What
they share is here: what a line is to a tool that knows eight kinds of movement and not our types, and how a file's
bytes are made. Nothing here looks at a clock or at chance: the same statement gives the same bytes.

An importer refuses nothing. It leaves out lines of amount zero, which no tool takes, and, unless the tool keeps
several wallets apart, movements between the address's own accounts, which add up to zero.
"""

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from deepnode_graphql.statements.statement import Line, LineType, Statement

MEDIA_TYPE: Final = "text/csv; charset=utf-8; header=present"

_NUMBER: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]+")
# What a spreadsheet may take for the start of a formula or run; the last four are full-width forms of the first four.
_FORMULA: Final = tuple("=+-@|%\uff1d\uff0b\uff0d\uff20")


class Kind(StrEnum):
    """What a movement is to the tools: every line is one of these, and each tool has a label for each."""

    REWARD = "reward"
    """Came in, earned by work, stake or backing."""
    INCOME = "income"
    """Came in, earned in another way: of what consumers paid, a round's money, a compensation, others' fees."""
    REFUND = "refund"
    """Came back after it was paid."""
    RECEIVED = "received"
    """Came in for no reason that a tool could book: the user says what it was."""
    SPENT = "spent"
    """Paid for the use of a model."""
    FEE = "fee"
    """Paid to register a node, or forfeited with a proposal."""
    LOST = "lost"
    """Taken by a review, or burned: nothing was received for it."""
    SENT = "sent"
    """Went out for no reason that a tool could book: the user says what it was."""


_INCOMING: Final[Mapping[LineType, Kind]] = {
    LineType.REWARD: Kind.REWARD,
    LineType.REVENUE: Kind.INCOME,
    LineType.FUNDING: Kind.INCOME,
    LineType.COMPENSATION: Kind.INCOME,
    LineType.PAYMENT: Kind.INCOME,
    LineType.FEE: Kind.INCOME,
    LineType.REFUND: Kind.REFUND,
}
_OUTGOING: Final[Mapping[LineType, Kind]] = {
    LineType.PAYMENT: Kind.SPENT,
    LineType.FEE: Kind.FEE,
    LineType.SLASHING: Kind.LOST,
    LineType.BURN: Kind.LOST,
}


def kind_of(line: Line) -> Kind:
    """Return what a line is to a tool, by its type and its sign: a reward that went out is no reward.

    Between own accounts nothing is earned or spent, whatever the type says: money is received here and sent there.
    """
    if line.own:
        return Kind.RECEIVED if line.amount > 0 else Kind.SENT
    if line.amount > 0:
        return _INCOMING.get(line.type, Kind.RECEIVED)
    return _OUTGOING.get(line.type, Kind.SENT)


def cell(text: str) -> str:
    """Return a cell's text so that no spreadsheet takes it for a formula and no reader for two rows.

    A number, a negative one too, is left as it is. Other text that would start a formula gets an apostrophe in front;
    control characters and line breaks become spaces.
    """
    if _NUMBER.fullmatch(text):
        return text
    plain = _CONTROL.sub(" ", text)
    return f"'{plain}" if plain.lstrip().startswith(_FORMULA) else plain


@dataclass(frozen=True, slots=True)
class Importer:
    """A tool's file.

    ``name`` is what a user asks for, ``suffix`` the file's ending without a dot, ``said`` one line for people.
    ``source`` names the public documentation that the header and the labels are from, ``header`` is the documented
    first row, ``labels`` the tool's word for each kind (empty if it has none), and ``row`` makes a row of a line and
    its label, in the header's order. ``moves``: whether movements between own accounts are rows too, because the tool
    keeps wallets apart.
    """

    name: str
    said: str
    source: str
    header: tuple[str, ...]
    labels: Mapping[Kind, str]
    row: Callable[[Statement, Line, str], Sequence[str]]
    moves: bool = False
    suffix: str = "csv"
    media_type: str = MEDIA_TYPE

    def write(self, statement: Statement) -> bytes:
        """Return the file: UTF-8 without a mark, lines that end in a line feed, the lines in the statement's order."""
        buffer = io.StringIO(newline="")
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(self.header)
        for line in statement.lines:
            if line.amount == 0 or (line.own and not self.moves):
                continue
            row = self.row(statement, line, self.labels[kind_of(line)])
            assert len(row) == len(self.header)
            writer.writerow([cell(each) for each in row])
        return buffer.getvalue().encode()
