"""Epochs on the devnet: what is minted and allocated adds up, and its roots are those of the books' reward maths."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random

import pytest
from eth_utils.address import to_canonical_address

from deepnode_indexer.devnet.anvil import Anvil
from deepnode_indexer.devnet.cast_of_accounts import FULL, SMALL, Cast
from deepnode_indexer.devnet.deployment import deploy
from deepnode_indexer.devnet.economy import Economy
from deepnode_indexer.devnet.entitlements import ON_DOMAIN, ON_VALIDATOR, DomainWork, Standing
from deepnode_indexer.devnet.history import History
from deepnode_indexer.devnet.standing import standing_at
from deepnode_projections import maths, rulesets
from deepnode_projections.maths.rewards import (
    Holding,
    MinerWork,
    ModelUsage,
    StakeHeld,
    ValidatorWork,
    to_miners,
    to_models,
    to_stakers,
    to_validators,
)
from deepnode_projections.rules.powr import ranked
from deepnode_projections.rules.work import ModelUse
from tests.indexer.devnet.reading import Devnet, Log

RULES = rulesets.default().emission
DN, USDC = "DNToken", "USDCStandIn"


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    """A devnet that has closed five epochs or more without a reorg."""
    with Anvil.start() as node:
        yield played(node, tmp_path_factory.mktemp("epochs"), SMALL, 200)


def played(node: Anvil, out: Path, people: Cast, blocks: int) -> Devnet:
    """A devnet of a size, so many blocks old."""
    deployment = deploy(node.url, out, people)
    devnet = Devnet(node.url, deployment, Economy(node.url, deployment, 5))
    devnet.play(blocks)
    return devnet


def test_what_is_allocated_is_what_was_minted_and_released(lived: Devnet) -> None:
    """Adds up logs: each epoch's DN pools are its mint and its released leg, and the contracts hold the rest."""
    minted = {log.arguments["epoch"]: log.arguments for log in lived.logs("Emission", "EmissionMinted")}
    pools: Counter[tuple[int, str]] = Counter()
    undistributed: Counter[str] = Counter()
    for log in lived.logs("Emission", "EpochAllocated"):
        asset = name_of(lived, log.arguments["asset"])
        pools[log.arguments["epoch"], asset] += sum(legs_of(log)) + log.arguments["undistributed"]
        undistributed[asset] += log.arguments["undistributed"]
    assert len(minted) >= 5
    for epoch in list(minted)[:-1]:
        assert pools[epoch, DN] == minted[epoch]["amount"] + minted[epoch]["fromRevenue"]
    assert undistributed[DN] > 0, "the last domain has no stakers at first, and its leg is for nobody"
    rewards = lived.deployment.addresses["Rewards"]
    for asset in (DN, USDC):
        allocated = sum(amount for (_, name), amount in pools.items() if name == asset) - undistributed[asset]
        claimed = lived.read("Rewards", "claimedTotalOf", lived.deployment.addresses[asset])
        assert claimed > 0
        assert lived.read(asset, "balanceOf", rewards) == allocated - claimed
        address = lived.deployment.addresses[asset]
        assert lived.read("Emission", "undistributedOf", address) == undistributed[asset]


def test_the_submitted_roots_are_those_of_the_books_reward_maths(lived: Devnet) -> None:
    """Divides each allocated leg by the ledger's maths, and builds its tree: root and total are the chain's."""
    history = History(lived.rpc, lived.deployment.addresses)
    history.read()
    entitled: dict[str, Counter[bytes]] = {DN: Counter(), USDC: Counter()}
    roots = {
        (log.arguments["epoch"], name_of(lived, log.arguments["asset"])): log.arguments
        for log in lived.logs("Rewards", "RootSubmitted")
    }
    domains = [log.arguments["domain"] for log in lived.logs("Domains", "DomainCreated")]
    compared = 0
    for epoch in range(1, max(epoch for epoch, _ in roots) + 1):
        standing = standing_at(history, epoch)
        work = lived.economy.workbook.of_epoch(history, epoch, domains)
        for log in lived.logs("Emission", "EpochAllocated"):
            if log.arguments["epoch"] == epoch:
                domain = log.arguments["domain"]
                earned = by_the_books(lived, log, standing, work[domain], domain)
                entitled[name_of(lived, log.arguments["asset"])] += earned
        for asset in (DN, USDC):
            if (epoch, asset) in roots:
                address = to_canonical_address(lived.deployment.addresses[asset])
                tree = maths.ClaimTree(maths.Entitlement(who, address, sum_) for who, sum_ in entitled[asset].items())
                assert (roots[epoch, asset]["root"], roots[epoch, asset]["total"]) == (tree.root, tree.total)
                compared += 1
    assert compared >= 8


