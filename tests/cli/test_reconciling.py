"""The parts of a reconciliation: views of an ABI, and a node's answers, among them those that are none."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from deepnode_cli.reconciling.chain_state import ChainState, block_of_node
from deepnode_cli.reconciling.figures import Difference, Figure, Findings, Question
from deepnode_cli.reconciling.views import BALANCE_OF, declared_views
from deepnode_indexer.devnet.artifacts import load_artifact
from deepnode_indexer.envelope import Call
from deepnode_indexer.failures import BadAnswer, BatchRefused, NodeError
from deepnode_indexer.pool import Providers
from deepnode_ledger.errors import BadInput, TryAgain
from deepnode_ledger.record import BlockRef, Header

BLOCK = BlockRef(7, b"\x07" * 32, 70)

Answer = Callable[[Sequence[Call]], list[str]]


class OneNode:
    """A pool of one provider, which is itself and answers by a function."""

    def __init__(self, answer: Answer, headers: Sequence[Header | None] = ()) -> None:
        self.rpc = self
        self.where = "http://node.example"
        self.asked: list[Sequence[Call]] = []
        self._answer = answer
        self._headers = list(headers)

    def call(self, ask: Callable[[Any], Any]) -> Any:
        """Be asked, as the only one."""
        return ask(self)

    def batch(self, calls: Sequence[Call]) -> list[msgspec.Raw]:
        """Answer calls."""
        self.asked.append(calls)
        return [msgspec.Raw(json.dumps(each).encode()) for each in self._answer(calls)]

    def headers(self, numbers: Sequence[int]) -> list[Header | None]:
        """Tell the headers that it was made with."""
        assert len(numbers) == len(self._headers)
        return self._headers


def state(answer: Answer) -> tuple[OneNode, ChainState]:
    node = OneNode(answer)
    return node, ChainState(cast("Providers", node), BLOCK)


def numbered(calls: Sequence[Call]) -> list[str]:
    """Answer each call with the number that its data is."""
    return ["0x" + each[1][0]["data"][2:].rjust(64, "0") for each in calls]


def questions(count: int) -> list[Question]:
    return [Question(b"\xaa" * 20, number.to_bytes(2)) for number in range(count)]


def test_many_questions_go_in_batches_of_one_block() -> None:
    """Asks 150 questions: three requests, each call by the block's hash, the answers in order."""
    node, chain = state(numbered)
    assert chain.ask(questions(150)) == list(range(150))
    assert [len(each) for each in node.asked] == [64, 64, 22]
    assert {each[1][1]["blockHash"] for calls in node.asked for each in calls} == {"0x" + "07" * 32}


def test_a_node_that_takes_fewer_calls_is_asked_fewer() -> None:
    """Refuses batches of more than 10: every question is answered all the same."""

    def answer(calls: Sequence[Call]) -> list[str]:
        if len(calls) > 10:
            raise BatchRefused("node", "eth_call", -32600, "batch limit", 10)
        return numbered(calls)

    assert state(answer)[1].ask(questions(25)) == list(range(25))


def test_a_contract_that_refuses_is_no_fault_of_the_others() -> None:
    """Lets one call of five revert, and one ask where no contract stands."""

    def answer(calls: Sequence[Call]) -> list[str]:
        if any(each[1][0]["data"] == "0x0003" for each in calls):
            raise NodeError("node", "eth_call", 3, "execution reverted: UnknownRound")
        return ["0x" if each[1][0]["data"] == "0x0004" else numbered([each])[0] for each in calls]

    assert state(answer)[1].ask(questions(5)) == [0, 1, 2, None, 0]


@pytest.mark.parametrize("message", ["missing trie node 12ab", "header not found", "historical state is not available"])
def test_a_node_without_the_state_of_an_old_block_is_told_what_to_do(message: str) -> None:
    """Answers as pruned nodes do: the message names the block and an archive node."""

    def answer(calls: Sequence[Call]) -> list[str]:
        raise NodeError("node", "eth_call", -32000, message)

    with pytest.raises(BadInput, match=r"node\.example has no state of block 7 .* archive node"):
        state(answer)[1].ask(questions(2))


def test_an_answer_that_is_too_short_is_not_believed() -> None:
    """Answers one word where the second is meant, and no hexadecimal at all."""
    with pytest.raises(BadAnswer, match="too short"):
        state(numbered)[1].ask([Question(b"\xaa" * 20, b"\x01", word=1)])
    with pytest.raises(BadAnswer, match="eth_call"):
        state(lambda calls: ["none"] * len(calls))[1].ask(questions(1))


def test_a_node_on_another_branch_is_not_asked() -> None:
    """Gives the node another block than the books have, and none: both are worth another try."""
    other = Header(BlockRef(7, b"\x08" * 32, 70), bytes(32))
    node = cast("Providers", OneNode(numbered, [other, other]))
    with pytest.raises(TryAgain, match="behind a reorg"):
        block_of_node(node, 7, [BLOCK])
    with pytest.raises(TryAgain, match="not every block"):
        block_of_node(cast("Providers", OneNode(numbered, [None])), 7, [])


def test_views_are_those_of_the_abi_that_holds_at_the_block(tmp_path: Path) -> None:
    """Writes a manifest with an upgrade: the view is there from the second ABI on, with where its values stand."""
    (tmp_path / "new.json").write_text(json.dumps(load_artifact("Collateral").abi))
    without = [each for each in load_artifact("Collateral").abi if each.get("name") != "caseOf"]
    (tmp_path / "old.json").write_text(json.dumps(without))
    manifest = tmp_path / "manifest.toml"
    manifest.write_text(
        'format = 1\nname = "paper"\nversion = 1\n'
        f'[chain]\nid = 1\ngenesis_hash = "0x{"00" * 32}"\n'
        f'[[contracts]]\nname = "Collateral"\nkind = "Collateral"\naddress = "0x{"aa" * 20}"\nstart_block = 5\n'
        'abi = [{ from_block = 5, abi = "old.json" }, { from_block = 9, abi = "new.json" }]\nasset = "DN"\n'
    )
    assert "caseOf(bytes32)" not in declared_views(manifest, 8)["Collateral"].views
    case = declared_views(manifest, 9)["Collateral"].views["caseOf(bytes32)"]
    assert (case.word_of(""), case.word_of("frozen")) == (0, 2)
    with pytest.raises(BadInput, match="no value named 'melted'"):
        case.word_of("melted")
    assert BALANCE_OF.data(b"\xaa" * 20).hex() == "70a08231" + "00" * 12 + "aa" * 20


def test_a_difference_says_by_how_much() -> None:
    """Compares figures that agree, that do not, and one of which the chain says nothing."""
    findings = Findings()
    for books, chain in ((5, 5), (5, 7), (5, None)):
        findings.compare(Figure("balances", "wallet", "DN", books, ()), chain)
    assert findings.compared == {"balances": 3}
    assert [(each.amount, each.shown(each.chain)) for each in findings.differences] == [(-2, "7"), (None, "refused")]
    root = Difference("roots", "DN", "", 1, 2, is_word=True)
    assert (root.amount, root.shown(1)) == (None, "0x" + "00" * 31 + "01")
