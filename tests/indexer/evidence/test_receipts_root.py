"""Receipts: against the roots of real blocks, and against a node that leaves out, adds or changes anything."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from deepnode_indexer.evidence import ReceiptsDiffer, ordered_trie, receipt
from deepnode_indexer.failures import BadAnswer
from deepnode_ledger.hexadecimal import from_hex, to_hex
from tests.indexer.evidence.real_blocks import LONDON, WHOLE, WITH_RECEIPTS, Json, RealBlock, named

TETHER = from_hex("0xdac17f958d2ee523a2206206994597c13d831ec7", 20)
FIRST_WITH_A_TRANSACTION = named("Ethereum mainnet 46147")
SINCE_CANYON = named("Zora (OP stack) 20897162")
BEFORE_CANYON = named("Base Sepolia 10000")
ANOTHER = "0x" + "07" * 32


@pytest.mark.parametrize("block", WITH_RECEIPTS, ids=lambda block: block.name)
def test_receipts_of_a_real_block_have_the_root_in_its_header(block: RealBlock) -> None:
    """A state root in place of a status, legacy and EIP-1559, deposits of the OP stack before and since Canyon."""
    assert block.receipts is not None
    assert receipt.receipts_root(block.receipts) == block.receipts_root


@pytest.mark.parametrize("block", WHOLE, ids=lambda block: block.name)
def test_a_real_block_s_receipts_prove_its_logs(block: RealBlock) -> None:
    """Takes all logs out of the receipts: every field as it came in, at its place in the block."""
    receipts = block.answer()
    found = receipt.proven_logs(receipts, block.verified(), None)
    raw = [log for one in receipts for log in one["logs"]]
    assert len(found) == len(raw)
    for index, ((of_block, log), sent) in enumerate(zip(found, raw, strict=True)):
        assert of_block == block.verified().header.block
        assert log.log_index == index
        assert log.transaction_index == int(sent["transactionIndex"], 16)
        assert to_hex(log.transaction_hash) == sent["transactionHash"]
        assert to_hex(log.address) == sent["address"]
        assert [to_hex(topic) for topic in log.topics] == sent["topics"]
        assert to_hex(log.data) == sent["data"]


def test_only_the_logs_of_the_addresses_that_are_asked_for_come_out() -> None:
    """Tether has six of the 28 logs of a real block; they keep their places among all of them."""
    every = receipt.proven_logs(LONDON.answer(), LONDON.verified(), None)
    found = receipt.proven_logs(LONDON.answer(), LONDON.verified(), {TETHER})
    assert found == [(block, log) for block, log in every if log.address == TETHER]
    assert [log.log_index for _, log in found] == [0, 1, 18, 19, 20, 26]


def every_lie() -> list[tuple[str, Callable[[list[Json]], Any]]]:
    """What a node could do to the receipts of a block of which the header is known."""

    def first_log(receipts: list[Json]) -> Json:
        log: Json = receipts[0]["logs"][0]
        return log

    return [
        ("leaves out a log", lambda receipts: receipts[0]["logs"].pop()),
        ("leaves out all logs", lambda receipts: [one["logs"].clear() for one in receipts]),
        ("exchanges two logs", lambda receipts: receipts[0]["logs"].reverse()),
        ("changes an address", lambda receipts: first_log(receipts).update(address="0x" + "11" * 20)),
        ("changes data", lambda receipts: first_log(receipts).update(data="0x")),
        ("drops a topic", lambda receipts: first_log(receipts)["topics"].pop()),
        ("leaves out the last receipt", lambda receipts: receipts.pop()),
        ("leaves out the first receipt", lambda receipts: receipts.pop(0)),
        ("has none", lambda receipts: receipts.clear()),
        ("repeats one", lambda receipts: receipts.append(receipts[-1])),
        ("exchanges two receipts", lambda receipts: receipts.reverse()),
        ("says that one failed", lambda receipts: receipts[0].update(status="0x0")),
        ("changes a type", lambda receipts: receipts[0].update(type="0x1")),
        ("changes gas", lambda receipts: receipts[0].update(cumulativeGasUsed="0x1")),
        ("empties a bloom", lambda receipts: receipts[0].update(logsBloom="0x" + "00" * 256)),
        ("answers for another block", lambda receipts: receipts[3].update(blockHash=ANOTHER)),
        ("moves a log to another block", lambda receipts: first_log(receipts).update(blockHash=ANOTHER)),
        ("counts receipts wrong", lambda receipts: receipts[3].update(transactionIndex="0x4")),
        ("counts logs wrong", lambda receipts: receipts[0]["logs"][1].update(logIndex="0x0")),
        ("gives a log to another transaction", lambda receipts: first_log(receipts).update(transactionHash=ANOTHER)),
    ]  # fmt: skip


@pytest.mark.parametrize("lie", [lie for _, lie in every_lie()], ids=[name for name, _ in every_lie()])
def test_receipts_that_differ_in_anything_are_refused(lie: Callable[[list[Json]], Any]) -> None:
    """Does one thing to the receipts of a real block; what the root does not cover is checked beside it."""
    receipts = copy.deepcopy(LONDON.answer())
    lie(receipts)
    with pytest.raises(ReceiptsDiffer, match=r"14764013|0x0707"):
        receipt.check(receipts, LONDON.verified())


def test_the_reason_is_named_as_far_as_it_can_be_told() -> None:
    """A log less than the bloom says, a receipt less than the header's bloom says, and gas that does not add up."""
    header = LONDON.verified()
    blooms = [to_hex(receipt.bloom_of(one)) for one in LONDON.answer()]
    receipts = [{**one, "logsBloom": made} for one, made in zip(LONDON.answer(), blooms, strict=True)]
    short = copy.deepcopy(receipts)
    short[0]["logs"].pop()
    with pytest.raises(ReceiptsDiffer, match="logs of receipt 0 do not make its own bloom"):
        receipt.check(short, header)
    with pytest.raises(ReceiptsDiffer, match="blooms together are not the header's"):
        receipt.check(receipts[1:], header)
    with pytest.raises(ReceiptsDiffer, match="they end at 1293225 gas, the block at 1314225"):
        receipt.check(receipts[:-1], header)


