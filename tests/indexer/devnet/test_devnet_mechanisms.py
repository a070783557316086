"""Every mechanism of DeepNode is played on the small devnet within a few hundred blocks, and its money adds up."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from deepnode_indexer.devnet.anvil import Anvil
from deepnode_indexer.devnet.deployment import deploy
from deepnode_indexer.devnet.economy import Economy
from deepnode_indexer.devnet.workbook import FULL_CREDIT, SPLIT_CREDIT
from deepnode_ledger.vocabulary import KINDS
from deepnode_projections import rulesets
from tests.indexer.devnet.reading import Devnet

BLOCKS = 320


@pytest.fixture(scope="module")
def quiet_devnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    """A devnet that has lived through ten epochs without a reorg."""
    out: Path = tmp_path_factory.mktemp("quiet")
    with Anvil.start() as node:
        deployment = deploy(node.url, out)
        devnet = Devnet(node.url, deployment, Economy(node.url, deployment, 1))
        devnet.play(BLOCKS)
        yield devnet
        devnet.rpc.close()


def test_the_chain_shows_every_event_of_the_vocabulary(quiet_devnet: Devnet) -> None:
    """Looks for each event of each kind of contract among the logs: none is missing."""
    contracts = [kind for kind in KINDS if kind not in ("Token", "Other")]
    seen = {(contract, log.event) for contract in contracts for log in quiet_devnet.logs(contract)}
    assert {(kind, event.name) for kind in contracts for event in KINDS[kind]} <= seen


def test_staking_holds_what_is_staked_and_what_unbonds(quiet_devnet: Devnet) -> None:
    """Compares the contract's balance with its sums, and the stakes by the logs with each of its views."""
    address = quiet_devnet.deployment.addresses["Staking"]
    sums = [quiet_devnet.read("Staking", view) for view in ("totalStaked", "totalUnbonding")]
    assert sums[0] > 0
    assert quiet_devnet.logs("Staking", "Unstaked")
    assert quiet_devnet.read("DNToken", "balanceOf", address) == sum(sums)
    held: Counter[tuple[str, int, bytes]] = Counter()
    for log in quiet_devnet.logs("Staking"):
        values = log.arguments
        if log.event == "Staked":
            held[values["staker"], values["targetType"], values["target"]] += values["amount"]
        elif log.event == "UnstakeRequested":
            held[values["staker"], values["targetType"], values["target"]] -= values["amount"]
        elif log.event == "Redelegated":
            held[values["staker"], values["fromType"], values["from"]] -= values["amount"]
            held[values["staker"], values["toType"], values["to"]] += values["amount"]
    assert {target_type for _, target_type, _ in held} == {1, 2, 3, 4}
    for (staker, target_type, target), amount in held.items():
        assert quiet_devnet.read("Staking", "stakeOn", staker, target_type, target) == amount > 0


def test_rounds_are_met_and_missed_and_the_vault_pays_back(quiet_devnet: Devnet) -> None:
    """Sums each round from its logs: a met one spends and earns, a missed one repays its backers in full."""
    backed, refunded = (sums(quiet_devnet, event) for event in ("Backed", "Refunded"))
    released = sums(quiet_devnet, "FundsReleased")
    targets = {log.arguments["round"]: log.arguments["target"] for log in quiet_devnet.logs("Funding", "RoundOpened")}
    met = {one for one, target in targets.items() if backed[one] == target}
    assert met >= set(released)
    assert released
    assert refunded
    assert not met & set(refunded)
    assert any(backed[one] == amount for one, amount in refunded.items()), "one round at least is repaid to the end"
    assert any(quiet_devnet.read("Funding", "gainOf", one) > 0 for one in met)


def test_proposals_are_passed_fail_and_forfeit_their_deposit(quiet_devnet: Devnet) -> None:
    """Follows each tallied proposal to its deposit and its parameter: all three fates are met."""
    parameters = {log.arguments["proposal"] for log in quiet_devnet.logs("Parameters", "ParamSet")}
    returned = {log.arguments["proposal"] for log in quiet_devnet.logs("Governance", "DepositReturned")}
    forfeited = {log.arguments["proposal"] for log in quiet_devnet.logs("Governance", "DepositForfeited")}
    tallied = {log.arguments["proposal"]: log for log in quiet_devnet.logs("Governance", "ProposalTallied")}
    passed = {proposal for proposal, log in tallied.items() if log.arguments["passed"]}
    assert passed
    assert returned - passed
    assert forfeited
    assert returned | forfeited == set(tallied)
    assert passed == parameters - {bytes(32)}


def test_everything_that_is_bought_back_is_burned(quiet_devnet: Devnet) -> None:
    """Adds up the burner's logs: the swaps' yield and the DN that came directly are burned, but for the last ones."""
    bought = {log.arguments["batch"]: log.arguments["dnOut"] for log in quiet_devnet.logs("Burner", "BuybackExecuted")}
    burned = {log.arguments["ref"]: log.arguments["amount"] for log in quiet_devnet.logs("Burner", "DNBurned")}
    sources = {log.arguments["source"].rstrip(b"\0") for log in quiet_devnet.logs("Burner", "DNBurned")}
    assert sources == {b"buyback", b"variableBurn"}
    assert len(set(bought) - set(burned)) <= 2
    assert all(burned[batch] == amount for batch, amount in bought.items() if batch in burned)
    dn = quiet_devnet.deployment.addresses["DNToken"]
    legs = (log.arguments for log in quiet_devnet.logs("RevenueRouter", "Released"))
    released = sum(leg["amount"] for leg in legs if (leg["leg"], leg["asset"]) == (3, dn))
    direct = sum(amount for ref, amount in burned.items() if ref not in bought)
    left = quiet_devnet.read("DNToken", "balanceOf", quiet_devnet.deployment.addresses["Burner"])
    assert sum(bought.values()) + released == sum(burned.values()) + left
    assert released >= direct > 0


def test_cases_are_appealed_and_reversed_and_made_good(quiet_devnet: Devnet) -> None:
    """A reversed case has a new one that is dismissed, and the treasury deposits what the first decision took."""
    logs = quiet_devnet.logs("Collateral")
    decided = {log.arguments["caseId"]: log.arguments for log in logs if log.event == "ReviewDecided"}
    anew = {log.arguments["caseId"]: log.arguments["newCaseId"] for log in logs if log.event == "ReviewReversed"}
    assert anew
    treasury = quiet_devnet.deployment.accounts[3]
    paid = [log.arguments["amount"] for log in logs if log.event == "Deposited" and log.arguments["payer"] == treasury]
    taken = [decided[case]["burned"] + decided[case]["compensated"] for case, new in anew.items() if new in decided]
    assert Counter(paid) == Counter(taken)
    assert all(decided[new]["verdict"] == 0 for new in anew.values() if new in decided)


def test_the_rulesets_that_the_devnet_activates_are_known_to_the_books() -> None:
    """Looks the two hashes up where the ledger does: the first shares a task's credit, the second is the default."""
    first, second = rulesets.by_hash(SPLIT_CREDIT), rulesets.by_hash(FULL_CREDIT)
    assert first is not None
    assert first.work.credit == "split"
    assert second == rulesets.default()


def sums(devnet: Devnet, event: str) -> Counter[bytes]:
    """The amounts of an event of the funding contract by round."""
    found: Counter[bytes] = Counter()
    for log in devnet.logs("Funding", event):
        found[log.arguments["round"]] += log.arguments["amount"]
    return found
