"""The state in memory is a dictionary whose keys come in order, and an event that fails leaves it as it was."""

from dataclasses import dataclass
from typing import ClassVar

from hypothesis import given
from hypothesis import strategies as st

from deepnode_projections.registers.state import MemoryState


@dataclass(frozen=True, slots=True)
class Thing:
    """A record of a key of three."""

    TABLE: ClassVar[str] = "thing"
    KEY: ClassVar[int] = 3

    owner: bytes
    name: str
    number: int
    value: int


class Failed(Exception):
    """Ends an event."""


def end(*, fails: bool) -> None:
    if fails:
        raise Failed


def written(thing: Thing) -> bytes:
    return repr(thing).encode()


_keys = st.tuples(st.sampled_from([b"a", b"b"]), st.sampled_from(["x", "ÿ", "\U0001f600"]), st.integers(-3, 3))
_lookups = st.sampled_from([(), (b"a",), (b"b",), (b"a", "x"), (b"b", "ÿ"), (b"a", "\U0001f600")])
_events = st.tuples(st.booleans(), st.lists(st.tuples(_keys, st.integers(0, 3)), max_size=6), st.lists(_lookups))


@given(st.lists(_events, max_size=12), st.lists(_lookups))
def test_every_beginning_is_read_in_the_order_of_keys(
    events: list[tuple[bool, list[tuple[tuple[bytes, str, int], int]], list[tuple[bytes | str, ...]]]],
    last: list[tuple[bytes | str, ...]],
) -> None:
    """Puts and takes back at random, reads by beginnings in between, and compares with a sorted dictionary."""
    state, model = MemoryState(), dict[tuple[bytes, str, int], int]()

    def check(prefix: tuple[bytes | str, ...]) -> None:
        wanted = [Thing(*key, model[key]) for key in sorted(model) if key[: len(prefix)] == prefix]
        assert list(state.every(Thing, *prefix)) == wanted
        assert list(state.lines([Thing], written)) == [written(Thing(*key, model[key])) for key in sorted(model)]

    for fails, puts, lookups in events:
        before = dict(model)
        try:
            with state.attempt(1):
                for key, value in puts:
                    state.put(Thing(*key, value))
                    model[key] = value
                    for prefix in lookups[:2]:
                        check(prefix)
                end(fails=fails)
        except Failed:
            model = before
        for prefix in lookups:
            check(prefix)
    for prefix in last:
        check(prefix)
    for key in model:
        assert state.get(Thing, *key) == Thing(*key, model[key])
    assert state.get(Thing, b"c", "x", 0) is None
