"""The reward maths and the reference router give the same rates, legs, carries and suspense, on a real EVM node."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from deepnode_indexer.devnet.anvil import Anvil
from deepnode_indexer.devnet.deployment import deploy
from deepnode_indexer.devnet.economy import Economy
from deepnode_ledger.vocabulary import LEGS
from deepnode_projections import rulesets
from deepnode_projections.maths import nine_rates, split, suspense
from tests.indexer.devnet.reading import Devnet, Log

FRESH = (0,) * len(LEGS)


@pytest.fixture(scope="module")
def devnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    out: Path = tmp_path_factory.mktemp("router")
    with Anvil.start() as node:
        deployment = deploy(node.url, out)
        found = Devnet(node.url, deployment, Economy(node.url, deployment, 23))
        found.play(120)
        yield found
        found.rpc.close()


def ours(model: Log, route: Log) -> tuple[int, ...]:
    """The rates as the maths make them of what the chain's events say."""
    fees, buyback, foundation, domain, variable_burn, yield_ = route.arguments["new_"]
    return nine_rates(
        rulesets.default().revenue,
        a=model.arguments["a"],
        b=model.arguments["b"],
        fees=fees,
        buyback=buyback,
        foundation=foundation,
        domain=domain,
        variable_burn=variable_burn,
        yield_=yield_,
    )


def test_the_router_splits_as_the_maths_do(devnet: Devnet) -> None:
    """Replays every split of a lively economy from its events alone, then asks the router for its rates and carries."""
    models = {log.arguments["model"]: log for log in devnet.logs("Models", "ModelRegistered")}
    routes = devnet.logs("Domains", "RevenueRouteSet")
    carries: dict[tuple[bytes, int, str], tuple[int, ...]] = defaultdict(lambda: FRESH)
    splits = devnet.logs("RevenueRouter", "RevenueSplit")
    assert len(splits) > 50
    for log in splits:
        model, asset = models[log.arguments["model"]], log.arguments["asset"]
        versions = [route for route in routes if route.place < log.place and is_of(route, model, asset)]
        key = (log.arguments["model"], len(versions), asset)
        found = split(log.arguments["gross"], ours(model, versions[-1]), carries[key])
        assert found.legs == tuple(log.arguments[leg] for leg in LEGS)
        carries[key] = found.carries
        assert rulesets.by_hash(bytes(log.arguments["ruleset"])) is rulesets.default()
    held: dict[str, int] = defaultdict(int)
    for (model_id, version, asset), carry in carries.items():
        assert tuple(devnet.read("RevenueRouter", "carriesOf", model_id, version, asset)) == carry
        held[asset] += suspense(carry)
    assert any(held.values())
    for asset, amount in held.items():
        assert devnet.read("RevenueRouter", "suspenseOf", asset) == amount


def test_the_router_has_the_rates_of_the_maths(devnet: Devnet) -> None:
    """Asks the router for the rates of every model and asset now."""
    routes = devnet.logs("Domains", "RevenueRouteSet")
    compared = 0
    for model in devnet.logs("Models", "ModelRegistered"):
        for asset in {route.arguments["asset"] for route in routes}:
            of_model = [route for route in routes if is_of(route, model, asset)]
            if of_model:
                rates, version = devnet.read("RevenueRouter", "ratesOf", model.arguments["model"], asset)
                assert (tuple(rates), version) == (ours(model, of_model[-1]), len(of_model))
                compared += 1
    assert compared > 4


def is_of(route: Log, model: Log, asset: str) -> bool:
    return bool(route.arguments["domain"] == model.arguments["domain"] and route.arguments["asset"] == asset)
