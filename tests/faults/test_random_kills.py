"""kill -9 at random moments: of our process, of the database's processes, of the whole server.

A worker makes calls of every kind. After a random number of acknowledgements and a few milliseconds more something is
killed; then a fresh writer goes on from what is there. A case that fails is run again, and those before it, by its
seed: the moment itself is the machine's, so it may take a few runs.
"""

from collections.abc import Iterable
from itertools import islice
from random import Random
from typing import Final

import pytest

from tests.faults.fault_runner import KILLS, VICTIMS, Runner

SOAK_KILLS: Final = 1_000


def test_no_kill_at_a_random_moment_breaks_the_log(runner: Runner) -> None:
    """Kills this and that after a random number of acknowledged calls, and judges the log after each."""
    kill(runner, KILLS, seed=1)


@pytest.mark.soak
def test_no_kill_of_a_thousand_breaks_the_log(runner: Runner) -> None:
    """The same with another seed, and many more of them."""
    kill(runner, SOAK_KILLS, seed=2)


def kill(runner: Runner, kills: int, *, seed: int) -> None:
    """Kill so many times, each log being killed on several times."""
    before = runner.kills.total()
    seeds = iter(range(seed * 10**6, seed * 10**6 + kills))
    while some := list(islice(seeds, 12)):
        kill_on_one_log(runner, some)
    assert runner.kills.total() - before == kills
    assert set(runner.kills) == set(VICTIMS), runner.kills


def kill_on_one_log(runner: Runner, seeds: Iterable[int]) -> None:
    """Kill once for each seed, and judge the log after each."""
    with runner.new_log() as judge:
        for seed in seeds:
            runner.kill(judge, Random(seed), f"kill number {seed}")
