"""Logs read by columns are the logs that the node told, and two nodes that tell the same have one digest."""

import json
import random
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_indexer.chain_logs import Asked, chain_logs, digest, joined, parse
from deepnode_indexer.failures import BadAnswer
from deepnode_ledger.batch import from_rows, row_of
from deepnode_ledger.batch_versions import SCHEMA
from deepnode_ledger.record import Block, BlockRef, ChainLog, Header
from tests.indexer.fake_node import log_json
from tests.ledger.histories import CHAIN_ID, placed, ref, run, word

ADDRESSES = [bytes([number]) * 20 for number in range(1, 6)]
LOGS = st.builds(
    lambda address, topics, data: (address, tuple(topics), data),
    st.sampled_from(ADDRESSES),
    st.lists(st.binary(min_size=32, max_size=32), max_size=4),
    st.binary(max_size=70),
)
HISTORIES = st.lists(st.lists(LOGS, max_size=4), max_size=5)
"""For each block the logs in it."""


def blocks_of(history: list[list[tuple[bytes, tuple[bytes, ...], bytes]]]) -> list[Block]:
    blocks = []
    for number, logs in enumerate(history, start=1):
        own = ref(number)
        made = [ChainLog(word("tx", number, n), n, n * 2, *log) for n, log in enumerate(logs)]
        blocks.append(Block(Header(own, ref(number - 1).hash), tuple(made)))
    return blocks


def told(blocks: list[Block], addresses: list[bytes] = ADDRESSES, *, with_time: bool = True) -> msgspec.Raw:
    logs = [
        log_json(b, n, with_time=with_time) for b in blocks for n, log in enumerate(b.logs) if log.address in addresses
    ]
    return msgspec.Raw(json.dumps(logs).encode())


def expected(blocks: list[Block]) -> pa.RecordBatch:
    rows = [row_of(n, CHAIN_ID, block, log) for n, (block, log) in enumerate(placed(blocks), start=1)]
    return from_rows(rows)


@given(HISTORIES)
def test_columns_are_what_the_ledger_lays_out_one_by_one(history: list[Any]) -> None:
    """Compares whole batches, with 0 to 4 topics and data of any length, and the logs that are read back from them."""
    blocks = blocks_of(history)
    batch = parse([(told(blocks), Asked(1, 5))], set(ADDRESSES), "here").batch(CHAIN_ID)
    batch.validate(full=True)
    if batch.num_rows:
        assert batch.equals(expected(blocks))
    assert batch.schema.equals(SCHEMA)
    assert list(chain_logs(batch)) == [log for _, log in placed(blocks)]


@given(HISTORIES, st.integers(1, 4))
def test_several_filters_give_the_same_as_one(history: list[Any], split: int) -> None:
    """Asks for two parts of the addresses, over one range and block by block."""
    blocks = blocks_of(history)
    parts = [ADDRESSES[:split], ADDRESSES[split:]]
    whole = parse([(told(blocks), Asked(1, 5))], set(ADDRESSES), "here").batch(CHAIN_ID)
    answers = [(told(blocks, part), Asked(1, 5)) for part in parts]
    assert parse(answers, set(ADDRESSES), "here", filters=2).batch(CHAIN_ID).equals(whole)
    by_block = [
        (told([b], part), Asked(b.header.block.number, b.header.block.number, b.header.block.hash))
        for b in blocks
        for part in parts
    ]
    assert parse(by_block, set(ADDRESSES), "here", filters=2).batch(CHAIN_ID).equals(whole)


def test_a_log_that_two_filters_answer_is_refused() -> None:
    """Answers a log for both halves of the addresses."""
    blocks = blocks_of([[(ADDRESSES[0], (), b"")]])
    with pytest.raises(BadAnswer, match="came behind log"):
        parse([(told(blocks), Asked(1, 1)), (told(blocks), Asked(1, 1))], set(ADDRESSES), "here", filters=2)


