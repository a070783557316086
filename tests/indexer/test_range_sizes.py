"""Whatever a provider refuses, in whatever words, a range is fetched whole, with few questions, or not at all."""

import itertools
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_indexer.devnet.faults.provider_words import (
    LOGS_PROVIDERS,
    RANGE_PROVIDERS,
    too_many_blocks,
    too_many_logs,
)
from deepnode_indexer.envelope import Envelope
from deepnode_indexer.failures import AnswerTooLarge, MethodMissing, NodeError, NodeFailure, RangeRefused, TimedOut
from deepnode_indexer.ranges import ANSWER_BYTES, BLOCKS, BLOCKS_MAX, FAILED_ANSWERS, Sizes, in_pieces
from deepnode_indexer.refusals import KNOWN, Meaning, meaning_of


def refusal(code: int, message: str) -> NodeFailure:
    """What our client makes of a node's error."""
    with pytest.raises(NodeFailure) as failed:
        Envelope("here", "http://here").results(
            json.dumps([{"jsonrpc": "2.0", "id": 0, "error": {"code": code, "message": message}}]),
            [("eth_getLogs", ())],
        )
    return failed.value


@dataclass
class Node:
    """Allows ranges of so many blocks and logs; counts what it is asked."""

    blocks_max: int = BLOCKS_MAX
    logs_max: int = 10**9
    logs_per_block: int = 1
    log_bytes: int = 600
    words: str | None = None
    asked: list[tuple[int, int]] = field(default_factory=list)

    def answer(self, first: int, last: int) -> tuple[int, int]:
        self.asked.append((first, last))
        count = last - first + 1
        logs = count * self.logs_per_block
        if count > self.blocks_max:
            raise self._refused_blocks(first, last)
        if logs > self.logs_max:
            raise self._refused_logs(first, last)
        return first, last

    def size_of(self, answer: tuple[int, int]) -> int:
        return (answer[1] - answer[0] + 1) * self.logs_per_block * self.log_bytes

    def _refused_blocks(self, first: int, last: int) -> NodeFailure:
        if self.words is None:
            return NodeError("here", "eth_getLogs", -32000, "no")
        told = too_many_blocks(self.words, self.blocks_max, first, last)
        return refusal(told.code, told.message)

    def _refused_logs(self, first: int, last: int) -> NodeFailure:
        if self.words is None:
            return AnswerTooLarge("too large")
        told = too_many_logs(self.words, self.logs_max, first, last, first + self.logs_max // self.logs_per_block - 1)
        return refusal(told.code, told.message)


def fetched(node: Node, sizes: Sizes, first: int, last: int) -> list[tuple[int, int]]:
    """Fetch a range and check that the pieces are it, in order, without a gap."""
    pieces = in_pieces(node.answer, node.size_of, sizes, first, last)
    assert [piece[0] for piece in pieces] == [first, *[piece[1] + 1 for piece in pieces[:-1]]]
    assert pieces[-1][1] == last
    return pieces


@pytest.mark.parametrize("provider", RANGE_PROVIDERS)
@pytest.mark.parametrize("cap", [1, 10, 100, 2_000, 10_000])
def test_every_known_limit_of_blocks_is_found_out(provider: str, cap: int) -> None:
    """Refuses long ranges in each provider's words: at most a few refusals, and the limit is used from then on."""
    sizes, node = Sizes(), Node(blocks_max=cap, logs_per_block=0, words=provider)
    fetched(node, sizes, 5, 20_004)
    fewest = -(-20_000 // cap)
    refused = [1 for first, last in node.asked if last - first + 1 > cap]
    assert len(refused) <= 16 + fewest // FAILED_ANSWERS
    assert len(node.asked) <= fewest * 2.2 + 24, (len(node.asked), fewest)


@pytest.mark.parametrize("provider", LOGS_PROVIDERS)
def test_every_known_limit_of_logs_is_found_out(provider: str) -> None:
    """Refuses answers of more than 1 000 logs in each provider's words, with 7 logs a block."""
    sizes, node = Sizes(), Node(logs_max=1_000, logs_per_block=7, words=provider)
    fetched(node, sizes, 0, 9_999)
    assert len(node.asked) <= 10_000 * 7 / 1_000 * 2.5 + 20


@given(
    blocks_max=st.integers(1, 3_000),
    logs_max=st.integers(1, 5_000),
    logs_per_block=st.integers(0, 400),
    words=st.none() | st.sampled_from(sorted(set(RANGE_PROVIDERS) & set(LOGS_PROVIDERS))),
    start=st.integers(1, BLOCKS_MAX),
    length=st.integers(1, 3_000),
)
def test_it_always_ends(
    blocks_max: int, logs_max: int, logs_per_block: int, words: str | None, start: int, length: int
) -> None:
    """Draws limits of blocks and logs: the range comes whole, or a single block is refused; questions have a bound."""
    node = Node(blocks_max, logs_max, logs_per_block, words=words)
    if logs_per_block > logs_max:
        with pytest.raises(NodeFailure):
            fetched(node, Sizes(start), 0, length - 1)
    else:
        fetched(node, Sizes(start), 0, length - 1)
        fitting = min(blocks_max, logs_max // max(logs_per_block, 1))
        assert len(node.asked) <= 4 * -(-length // fitting) + 40
    assert len(node.asked) <= 2 * length + 40


def test_answers_come_to_the_size_that_is_aimed_at() -> None:
    """Has 50, then 2 000, then no logs a block: ranges follow, and never grow more than fourfold at once."""
    sizes, node = Sizes(), Node(logs_per_block=50)
    fetched(node, sizes, 0, 5_000)
    assert ANSWER_BYTES * 0.9 < sizes.blocks * 50 * 600 <= ANSWER_BYTES
    node.logs_per_block = 2_000
    fetched(node, sizes, 0, 100)
    assert sizes.blocks == 1
    node.logs_per_block = 0
    pieces = fetched(node, sizes, 0, 300_000)
    lengths = [last - first + 1 for first, last in pieces]
    assert max(lengths) == BLOCKS_MAX
    assert all(behind <= 4 * before for before, behind in itertools.pairwise(lengths))


def test_a_limit_that_is_raised_is_found_in_time() -> None:
    """Refuses above 10 blocks in unknown words, then allows 1 000 again."""
    sizes, node = Sizes(), Node(blocks_max=10, logs_per_block=0)
    fetched(node, sizes, 0, 500)
    assert sizes.blocks <= 10
    node.blocks_max = 1_000
    node.asked.clear()
    fetched(node, sizes, 0, 20_000)
    assert max(last - first + 1 for first, last in node.asked) > 500


def test_a_node_that_refuses_a_single_block_leaves_no_mark() -> None:
    """Fails at everything: the failure is passed on, and the next range is as long as ever."""
    sizes, node = Sizes(), Node(blocks_max=0)
    with pytest.raises(NodeError, match="failed with -32000: no"):
        fetched(node, sizes, 0, 999)
    assert len(node.asked) <= 11
    assert sizes.blocks == BLOCKS


def test_what_is_no_refusal_is_passed_on_at_once() -> None:
    """Fails with an error about the method: nothing smaller is asked."""

    def fail(_first: int, _last: int) -> int:
        raise MethodMissing("here", "eth_getLogs", -32601, "method not found")

    with pytest.raises(MethodMissing):
        in_pieces(fail, int, Sizes(), 0, 999)


def test_a_slow_answer_makes_the_next_range_shorter_for_a_while() -> None:
    """Times out once: half is asked for, and the length comes back with the next answers."""
    sizes = Sizes()
    assert sizes.refused(1_000, TimedOut("slow")) == 500
    sizes.answered(500, 1_000)
    assert sizes.blocks == 2_000


def test_a_node_that_hangs_is_given_up() -> None:
    """Times out always: a few shorter pieces are tried, not ten."""
    asked = []

    def hang(first: int, last: int) -> int:
        asked.append(last - first + 1)
        raise TimedOut("no answer")

    with pytest.raises(TimedOut):
        in_pieces(hang, int, Sizes(1_000), 0, 999)
    assert asked == [1_000, 500, 250]


def test_a_suggested_range_is_taken_and_a_useless_one_is_not() -> None:
    """Suggests a shorter range, the very range that it refused, and one that is the wrong way round."""
    failure = refusal(-32602, "query exceeds max results 20000, retry with the range 100-150")
    assert isinstance(failure, RangeRefused)
    assert Sizes().refused(1_000, failure) == 51
    assert Sizes().refused(40, failure) == 20
    backwards = refusal(-32602, "this block range should work: [0x20, 0x10]")
    assert Sizes().refused(1_000, backwards) == 500


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: f"{known.provider}: {known.example[:40]}")
def test_each_known_text_means_what_the_table_says(known: object) -> None:
    """Reads each example of the table under codes that could mislead."""
    row = next(each for each in KNOWN if each is known)
    for code in (-32000, -32005, -32602, 429):
        assert meaning_of(code, row.example).meaning == row.meaning


def test_every_known_provider_is_on_the_page() -> None:
    """Looks for each provider of the table in docs/nodes.md."""
    page = (Path(__file__).parents[2] / "docs/nodes.md").read_text()
    names = {name.strip() for known in KNOWN for name in re.split(",| of | and ", known.provider)}
    assert {name for name in names if name not in page} <= {"OP chains", "gateways", "others"}


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        (-32005, "limit exceeded", Meaning.RATE),
        (429, "", Meaning.RATE),
        (-32601, "", Meaning.METHOD),
        (-32000, "header not found", Meaning.OTHER),
        (-32000, "unknown block", Meaning.OTHER),
        (-32000, "missing trie node", Meaning.OTHER),
        (3, "execution reverted", Meaning.OTHER),
        (-32602, "invalid argument 0: hex string without 0x prefix", Meaning.OTHER),
    ],
)
def test_other_errors_are_not_taken_for_refusals(code: int, message: str, expected: Meaning) -> None:
    """Reads errors that are about something else, and codes without a text."""
    assert meaning_of(code, message).meaning == expected


@given(st.integers(-40_000, 40_000), st.text(max_size=300))
def test_no_text_breaks_the_reading(code: int, message: str) -> None:
    """Reads any text as an error's message."""
    refused = meaning_of(code, message)
    assert refused.most is None or refused.most > 0
