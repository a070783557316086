"""Several providers of one chain: whom to ask first, whom to leave alone for a while, and what is known of each.

A question goes to one provider, whole: its answers are never put together from two of them. If that one fails, the next
is asked everything anew. The order is the operator's; a provider that fails cools off behind those that do not, and one
whose head lags behind the others' waits too. Nobody is given up: a cooled-off provider is asked again.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

from deepnode_indexer.failures import AnswerTooLarge, MethodMissing, NodeFailure, RangeRefused, RateLimited
from deepnode_indexer.provider import Provider
from deepnode_ledger.errors import BadInput

COOLING_SECONDS: Final = 1.0
COOLING_SECONDS_MAX: Final = 60.0
"""How long a provider is left alone after a failure: twice as long after each further one, up to a minute."""

LAG_BLOCKS: Final = 10
"""A provider whose head is further than this behind the newest known one is asked behind the others."""

LOOK_SECONDS_MAX: Final = 1.0
"""How long a look at all providers waits for their answers."""

LAG_SECONDS: Final = 2.0
"""Heads that were told within so short a time are compared with each other."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class ProviderState:
    """What is known of a provider, for people and metrics.

    ``head`` is None until it was asked for; ``lag_blocks`` counts from the newest head that another one told by then.
    """

    where: str
    healthy: bool
    cooling_seconds: float
    requests: int
    failures: int
    failures_in_a_row: int
    rate_limited: int
    latency_seconds: float
    answer_bytes: int
    head: int | None
    lag_blocks: int
    range_blocks: int
    last_failure: str | None


@dataclass(slots=True)
class _Health:
    """When a provider may be asked again, and how often it has failed since it last answered."""

    failures_in_a_row: int = 0
    cool_at: float = 0.0
    last_failure: str | None = None
    is_looked_at: bool = False


