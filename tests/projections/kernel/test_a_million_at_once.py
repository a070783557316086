"""A batch of a million entries, folded at once: the kernel's books are those of the rules."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

from deepnode_ledger.batch import entries
from deepnode_ledger.batch_versions import SCHEMA
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.record import Finality, LogEntry
from deepnode_ledger.roster import Roster
from deepnode_projections.kernel.decoding import decode_batch
from deepnode_projections.kernel.ops import RULES
from deepnode_projections.replay import Replay
from deepnode_projections.rules.book import RECORDS
from deepnode_projections.rules.tasks import Task
from tests.projections.kernel.mixed_history import batch_of
from tests.projections.rules.spoken import data_of, event, judged
from tests.projections.rules.told import MANIFEST, told, word

WALLETS = 20_000
STEPS = 12
"""Events of a task's life."""

FIRST_COMPARISONS = 2
"""Of an assignment's trust and collateral: two threads leave them to the rules, which enter what counts them."""


def _payloads() -> list[str]:
    """The payloads of a life, with ``{task}``, ``{one}`` and ``{two}`` for the ids of the task and of its nodes."""
    own = {"task": "t1", "attempt": 1}
    said = [("TaskCreated", {"task": "t1"}), *judged("t1", nodes=("one", "two"))]
    said.append(("ConsensusReached", {**own, "verdict": "approved", "accepted": [1, 2]}))
    said += [("VWUAssigned", {**own, "slot": slot, "node": node}) for slot, node in ((1, "one"), (2, "two"))]
    assert len(said) == STEPS
    found = []
    for n, (kind, rest) in enumerate(said):
        text = event(kind, n, data_of(kind, **rest)).payload.decode()
        for name, id_ in (("task", "t1"), ("one", "one"), ("two", "two")):
            text = text.replace(to_hex(word(id_)), f"<{name}>")
        found.append(text.replace(f'"e{n}"', '"e<n>"').replace(f'"sequence":"{n}"', '"sequence":"<n>"'))
    return found


def _lives(count: int) -> Iterator[tuple[int, str, str]]:
    """So many events of lives, one behind the other: the step, the task and the payload."""
    payloads = _payloads()
    for n in range(1, count + 1):
        number, step = divmod(n - 1, STEPS)
        task = to_hex(number.to_bytes(4) * 8)
        text = payloads[step].replace("<task>", task).replace("<n>", str(n))
        yield step, task, text.replace("<one>", task[:-2] + "f1").replace("<two>", task[:-2] + "f2")


def batch(count: int) -> pa.RecordBatch:
    """So many entries: of each five, two transfers between some thousand wallets, and three events of lives."""
    own = [("TaskCreated", {}), *judged(nodes=("one", "two")), ("ConsensusReached", {}), *[("VWUAssigned", {})] * 2]
    moved = told("DN", "Transfer", to="anna", value=1)
    shape = batch_of([moved, *(event(kind, n, data_of(kind, **rest)) for n, (kind, rest) in enumerate(own))])
    are_told = np.arange(count) % 5 >= 2
    lives = list(_lives(int(are_told.sum())))
    rows = np.zeros(count, np.int64)
    rows[are_told] = [1 + step for step, _, _ in lives]
    columns = {name: shape.column(name).take(pa.array(rows)) for name in SCHEMA.names}
    columns["position"] = pa.array(np.arange(1, count + 1))
    chance, moving = np.random.default_rng(1), int((~are_told).sum())
    for topic in ("topic1", "topic2"):
        words = np.zeros((moving, 32), np.uint8)
        words[:, 28:] = chance.integers(1, WALLETS, (moving, 1), np.uint32).view(np.uint8)
        columns[topic] = _put(columns[topic], ~are_told, [each.tobytes() for each in words])
    values = np.zeros((moving, 32), np.uint8)
    values[:, 24:] = chance.integers(0, 255, (moving, 8), np.uint8)
    columns["data"] = _put(columns["data"], ~are_told, [each.tobytes() for each in values])
    columns["data"] = _put(columns["data"], are_told, [text.encode() for _, _, text in lives])
    numbers = range(1, len(lives) + 1)
    columns["event_id"] = _put(columns["event_id"], are_told, [f"e{n}" for n in numbers])
    columns["sequence"] = _put(columns["sequence"], are_told, list(numbers))
    columns["task"] = _put(columns["task"], are_told, [task for _, task, _ in lives])
    return pa.RecordBatch.from_arrays([columns[field.name].cast(field.type) for field in SCHEMA], schema=SCHEMA)


def _put(column: pa.Array, where: "np.ndarray[tuple[int], np.dtype[np.bool_]]", values: list[object]) -> pa.Array:
    return pa.compute.replace_with_mask(column, pa.array(where), pa.array(values, column.type))


def check_same(count: int) -> None:
    """Folds so many entries at once, and in runs by the rules."""
    whole = batch(count)
    kernel, rules = Replay(MANIFEST), Replay(MANIFEST, by_definition=True)
    decoded = decode_batch(whole, Roster(MANIFEST), ())
    assert not (decoded.ops == RULES).any()
    asked: list[int] = []

    def entry_at(row: int) -> LogEntry:
        asked.append(row)
        return next(entries(whole.slice(row, 1), Finality.SEALED))

    fed, right = kernel.feed_decoded(decoded, entry_at), rules.feed(whole)
    assert fed.refused == right.refused == []
    assert len(asked) <= FIRST_COMPARISONS, "but for the first comparisons, nothing is left to the rules"
    for kind in RECORDS:
        assert kernel.records(kind) == rules.records(kind), kind
    assert kernel.root() == rules.root()
    assert len(kernel.records(Task)) == -(-len(range(count * 3 // 5)) // STEPS)


def test_some_thousand_entries_at_once() -> None:
    """Five thousand, which take a second."""
    check_same(5_000)


@pytest.mark.soak
def test_a_million_entries_at_once() -> None:
    """A million, which the rules take minutes for."""
    check_same(1_000_000)