def test_times_that_are_left_out_are_asked_for_once_a_block() -> None:
    """Leaves out the times of some blocks' logs, and takes them from headers."""
    blocks = run(1, 4, logs=3)
    logs = json.loads(bytes(told(blocks[:2], [blocks[0].logs[0].address], with_time=False)))
    logs += json.loads(bytes(told(blocks[2:], [blocks[0].logs[0].address])))
    columns = parse([(msgspec.Raw(json.dumps(logs).encode()), Asked(1, 4))], {blocks[0].logs[0].address}, "here")
    assert columns.untimed() == [1, 2]
    timed = columns.agree_with({n: blocks[n - 1].header.block for n in (1, 2)}, "here")
    assert timed.batch(CHAIN_ID).equals(expected(blocks))


def test_a_block_has_one_time() -> None:
    """Tells two times for the logs of a block, and another time than its header has."""
    blocks = run(1, 2, logs=2)
    address = blocks[0].logs[0].address
    logs = json.loads(bytes(told(blocks, [address])))
    logs[1]["blockTimestamp"] = "0x1"
    with pytest.raises(BadAnswer, match="block 1 has two times in one answer"):
        parse([(msgspec.Raw(json.dumps(logs).encode()), Asked(1, 2))], {address}, "here")
    columns = parse([(told(blocks, [address]), Asked(1, 2))], {address}, "here")
    other = BlockRef(2, blocks[1].header.block.hash, 7)
    with pytest.raises(BadAnswer, match="block 2 has two times in two answers"):
        columns.agree_with({2: other}, "here")


def test_the_digest_is_of_the_logs_alone() -> None:
    """Takes slices, other positions, other times, joined halves and garbage behind nulls: one digest."""
    blocks = blocks_of(
        [[(ADDRESSES[n % 5], (word(n),) * (n % 5), b"x" * n) for n in range(7)], [], [(ADDRESSES[0], (), b"")]]
    )
    batch = expected(blocks)
    untimed = parse([(told(blocks, with_time=False), Asked(1, 3))], set(ADDRESSES), "here").batch(CHAIN_ID)
    longer = expected(blocks_of([[(ADDRESSES[0], (), b"ahead")]]))
    sliced = pa.concat_batches([longer, batch, longer]).slice(1, batch.num_rows)
    assert digest(untimed) == digest(batch) == digest(sliced) == digest(joined([batch.slice(0, 3), batch.slice(3)]))
    assert joined([batch.slice(0, 3), batch.slice(3)]).equals(batch)
    assert digest(batch.slice(0, 0)) == digest(parse([], set(), "here").batch(CHAIN_ID))


def flipped(rng: random.Random, log: dict[str, Any]) -> dict[str, Any]:
    """Change one digit of one field, the topics among them, or leave out a topic."""
    name = rng.choice(["address", "data", "blockHash", "transactionHash", "transactionIndex", "topics"])
    if name == "topics":
        return log | {"topics": log["topics"][:-1]}
    text = log[name]
    at = rng.randrange(2, len(text))
    return log | {name: text[:at] + ("1" if text[at] != "1" else "2") + text[at + 1 :]}


def test_any_change_of_a_log_changes_the_digest() -> None:
    """Changes one digit somewhere, three hundred times: the answer is refused or has another digest."""
    blocks = run(1, 3, logs=3)
    logs = json.loads(bytes(told(blocks, [blocks[0].logs[0].address])))
    address = blocks[0].logs[0].address
    true = digest(expected(blocks))
    for seed in range(300):
        rng = random.Random(seed)
        row = rng.randrange(len(logs))
        changed = [*logs[:row], flipped(rng, logs[row]), *logs[row + 1 :]]
        try:
            columns = parse([(msgspec.Raw(json.dumps(changed).encode()), Asked(1, 3))], {address}, "here")
        except BadAnswer:
            continue
        assert digest(columns.batch(CHAIN_ID)) != true, seed
