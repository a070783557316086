"""As corrected: a log of wrong events and their corrections gives what a log of the truth gives, from files alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepnode_ledger.batch import from_rows, row_of
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.record import BlockRef, ChainLog, TaskEvent
from deepnode_projections.correcting import Rightly, in_force, replay_corrected
from deepnode_projections.registers.record import values_of
from deepnode_projections.replay import Replay
from deepnode_projections.rules.corrections import Correction
from deepnode_projections.rules.work import ModelSales, ModelUse, ValidatorWork, Work
from tests.graphql.small_books import CHAIN_ID, Event, word
from tests.graphql.statements.month_books import DN_TOKEN, write_month_manifest
from tests.projections.rules.spoken import Said, data_of, event, judged

BLOCK = BlockRef(1, word("block"), 1_700_000_000)


@pytest.fixture(scope="module")
def emission(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """A deployment on paper that has an emission, which opens epochs."""
    return write_month_manifest(tmp_path_factory.mktemp("emission"))


@dataclass(frozen=True)
class Told:
    """A statement that is a part of a log: ``number`` is that of the event and of its sequence."""

    number: int
    said: Said


@dataclass(frozen=True)
class Wrong:
    """What a task's producer told wrong, and what is right; a right rating of None was withdrawn."""

    difficulty: tuple[int, int]
    price: tuple[int, int]
    vwu: tuple[tuple[int, int], tuple[int, int]]
    rating: tuple[int, int | None]


WRONG = st.builds(
    Wrong,
    st.tuples(st.integers(1, 10_000_000), st.integers(1, 10_000_000)),
    st.tuples(st.integers(0, 10**30), st.integers(0, 10**30)),
    st.tuples(*[st.tuples(st.integers(1, 10**12), st.integers(1, 10**12))] * 2),
    st.tuples(st.integers(1, 5), st.none() | st.integers(1, 5)),
)


Life = tuple[list[Told], list[Told], list[Told]]
"""A task up to its consensus, its work up to its rating, and its corrections."""


def life(task: str, wrong: Wrong, numbers: Iterator[int], *, rightly: bool) -> Life:
    """What is said of a task; of a truth nothing is corrected."""
    place = 1 if rightly else 0
    difficulty = wrong.difficulty[place]
    price = str(wrong.price[place])
    created = {"task": task, "asset": to_hex(DN_TOKEN), "difficulty_ppm": difficulty, "price": price}
    said: list[Said] = [("TaskCreated", created), *judged(task), ("ConsensusReached", {"task": task})]
    begun = [Told(next(numbers), each) for each in said]
    done = [
        Told(next(numbers), ("VWUAssigned", {"task": task, "slot": slot, "node": f"n{slot}",
                                             "vwu": wrong.vwu[slot - 1][place], "difficulty_ppm": difficulty}))
        for slot in (1, 2)
    ]  # fmt: skip
    rating = wrong.rating[place]
    rated = Told(next(numbers), ("UserFeedback", {"task": task, "rating": rating or 1}))
    if rating is not None:
        done.append(rated)
    if rightly:
        return begun, done, []
    at = {"task": task, "attempt": 1}
    own = begun[0].number
    values: list[tuple[int, dict[str, Any], dict[str, Any]]] = [
        (own, {"difficulty_ppm": 7}, {"difficulty_ppm": wrong.difficulty[1], "task": task}),
        (own, {"price": "7"}, {"price": str(wrong.price[1]), "task": task}),
        (done[0].number, {"vwu": 7}, {"vwu": wrong.vwu[0][1], **at, "slot": 1}),
        (done[1].number, {"vwu": 7}, {"vwu": wrong.vwu[1][1], **at, "slot": 2}),
        (rated.number, {"rating": 3}, {} if wrong.rating[1] is None else {"rating": wrong.rating[1]}),
    ]
    corrections = []
    for corrects, first, right in values:
        # The first correction is wrong as well, so that the newest has to be told from it.
        where = {name: value for name, value in right.items() if name in ("task", "attempt", "slot")}
        both = ({**where, **first}, right)
        corrections += [Told(next(numbers), ("Correction", {"corrects": f"e{corrects}", **each})) for each in both]
    return begun, done, corrections


def batch_of(manifest: Manifest, told: Sequence[Told | int]) -> pa.RecordBatch:
    """The entries of a log: statements, and numbers of the epochs that are opened between them."""
    records: list[ChainLog | TaskEvent] = []
    for each in told:
        if isinstance(each, int):
            opened = Event("Emission", "EpochOpened", epoch=each, startBlock=each)
            records.append(opened.log(manifest, word("transaction", len(records)), 0))
        else:
            kind, members = each.said
            records.append(event(kind, each.number, data_of(kind, **members)))
    return from_rows([row_of(position, CHAIN_ID, BLOCK, record) for position, record in enumerate(records, 1)])


