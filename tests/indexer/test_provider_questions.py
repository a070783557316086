"""What a provider is asked beyond the manifest's logs: children's logs, whole headers, receipts; and how it copes."""

import random
from typing import Any

import pytest

from deepnode_indexer.failures import BadAnswer, BatchRefused, NodeError
from deepnode_indexer.provider import BATCH_CALLS, FILTER_ADDRESSES, Provider
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import Manifest
from tests.indexer.fake_node import FakeChain
from tests.ledger.histories import TOKEN, word


def receipts_of(chain: FakeChain, number: int) -> list[dict[str, Any]]:
    block_hash = to_hex(chain.blocks[number].header.block.hash)
    return [{"blockHash": block_hash, "transactionIndex": hex(n), "status": "0x1", "logs": []} for n in range(3)]


def tell_receipts(chain: FakeChain, change: Any = lambda receipts: receipts, *, by_block: bool = True) -> None:
    """Answer for receipts, which the fake chain does not know, and change them on their way."""
    chain.extra = {
        "eth_getBlockReceipts": lambda _hash: (
            change(receipts_of(chain, 2)) if by_block else {"code": -32601, "message": "method not found"}
        ),
        "eth_getBlockByHash": lambda _hash, _full: {"transactions": [hex(n) for n in range(3)]},
        "eth_getTransactionReceipt": lambda each: change(receipts_of(chain, 2))[int(each, 16)],
    }


@pytest.mark.parametrize("by_block", [True, False])
def test_receipts_come_in_order_or_not_at_all(chain: FakeChain, provider: Provider, by_block: bool) -> None:
    """Tells receipts by block, and one by one where the node has no method for a block; then breaks them."""
    chain.grow(3)
    block_hash = chain.blocks[2].header.block.hash
    tell_receipts(chain, by_block=by_block)
    assert provider.receipts(block_hash) == receipts_of(chain, 2)
    assert provider.receipts(block_hash) == receipts_of(chain, 2)
    assert [method for method, _ in chain.requests].count("eth_getBlockReceipts") == (2 if by_block else 1)
    for change in (
        lambda told: told[::-1],
        lambda told: [told[0], told[0], told[2]],
        lambda told: [told[0], told[1], told[2] | {"blockHash": to_hex(word("fork"))}],
        lambda told: [told[0], told[1], {}],
        lambda told: [told[0], None, told[2]],
    ):
        tell_receipts(chain, change, by_block=by_block)
        with pytest.raises(BadAnswer):
            provider.receipts(block_hash)


def test_a_block_without_receipts_is_told_from_one_that_is_not_there(chain: FakeChain, provider: Provider) -> None:
    """Answers an empty list, which an empty block has, and null, which says that the block is not known."""
    chain.extra = {"eth_getBlockReceipts": lambda _hash: []}
    assert provider.receipts(word("block")) == []
    chain.extra = {"eth_getBlockReceipts": lambda _hash: None}
    with pytest.raises(BadAnswer, match="has no receipts of block"):
        provider.receipts(word("block"))


def test_whole_headers_have_every_field_that_the_node_tells(chain: FakeChain, provider: Provider) -> None:
    """Asks for more headers than go into one request; then for one that is not there, and for one that is another."""
    chain.grow(BATCH_CALLS + 5, logs=0)
    headers = provider.raw_headers(range(1, BATCH_CALLS + 6))
    assert [int(header["number"], 16) for header in headers] == list(range(1, BATCH_CALLS + 6))
    assert headers[0]["gasUsed"] == "0x1"
    with pytest.raises(BadAnswer, match="has no block 1000"):
        provider.raw_headers([1, 1000])
    chain.spoil = lambda _method, _parameters, result: result | {"number": "0x7"}
    with pytest.raises(BadAnswer, match="asked for block 3, got '0x7'"):
        provider.raw_headers([3])


