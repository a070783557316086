"""Each answer is checked against the question; of one that breaks a rule, nothing is used."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from deepnode_indexer.provider import BATCH_CALLS, BlockRange, Provider, WrongChain
from deepnode_indexer.rpc import BadAnswer
from deepnode_ledger.batch import from_rows, row_of
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.record import DATA_BYTES_MAX
from tests.indexer.fake_node import FakeChain, header_json
from tests.ledger.histories import CHAIN_ID, GENESIS, placed, word

Change = Callable[[dict[str, Any]], dict[str, Any]]


def spoil(chain: FakeChain, method: str, change: Callable[[Any], Any]) -> None:
    """Change the answers of one method on their way."""
    chain.spoil = lambda asked, _parameters, result: change(result) if asked == method else result


def put(**values: Any) -> Change:
    return lambda told: told | values


def columns_of(chain: FakeChain, first: int, last: int) -> pa.RecordBatch:
    """The chain's own logs, laid out one by one by the ledger."""
    logs = placed([chain.blocks[n] for n in range(first, last + 1)])
    return from_rows([row_of(place, CHAIN_ID, block, log) for place, (block, log) in enumerate(logs, start=1)])


def without(name: str) -> Change:
    return lambda told: {key: value for key, value in told.items() if key != name}


def test_good_answers_are_read(chain: FakeChain, provider: Provider) -> None:
    """Asks for everything there is to ask of a chain of ten blocks."""
    chain.grow(10, logs=2)
    chain.finalized = 4
    provider.check_chain()
    tags = provider.tags()
    assert tags.finalized is not None
    assert (tags.head, tags.finalized) == (chain.blocks[10].header, chain.blocks[4].header)
    assert provider.headers([1, 10, 11]) == [chain.blocks[1].header, chain.blocks[10].header, None]
    assert provider.blocks([chain.blocks[n].header for n in (3, 4)]) == [chain.blocks[3], chain.blocks[4]]
    expected = BlockRange(chain.blocks[2].header, chain.blocks[7].header, columns_of(chain, 2, 7))
    assert provider.range_logs(2, 7) == expected
    chain.with_times = False
    assert provider.range_logs(2, 7) == expected
    assert provider.range_logs(2, 4).joined(provider.range_logs(5, 7)) == expected
    with pytest.raises(BadAnswer, match="block 6 is not the child"):
        provider.range_logs(2, 4).joined(provider.range_logs(6, 7))


def test_many_questions_go_in_several_requests(chain: FakeChain, provider: Provider) -> None:
    """Asks for more headers than one request may have."""
    chain.grow(BATCH_CALLS + 5, logs=0)
    numbers = range(1, BATCH_CALLS + 6)
    assert provider.headers(numbers) == [chain.blocks[n].header for n in numbers]


def test_a_chain_without_a_finalized_block_is_no_error(chain: FakeChain, provider: Provider) -> None:
    """Answers null for the tag `finalized`."""
    chain.grow(1)
    assert provider.tags().finalized is None


def test_another_chain_is_refused(chain: FakeChain, provider: Provider) -> None:
    """Serves another chain id, another genesis block, and none: both sides are named."""
    chain.chain_id = 1
    with pytest.raises(WrongChain, match=f"serves chain 1, the manifest is for chain {CHAIN_ID}"):
        provider.check_chain()
    chain.chain_id = CHAIN_ID
    spoil(chain, "eth_getBlockByNumber", put(hash=to_hex(word("other"))))
    with pytest.raises(
        WrongChain, match=f"is {to_hex(word('other'))}, the manifest's genesis_hash is {to_hex(GENESIS)}"
    ):
        provider.check_chain()
    spoil(chain, "eth_getBlockByNumber", lambda _told: None)
    with pytest.raises(WrongChain, match="is none, the manifest's genesis_hash"):
        provider.check_chain()


