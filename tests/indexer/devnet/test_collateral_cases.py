"""Collateral is free, frozen or gone, and a decision neither makes nor loses any of it."""

from collections import defaultdict

import pytest

from deepnode_indexer.devnet.cast_of_accounts import CONSUMERS, FOUNDATION, MINER_OPERATORS, VALIDATOR_OPERATORS
from deepnode_indexer.devnet.json_rpc import NodeError
from tests.indexer.devnet.conftest import MakeDevnet
from tests.indexer.devnet.reading import Devnet

CASE = b"\x01" * 32
TASK = b"\x02" * 32
HASH = b"\x03" * 32


def test_every_decided_case_divides_exactly_what_was_frozen(old_devnet: Devnet) -> None:
    """Burned + compensated + returned + retained of a decision is what ReviewOpened froze; nothing after a reversal."""
    frozen = {log.arguments["caseId"]: log.arguments["frozen"] for log in old_devnet.logs("Collateral", "ReviewOpened")}
    frozen |= {log.arguments["newCaseId"]: 0 for log in old_devnet.logs("Collateral", "ReviewReversed")}
    decided = old_devnet.logs("Collateral", "ReviewDecided")
    assert any(log.arguments["burned"] for log in decided)
    assert any(log.arguments["returned"] for log in decided)
    assert any(log.arguments["retained"] for log in decided)
    for log in decided:
        parts = (log.arguments[part] for part in ("burned", "compensated", "returned", "retained"))
        assert sum(parts) == frozen[log.arguments["caseId"]]


def test_the_logs_alone_give_every_collateral_pocket(old_devnet: Devnet) -> None:
    """Replaying the logs gives each node's free pocket and each case's frozen one, and their sum is the balance."""
    free: dict[bytes, int] = defaultdict(int)
    frozen: dict[bytes, int] = {}
    accused: dict[bytes, bytes] = {}
    for log in old_devnet.logs("Collateral"):
        values = log.arguments
        if log.event == "Deposited":
            free[values["node"]] += values["amount"]
        elif log.event == "Withdrawn":
            free[values["node"]] -= values["amount"]
        elif log.event == "Flagged":
            accused[values["caseId"]] = values["node"]
        elif log.event == "ReviewReversed":
            accused[values["newCaseId"]] = accused[values["caseId"]]
        elif log.event == "ReviewOpened":
            free[accused[values["caseId"]]] -= values["frozen"]
            frozen[values["caseId"]] = values["frozen"]
        elif log.event == "ReviewDecided":
            free[accused[values["caseId"]]] += values["retained"]
            frozen[values["caseId"]] = 0
    for node, amount in free.items():
        assert old_devnet.read("Collateral", "freeOf", node) == amount
    for case, amount in frozen.items():
        assert old_devnet.read("Collateral", "caseOf", case)[2] == amount
    balance = old_devnet.read("DNToken", "balanceOf", old_devnet.deployment.addresses["Collateral"])
    donated = old_devnet.donated("Collateral", "DNToken")
    assert balance == sum(free.values()) + sum(frozen.values()) + donated


def test_supply_is_minted_less_burned(old_devnet: Devnet) -> None:
    """The sum of Transfer logs from and to 0x0 is totalSupply: nothing is created or destroyed without a log."""
    nobody = "0x" + "0" * 40
    for token in ("DNToken", "USDCStandIn"):
        moves = [log.arguments for log in old_devnet.logs(token, "Transfer")]
        minted = sum(move["value"] for move in moves if move["from"] == nobody)
        burned = sum(move["value"] for move in moves if move["to"] == nobody)
        assert old_devnet.read(token, "totalSupply") == minted - burned


def test_a_decision_is_the_foundations_alone_and_must_balance(make_devnet: MakeDevnet) -> None:
    """Only the foundation opens and decides, a decision that does not sum to the frozen amount is refused, and the
    money of a valid one arrives where the event says."""
    devnet = make_devnet(3)
    devnet.play(4)
    registered = devnet.logs("Nodes", "Registered")[0].arguments
    node, operator = registered["node"], registered["operator"]
    assert operator == devnet.deployment.accounts[MINER_OPERATORS[0]]
    start = devnet.read("Collateral", "freeOf", node)
    with pytest.raises(NodeError, match="revert"):
        devnet.simulate(CONSUMERS[0], "Collateral", "flag", CASE, node, TASK, 1, HASH)
    devnet.send(VALIDATOR_OPERATORS[0], "Collateral", "flag", CASE, node, TASK, 1, HASH)
    devnet.rpc.call("evm_mine")
    with pytest.raises(NodeError, match="revert"):
        devnet.simulate(VALIDATOR_OPERATORS[0], "Collateral", "openReview", CASE, 100)
    devnet.send(FOUNDATION, "Collateral", "openReview", CASE, 100)
    devnet.rpc.call("evm_mine")
    for parts in ((40, 30, 20, 11), (40, 30, 20, 9), (0, 0, 0, 0)):
        with pytest.raises(NodeError, match="revert"):
            devnet.simulate(FOUNDATION, "Collateral", "decideReview", CASE, (2, *parts, HASH, "", True))
    supply, wallet = devnet.read("DNToken", "totalSupply"), devnet.read("DNToken", "balanceOf", operator)
    devnet.send(FOUNDATION, "Collateral", "decideReview", CASE, (2, 40, 30, 20, 10, HASH, "ipfs://case", True))
    devnet.rpc.call("evm_mine")
    assert devnet.read("DNToken", "totalSupply") == supply - 40
    assert devnet.read("DNToken", "balanceOf", operator) == wallet + 20
    assert devnet.read("Collateral", "freeOf", node) == start - 100 + 10
    assert [log.arguments["node"] for log in devnet.logs("Nodes", "Deregistered")] == [node]
    with pytest.raises(NodeError, match="revert"):
        devnet.simulate(FOUNDATION, "Collateral", "decideReview", CASE, (2, 0, 0, 0, 0, HASH, "", False))


def test_a_withdrawal_request_moves_nothing_and_waits_its_time(make_devnet: MakeDevnet) -> None:
    """Requested money stays in the free pocket, is still within a review's reach, and is paid only after the delay."""
    devnet = make_devnet(4)
    devnet.play(4)
    registered = devnet.logs("Nodes", "Registered")[0].arguments
    node, operator = registered["node"], MINER_OPERATORS[0]
    free = devnet.read("Collateral", "freeOf", node)
    devnet.send(operator, "Collateral", "requestWithdrawal", node, free)
    devnet.rpc.call("evm_mine")
    assert devnet.read("Collateral", "freeOf", node) == free
    with pytest.raises(NodeError, match="revert"):
        devnet.simulate(operator, "Collateral", "withdraw", node, registered["operator"])
    devnet.rpc.call("anvil_mine", "0xb")
    devnet.send(operator, "Collateral", "withdraw", node, registered["operator"])
    devnet.rpc.call("evm_mine")
    assert devnet.read("Collateral", "freeOf", node) == 0
    assert devnet.logs("Collateral", "Withdrawn")[0].arguments["amount"] == free
