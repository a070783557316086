"""Writers: what turns a statement into a file."""

from collections.abc import Callable
from dataclasses import dataclass

from deepnode_graphql.statements.statement import Statement


@dataclass(frozen=True, slots=True)
class Writer:
    """A format of statements.

    ``name`` is what it is asked for by, ``suffix`` the end of a file's name without a dot, ``media_type`` that of its
    bytes, ``said`` a line for people, and ``write`` makes the bytes: the same of the same statement, always.
    """

    name: str
    suffix: str
    media_type: str
    said: str
    write: Callable[[Statement], bytes]