@pytest.mark.parametrize("answer", [None, 8453, "8453", "0xzz", "", [], {}, "0x" + "f" * 17, "-0x1"])
def test_a_chain_id_that_is_no_quantity_is_a_bad_answer(chain: FakeChain, provider: Provider, answer: Any) -> None:
    """Answers the chain id in other forms."""
    spoil(chain, "eth_chainId", lambda _told: answer)
    with pytest.raises(BadAnswer):
        provider.check_chain()


@pytest.mark.parametrize(
    "change",
    [
        put(hash="0x" + "ab" * 31),
        put(hash="0x" + "ab" * 33),
        put(hash=None),
        put(parentHash="0x"),
        put(parentHash="0x" + "zz" * 32),
        put(number="5"),
        put(number=5),
        put(number="0x-5"),
        put(number=hex(2**63)),
        put(timestamp="soon"),
        put(timestamp=None),
        without("hash"),
        without("timestamp"),
        lambda _told: "a block",
        lambda _told: [],
    ],
)
def test_a_block_of_the_wrong_form_is_a_bad_answer(chain: FakeChain, provider: Provider, change: Change) -> None:
    """Changes one field of a header at a time."""
    chain.grow(6)
    chain.finalized = 5
    spoil(chain, "eth_getBlockByNumber", change)
    with pytest.raises(BadAnswer):
        provider.headers([5])
    with pytest.raises(BadAnswer):
        provider.tags()


def test_the_block_must_be_the_one_that_was_asked_for(chain: FakeChain, provider: Provider) -> None:
    """Answers every question for a block with block 3."""
    chain.grow(6)
    spoil(chain, "eth_getBlockByNumber", lambda _told: header_json(chain.blocks[3]))
    with pytest.raises(BadAnswer, match="asked for block 5, got 3"):
        provider.headers([5])
    with pytest.raises(BadAnswer, match="has no block 5"):
        provider.range_logs(1, 5)


def test_a_node_without_a_head_is_a_bad_answer(chain: FakeChain, provider: Provider) -> None:
    """Answers null for the tag `latest`."""
    spoil(chain, "eth_getBlockByNumber", lambda _told: None)
    with pytest.raises(BadAnswer, match="there is no latest block"):
        provider.tags()


def test_a_range_whose_end_the_node_does_not_have_is_not_believed(chain: FakeChain, provider: Provider) -> None:
    """Asks a node that stands at block 6 for logs up to 8: its empty list would be a gap."""
    chain.grow(6)
    with pytest.raises(BadAnswer, match="the node has no block 8"):
        provider.range_logs(7, 8)


@pytest.mark.parametrize(
    "change",
    [
        put(address="0x" + "bb" * 20),
        put(address="0x" + "aa" * 19),
        put(address=None),
        put(blockNumber="0x9"),
        put(blockNumber="0x1"),
        put(blockNumber="4"),
        put(blockHash="0x" + "ab" * 31),
        put(transactionHash="0x" + "ab" * 20),
        put(transactionHash=None),
        put(transactionIndex="one"),
        put(logIndex=None),
        put(logIndex="0x" + "f" * 20),
        put(topics=["0x" + "ab" * 31]),
        put(topics=["0x" + "ab" * 32] * 5),
        put(topics=None),
        put(data="0x0"),
        put(data="not bytes"),
        put(data="0x" + "00" * (DATA_BYTES_MAX + 1)),
        put(removed=True),
        put(blockTimestamp="today"),
        without("data"),
        without("blockHash"),
        lambda _told: None,
    ],
)
def test_a_log_that_breaks_a_rule_is_a_bad_answer(chain: FakeChain, provider: Provider, change: Change) -> None:
    """Changes one field of one log at a time, in the answer for a block and in that for a range."""
    chain.grow(4, logs=1)
    spoil(chain, "eth_getLogs", lambda logs: [*logs[:-1], change(logs[-1])])
    with pytest.raises(BadAnswer):
        provider.blocks([chain.blocks[4].header])
    with pytest.raises(BadAnswer):
        provider.range_logs(2, 4)