def by_the_books(lived: Devnet, log: Log, standing: Standing, work: DomainWork, domain: bytes) -> Counter[bytes]:
    """What each address earns of a pool by the ledger's maths."""
    args, operators = log.arguments, standing.operators
    foundation = to_canonical_address(lived.deployment.accounts[3])
    miners = [MinerWork(node, operators[node], weight) for node, weight in work.miners.items()]
    stakes = standing.stakes.get((ON_DOMAIN, domain), Counter())
    validators = [
        ValidatorWork(
            *(node, operators[node], weight, standing.commissions.get(node, 0)),
            holdings(standing.stakes.get((ON_VALIDATOR, node), {})),
        )
        for node, weight in work.validators.items()
    ]
    uses = [
        ModelUse(1, domain, model, weighted=weight, ratings=work.ratings[model], stars=work.stars[model])
        for model, weight in work.models.items()
    ]
    relevance = {rank.model: rank.relevance for rank in ranked(uses)}
    models = [
        ModelUsage(
            *(model, standing.models[model].creator, weight, relevance[model]),
            *(standing.models[model].a, standing.models[model].b),
            holdings(standing.shares.get(model, {})),
        )
        for model, weight in work.models.items()
    ]
    found: Counter[bytes] = Counter({foundation: args["foundation"]})
    found[standing.owners[domain]] += args["owner"]
    for rewards in (
        to_miners(args["miners"], miners),
        to_stakers(args["stakers"], [StakeHeld(who, domain, amount) for who, amount in stakes.items() if amount]),
        to_validators(RULES, args["validators"], validators),
        to_models(RULES, args["models"], models),
    ):
        assert rewards.undistributed == 0
        for line in rewards.lines:
            found[line.earner] += line.amount
    return found


def holdings(held: Mapping[bytes, int]) -> tuple[Holding, ...]:
    """Who holds something, as the maths take it."""
    return tuple(Holding(holder, amount) for holder, amount in held.items() if amount)


def test_a_wrong_root_is_disabled_before_anybody_claims_by_it(lived: Devnet) -> None:
    """The second epoch's first root of DN is the oracle's lie: the guardian disables it, and another replaces it."""
    lies = lived.logs("Rewards", "RootDisabled")
    assert [log.arguments["epoch"] for log in lies] == [2]
    submitted = [
        log
        for log in lived.logs("Rewards", "RootSubmitted")
        if log.arguments["epoch"] == 2 and name_of(lived, log.arguments["asset"]) == DN
    ]
    assert len({log.arguments["root"] for log in submitted}) == 2
    assert submitted[0].place < lies[0].place < submitted[1].place
    assert submitted[0].arguments["total"] == submitted[1].arguments["total"]


@pytest.mark.parametrize("seed", [31, 32])
def test_epochs_are_closed_however_the_chain_is_reorganised(tmp_path: Path, seed: int) -> None:
    """Plays with random reorgs up to 50 blocks deep: life goes on, and behind them every epoch that is over is done."""
    rng = Random(seed)
    with Anvil.start() as node:
        deployment = deploy(node.url, tmp_path)
        devnet = Devnet(node.url, deployment, Economy(node.url, deployment, seed))
        for _ in range(10):
            devnet.play(rng.randrange(8, 25))
            devnet.economy.reorg(rng.randrange(1, min(50, devnet.economy.block_number - 12)))
        devnet.play(2 * SMALL.epoch_blocks)
        current = devnet.read("Emission", "currentEpoch")
        assert current >= 3
        done = {log.arguments["epoch"] for log in devnet.logs("Rewards", "RootSubmitted")}
        assert max(done) >= current - 2
        devnet.rpc.close()


def test_the_full_size_has_five_domains_and_two_hundred_actors(tmp_path: Path) -> None:
    """Founds it and plays an epoch: counts domains and people by their logs, and finds dust in the dusty domain."""
    with Anvil.start() as node:
        devnet = played(node, tmp_path, FULL, 60)
        assert len(devnet.logs("Domains", "DomainCreated")) >= 5
        nodes = devnet.logs("Nodes", "Registered")
        actors = {("miner", log.arguments["operator"]) for log in nodes if log.arguments["role"] == 1}
        actors |= {("validator", log.arguments["operator"]) for log in nodes if log.arguments["role"] == 2}
        stakers = {("staker", log.arguments["staker"]) for log in devnet.logs("Staking", "Staked")}
        assert len({who for _, who in actors | stakers}) >= 200
        allocated = devnet.logs("Emission", "EpochAllocated")
        assert len({log.arguments["domain"] for log in allocated}) >= 5
        assert devnet.logs("Rewards", "Claimed")
        paid = devnet.logs("RevenueRouter", "RevenueReceived")
        assert sum(log.arguments["amount"] <= 50 for log in paid) > len(paid) // 4
        devnet.rpc.close()


def test_the_full_size_repeats_itself_from_its_seed(tmp_path: Path) -> None:
    """Two nodes, one seed: equal block hashes and envelopes."""
    lives = []
    for place in (1, 2):
        with Anvil.start() as node:
            devnet = played(node, tmp_path / str(place), FULL, 12)
            lives.append((devnet.head_hash(), devnet.said))
            devnet.rpc.close()
    assert lives[0] == lives[1]


def name_of(devnet: Devnet, address: str) -> str:
    """The token at an address."""
    return next(name for name in (DN, USDC) if devnet.deployment.addresses[name] == address)


def legs_of(log: Log) -> list[int]:
    """The legs of an allocation, undistributed apart."""
    return [log.arguments[leg] for leg in ("miners", "stakers", "validators", "owner", "models", "foundation")]