def totals(replay: Replay) -> list[tuple[Any, ...]]:
    """Everything that epochs' ends read, of all epochs; what was counted and taken away again is nothing."""
    found = []
    for kind in (Work, ValidatorWork, ModelUse, ModelSales):
        found += [values_of(each) for each in replay.records(kind)]
    return found


def played(manifest: Manifest, told: Sequence[Told | int]) -> Replay:
    """The books of a log as it is."""
    replay = Replay(manifest)
    replay.feed(batch_of(manifest, told))
    return replay


@settings(max_examples=40, deadline=None)
@given(
    st.lists(WRONG, min_size=1, max_size=3), st.sampled_from(["in time", "next epoch", "late", "mixed"]), st.randoms()
)
def test_as_corrected_is_what_the_truth_would_have_given(
    emission: Manifest, wrongs: list[Wrong], when: str, drawn: Random
) -> None:
    """Tells tasks wrongly, corrects every value twice in any order, at any time; beside it the truth is told at once.

    ::

        epoch 1  tasks are created and judged
        epoch 2  their work is credited, some of it corrected
        epoch 3  more corrections
    """
    logs: dict[bool, list[Life]] = {}
    for rightly in (False, True):
        numbers = iter(range(1, 10_000))
        logs[rightly] = [life(f"t{n}", wrong, numbers, rightly=rightly) for n, wrong in enumerate(wrongs)]
    truth: list[Told | int] = [
        1,
        *(e for each in logs[True] for e in each[0]),
        2,
        *(e for each in logs[True] for e in each[1]),
        3,
        4,
    ]
    corrections = [e for each in logs[False] for e in each[2]]
    drawn.shuffle(corrections)
    cut = {"in time": len(corrections), "next epoch": 0, "late": 0, "mixed": len(corrections) // 2}[when]
    begun, done = ([e for each in logs[False] for e in each[place]] for place in (0, 1))
    behind: list[Told | int] = [3, 4, *corrections[cut:]] if when == "late" else [3, *corrections[cut:], 4]
    log: list[Told | int] = [1, *begun, 2, *done, *corrections[:cut], *behind]
    books = played(emission, log)
    made = list(books.records(Correction))
    assert len(made) == len(corrections)
    batches = [batch_of(emission, log).slice(start, 7) for start in range(0, len(log), 7)]
    assert totals(replay_corrected(emission, made, batches)) == totals(played(emission, truth))
    _check_books(emission, log, books, made)


def _check_books(emission: Manifest, log: Sequence[Told | int], books: Replay, made: Sequence[Correction]) -> None:
    """Late corrections change no total, and the order of those in one epoch does not show in the state."""
    late = {each.event_id for each in made if not each.in_time}
    without = [each for each in log if isinstance(each, int) or f"e{each.number}" not in late]
    assert totals(played(emission, without)) == totals(books)
    turned: list[Told | int] = []
    run: list[Told | int] = []
    for each in [*log, 0]:
        if isinstance(each, Told) and each.said[0] == "Correction":
            run.append(each)
            continue
        turned += [*reversed(run), each]
        run = []
    assert played(emission, turned[:-1]).root() == books.root()


def test_what_concerns_nobody_stays_the_very_same(emission: Manifest) -> None:
    """A batch without a corrected event is handed back as it is; of another one only payloads change."""
    wrong = Wrong((1, 2), (3, 4), ((5, 6), (7, 8)), (1, None))
    begun, done, corrections = life("t1", wrong, iter(range(1, 100)), rightly=False)
    whole = batch_of(emission, [1, *begun, *done, 2, *corrections])
    made = list(played(emission, [1, *begun, *done, 2, *corrections]).records(Correction))
    assert [each.value for each in in_force(made)] == [2, 4, 6, 8, None]
    rightly = Rightly(made)
    judgements = whole.slice(2, 4)
    assert rightly.told(judgements) is judgements
    right = rightly.told(whole)
    assert right.drop_columns(["data"]).equals(whole.drop_columns(["data"]))
    changed = [
        row
        for row, (ours, theirs) in enumerate(zip(whole["data"].to_pylist(), right["data"].to_pylist(), strict=True))
        if ours != theirs
    ]
    assert changed == [1, *range(1 + len(begun), 4 + len(begun)), *range(5 + len(begun), whole.num_rows)]