def test_many_addresses_go_in_several_filters_of_one_request(chain: FakeChain, provider: Provider) -> None:
    """Asks for the logs of 1 201 addresses: three filters, one request, the same logs."""
    chain.grow(6, logs=2)
    rng = random.Random(1)
    addresses = [rng.randbytes(20) for _ in range(2 * FILTER_ADDRESSES + 200)] + [TOKEN]
    requests = provider.rpc.meter.requests
    assert provider.range_logs(2, 5, addresses) == provider.range_logs(2, 5)
    assert provider.rpc.meter.requests == requests + 2
    filters = [p[0]["address"] for m, p in chain.requests if m == "eth_getLogs"][:-1]
    assert [len(each) for each in filters] == [FILTER_ADDRESSES, FILTER_ADDRESSES, 201]
    assert [*filters[0], *filters[1], *filters[2]] == [to_hex(address) for address in addresses]
    headers = [chain.blocks[n].header for n in (3, 4)]
    assert provider.blocks(headers, addresses) == provider.blocks(headers) == [chain.blocks[3], chain.blocks[4]]


def test_no_address_never_means_all_of_them(chain: FakeChain, provider: Provider) -> None:
    """Asks for the logs of nobody, which a node would take for everybody."""
    chain.grow(3)
    with pytest.raises(AssertionError, match="every contract"):
        provider.range_logs(1, 2, [])


def test_two_nodes_that_tell_the_same_have_one_digest(chain: FakeChain, provider: Provider) -> None:
    """Compares the same range with and without times, and one that lacks a log."""
    chain.grow(6, logs=2)
    one = provider.range_logs(2, 5)
    chain.with_times = False
    assert provider.range_logs(2, 5).digest() == one.digest()
    assert provider.range_logs(2, 3).joined(provider.range_logs(4, 5)).digest() == one.digest()
    chain.spoil = lambda method, _parameters, result: result[1:] if method == "eth_getLogs" else result
    assert provider.range_logs(2, 5).digest() != one.digest()


@pytest.mark.parametrize("message", ["finalized block not found", "safe block not found", "Unknown block"])
def test_a_tag_that_points_at_no_block_is_no_error(chain: FakeChain, provider: Provider, message: str) -> None:
    """Answers an error for the tags, as some nodes do before anything is final; another error stays one."""
    chain.grow(3)
    chain.spoil = lambda _method, parameters, result: (
        {"code": -32000, "message": message} if parameters[0] in ("finalized", "safe") else result
    )
    tags = provider.tags()
    assert (tags.head, tags.finalized, tags.safe) == (chain.blocks[3].header, None, None)
    assert provider.head == 3
    chain.spoil = lambda _method, _parameters, _result: {"code": -32000, "message": "internal error"}
    with pytest.raises(NodeError, match="internal error"):
        provider.tags()


def test_smaller_requests_are_made_where_the_node_wants_them(chain: FakeChain, provider: Provider) -> None:
    """Refuses requests of more than 3 calls, as a free plan does, and then of more than one."""
    chain.grow(30, logs=1)
    chain.calls_max = 3
    assert provider.headers(range(1, 31)) == [chain.blocks[n].header for n in range(1, 31)]
    assert provider.fetch(1, 30).logs.num_rows == 30
    chain.calls_max = 1
    assert provider.headers(range(1, 4)) == [chain.blocks[n].header for n in range(1, 4)]
    # The logs and the headers of the range's ends belong into one request: taken apart they would show less.
    with pytest.raises(BatchRefused):
        provider.range_logs(1, 5)
    with pytest.raises(BatchRefused):
        provider.fetch(1, 5)


def test_a_chain_that_is_not_in_the_manifest_is_refused(provider: Provider, manifest: Manifest) -> None:
    """Makes a provider for a chain that the manifest does not name."""
    with pytest.raises(BadInput, match="has no chain 10"):
        Provider(provider.rpc, manifest, 10)
