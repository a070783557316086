"""Compiling loops over arrays, where the compiler is there.

The hot loops of the ledger are plain Python over arrays of machine integers, which ``numba`` compiles. What they do is
defined elsewhere, in Python that needs no compiler; so where there is none (an interpreter that it does not know yet),
everything works by the definitions alone, and slower. A module with a compiled function in it is imported only when
``available`` says so: importing numba takes longer than many a command.
"""

import hashlib
import os
from collections.abc import Callable
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


def compiled(function: F) -> F:
    """Compile a function at its first call with arguments of some types; what was compiled is kept on disk.

    It runs without the interpreter's lock.
    """
    from numba import njit

    kept = _keep()
    return cast("F", njit(cache=kept, nogil=True)(function))


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