class Providers:
    """The providers of one chain, the preferred one first. Used by several threads at once."""

    def __init__(self, providers: Sequence[Provider], *, clock: Callable[[], float] = time.monotonic) -> None:
        if not providers:
            raise BadInput("at least one provider is needed")
        if len({provider.chain_id for provider in providers}) != 1:
            raise BadInput("the providers of one pool must be of one chain")
        self._providers = list(providers)
        self._clock = clock
        self._health = [_Health() for _ in providers]
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._providers)

    def __iter__(self) -> Iterator[Provider]:
        """All providers, the preferred one first."""
        return iter(self._providers)

    @property
    def range_blocks(self) -> int:
        """How long a range to ask for now: as the provider that is asked first likes them."""
        return self.order()[0].sizes.blocks

    def call(self, ask: Callable[[Provider], _T]) -> _T:
        """Ask the providers in turn until one answers; each is asked the whole question.

        A refusal of the question itself (too long a range, a method that is not there) is no matter of health: the next
        provider is asked, and nobody cools off.

        Raises:
            NodeFailure: nobody answered. It is the first one's failure; what the others said is added as notes.
        """
        failures: list[NodeFailure] = []
        for provider in self.order():
            try:
                answer = ask(provider)
            except NodeFailure as failure:
                self.failed(provider, failure)
                failures.append(failure)
            else:
                self.answered(provider)
                return answer
        first, *others = failures
        for other in others:
            first.add_note(str(other))
        raise first

    @contextmanager
    def using(self) -> Iterator[Provider]:
        """Take one provider for several steps that belong together; its failure in between is noted and raised on."""
        provider = self.order()[0]
        try:
            yield provider
        except NodeFailure as failure:
            self.failed(provider, failure)
            raise
        self.answered(provider)

    def others(self, provider: Provider) -> list[Provider]:
        """The healthy providers but this one, in order: those whose word can be set against its own."""
        return [other for other in self.order() if other is not provider and self._is_healthy(other)]

    def order(self) -> list[Provider]:
        """All providers in the order to ask them in: healthy ones, lagging ones, cooling ones by when they are cool."""
        now = self._clock()
        with self._lock:
            ranks = []
            for place, (provider, health) in enumerate(zip(self._providers, self._health, strict=True)):
                cooling = max(health.cool_at - now, 0.0)
                ranks.append((cooling, self._lag(provider) > LAG_BLOCKS, place))
        return [self._providers[place] for _, _, place in sorted(ranks)]

    def answered(self, provider: Provider) -> None:
        """Note that a provider did what it was asked."""
        with self._lock:
            health = self._health[self._providers.index(provider)]
            health.failures_in_a_row, health.cool_at = 0, 0.0

    def failed(self, provider: Provider, failure: NodeFailure) -> None:
        """Note that a provider failed: it cools off, for as long as it asks or for longer after each failure."""
        if isinstance(failure, RangeRefused | AnswerTooLarge | MethodMissing):
            return
        with self._lock:
            health = self._health[self._providers.index(provider)]
            health.failures_in_a_row += 1
            health.last_failure = str(failure)
            pause = min(COOLING_SECONDS * 2 ** min(health.failures_in_a_row - 1, 10), COOLING_SECONDS_MAX)
            if isinstance(failure, RateLimited) and failure.retry_after_seconds is not None:
                pause = max(pause, failure.retry_after_seconds)
            health.cool_at = self._clock() + pause

    def look(self) -> None:
        """Ask every provider for its head: whoever answers is healthy again, and lags are known. Raises nothing.

        They are asked side by side, and waited for a moment only: one that hangs must not keep the others' blocks from
        us. Its answer, or its failure, counts when it comes.
        """
        with self._lock:
            places = [place for place, health in enumerate(self._health) if not health.is_looked_at]
            for place in places:
                self._health[place].is_looked_at = True
        looks = [threading.Thread(target=self._look_at, args=(place,), daemon=True) for place in places]
        for look in looks:
            look.start()
        deadline = time.monotonic() + LOOK_SECONDS_MAX
        for look in looks:
            look.join(max(deadline - time.monotonic(), 0.0))

    def check_chain(self) -> None:
        """Check that every provider that answers serves the manifest's chain.

        Raises:
            WrongChain: one of them serves another chain.
            NodeFailure: none answers.
        """
        failures = []
        for provider in self._providers:
            try:
                provider.check_chain()
            except NodeFailure as failure:
                self.failed(provider, failure)
                failures.append(failure)
        if len(failures) == len(self._providers):
            raise failures[0]

    def states(self) -> list[ProviderState]:
        """What is known of each provider, in the operator's order."""
        now = self._clock()
        with self._lock:
            return [
                ProviderState(
                    where=provider.where,
                    healthy=health.cool_at <= now and self._lag(provider) <= LAG_BLOCKS,
                    cooling_seconds=max(health.cool_at - now, 0.0),
                    requests=provider.rpc.meter.requests,
                    failures=provider.rpc.meter.failures,
                    failures_in_a_row=health.failures_in_a_row,
                    rate_limited=provider.rpc.meter.rate_limited,
                    latency_seconds=provider.rpc.meter.latency_seconds,
                    answer_bytes=provider.rpc.meter.answer_bytes,
                    head=provider.head,
                    lag_blocks=self._lag(provider),
                    range_blocks=provider.sizes.blocks,
                    last_failure=health.last_failure,
                )
                for provider, health in zip(self._providers, self._health, strict=True)
            ]

    def metrics(self) -> str:
        """Write the states in Prometheus' text format."""
        return metrics([self])

    def _look_at(self, place: int) -> None:
        provider = self._providers[place]
        try:
            provider.tags()
        except NodeFailure as failure:
            self.failed(provider, failure)
        else:
            self.answered(provider)
        finally:
            with self._lock:
                self._health[place].is_looked_at = False

    def _is_healthy(self, provider: Provider) -> bool:
        with self._lock:
            cool_at = self._health[self._providers.index(provider)].cool_at
            return cool_at <= self._clock() and self._lag(provider) <= LAG_BLOCKS

    def _lag(self, provider: Provider) -> int:
        """How far a node was behind the others when it last told its head; what they told later says nothing of it."""
        if provider.seen is None:
            return 0
        own, when = provider.seen
        then = [each.seen[0] for each in self._providers if each.seen and each.seen[1] <= when + LAG_SECONDS]
        return max(then) - own


def metrics(pools: Sequence[Providers]) -> str:
    """Write the states of the providers of several chains in Prometheus' text format, each metric once.

    A provider's label has its place, as two may share a host.
    """
    states = [
        (f'chain="{provider.chain_id}",provider="{place}",where="{state.where}"', state)
        for pool in pools
        for place, (provider, state) in enumerate(zip(pool, pool.states(), strict=True), start=1)
    ]
    lines = []
    for name, kind in _METRICS.items():
        lines.append(f"# TYPE deepnode_provider_{name} {kind}\n")
        for labels, state in states:
            value = getattr(state, name.removesuffix("_total"))
            lines.append(f"deepnode_provider_{name}{{{labels}}} {float(value or 0):.12g}\n")
    return "".join(lines)


_METRICS: Final = {
    "healthy": "gauge",
    "cooling_seconds": "gauge",
    "requests_total": "counter",
    "failures_total": "counter",
    "rate_limited_total": "counter",
    "latency_seconds": "gauge",
    "answer_bytes_total": "counter",
    "head": "gauge",
    "lag_blocks": "gauge",
    "range_blocks": "gauge",
}
