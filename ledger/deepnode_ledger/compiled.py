"""Compiling loops over arrays, where the compiler is there.

The hot loops of the ledger are plain Python over arrays of machine integers, which ``numba`` compiles. What they do is
defined elsewhere, in Python that needs no compiler; so where there is none (an interpreter that it does not know yet),
everything works by the definitions alone, and slower. A module with a compiled function in it is imported only when
``available`` says so: importing numba takes longer than many a command.
"""

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any, TypeVar, cast

Integer = Any
"""A whole number in a compiled function: one of the machine's where it is compiled, one of Python's in a call."""

F = TypeVar("F", bound=Callable[..., Any])


@cache
def available() -> bool:
    """Say whether loops can be compiled here."""
    return find_spec("numba") is not None


def compiled(function: F) -> F:
    """Compile a function at its first call with arguments of some types; what was compiled is kept beside its source.

    It runs without the interpreter's lock.
    """
    from numba import njit

    return cast("F", njit(cache=True, nogil=True)(function))
