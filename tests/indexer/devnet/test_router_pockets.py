"""The router's money is where its pockets say, and its legs are exact over any number of dust payments."""

import random
from collections import defaultdict

import pytest

from deepnode_indexer.devnet.cast_of_accounts import CONSUMERS, SETTLER
from deepnode_indexer.devnet.json_rpc import NodeError
from tests.indexer.devnet.conftest import MakeDevnet
from tests.indexer.devnet.reading import Devnet

LEGS = ("creator", "backers", "fees", "buyback", "foundation", "domain", "variableBurn", "yield", "emission")
ASSETS = ("DNToken", "USDCStandIn")
PPM = 10**6


def pockets(devnet: Devnet, asset: str) -> dict[tuple[int, bytes], int]:
    """All pockets of an asset, over every beneficiary that there can be."""
    models = [log.arguments["model"] for log in devnet.logs("Models", "ModelRegistered")]
    domains = [log.arguments["domain"] for log in devnet.logs("Domains", "DomainCreated")]
    address = devnet.deployment.addresses[asset]
    return {
        (leg, beneficiary): devnet.read("RevenueRouter", "pocketOf", leg, beneficiary, address)
        for leg in range(9)
        for beneficiary in [*models, *domains, bytes(32)]
    }


@pytest.mark.parametrize("asset", ASSETS)
def test_the_routers_balance_is_its_pockets_and_suspense(old_devnet: Devnet, asset: str) -> None:
    """Balance = escrow + pockets + suspense + what was donated, to the base unit, after many blocks and reorgs."""
    address = old_devnet.deployment.addresses[asset]
    balance = old_devnet.read(asset, "balanceOf", old_devnet.deployment.addresses["RevenueRouter"])
    escrow = old_devnet.read("RevenueRouter", "escrowOf", address)
    suspense = old_devnet.read("RevenueRouter", "suspenseOf", address)
    held = pockets(old_devnet, asset)
    assert sum(held.values()) > 0
    assert balance == escrow + sum(held.values()) + suspense + old_devnet.donated("RevenueRouter", asset)


@pytest.mark.parametrize("asset", ASSETS)
def test_the_logs_alone_give_every_pocket(old_devnet: Devnet, asset: str) -> None:
    """A pocket is what RevenueSplit put in less what Released paid out: whoever reads the logs knows every pocket."""
    address = old_devnet.deployment.addresses[asset]
    domain_of = {
        log.arguments["model"]: log.arguments["domain"] for log in old_devnet.logs("Models", "ModelRegistered")
    }
    expected: dict[tuple[int, bytes], int] = defaultdict(int)
    for log in old_devnet.logs("RevenueRouter"):
        if log.arguments.get("asset") != address:
            continue
        if log.event == "RevenueSplit":
            model = log.arguments["model"]
            for leg, name in enumerate(LEGS):
                owner = model if name in {"creator", "backers", "yield"} else domain_of[model]
                expected[leg, bytes(32) if name in {"buyback", "foundation"} else owner] += log.arguments[name]
        elif log.event == "Released":
            key = (log.arguments["leg"], log.arguments["beneficiary"])
            assert log.arguments["amount"] == expected[key]
            expected[key] = 0
    held = {key: amount for key, amount in pockets(old_devnet, asset).items() if amount}
    assert held == {key: amount for key, amount in expected.items() if amount}


@pytest.mark.parametrize("asset", ASSETS)
def test_suspense_is_below_nine_units_a_route(old_devnet: Devnet, asset: str) -> None:
    """Per route key and asset the suspense is the sum of nine carries: a whole number of units, 0 to 8."""
    address = old_devnet.deployment.addresses[asset]
    total = 0
    for log in old_devnet.logs("Models", "ModelRegistered"):
        model, domain = log.arguments["model"], log.arguments["domain"]
        versions, _ = old_devnet.read("Domains", "routeOf", domain, address)
        for version in range(1, versions + 1):
            carries = old_devnet.read("RevenueRouter", "carriesOf", model, version, address)
            assert all(0 <= carry < PPM for carry in carries)
            assert sum(carries) % PPM == 0
            assert 0 <= sum(carries) // PPM < 9
            total += sum(carries) // PPM
    assert old_devnet.read("RevenueRouter", "suspenseOf", address) == total


