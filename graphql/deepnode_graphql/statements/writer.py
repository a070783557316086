"""Writers: what turns a statement into a file."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from deepnode_graphql.statements.statement import Statement


class Writer(Protocol):
    """A format of statements."""

    @property
    def name(self) -> str:
        """What it is asked for by."""

    @property
    def suffix(self) -> str:
        """The end of its files' names, without a dot in front."""

    @property
    def media_type(self) -> str:
        """What its bytes are, as HTTP names it."""

    @property
    def said(self) -> str:
        """A line for people."""

    def write(self, statement: Statement) -> bytes:
        """Make the file: the same bytes of the same statement, always."""


@dataclass(frozen=True, slots=True)
class Format:
    """A writer that is a function."""

    name: str
    suffix: str
    media_type: str
    said: str
    of: Callable[[Statement], bytes]

    def write(self, statement: Statement) -> bytes:
        """Make the file: the same bytes of the same statement, always."""
        return self.of(statement)
