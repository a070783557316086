"""Whether loops can be compiled where the project is judged."""

import os

import pytest

from deepnode_ledger.compiled import available


@pytest.mark.skipif(
    "CI" not in os.environ, reason="a stranger's interpreter may be one that the compiler does not know"
)
def test_loops_are_compiled_in_ci() -> None:
    """Looks for the compiler: without it what needs it would be skipped, and nobody would see."""
    assert available()
