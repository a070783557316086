"""Many logs read at once say what each says alone, and are refused for the same reasons."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from eth_abi.abi import encode
from hypothesis import given, settings
from hypothesis import strategies as st

from deepnode_ledger import batch as batches
from deepnode_ledger.abi import EventAbi, Input, Undecodable
from deepnode_ledger.bulk import Decoded, decode_rows
from deepnode_ledger.column import Column, Fixed, Numbers, Values, Wide, present
from deepnode_ledger.record import ChainLog
from tests.ledger.histories import CHAIN_ID, TOKEN, ref, task, word

Raw = tuple[tuple[bytes, ...], bytes]

BLOCK = ref(9)


def batch_of(event: EventAbi, logs: Sequence[Raw], *, between: bool = False) -> Any:
    """A batch of these logs, maybe with a task event behind each."""
    rows: list[batches.Row] = []
    for topics, data in logs:
        log = ChainLog(word("t"), 0, len(rows), TOKEN, (event.topic0, *topics), data)
        rows.append(batches.row_of(len(rows) + 1, CHAIN_ID, BLOCK, log))
        if between:
            rows.append(batches.row_of(len(rows) + 1, CHAIN_ID, BLOCK, task(len(rows))))
    return batches.from_rows(rows)


def bulk(event: EventAbi, logs: Sequence[Raw]) -> Decoded:
    return decode_rows(event, batch_of(event, logs))


def bits(low: int, high: int) -> st.SearchStrategy[int]:
    return st.integers(8 * low, 8 * high).map(lambda n: n // 8 * 8)


_sized = st.one_of(
    bits(1, 32).map(lambda n: f"uint{n}"),
    bits(1, 32).map(lambda n: f"int{n}"),
    st.integers(1, 32).map(lambda n: f"bytes{n}"),
    st.sampled_from(["address", "bool", "uint256", "bytes32", "uint64", "int64", "uint72", "int72"]),
)
_dynamic = st.sampled_from(
    ["string", "bytes", "uint256[]", "uint32[5]", "(uint8,bool)", "(uint8,bytes)[]", "address[2][]", "bytes32[2]"]
)
TYPES = st.one_of(_sized, _sized, _sized, _dynamic)


@st.composite
def events(draw: st.DrawFn) -> EventAbi:
    """Any event of up to six arguments, up to three of them indexed."""
    types = draw(st.lists(TYPES, max_size=6))
    indexed = draw(st.sets(st.integers(0, 5), max_size=3))
    return EventAbi("Said", tuple(Input(f"a{n}", each, n in indexed) for n, each in enumerate(types)))


def value_of(abi_type: str) -> st.SearchStrategy[Any]:
    """Values of a type, those at the ends of its range among them."""
    if abi_type.endswith("]"):
        item, _, count = abi_type[:-1].rpartition("[")
        return st.lists(value_of(item), min_size=int(count or 0), max_size=int(count or 3))
    if abi_type.startswith("("):
        parts = abi_type[1:-1].split(",")
        return st.tuples(*map(value_of, parts))
    if abi_type in ("string", "bytes"):
        return st.text(max_size=40) if abi_type == "string" else st.binary(max_size=70)
    if abi_type in ("address", "bool"):
        return (
            st.booleans() if abi_type == "bool" else st.binary(min_size=20, max_size=20).map(lambda b: "0x" + b.hex())
        )
    name = abi_type.rstrip("0123456789")
    size_ = int(abi_type.removeprefix(name))
    if name == "bytes":
        return st.binary(min_size=size_, max_size=size_)
    low, high = (0, 2**size_ - 1) if name == "uint" else (-(2 ** (size_ - 1)), 2 ** (size_ - 1) - 1)
    return st.integers(low, high) | st.sampled_from([low, high])


ANY_WORD = st.binary(min_size=32, max_size=32) | st.integers(0, 2**16).map(lambda n: n.to_bytes(32))


@st.composite
def logs_of(draw: st.DrawFn, event: EventAbi) -> list[Raw]:
    """Logs as contracts write them, and some that are broken: dirty words, data cut off or with more behind it."""
    logs = []
    for _ in range(draw(st.integers(1, 5))):
        topics, types, values = [], [], []
        for each in event.inputs:
            value = draw(value_of(each.type))
            if not each.indexed:
                types.append(each.type)
                values.append(value)
            elif each.type in ("string", "bytes") or each.type[-1] in "])":
                topics.append(word(repr(value)))
            else:
                topics.append(encode([each.type], [value]))
        data = encode(types, values)
        match draw(st.sampled_from(["good", "good", "topic", "word", "bit", "cut", "more"])):
            case "topic" if topics:
                topics[draw(st.integers(0, len(topics) - 1))] = draw(ANY_WORD)
            case "word" if data:
                at = 32 * draw(st.integers(0, len(data) // 32 - 1))
                data = data[:at] + draw(ANY_WORD) + data[at + 32 :]
            case "bit" if data:
                at = draw(st.integers(0, 8 * len(data) - 1))
                data = (int.from_bytes(data) ^ 1 << at).to_bytes(len(data))
            case "cut":
                data = data[: draw(st.integers(0, len(data)))]
            case "more":
                data += draw(st.binary(min_size=1, max_size=70))
        logs.append((tuple(topics), data))
    return logs


@settings(max_examples=250)
@given(events().flatmap(lambda event: st.tuples(st.just(event), logs_of(event))))
def test_bulk_reads_and_refuses_what_eth_abi_does(drawn: tuple[EventAbi, list[Raw]]) -> None:
    """Encodes random events by eth-abi, breaks some, and compares all of them with the reading of one log at a time."""
    event, logs = drawn
    decoded = bulk(event, logs)
    assert set(decoded.columns) == {each.name for each in event.inputs}
    columns = {name: column.values() for name, column in decoded.columns.items()}
    for index, (topics, data) in enumerate(logs):
        expected, reason = None, None
        try:
            expected = event.decode((event.topic0, *topics), data)
        except Undecodable as error:
            reason = str(error)
        assert decoded.reasons.get(index) == reason
        assert bool(decoded.good[index]) is (reason is None)
        if expected is not None:
            found = {name: values[index] for name, values in columns.items()}
            assert found == expected
            assert [type(found[name]) for name in expected] == [type(value) for value in expected.values()]


TRANSFER = EventAbi(
    "Transfer", (Input("from", "address", True), Input("to", "address", True), Input("value", "uint256", False))
)


def transfer(sender: int, receiver: int, value: int) -> Raw:
    return (sender.to_bytes(32), receiver.to_bytes(32)), value.to_bytes(32)


def test_the_rows_that_are_meant_are_read_wherever_they_stand() -> None:
    """Reads every second row of a batch, of a slice of it, and none at all."""
    batch = batch_of(TRANSFER, [transfer(n, n + 1, n + 2) for n in range(8)], between=True)
    every_second = np.arange(0, 16, 2)

    def values(decoded: Decoded) -> list[Any]:
        assert decoded.good.all()
        return decoded.columns["value"].values()

    assert values(decode_rows(TRANSFER, batch, every_second)) == list(range(2, 10))
    assert values(decode_rows(TRANSFER, batch.slice(6), every_second[:3])) == [5, 6, 7]
    assert values(decode_rows(TRANSFER, batch.slice(4, 1))) == [4]
    nothing = decode_rows(TRANSFER, batch, every_second[:0])
    assert {name: column.values() for name, column in nothing.columns.items()} == {"from": [], "to": [], "value": []}


def test_logs_of_another_event_are_a_mistake_of_the_caller() -> None:
    """Reads task events and logs with another number of topics as transfers."""
    batch = batch_of(TRANSFER, [transfer(1, 2, 3)], between=True)
    with pytest.raises(AssertionError):
        decode_rows(TRANSFER, batch)
    three = batch_of(TRANSFER, [((*transfer(1, 2, 3)[0], word("x")), b"")])
    with pytest.raises(AssertionError):
        decode_rows(TRANSFER, three)


def test_what_cannot_be_read_leaves_no_half_of_itself() -> None:
    """Gives one of three transfers a dirty receiver: its value and sender are zeros, the others' are untouched."""
    dirty = ((5).to_bytes(32), b"\xff" * 32), (7).to_bytes(32)
    decoded = bulk(TRANSFER, [transfer(1, 2, 3), dirty, transfer(4, 5, 6)])
    assert decoded.good.tolist() == [True, False, True]
    assert list(decoded.reasons) == [1]
    assert decoded.columns["value"].values() == [3, 0, 6]
    assert decoded.columns["from"].values() == [(1).to_bytes(20), bytes(20), (4).to_bytes(20)]


