"""The edges: amounts and balances at their limits, ids that are nearly the same, and batches of any size.

At each of them the kernel comes to what the rules come to, and refuses what they refuse.
"""

from collections.abc import Sequence
from itertools import cycle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_ledger.account import MINT, wallet
from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.posting import AMOUNT_LIMIT
from deepnode_projections.kernel.words import Words
from deepnode_projections.replay import Replay
from deepnode_projections.rules.tasks import Task
from deepnode_projections.rules.work import ModelSales
from tests.projections.kernel.mixed_history import EDGES, ROUTER, Event, MixedHistory, batch_of
from tests.projections.kernel.test_mixed_histories import check_both_ways
from tests.projections.rules.spoken import Said, data_of, event, judged
from tests.projections.rules.told import DN, MANIFEST, USDC, address, told

MOST = AMOUNT_LIMIT - 1
ANNA, BEN, NOBODY = address("anna"), address("ben"), bytes(20)


def moved(giver: bytes, taker: bytes, value: int) -> ChainEvent:
    """A transfer of DN."""
    return told("DN", "Transfer", from_=giver, to=taker, value=value)


def same(history: Sequence[Event]) -> Replay:
    """Replays a history by the rules, and by the kernel in runs of one, of three and of all."""
    return check_both_ways([batch_of(history)], [(cycle([size]), 1) for size in (1, 3, len(history))])


def market() -> list[ChainEvent]:
    """What sets a market up."""
    return [each for each in MixedHistory(0).events(9) if isinstance(each, ChainEvent)]


def test_amounts_at_every_edge_come_to_the_same() -> None:
    """Mints, pays, moves, stakes and prices each of them: what the books cannot hold is refused in the same words."""
    story: list[Event] = [*market()]
    for n, value in enumerate(EDGES):
        holder = address(f"w{n}")
        story += [moved(NOBODY, holder, value), moved(holder, NOBODY, value), moved(holder, ROUTER, value)]
        paid = {"receipt": f"r{n}", "payer": "ben", "amount": value, "ref": "t1"}
        story.append(told("RevenueRouter", "RevenueReceived", model="m1", asset=USDC, **paid))
        story.append(told("Collateral", "Deposited", node=f"n{n}", amount=value))
        price = {"task": f"t{n}", "price": str(value), "asset": to_hex(DN)}
        story.append(event("TaskCreated", 2 * n, data_of("TaskCreated", **price)))
        stated = {"task": f"t{n}", "node": f"n{n}", "collateral": str(value)}
        story.append(event("TaskAssigned", 2 * n + 1, data_of("TaskAssigned", **stated)))
    books = same(story)
    too_much = [value for value in EDGES if value >= AMOUNT_LIMIT]
    assert len(books.records(Task)) == len(EDGES) - len(too_much)
    assert books.refusals >= 7 * len(too_much)


def test_a_balance_reaches_the_limit_and_not_one_more() -> None:
    """Fills a wallet and empties another up to the last unit, at once and step by step, and tries one more of each."""
    steps = [MOST, 1, 0, 2]
    story: list[Event] = [moved(NOBODY, ANNA, value) for value in steps]
    story += [moved(ANNA, BEN, 1), *(moved(BEN, ANNA, value) for value in (2, 1, 1))]
    story += [told("USDC", "Transfer", from_=BEN, to=address("carl"), value=value) for value in (MOST - 1, 1, 1)]
    story += [told("USDC", "Transfer", from_=BEN, to=BEN, value=value) for value in (1, MOST, 2**127)]
    books = same(story)
    assert books.balances[wallet(ANNA).name, DN] == MOST
    assert books.balances[wallet(BEN).name, USDC] == -MOST
    assert (MINT.name, DN) in books.balances
    assert books.refusals >= 6


def _life(task: str, price: int) -> list[Said]:
    own = {"task": task, "attempt": 1}
    said: list[Said] = [("TaskCreated", {"task": task, "price": str(price)}), *judged(task)]
    said.append(("ConsensusReached", {**own, "verdict": "approved", "accepted": [1, 2]}))
    return said + [("VWUAssigned", {**own, "slot": slot, "node": f"n{slot}", "vwu": 10**12}) for slot in (1, 2)]


