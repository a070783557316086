"""Compiling loops over arrays, where the compiler is there.

The hot loops of the ledger are plain Python over arrays of machine integers, which ``numba`` compiles. What they do is
defined elsewhere, in Python that needs no compiler; so where there is none (an interpreter that it does not know yet),
everything works by the definitions alone, and slower. A module with a compiled function in it is imported only when
``available`` says so: importing numba takes longer than many a command.
"""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, TypeVar, cast

Integer = Any
"""A whole number in a compiled function: one of the machine's where it is compiled, one of Python's in a call."""

PACKAGES: Final = ("deepnode_ledger", "deepnode_projections")
"""Whose sources compiled functions are made of: their own, and the records and constants that they know."""

F = TypeVar("F", bound=Callable[..., Any])


@cache
def available() -> bool:
    """Say whether loops can be compiled here."""
    return find_spec("numba") is not None


@cache
def is_plain() -> bool:
    """Say whether the compiler's own switch, NUMBA_DISABLE_JIT, leaves every function as plain Python.

    What is slow to compile can be looked into so.
    """
    from numba.core import config

    return bool(vars(config)["DISABLE_JIT"])


def compiled(function: F) -> F:
    """Compile a function at its first call with arguments of some types; what was compiled is kept on disk.

    It runs without the interpreter's lock. It may make no array: those that it has live as long as the call, so that
    the compiler need not count who has them, at every call and in every loop, which would take longer than the work.
    """
    return cast("F", _dispatcher(function, {}))


def inner(function: F) -> F:
    """Compile a function that only compiled ones call: there is no way into it from Python, which halves the time."""
    return cast("F", _dispatcher(function, {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}))


def inlined(function: F) -> F:
    """Compile a function as ``inner`` does, and put it into its callers as if it had been written there.

    For what is called in a hot loop with many arrays: handing one over takes as long as seven numbers. It makes each of
    its callers longer, and so their compilation.
    """
    return cast("F", _dispatcher(function, {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "forceinline": True}))


def _dispatcher(function: Callable[..., Any], options: Mapping[str, bool]) -> Any:
    from numba import njit
    from numba.core import types

    if is_plain():
        return function
    # The compiler's own types do not know the option that turns off what it calls its runtime, the counting.
    every: dict[str, Any] = {"cache": _keep(), "nogil": True, "_nrt": False, **options}
    made: Any = njit(**every)(function)
    template: Any = made.get_call_template
    unliteral: Any = types.unliteral

    def of_types(args: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
        # Else a function is compiled again for each constant that it is called with.
        return template(tuple(map(unliteral, args)), {name: unliteral(each) for name, each in keywords.items()})

    made.get_call_template = of_types
    return made


@cache
def _keep() -> bool:
    """Tell the compiler where to keep what it makes; return whether there is such a place.

    The compiler knows a kept function by the date and size of its own file, and not by what it calls or what constants
    it knows. So the folder is named by the digest of all sources.
    """
    from numba.core import config

    digest = hashlib.sha256()
    for package in PACKAGES:
        spec = find_spec(package)
        for root in spec.submodule_search_locations or () if spec is not None else ():
            for path in sorted(Path(root).rglob("*.py")):
                digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    name = f"compiled-{digest.hexdigest()[:16]}"
    places = [Path(__file__).parent / "__pycache__" / name]
    with suppress(RuntimeError):
        # Where the program is installed for everybody, nobody can write beside it.
        places.append(Path.home() / ".cache" / "deepnode" / name)
    for place in places:
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(place, os.W_OK):
            vars(config)["CACHE_DIR"] = str(place)
            return True
    return False
