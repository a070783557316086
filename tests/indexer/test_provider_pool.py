"""While one provider answers there is an answer, each is of one provider, and who fails is left alone for a while."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from deepnode_indexer import pool as pools
from deepnode_indexer.failures import BadAnswer, NodeAway, NodeFailure, RangeRefused, RateLimited
from deepnode_indexer.pool import COOLING_SECONDS_MAX, LAG_BLOCKS, Providers
from deepnode_indexer.provider import Provider, WrongChain
from deepnode_indexer.rpc import AT_ONCE, JsonRpc
from deepnode_ledger.errors import BadInput, TryAgain
from deepnode_ledger.manifest import ChainSpec, Manifest
from tests.indexer.fake_node import FakeChain, serving


@dataclass
class Clock:
    seconds: float = 100.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Pool:
    """Three nodes of one chain, each of which a test can break by itself."""

    nodes: list[FakeChain]
    providers: list[Provider]
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.pool = Providers(self.providers, clock=self.clock)

    def break_down(self, place: int, error: Any) -> None:
        self.nodes[place].spoil = lambda _method, _parameters, _result: error

    def mend(self, place: int) -> None:
        self.nodes[place].spoil = lambda _method, _parameters, result: result

    def order(self) -> list[int]:
        return [self.providers.index(provider) for provider in self.pool.order()]

    def head_by_call(self) -> int:
        return self.pool.call(lambda provider: provider.tags()).head.block.number


@pytest.fixture
def three(manifest: Manifest) -> Iterator[Pool]:
    with ExitStack() as stack:
        nodes = [FakeChain() for _ in range(3)]
        providers = []
        for node in nodes:
            node.grow(30)
            rpc = JsonRpc(stack.enter_context(serving(node.answer)), patience=AT_ONCE)
            stack.callback(rpc.close)
            providers.append(Provider(rpc, manifest))
        yield Pool(nodes, providers)


BROKEN = {"code": -32000, "message": "internal error"}
LIMITED = {"code": -32005, "message": "too many requests"}


def test_the_preferred_one_is_asked_while_it_answers(three: Pool) -> None:
    """Asks ten times: the others hear nothing."""
    for _ in range(10):
        three.head_by_call()
    assert [len(node.requests) > 0 for node in three.nodes] == [True, False, False]


def test_the_next_one_is_asked_the_whole_question(three: Pool) -> None:
    """Breaks the first provider in the middle of a question of two requests: the second is asked both."""
    three.nodes[0].spoil = lambda method, _parameters, result: BROKEN if method == "eth_getLogs" else result
    asked: list[Provider] = []

    def ask(provider: Provider) -> int:
        asked.append(provider)
        found = [header for header in provider.headers([7]) if header is not None]
        return len(provider.blocks(found))

    assert three.pool.call(ask) == 1
    assert asked == three.providers[:2]
    assert {method for method, _ in three.nodes[1].requests} == {"eth_getBlockByNumber", "eth_getLogs"}


def test_a_failure_cools_off_longer_each_time_and_is_forgotten_by_an_answer(three: Pool) -> None:
    """Lets the first fail again and again, then answer: it goes to the end of the row, and comes back."""
    three.break_down(0, BROKEN)
    pauses = []
    for _ in range(10):
        three.clock.seconds += 1_000
        assert three.order() == [0, 1, 2]
        three.head_by_call()
        assert three.order() == [1, 2, 0]
        pauses.append(three.pool.states()[0].cooling_seconds)
    assert pauses[:4] == [1, 2, 4, 8]
    assert max(pauses) == pauses[-1] == COOLING_SECONDS_MAX
    assert three.pool.states()[0].failures_in_a_row == 10
    three.mend(0)
    three.clock.seconds += 1_000
    three.head_by_call()
    assert three.pool.states()[0].failures_in_a_row == 0
    assert three.order() == [0, 1, 2]


def test_a_pause_that_a_provider_asks_for_is_kept(three: Pool) -> None:
    """Is told to come back in 300 seconds, and does not before."""
    three.pool.failed(three.providers[0], RateLimited("later", 300.0))
    three.clock.seconds += 299
    assert three.order()[0] == 1
    three.clock.seconds += 2
    assert three.order()[0] == 0


def test_when_all_fail_the_first_failure_tells_of_the_others(three: Pool) -> None:
    """Breaks all three in different ways; they are asked again at once, the one that is cool first in front."""
    for place, error in enumerate([LIMITED, BROKEN, None]):
        three.break_down(place, error)
    with pytest.raises(RateLimited, match="too many requests") as failed:
        three.head_by_call()
    notes = failed.value.__notes__
    assert [word in note for word, note in zip(["internal error", "no latest block"], notes, strict=True)] == [True] * 2
    three.mend(2)
    assert three.head_by_call() == 30
    assert three.order()[0] == 2


def test_a_refused_range_is_no_matter_of_health(three: Pool) -> None:
    """Refuses a range: the next provider is asked, and nobody cools off."""

    def ask(provider: Provider) -> str:
        if provider is three.providers[0]:
            raise RangeRefused("here", "eth_getLogs", -32602, "too long")
        return provider.where

    assert three.pool.call(ask) == three.providers[1].where
    assert three.order() == [0, 1, 2]


def test_what_is_no_failure_of_a_node_is_not_tried_elsewhere(three: Pool) -> None:
    """Raises an error of the database inside a question: it comes out at once, and no node is blamed."""

    def ask(_provider: Provider) -> None:
        raise TryAgain("the database is away")

    with pytest.raises(TryAgain, match="the database is away"):
        three.pool.call(ask)
    assert three.order() == [0, 1, 2]


def test_one_that_lags_is_asked_behind_the_others(three: Pool) -> None:
    """Takes blocks from the first node: a little is no lag, more is, and catching up ends it."""
    three.nodes[0].drop(LAG_BLOCKS)
    three.pool.look()
    assert three.order() == [0, 1, 2]
    three.nodes[0].drop(1)
    three.pool.look()
    assert three.order() == [1, 2, 0]
    state = three.pool.states()[0]
    assert (state.healthy, state.head, state.lag_blocks) == (False, 30 - LAG_BLOCKS - 1, LAG_BLOCKS + 1)
    assert three.pool.others(three.providers[1]) == [three.providers[2]]
    three.nodes[0].grow(LAG_BLOCKS + 1)
    three.pool.look()
    assert three.order() == [0, 1, 2]


def test_one_that_was_not_asked_for_long_does_not_lag(three: Pool) -> None:
    """Asks only the first for a while, in which the chain grows: the others are not behind for that."""
    three.pool.look()
    for node in three.nodes:
        node.grow(100)
    later, provider = time.monotonic() + 60, three.providers[0]
    provider.seen = (provider.tags().head.block.number, later)
    assert [state.lag_blocks for state in three.pool.states()] == [0, 0, 0]
    assert len(three.pool.others(provider)) == 2
    three.providers[1].seen = (130 - LAG_BLOCKS - 1, later - 1)
    assert three.order() == [0, 2, 1]


def test_looking_finds_who_is_away_and_who_is_back(three: Pool) -> None:
    """Breaks two, looks, mends one, looks again; looking raises nothing."""
    three.break_down(0, BROKEN)
    three.break_down(1, BROKEN)
    three.pool.look()
    assert [state.healthy for state in three.pool.states()] == [False, False, True]
    assert three.pool.others(three.providers[2]) == []
    three.mend(1)
    three.pool.look()
    assert [state.healthy for state in three.pool.states()] == [False, True, True]
    assert three.pool.states()[0].last_failure is not None


def test_several_steps_can_be_taken_with_one(three: Pool) -> None:
    """Takes a provider for several steps; the failure comes out, and the next time another one is taken."""
    with three.pool.using() as provider:
        assert provider is three.providers[0]
    with pytest.raises(BadAnswer), three.pool.using() as provider:
        raise BadAnswer("does not fit together")
    with three.pool.using() as provider:
        assert provider is three.providers[1]
    with pytest.raises(TryAgain), three.pool.using():
        raise TryAgain("the database is away")
    with three.pool.using() as provider:
        assert provider is three.providers[1]


def test_one_of_another_chain_is_refused_and_one_that_is_away_is_not(three: Pool) -> None:
    """Checks the chain with one provider away, with all away, and with one of another chain."""
    three.break_down(0, BROKEN)
    three.pool.check_chain()
    assert three.order()[0] == 1
    three.nodes[2].chain_id = 1
    with pytest.raises(WrongChain, match="serves chain 1"):
        three.pool.check_chain()
    for place in range(3):
        three.break_down(place, BROKEN)
    with pytest.raises(NodeFailure, match="internal error"):
        three.pool.check_chain()


def test_a_pool_is_of_one_chain_and_has_somebody(three: Pool, manifest: Manifest) -> None:
    """Makes a pool of nobody, and of two chains."""
    with pytest.raises(BadInput, match="at least one"):
        Providers([])
    two = replace(manifest, others={10: ChainSpec(10, manifest.genesis_hash)})
    other = Provider(three.providers[1].rpc, two, 10)
    with pytest.raises(BadInput, match="one chain"):
        Providers([three.providers[0], other])


def test_one_that_hangs_does_not_hold_up_the_look(three: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the second node hang: the look ends soon, its failure counts later, and nobody looks at it twice at once."""
    monkeypatch.setattr(pools, "LOOK_SECONDS_MAX", 0.1)
    may_go_on = threading.Event()

    def hang(_method: str, _parameters: Any, _result: Any) -> Any:
        may_go_on.wait(20)
        return BROKEN

    three.nodes[1].spoil = hang
    for _ in range(3):
        three.pool.look()
    assert [state.head for state in three.pool.states()] == [30, None, 30]
    assert len(three.nodes[1].requests) == 3, "one request of three calls"
    may_go_on.set()
    deadline = time.monotonic() + 10
    while three.pool.states()[1].failures_in_a_row == 0:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_metrics_tell_each_provider_apart(three: Pool) -> None:
    """Writes the metrics after an answer and a failure: no URL's secret, a line for each provider and measure."""
    three.break_down(0, LIMITED)
    three.head_by_call()
    text = three.pool.metrics()
    first = f'chain="8453",provider="1",where="{three.providers[0].where}"'
    assert f"deepnode_provider_rate_limited_total{{{first}}} 1\n" in text
    assert f"deepnode_provider_healthy{{{first}}} 0\n" in text
    assert 'provider="2"' in text
    assert text.count("# TYPE") * 3 == text.count("chain=")
    two = pools.metrics([three.pool, three.pool])
    assert two.count("# TYPE") * 6 == two.count("chain=")


def test_the_node_of_a_pool_may_be_away(manifest: Manifest) -> None:
    """Asks a pool whose only node is not there: the failure says so."""
    with serving(lambda _request: None) as url:  # type: ignore[arg-type,return-value]  # nobody asks it
        pass
    with pytest.raises(NodeAway, match="cannot be reached"):
        Providers([Provider(JsonRpc(url), manifest)]).call(lambda provider: provider.tags())