def _alike(n: int, same_bytes: int) -> str:
    """An id as text; those with the same number of same bytes differ behind them."""
    return to_hex(bytes([7] * same_bytes) + (n + 1).to_bytes(32 - same_bytes))


@pytest.mark.parametrize("same_bytes", [0, 8, 16, 24, 31])
def test_ids_that_are_nearly_the_same_are_not_the_same(same_bytes: int) -> None:
    """Lives of six tasks, all mixed, whose ids differ in the last bytes alone; of nodes and hashes, too."""
    said = [
        (kind, {**rest, "task": _alike(n, same_bytes)})
        for steps in zip(*(_life(f"t{n}", n) for n in range(6)), strict=True)
        for n, (kind, rest) in enumerate(steps)
    ]
    said = [
        (kind, {**rest, **{name: _alike(int(rest[name][1:]), same_bytes) for name in ("node",) if name in rest}})
        for kind, rest in said
    ]
    story: list[Event] = [event(kind, n, data_of(kind, **rest)) for n, (kind, rest) in enumerate(said)]
    books = same(story)
    assert len(books.records(Task)) == 6
    assert {task.stage for task in books.records(Task)} == {"credited"}


def test_a_task_that_is_created_twice_in_a_batch_is_there_once() -> None:
    """Creates one twice, lives it, and creates it again behind its end."""
    life = _life("t1", 5)
    said = [life[0], ("TaskCreated", {"task": "t1", "price": "6"}), *life[1:], life[0]]
    books = same([event(kind, n, data_of(kind, **rest)) for n, (kind, rest) in enumerate(said)])
    assert books.refusals == 2
    assert [task.price for task in books.records(Task)] == [5]


def test_sales_reach_the_limit_and_not_one_more() -> None:
    """Three tasks of one model, which cost one unit less than the limit together, and one unit more."""
    said = [step for n, price in enumerate((MOST - 1, 1, 1)) for step in _life(f"t{n}", price)]
    books = same([event(kind, n, data_of(kind, **rest)) for n, (kind, rest) in enumerate(said)])
    assert [each.amount for each in books.records(ModelSales)] == [MOST]
    assert books.refusals == 1


def test_an_epoch_that_opens_in_the_middle_of_a_batch_counts_from_there_on() -> None:
    """Opens epochs between any two steps of a life; what is done counts in the one that is open."""
    said = [event(kind, n, data_of(kind, **rest)) for n, (kind, rest) in enumerate(_life("t1", 5))]
    story: list[Event] = []
    for epoch, each in enumerate(said, 1):
        story += [each, told("Emission", "EpochOpened", epoch=epoch, startBlock=5)]
    [sales] = same(story).records(ModelSales)
    assert sales.epoch == len(said) - 1


def test_a_batch_of_nothing_does_nothing() -> None:
    """Feeds runs without an entry before, between and behind others."""
    batch = batch_of(market())
    roots = []
    for options in ({"by_definition": True}, {"kernel_entries": 1}):
        replay = Replay(MANIFEST, **options)
        for start, length in ((0, 0), (0, 5), (5, 0), (5, 4), (9, 0)):
            fed = replay.feed(batch.slice(start, length))
            assert length or not (fed.refused or fed.ended or fed.quarantined)
        roots.append((replay.position, replay.root()))
    assert roots[0] == roots[1]


_quads = st.sampled_from([0, 1, 2, 2**32, 2**63, 2**64 - 1])


@given(st.lists(st.lists(st.tuples(_quads, _quads, _quads, _quads), max_size=40), max_size=6))
def test_words_that_are_alike_have_numbers_of_their_own(runs: Sequence[Sequence[tuple[int, int, int, int]]]) -> None:
    """Numbers words of a few parts, again and again: the same word has the same number, and no other one."""
    words, known = Words(), dict[tuple[int, int, int, int], int]()
    for run in runs:
        found = words.numbers(np.array(run, np.uint64).reshape(-1, 4).view(np.uint8)).tolist()
        for each, number in zip(run, found, strict=True):
            assert known.setdefault(each, number) == number
            assert words[number] == np.array(each, np.uint64).tobytes()
    assert len(set(known.values())) == len(known)