def test_a_column_is_of_the_width_of_its_type() -> None:
    """Looks at the arrays behind numbers of 64, 72 and 256 bits, a truth value, an address, a string and its hash."""
    types = ["uint64", "int64", "uint72", "int256", "bool", "address", "bytes4", "string"]
    event = EventAbi("Said", (*(Input(each, each, False) for each in types), Input("hash", "string", True)))
    values = [2**64 - 1, -(2**63), 2**72 - 1, -1, True, "0x" + "ab" * 20, b"four", "text"]
    decoded = bulk(event, [((word("x"),), encode(types, values))])

    def column(name: str) -> Column:
        return decoded.columns[name]

    match [column(each) for each in types]:
        case [
            Numbers(u64),
            Numbers(i64),
            Wide(u72),
            Wide(i256),
            Numbers(truth),
            Fixed(address),
            Fixed(four),
            Values(text),
        ]:
            assert [str(each.dtype) for each in (u64, i64, truth)] == ["uint64", "int64", "bool"]
            assert u72.tolist() == [[0, 0, 255, 2**64 - 1]]
            assert i256.tolist() == [[2**64 - 1] * 4]
            assert (address.shape, four.shape, text) == ((1, 20), (1, 4), ["text"])
        case other:
            raise AssertionError(other)
    assert column("hash").values() == [word("x")]