@pytest.mark.parametrize("asset", ASSETS)
def test_every_split_is_the_carry_forward_arithmetic(old_devnet: Devnet, asset: str) -> None:
    """A second implementation of the split, fed with the logs alone in their order, gives each leg of each receipt."""
    address = old_devnet.deployment.addresses[asset]
    rates_of_model = {
        log.arguments["model"]: (log.arguments["domain"], log.arguments["a"], log.arguments["b"])
        for log in old_devnet.logs("Models", "ModelRegistered")
    }
    routes = [log for log in old_devnet.logs("Domains", "RevenueRouteSet") if log.arguments["asset"] == address]
    splits = [log for log in old_devnet.logs("RevenueRouter", "RevenueSplit") if log.arguments["asset"] == address]
    carries: dict[tuple[bytes, int], list[int]] = defaultdict(lambda: [0] * 9)
    for split in splits:
        domain, a, b = rates_of_model[split.arguments["model"]]
        in_force = [log for log in routes if log.arguments["domain"] == domain and log.place < split.place]
        fees, buyback, foundation, domain_rate, burn, saved = in_force[-1].arguments["new_"]
        rates = [b, a - saved, fees, buyback, foundation, domain_rate, burn, saved]
        rates.append(PPM - sum(rates))
        carry = carries[split.arguments["model"], len(in_force)]
        for leg, (name, rate) in enumerate(zip(LEGS, rates, strict=True)):
            n = carry[leg] + split.arguments["gross"] * rate
            assert split.arguments[name] == n // PPM
            carry[leg] = n % PPM


def test_dust_payments_realise_each_leg_to_within_a_unit(make_devnet: MakeDevnet) -> None:
    """Over hundreds of payments of 1 to 50 base units each leg gets its rate of the total, less than one unit off."""
    devnet = make_devnet(5)
    devnet.play(4)
    model = devnet.logs("Models", "ModelRegistered")[0].arguments["model"]
    asset = devnet.deployment.addresses["USDCStandIn"]
    rng = random.Random(1)
    amounts = [rng.randrange(1, 51) for _ in range(400)]
    for number, amount in enumerate(amounts):
        devnet.send(CONSUMERS[0], "RevenueRouter", "pay", model, asset, amount, number.to_bytes(32, "big"))
    devnet.rpc.call("evm_mine")
    for log in devnet.logs("RevenueRouter", "RevenueReceived"):
        devnet.send(SETTLER, "RevenueRouter", "settle", log.arguments["receipt"])
    devnet.rpc.call("evm_mine")
    rates, _ = devnet.read("RevenueRouter", "ratesOf", model, asset)
    splits = devnet.logs("RevenueRouter", "RevenueSplit")
    assert len(splits) == len(amounts)
    for name, rate in zip(LEGS, rates, strict=True):
        paid = sum(log.arguments[name] for log in splits)
        assert paid == sum(amounts) * rate // PPM


def test_a_receipt_is_settled_or_refunded_and_only_once(make_devnet: MakeDevnet) -> None:
    """What was settled cannot be refunded, what was refunded cannot be settled, and only the settler does either."""
    devnet = make_devnet(6)
    devnet.play(4)
    model = devnet.logs("Models", "ModelRegistered")[0].arguments["model"]
    asset = devnet.deployment.addresses["USDCStandIn"]
    payer = devnet.deployment.accounts[CONSUMERS[0]]
    before = devnet.read("USDCStandIn", "balanceOf", payer)
    for number in range(2):
        devnet.send(CONSUMERS[0], "RevenueRouter", "pay", model, asset, 1_000, number.to_bytes(32, "big"))
    devnet.rpc.call("evm_mine")
    first, second = (log.arguments["receipt"] for log in devnet.logs("RevenueRouter", "RevenueReceived"))
    with pytest.raises(NodeError, match="revert"):
        devnet.simulate(CONSUMERS[0], "RevenueRouter", "settle", first)
    devnet.send(SETTLER, "RevenueRouter", "settle", first)
    devnet.send(SETTLER, "RevenueRouter", "refund", second)
    devnet.rpc.call("evm_mine")
    for receipt in (first, second):
        for function in ("settle", "refund"):
            with pytest.raises(NodeError, match="revert"):
                devnet.simulate(SETTLER, "RevenueRouter", function, receipt)
    assert devnet.read("USDCStandIn", "balanceOf", payer) == before - 1_000
    assert devnet.read("RevenueRouter", "escrowOf", asset) == 0