def test_an_empty_block_has_no_receipts_and_the_empty_root() -> None:
    """The root of no receipts, without which an empty answer for a full block would pass."""
    assert receipt.receipts_root([]) == ordered_trie.EMPTY_ROOT


def test_a_status_that_a_node_makes_up_beside_a_state_root_changes_nothing() -> None:
    """Some nodes answer for a block before Byzantium with both; others send an empty root ever since."""
    assert FIRST_WITH_A_TRANSACTION.receipts is not None
    both = [{**one, "status": "0x1"} for one in FIRST_WITH_A_TRANSACTION.receipts]
    assert receipt.receipts_root(both) == FIRST_WITH_A_TRANSACTION.receipts_root
    assert LONDON.receipts is not None
    empty = [{**one, "root": "0x"} for one in LONDON.receipts]
    assert receipt.receipts_root(empty) == LONDON.receipts_root


def test_a_deposit_counts_its_nonce_only_with_its_version() -> None:
    """Takes the version out where it belongs and puts one in where there was none."""
    receipts = SINCE_CANYON.answer()
    without = [{name: value for name, value in one.items() if name != "depositReceiptVersion"} for one in receipts]
    with pytest.raises(ReceiptsDiffer, match="leaves out depositReceiptVersion"):
        receipt.check(without, SINCE_CANYON.verified())
    before = [{**one, "depositReceiptVersion": "0x1"} for one in BEFORE_CANYON.answer()]
    with pytest.raises(ReceiptsDiffer):
        receipt.check(before, BEFORE_CANYON.verified())


@pytest.mark.parametrize(
    "change",
    [
        {"logs": None},
        {"logs": ["0x"]},
        {"logs": [{"address": "0x" + "11" * 20, "data": "0x", "topics": None}]},
        {"logs": [{"address": "0x" + "11" * 20, "data": "0x", "topics": ["0x" + "11" * 32] * 5}]},
        {"logs": [{"address": "0x" + "11" * 20, "data": "0x", "topics": ["0x11"]}]},
        {"logs": [{"address": "0x11", "data": "0x", "topics": []}]},
        {"status": None},
        {"cumulativeGasUsed": "much"},
        {"logsBloom": "0x00"},
        {"type": "0x80"},
        {"type": 2},
        {"transactionHash": None},
    ],
)
def test_a_malformed_receipt_is_the_node_s_fault(change: Json) -> None:
    """Puts what is no list, no address, no topic or no quantity into a receipt of a real block."""
    receipts = copy.deepcopy(LONDON.answer())
    receipts[0].update(change)
    with pytest.raises(BadAnswer):
        receipt.check(receipts, LONDON.verified())


@pytest.mark.parametrize("answer", [[None], ["0x"], [[]]])
def test_what_is_no_receipt_at_all_is_the_node_s_fault(answer: list[Any]) -> None:
    """Answers with a list of something else."""
    with pytest.raises(BadAnswer, match="a receipt is"):
        receipt.check(answer, LONDON.verified())
