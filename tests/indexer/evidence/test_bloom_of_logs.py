"""Blooms: against those in real headers, and that they never deny what is there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_indexer.evidence import bloom
from deepnode_ledger.hexadecimal import from_hex
from tests.indexer.evidence.real_blocks import LONDON, WHOLE, RealBlock

ADDRESS = st.binary(min_size=20, max_size=20)
TOPIC = st.binary(min_size=32, max_size=32)
LOG = st.tuples(ADDRESS, st.lists(TOPIC, max_size=4))


def logs_of(block: RealBlock) -> list[tuple[bytes, list[bytes]]]:
    return [
        (from_hex(log["address"], 20), [from_hex(topic, 32) for topic in log["topics"]])
        for receipt in block.receipts or ()
        for log in receipt["logs"]
    ]


@pytest.mark.parametrize("block", WHOLE, ids=lambda block: block.name)
def test_the_logs_of_a_real_block_make_the_bloom_in_its_header(block: RealBlock) -> None:
    """Of mainnet, Base and another OP-stack chain, with logs and without."""
    assert bloom.of_logs(logs_of(block)) == block.verified().logs_bloom


def test_a_real_header_rules_out_the_addresses_that_have_no_log_in_its_block() -> None:
    """Watches contracts of the block and one that is not there."""
    there = sorted({address for address, _ in logs_of(LONDON)})
    absent = b"\x01" * 20
    watch = bloom.Watch([*there, absent])
    header = LONDON.verified()
    assert watch.any_in(header.logs_bloom)
    assert watch.found_in(header.logs_bloom) == there
    assert not bloom.Watch([absent]).any_in(header.logs_bloom)
    assert not watch.any_in(bloom.EMPTY)
    assert not bloom.Watch([]).any_in(b"\xff" * 256)


@given(st.lists(LOG, max_size=30), st.lists(ADDRESS, max_size=5))
def test_nothing_that_is_there_is_ever_denied(logs: list[tuple[bytes, list[bytes]]], others: list[bytes]) -> None:
    """Looks for each address and topic of the logs, one by one and watched together with others."""
    made = bloom.of_logs(logs)
    items = [item for address, topics in logs for item in (address, *topics)]
    assert all(bloom.may_hold(made, item) for item in items)
    watched = [*others, *items]
    watch = bloom.Watch(watched)
    assert watch.found_in(made) == [item for item in watched if bloom.may_hold(made, item)]
    assert watch.any_in(made) == bool(watch.found_in(made))


@given(st.lists(LOG, max_size=8), st.lists(LOG, max_size=8))
def test_the_bloom_of_a_block_is_all_blooms_together(
    ones: list[tuple[bytes, list[bytes]]], others: list[tuple[bytes, list[bytes]]]
) -> None:
    """Compares the bloom of two runs of logs with the two blooms laid over each other."""
    together = int.from_bytes(bloom.of_logs(ones)) | int.from_bytes(bloom.of_logs(others))
    assert bloom.of_logs([*ones, *others]) == together.to_bytes(bloom.BLOOM_BYTES)
