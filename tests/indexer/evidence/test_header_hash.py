"""A header's hash: against real headers of every fork since Frontier, and against the library ``rlp``."""

from typing import Any

import pytest
import rlp
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from deepnode_indexer.evidence import HeaderDiffers, header
from deepnode_indexer.failures import BadAnswer
from deepnode_ledger.hexadecimal import from_hex, to_hex
from tests.indexer.evidence.real_blocks import LONDON, WITH_HEADER, RealBlock

FIXED = {
    "parentHash": 32,
    "sha3Uncles": 32,
    "miner": 20,
    "stateRoot": 32,
    "transactionsRoot": 32,
    "receiptsRoot": 32,
    "logsBloom": 256,
}
FORKS = ("baseFeePerGas", "withdrawalsRoot", "blobGasUsed", "excessBlobGas", "parentBeaconBlockRoot", "requestsHash")
QUANTITIES = {"baseFeePerGas", "blobGasUsed", "excessBlobGas"}


def names(block: RealBlock) -> str:
    return block.name


@st.composite
def headers(draw: st.DrawFn) -> tuple[dict[str, Any], list[bytes]]:
    """A header with any number of the forks' fields, as JSON and as what RLP encodes."""
    raw: dict[str, Any] = {}
    items: list[bytes] = []

    def add(name: str, value: bytes, *, quantity: bool = False) -> None:
        items.append(value)
        raw[name] = hex(int.from_bytes(value)) if quantity else to_hex(value)

    def number() -> bytes:
        value = draw(st.integers(0, 2 ** draw(st.sampled_from((7, 8, 64, 256))) - 1))
        return value.to_bytes((value.bit_length() + 7) // 8)

    for name, length in FIXED.items():
        add(name, draw(st.binary(min_size=length, max_size=length)))
    for name in ("difficulty", "number", "gasLimit", "gasUsed", "timestamp"):
        add(name, number(), quantity=True)
    add("extraData", draw(st.binary(max_size=100)))
    add("mixHash", draw(st.binary(min_size=32, max_size=32)))
    add("nonce", draw(st.binary(min_size=8, max_size=8)))
    for name in FORKS[: draw(st.integers(0, len(FORKS)))]:
        is_quantity = name in QUANTITIES
        add(name, number() if is_quantity else draw(st.binary(min_size=32, max_size=32)), quantity=is_quantity)
    return raw, items


@pytest.mark.parametrize("block", WITH_HEADER, ids=names)
def test_the_header_of_a_real_block_has_the_hash_of_that_block(block: RealBlock) -> None:
    """Frontier, London, Cancun and Prague of mainnet; Base before Canyon and since Jovian; another OP-stack chain."""
    assert block.header is not None
    found = header.verified(block.header, from_hex(block.header["hash"], 32))
    assert to_hex(found.header.block.hash) == block.header["hash"]
    assert to_hex(found.header.parent_hash) == block.header["parentHash"]
    assert found.header.block.number == int(block.header["number"], 16)
    assert found.header.block.time == int(block.header["timestamp"], 16)
    assert found.receipts_root == block.receipts_root
    assert to_hex(found.logs_bloom) == block.header["logsBloom"]


@given(headers())
def test_any_header_is_encoded_as_the_library_encodes_it(case: tuple[dict[str, Any], list[bytes]]) -> None:
    """Makes headers of every length of tail; fields that are none of the header change nothing."""
    raw, items = case
    assert header.rlp_of(raw) == rlp.encode(items)
    assert header.hash_of({**raw, "size": "0x220", "hash": "0x"}) == keccak(rlp.encode(items))


@pytest.mark.parametrize("field", ["parentHash", "receiptsRoot", "logsBloom", "timestamp", "gasUsed", "baseFeePerGas"])
def test_a_header_with_one_field_changed_is_not_the_block_s(field: str) -> None:
    """Changes the last digit of each field of a real header."""
    assert LONDON.header is not None
    text = LONDON.header[field]
    changed = {**LONDON.header, field: text[:-1] + ("0" if text[-1] != "0" else "1")}
    with pytest.raises(HeaderDiffers, match="14764013"):
        header.verified(changed)


def test_the_right_header_of_another_block_is_refused_where_one_was_asked_for_by_hash() -> None:
    """Asks for one hash and answers with a whole and honest header of another."""
    assert LONDON.header is not None
    with pytest.raises(HeaderDiffers, match="asked for block 0x0707"):
        header.verified(LONDON.header, b"\x07" * 32)


def test_a_later_fork_s_field_without_an_earlier_one_s_is_no_header() -> None:
    """Takes the base fee out of a header of Cancun: nothing may be guessed in its place."""
    cancun = next(block.header for block in WITH_HEADER if block.header and "blobGasUsed" in block.header)
    without = {name: value for name, value in cancun.items() if name != "baseFeePerGas"}
    with pytest.raises(BadAnswer, match="withdrawalsRoot and no baseFeePerGas"):
        header.hash_of(without)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("parentHash", None),
        ("parentHash", "0x12"),
        ("parentHash", "12" * 33),
        ("stateRoot", "0x" + "0g" * 32),
        ("miner", 7),
        ("number", "0x"),
        ("number", "12"),
        ("number", "0x-1"),
        ("number", "0x1_0"),
        ("number", "0x" + "f" * 65),
        ("number", None),
        ("extraData", "0x123"),
        ("extraData", "0x12 34"),
        ("nonce", "0x00"),
    ],
)
def test_a_malformed_field_is_the_node_s_fault_and_is_named(field: str, value: object) -> None:
    """Puts what is no hash, no quantity or no text at all into each kind of field."""
    assert LONDON.header is not None
    with pytest.raises(BadAnswer, match=field):
        header.verified({**LONDON.header, field: value})