@pytest.mark.parametrize("answer", [None, {}, "logs", [1], [[]]])
def test_what_is_no_list_of_logs_is_a_bad_answer(chain: FakeChain, provider: Provider, answer: Any) -> None:
    """Answers other JSON; null is not an empty list."""
    chain.grow(4)
    spoil(chain, "eth_getLogs", lambda _logs: answer)
    with pytest.raises(BadAnswer):
        provider.blocks([chain.blocks[4].header])
    with pytest.raises(BadAnswer):
        provider.range_logs(2, 4)


@pytest.mark.parametrize(
    "change",
    [
        lambda logs: logs[::-1],
        lambda logs: [*logs, logs[0]],
        lambda logs: [logs[0], logs[0], *logs[1:]],
        lambda logs: [*logs, logs[-1]],
    ],
)
def test_logs_out_of_order_are_a_bad_answer(
    chain: FakeChain, provider: Provider, change: Callable[[list[Any]], list[Any]]
) -> None:
    """Reverses the logs and repeats some."""
    chain.grow(4, logs=3)
    spoil(chain, "eth_getLogs", change)
    with pytest.raises(BadAnswer, match="came behind log"):
        provider.blocks([chain.blocks[4].header])
    with pytest.raises(BadAnswer, match="came behind log"):
        provider.range_logs(2, 4)


def test_logs_of_another_block_are_a_bad_answer(chain: FakeChain, provider: Provider) -> None:
    """Answers the question for a block's logs with logs of its sibling at the same height."""
    chain.grow(4)
    spoil(chain, "eth_getLogs", lambda logs: [log | {"blockHash": to_hex(word("fork"))} for log in logs])
    with pytest.raises(BadAnswer, match="asked for the logs of another block"):
        provider.blocks([chain.blocks[4].header])


def test_a_range_is_of_one_branch(chain: FakeChain, provider: Provider) -> None:
    """Says that the logs of the range's last block are of another block than the header in the same answer."""
    chain.grow(4, logs=2)
    spoil(
        chain,
        "eth_getLogs",
        lambda logs: [
            log | ({"blockHash": to_hex(word("fork"))} if log["blockNumber"] == "0x4" else {}) for log in logs
        ],
    )
    with pytest.raises(BadAnswer):
        provider.range_logs(2, 4)


def test_a_block_has_one_hash_within_a_range(chain: FakeChain, provider: Provider) -> None:
    """Gives two logs of one block under different block hashes."""
    chain.grow(4, logs=2)
    spoil(
        chain,
        "eth_getLogs",
        lambda logs: [log | ({"blockHash": to_hex(word("fork"))} if n == 1 else {}) for n, log in enumerate(logs)],
    )
    with pytest.raises(BadAnswer):
        provider.range_logs(2, 4)


def test_a_log_without_a_time_never_gets_a_made_up_one(chain: FakeChain, provider: Provider) -> None:
    """Leaves the times out of the logs, and answers null where the header is asked for instead."""
    chain.grow(4, logs=1)
    chain.with_times = False
    chain.spoil = lambda method, parameters, result: (
        None if method == "eth_getBlockByNumber" and parameters[0] == "0x3" else result
    )
    with pytest.raises(BadAnswer):
        provider.range_logs(2, 4)


def test_times_that_are_left_out_come_from_the_same_branch(chain: FakeChain, provider: Provider) -> None:
    """Leaves the times out of the logs, and gives the header of another branch for one block."""
    chain.grow(4, logs=1)
    chain.with_times = False
    chain.spoil = lambda method, parameters, result: (
        result | {"hash": to_hex(word("fork"))}
        if method == "eth_getBlockByNumber" and parameters[0] == "0x3"
        else result
    )
    with pytest.raises(BadAnswer, match="block 3 has two hashes"):
        provider.range_logs(2, 4)
