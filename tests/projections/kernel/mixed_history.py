"""Histories of everything at once, from a seed: money, tasks and what settles them, in one log, and some of it wrong.

Who tells them goes by the rules as far as that is needed to say what may follow, so most of it has an effect. Amounts
are small or lie at the edges: where 64, 126 or 128 bits end, and at 10**38.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import pyarrow as pa
from eth_abi.abi import encode

from deepnode_ledger.batch import from_rows, row_of
from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.posting import AMOUNT_LIMIT
from deepnode_ledger.record import BlockRef, ChainLog, TaskEvent
from deepnode_ledger.vocabulary import LEGS
from deepnode_projections import rulesets
from deepnode_projections.maths.carry import split_by
from deepnode_projections.maths.rates import RatesRefused
from deepnode_projections.registers.state import MemoryState
from deepnode_projections.rules import book
from deepnode_projections.rules.domains import Route
from deepnode_projections.rules.epochs import current
from deepnode_projections.rules.parameters import RulesetInForce, ruleset_at
from deepnode_projections.rules.registry import MINER, VALIDATOR, Model
from deepnode_projections.rules.revenue import Receipt
from deepnode_projections.rules.splits import Carry, rates_of
from tests.ledger.histories import CHAIN_ID, FIRST_BLOCK, ref
from tests.projections.kernel.telling import MODELS, NODES, VALIDATORS, Producer
from tests.projections.rules.told import DN, MANIFEST, USDC, address, scene, told, word

Event = ChainEvent | TaskEvent

ROUTER = MANIFEST.by_name("RevenueRouter").address
ROUTE = (50_000, 10_000, 10_000, 20_000, 30_000, 5_000)
OTHER_ROUTE = (60_000, 10_000, 10_000, 1, 7, 33_333)
TOO_HIGH_ROUTE = (50_000, 10_000, 9_999, 0, 0, 0)

EDGES = (
    *(0, 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**30, 2**126 - 1, 2**126, AMOUNT_LIMIT // 2, AMOUNT_LIMIT - 1),
    *(AMOUNT_LIMIT, 2**127 - 1, 2**127, 2**128, 2**256 - 1),
)
"""Amounts on either side of what a cell, two of them, and the books can hold."""

RULESETS = ("default", "net_shares", "split_credit", "first_credit", "burn_of_fee")


class MixedHistory:
    """Tells one event after the other. ``errs`` is how often a statement is wrong, ``wide`` how often an amount is."""

    def __init__(self, seed: int, *, errs: float = 0.05, wide: float = 0.1) -> None:
        self.state = MemoryState()
        self._random = Random(seed)
        self._producer = Producer(self._random, self.state, errs=errs)
        self._errs = errs
        self._wide = wide
        self._position = 0
        self._receipts = 0
        self._open: list[str] = []

    def events(self, count: int) -> list[Event]:
        """Return so many events, the first of which set the market up."""
        found: list[Event] = []
        for event in self._market():
            self._hear(event, found)
        while len(found) < count:
            chance = self._random.random()
            if chance < 0.6:
                event = self._producer.next()
            elif chance < 0.97:
                event = self._moved() if chance < 0.8 else self._paid()
            else:
                event = self._settled()
            self._hear(event, found)
        return found[:count]

    def _hear(self, event: Event, found: list[Event]) -> None:
        self._position += 1
        apply: Callable[[Any, Any], Any] = book.hear if isinstance(event, TaskEvent) else book.apply
        apply(event, scene(self.state, self._position))
        found.append(event)

    def _market(self) -> list[Event]:
        made: list[Event] = [told("Domains", "DomainCreated", domain=each, owner="olga") for each in ("d1", "d2")]
        for n, model in enumerate(MODELS):
            domain = ("d1", "d2")[n % 2]
            rates = {"a": 200_000, "b": 100_000, "x": 300_000}
            made.append(told("Models", "ModelRegistered", model=model, domain=domain, creator="carl", **rates))
        made += [
            told("Domains", "RevenueRouteSet", domain=domain, asset=asset, old=[], new_=list(ROUTE))
            for domain, asset in (("d1", USDC), ("d1", DN), ("d2", USDC))
        ]
        return [*made, told("Emission", "EpochOpened", epoch=1, startBlock=5)]

    def _settled(self) -> ChainEvent:
        """Something that what follows depends on, or that the rules alone ever do."""
        pick, whole = self._random.choice, self._random.randrange
        model, domain, node = pick(MODELS), pick(("d1", "d2")), pick((*NODES, *VALIDATORS))
        role = VALIDATOR if (node[0] == "v") != (whole(8) == 0) else MINER
        route = list(pick((ROUTE, OTHER_ROUTE, OTHER_ROUTE, TOO_HIGH_ROUTE)))
        versions, spec = len(self.state.every(RulesetInForce)), rulesets.by_name(pick(RULESETS)).spec_hash
        epoch = current(self.state) + pick((1, 1, 1, 1, 0, 2))
        choices: tuple[ChainEvent, ...] = (
            *[told("Emission", "EpochOpened", epoch=epoch, startBlock=5)] * 3,
            told("Nodes", "Registered", node=node, domain=domain, operator="anna", role=role),
            told("Nodes", "Deregistered", node=node, reason=1),
            *[told("Collateral", "Deposited", node=node, payer="anna", amount=self._amount())] * 2,
            told("Models", "ModelVersionPublished", model=model, version=whole(4)),
            told("Models", "ModelRegistered", model=f"m{whole(2, 5)}", domain=domain, creator="ben", a=7, b=11, x=18),
            told("Domains", "RevenueRouteSet", domain=domain, asset=pick((USDC, DN)), old=[], new_=route),
            told("Parameters", "RulesetActivated", version=versions + 1, specHash=spec, fromEpoch=whole(1, 9)),
            told("RevenueRouter", "RevenueRefunded", receipt=self._receipt(), to="ben", amount=self._amount()),
            told("RevenueRouter", "Released", leg=whole(9), beneficiary=model, to="olga", asset=USDC, amount=whole(99)),
            told("Staking", "Staked", staker="anna", targetType=1, target=node, amount=self._amount()),
        )
        return pick(choices)

    def _moved(self) -> ChainEvent:
        people = (address("anna"), address("ben"), address("carl"), ROUTER, MANIFEST.by_name("Collateral").address)
        giver, taker = self._random.choice((*people, bytes(20))), self._random.choice((*people, people[0], bytes(20)))
        return told(self._random.choice(("DN", "USDC")), "Transfer", from_=giver, to=taker, value=self._amount())

    def _paid(self) -> ChainEvent:
        if self._open and self._random.random() < 0.5:
            return self._split(self._open.pop(self._random.randrange(len(self._open))))
        self._receipts += 1
        receipt = self._receipt() if self._random.random() < self._errs else f"r{self._receipts}"
        self._open.append(receipt)
        asset = self._random.choice((USDC, USDC, DN, DN, ROUTER if self._random.random() < 0.1 else USDC))
        who = {"model": self._random.choice((*MODELS, "m4")), "payer": "ben", "ref": "t1"}
        return told("RevenueRouter", "RevenueReceived", receipt=receipt, asset=asset, amount=self._amount(), **who)

    def _split(self, receipt: str) -> ChainEvent:
        known = self.state.get(Receipt, word(receipt), ROUTER)
        model, asset = (word("m1"), USDC) if known is None else (known.model, known.asset)
        gross = self._random.randrange(10**6) if known is None else known.amount
        legs = list(self._legs(model, gross, asset))
        if self._random.random() < self._errs:
            legs[self._random.randrange(9)] += self._random.choice((1, 2**64, 2**127))
        if self._random.random() < self._errs:
            gross = self._amount()
        args = {"receipt": receipt, "model": model, "asset": asset, "gross": gross, "ruleset": self._hash()}
        return told("RevenueRouter", "RevenueSplit", **args, **dict(zip(LEGS, legs, strict=True)))

    def _hash(self) -> bytes:
        return self._random.choice((rulesets.default().spec_hash, bytes(32), rulesets.by_name("net_shares").spec_hash))

    def _legs(self, model: bytes, gross: int, asset: bytes) -> Sequence[int]:
        """What a router makes of a payment that goes by the rules."""
        known = self.state.get(Model, model)
        route = None if known is None else self.state.get(Route, known.domain, asset)
        nothing = (*[0] * 8, gross)
        if known is None or route is None:
            return nothing
        carry = self.state.get(Carry, known.model, route.version, asset)
        ruleset = ruleset_at(self.state, current(self.state))
        try:
            rates = rates_of(ruleset, known, route)
        except RatesRefused:
            return nothing
        return split_by(ruleset.revenue.rounding, gross, rates, (0,) * 9 if carry is None else carry.legs).legs

    def _receipt(self) -> str:
        return f"r{self._random.randrange(max(1, self._receipts)) + 1}"

    def _amount(self) -> int:
        if self._random.random() < self._wide:
            return self._random.choice(EDGES)
        return self._random.randrange(10 ** self._random.choice((1, 7, 25)))


def log_of(event: ChainEvent, block: BlockRef, index: int) -> ChainLog:
    """The log by which a contract says so, encoded by eth-abi."""
    [abi] = [each for each in event.contract.events.values() if each.name == event.name]
    topics = [encode([i.type], [event.args[i.name]]) for i in abi.inputs if i.indexed]
    plain = [i for i in abi.inputs if not i.indexed]
    data = encode([i.type for i in plain], [event.args[i.name] for i in plain])
    return ChainLog(word(f"t{block.number}-{index}"), index, index, event.contract.address, (abi.topic0, *topics), data)


def batch_of(events: Sequence[Event | ChainLog], first: int = 1) -> pa.RecordBatch:
    """The entries of a log that begins so, each in a block of its own."""
    rows = []
    for position, event in enumerate(events, first):
        block = ref(FIRST_BLOCK + position)
        rows.append(
            row_of(position, CHAIN_ID, block, log_of(event, block, 0) if isinstance(event, ChainEvent) else event)
        )
    return from_rows(rows)
