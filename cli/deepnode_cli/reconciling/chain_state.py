"""The chain's side: views of contracts at one block.

They are asked for by the block's hash, so that no two answers are of two branches.
A node may keep the states of new blocks only; one that has this block's (an archive node) is then needed.
"""

import re
from collections.abc import Sequence
from functools import partial
from typing import Final

import msgspec

from deepnode_cli.reconciling.figures import Question
from deepnode_indexer.failures import BadAnswer, BatchRefused, MethodMissing, NodeError, NodeFailure
from deepnode_indexer.pool import Providers
from deepnode_indexer.provider import BATCH_CALLS, Provider
from deepnode_ledger.errors import BadInput, TryAgain
from deepnode_ledger.hexadecimal import WORD_BYTES, from_hex, to_hex
from deepnode_ledger.record import BlockRef

_REVERTED: Final = re.compile("revert", re.IGNORECASE)

_NO_STATE: Final = re.compile(
    "missing trie node|header not found|block ?not ?found|unknown block|out ?of ?range|prun|archive"
    "|(historical|required)? ?state.*(unavailable|not available|not found)|distance to target",
    re.IGNORECASE,
)
"""How nodes say that they have no state of a block. There is no code for it."""


class NoState(NodeFailure):
    """The node has the block, and not the contracts' state at it."""


class ChainState:
    """The contracts' state at a block, as the providers tell it. Each request goes to one of them."""

    def __init__(self, providers: Providers, block: BlockRef) -> None:
        self._providers = providers
        self._block = block
        self._calls_max = BATCH_CALLS

    def ask(self, questions: Sequence[Question]) -> list[int | None]:
        """Ask contracts; return a number for each question, None where the contract refuses to answer.

        Where no contract stands (yet), nothing is held: 0.

        Raises:
            BadInput: no provider has the state of this block.
            TryAgain: no provider answers.
        """
        answers: list[int | None] = []
        while len(answers) < len(questions):
            some = questions[len(answers) : len(answers) + self._calls_max]
            try:
                answers += self._providers.call(partial(self._answers, some))
            except BatchRefused as refused:
                if len(some) == 1:
                    raise
                self._calls_max = max(1, min(refused.calls_max or len(some) // 2, len(some) - 1))
            except NoState as error:
                raise BadInput(f"{error}: try again with an archive node, or with a newer --block") from error
        return answers

    def _answers(self, questions: Sequence[Question], provider: Provider) -> list[int | None]:
        block = {"blockHash": to_hex(self._block.hash)}
        calls = [("eth_call", ({"to": to_hex(each.address), "data": to_hex(each.data)}, block)) for each in questions]
        try:
            raws = provider.rpc.batch(calls)
        except NodeError as error:
            if isinstance(error, BatchRefused | MethodMissing):
                raise
            if _REVERTED.search(error.message):
                # Which one it was does not come with the error of a batch.
                return [None] if len(questions) == 1 else [self._answers([one], provider)[0] for one in questions]
            if _NO_STATE.search(error.message):
                where = f"{provider.where} has no state of block {self._block.number}"
                raise NoState(f"the node at {where} ({error.message:.100})") from error
            raise
        return [_number(provider, raw, each) for raw, each in zip(raws, questions, strict=True)]


def block_of_node(providers: Providers, number: int, known: Sequence[BlockRef]) -> BlockRef:
    """Ask for a block by its number; the node must have the ``known`` blocks of the books on the same branch.

    Raises:
        TryAgain: no node answers, the node lacks the block, or it has others than the books.
    """
    numbers = [*(each.number for each in known), number]
    headers = providers.call(lambda provider: provider.headers(numbers))
    for wanted, header in zip([*known, None], headers, strict=True):
        if header is None:
            raise TryAgain(f"the node has not every block up to {number}")
        if wanted is not None and header.block.hash != wanted.hash:
            raise TryAgain(
                f"the node's block {wanted.number} is {to_hex(header.block.hash)}, the books have "
                f"{to_hex(wanted.hash)}: one of the two is behind a reorg"
            )
    found = headers[-1]
    assert found is not None, "each header was looked at"
    return found.block


def _number(provider: Provider, raw: msgspec.Raw, question: Question) -> int:
    try:
        answer = from_hex(msgspec.json.decode(raw, type=str))
    except (msgspec.MsgspecError, BadInput) as error:
        raise BadAnswer(f"{provider.where}: eth_call: {error}") from error
    if not answer:
        return 0
    word = answer[question.word * WORD_BYTES : (question.word + 1) * WORD_BYTES]
    if len(word) != WORD_BYTES:
        raise BadAnswer(f"{provider.where}: eth_call to {to_hex(question.address)}: {len(answer)} bytes are too short")
    return int.from_bytes(word)
