"""What contracts say seldom in the replay's history: how all begins, and what changes now and then."""

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any, Final

from benchmarks.marketplace import address_of, word
from benchmarks.replay.deployment import Crowd

from deepnode_projections.registers.state import State
from deepnode_projections.rules.domains import EmissionWeights, Route
from deepnode_projections.rules.epochs import current
from deepnode_projections.rules.parameters import EVERYWHERE, Parameter, parameter_key
from deepnode_projections.rules.registry import MINER, VALIDATOR, Model
from deepnode_projections.rules.staking import Stake

Said = tuple[str, str, Mapping[str, Any]]
"""A contract, an event of it, and its arguments."""

TOKENS: Final = ("DNToken", "USDCStandIn")
DEPOSIT: Final = 10**21
STAKE: Final = 5 * 10**20
ON_VALIDATOR: Final = 1
ON_DOMAIN: Final = 4
WEIGHTS: Final = (450_000, 100_000, 190_000, 50_000, 200_000)


def founding(crowd: Crowd, collateral: dict[bytes, int]) -> Iterator[list[Said]]:
    """Create domains with routes and weights, register models and nodes, deposit collateral and stake.

    ``collateral`` is told of what stands behind each node then.
    """
    for number, domain in enumerate(crowd.domains):
        created = {"domain": domain, "owner": word("owner", number)[:20], "uri": f"ipfs://domain-{number}"}
        yield [("Domains", "DomainCreated", created)]
        weights = {"domain": domain, "old": [0] * 5, "new_": list(WEIGHTS), "fromEpoch": 1}
        yield [("Domains", "EmissionWeightsSet", weights)]
        for token in TOKENS:
            route = {"old": [], "new_": _route(number), "fromEpoch": 1}
            yield [("Domains", "RevenueRouteSet", {"domain": domain, "asset": address_of(token), **route})]
        for model in crowd.models_of[number]:
            a, b = 100_000 + 1_000 * (model[0] % 100), 50_000 + 1_000 * (model[1] % 100)
            who = {"model": model, "domain": domain, "creator": word("creator", model)[:20]}
            rates: dict[str, Any] = {"a": a, "b": b, "x": a + b, "metaHash": word("meta", model)}
            yield [("Models", "ModelRegistered", {**who, **rates})]
        for role, nodes in ((MINER, crowd.miners_of[number]), (VALIDATOR, crowd.validators_of[number])):
            for node in nodes:
                own = {"domain": domain, "node": node, "operator": word("operator", node)[:20]}
                yield [("Nodes", "Registered", {**own, "role": role, "fee": 0, "feeBurned": 0})]
        for node in crowd.miners_of[number]:
            yield _deposit(domain, node, DEPOSIT)
            collateral[node] += DEPOSIT
        for validator in crowd.validators_of[number]:
            for n in range(2):
                yield _stake(ON_VALIDATOR, validator, word("staker", validator, n)[:20])
        for n in range(5):
            yield _stake(ON_DOMAIN, domain, word("staker", domain, n)[:20])


def changes(crowd: Crowd, state: State, collateral: dict[bytes, int]) -> Iterator[list[Said]]:
    """Make rare changes for ever, one after another.

    Args:
        crowd: who is there.
        state: what is known when a change is asked for.
        collateral: what stands behind each node, which goes along.
    """
    for number in count():
        turn, domain = number // 8, number // 8 % len(crowd.domains)
        validators, miners = crowd.validators_of[domain], crowd.miners_of[domain]
        validator, miner = validators[turn % len(validators)], miners[turn % len(miners)]
        of_domain = {"domain": crowd.domains[domain]}
        match number % 8:
            case 0:
                rate = {"old": 0, "new_": 10_000 * (turn % 30), "fromEpoch": current(state) + 1}
                yield [("Staking", "CommissionSet", {"target": validator, **rate})]
            case 1:
                yield _stake(ON_VALIDATOR, validator, word("later", number)[:20])
            case 2:
                stake = state.every(Stake, ON_VALIDATOR, validator)[0]
                asked = {"amount": stake.amount // 10, "shares": stake.shares // 10, "unlockAt": 2_000_000_000}
                who = {"staker": stake.staker, "targetType": ON_VALIDATOR, "target": validator}
                yield [("Staking", "UnstakeRequested", {**who, **asked})]
            case 3:
                yield [("Parameters", "ParamSet", _parameter(state, turn))]
            case 4:
                model = crowd.models_of[domain][turn % len(crowd.models_of[domain])]
                known = state.get(Model, model)
                assert known is not None
                version = {"version": known.version + 1, "hash": word("version", number)}
                yield [("Models", "ModelVersionPublished", {"model": model, **version})]
            case 5:
                collateral[miner] += DEPOSIT // 10
                yield _deposit(crowd.domains[domain], miner, DEPOSIT // 10)
            case 6:
                token = address_of(TOKENS[turn % 2])
                route = state.get(Route, crowd.domains[domain], token)
                assert route is not None
                rates = {"old": list(route.rates), "new_": _route(turn), "fromEpoch": current(state) + 1}
                yield [("Domains", "RevenueRouteSet", {**of_domain, "asset": token, **rates})]
            case _:
                held = state.every(EmissionWeights, crowd.domains[domain])[-1].weights
                miners_part, *others, models_part = WEIGHTS
                moved = [miners_part - 1_000 * (turn % 50), *others, models_part + 1_000 * (turn % 50)]
                weights = {"old": list(held), "new_": moved, "fromEpoch": current(state) + 1}
                yield [("Domains", "EmissionWeightsSet", {**of_domain, **weights})]


def _route(number: int) -> list[int]:
    return [20_000, 10_000, 10_000, 50_000 + 1_000 * (number % 40), 0, 0]


def _parameter(state: State, turn: int) -> dict[str, Any]:
    key = parameter_key(f"benchmark.{turn % 4}")
    settings = state.every(Parameter, EVERYWHERE, key)
    held = settings[-1].value if settings else 0
    value = {"old": held, "new_": held + 1, "effectiveAt": current(state) + 1}
    return {"scope": EVERYWHERE, "key": key, **value, "proposal": bytes(32)}


def _stake(on: int, target: bytes, staker: bytes) -> list[Said]:
    paid = {"from": bytes(20), "to": address_of("Staking"), "value": STAKE}
    staked = {"staker": staker, "targetType": on, "target": target, "amount": STAKE, "shares": STAKE}
    return [("DNToken", "Transfer", paid), ("Staking", "Staked", staked)]


def _deposit(domain: bytes, node: bytes, amount: int) -> list[Said]:
    paid = {"from": bytes(20), "to": address_of("Collateral"), "value": amount}
    deposited = {"domain": domain, "node": node, "payer": word("operator", node)[:20], "amount": amount}
    return [("DNToken", "Transfer", paid), ("Collateral", "Deposited", deposited)]