EDGES = [0, 1, 2**64 - 1, 2**64, 10**38 - 1, 10**38, 2**128 - 1, 2**128, 2**192, 2**256 - 1]


@given(st.lists(st.sampled_from(EDGES) | st.integers(0, 2**256 - 1), min_size=1, max_size=20), st.sampled_from(EDGES))
def test_wide_numbers_compare_and_become_decimals_as_ints_do(numbers: list[int], bound: int) -> None:
    """Compares limbs with a bound, splits them, and makes decimals of those that fit."""
    column = bulk(TRANSFER, [transfer(1, 2, number) for number in numbers]).columns["value"]
    assert isinstance(column, Wide)
    assert column.values() == numbers
    assert column.below(bound).tolist() == [number < bound for number in numbers]
    assert column.below(2**256).all()
    hi, lo = column.hi_lo()
    assert [h << 64 | low for h, low in zip(hi.tolist(), lo.tolist(), strict=True)] == [n % 2**128 for n in numbers]
    decimals = column.decimal128()
    decimals.validate(full=True)
    assert [None if d is None else int(d) for d in decimals.to_pylist()] == [n if n < 10**38 else None for n in numbers]


def test_octets_become_an_arrow_array() -> None:
    """Makes one of addresses."""
    column = bulk(TRANSFER, [transfer(n, 2, 3) for n in range(5)]).columns["from"]
    assert isinstance(column, Fixed)
    assert column.arrow().to_pylist() == [n.to_bytes(20) for n in range(5)] == column.values()


@given(st.lists(st.booleans(), max_size=40), st.integers(0, 40), st.integers(0, 40))
def test_what_is_no_null_is_told_of_any_part_of_an_array(there: list[bool], first: int, count: int) -> None:
    """Takes parts of arrays with nulls and without: bits begin anywhere in a byte."""
    for array in (
        pa.array([1 if each else None for each in there], pa.int64()),
        pa.array([1] * len(there), pa.int64()),
    ):
        part = array.slice(min(first, len(there)), count)
        assert present(part).tolist() == part.is_valid().to_pylist()
