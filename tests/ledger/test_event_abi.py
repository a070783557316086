"""A log's values are what eth-abi's encoder put in, and anything that breaks the ABI's rules is told apart."""

from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from deepnode_ledger.abi import EventAbi, Input, Undecodable, events_of
from deepnode_ledger.decoding import ChainEvent, Unknown, decode, decode_log
from deepnode_ledger.errors import BadInput
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.record import ChainLog, Finality, LogEntry
from tests.ledger.histories import CHAIN_ID, chain_log, ref, task, word
from tests.ledger.paper_deployment import DN, event_log, paper_manifest

ADDRESS = "0x" + "ab" * 20


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return paper_manifest(tmp_path_factory.mktemp("manifest"))


def _uints(bits: int) -> st.SearchStrategy[int]:
    return st.integers(0, 2**bits - 1) | st.sampled_from([0, 2**bits - 1])


addresses = st.binary(min_size=20, max_size=20)
STATIC: dict[str, st.SearchStrategy[Any]] = {
    "uint8": _uints(8),
    "uint32": _uints(32),
    "uint256": _uints(256),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "int256": st.integers(-(2**255), 2**255 - 1),
    "bool": st.booleans(),
    "address": addresses,
    "bytes4": st.binary(min_size=4, max_size=4),
    "bytes32": st.binary(min_size=32, max_size=32),
}
DYNAMIC: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text(st.characters(codec="utf-8"), max_size=60) | st.just(ADDRESS),
    "bytes": st.binary(max_size=90) | st.just(ADDRESS.encode()),
    "uint32[5]": st.tuples(*[_uints(32)] * 5),
    "uint256[]": st.lists(_uints(256), max_size=4).map(tuple),
    "address[]": st.lists(addresses, max_size=4).map(tuple),
    "address[2]": st.tuples(addresses, addresses),
    "address[][2]": st.tuples(*[st.lists(addresses, max_size=2).map(tuple)] * 2),
    "string[]": st.lists(st.just(ADDRESS) | st.text(st.characters(codec="utf-8"), max_size=5), max_size=3).map(tuple),
    "(uint8,bytes)": st.tuples(_uints(8), st.binary(max_size=40)),
    "(uint8,string)[]": st.lists(st.tuples(_uints(8), st.just(ADDRESS)), max_size=3).map(tuple),
}


@st.composite
def events(draw: st.DrawFn) -> tuple[EventAbi, dict[str, Any]]:
    types = draw(st.lists(st.sampled_from([*STATIC, *DYNAMIC]), max_size=7))
    indexed = draw(st.sets(st.integers(0, 6), max_size=3))
    inputs = tuple(Input(f"a{n}", each, n in indexed) for n, each in enumerate(types))
    return EventAbi("Said", inputs), {f"a{n}": draw((STATIC | DYNAMIC)[each]) for n, each in enumerate(types)}


@given(events())
def test_values_are_read_as_they_were_encoded(drawn: tuple[EventAbi, dict[str, Any]]) -> None:
    """Encodes random events with eth-abi, indexed arguments as Solidity does, and reads them back."""
    abi, values = drawn
    topics, expected = [abi.topic0], dict(values)
    for argument in abi.inputs:
        if argument.indexed and argument.type in STATIC:
            topics.append(encode([argument.type], [values[argument.name]]))
        elif argument.indexed:
            # Only a hash of a dynamic value is in the log.
            expected[argument.name] = keccak(text=repr(values[argument.name]))
            topics.append(expected[argument.name])
    plain = [argument for argument in abi.inputs if not argument.indexed]
    data = encode([argument.type for argument in plain], [values[argument.name] for argument in plain])
    assert abi.decode(topics, data) == expected
    assert len(topics) == abi.topics_count


def test_an_address_inside_a_tuple_is_20_bytes_too() -> None:
    """Reads an array of (address, uint256) and a tuple within a tuple."""
    abi = EventAbi("Paid", (Input("all", "(address,uint256)[]", False), Input("one", "(uint8,(address,bool))", False)))
    values = (((b"\x01" * 20, 5), (b"\x02" * 20, 6)), (7, (b"\x03" * 20, True)))
    data = encode(["(address,uint256)[]", "(uint8,(address,bool))"], values)
    assert abi.decode([abi.topic0], data) == {"all": values[0], "one": values[1]}


def test_the_first_topic_is_the_one_that_every_token_has() -> None:
    """Compares with the constant that everybody knows by heart."""
    abi = EventAbi("Transfer", (Input("f", "address", True), Input("t", "address", True), Input("v", "uint256", False)))
    assert abi.signature == "Transfer(address,address,uint256)"
    assert abi.topic0.hex() == "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
    assert abi.topics_count == 3


WORD = b"\x00" * 31 + b"\x01"


@pytest.mark.parametrize(
    ("inputs", "topics", "data"),
    [
        pytest.param([("uint256", False)], [], b"", id="no data"),
        pytest.param([("uint256", False)], [], WORD[:31], id="a byte short"),
        pytest.param([("uint256", False), ("uint256", False)], [], WORD, id="a word short"),
        pytest.param([("uint8", False)], [], b"\x01" * 32, id="dirty padding of a number"),
        pytest.param([("uint8", True)], [b"\x01" * 32], b"", id="dirty padding of an indexed number"),
        pytest.param([("address", False)], [], b"\x01" * 32, id="dirty padding of an address"),
        pytest.param([("address", True)], [b"\x01" * 32], b"", id="dirty padding of an indexed address"),
        pytest.param([("bool", False)], [], b"\x00" * 31 + b"\x02", id="neither true nor false"),
        pytest.param([("bytes4", False)], [], b"\x01" * 32, id="dirty padding of fixed bytes"),
        pytest.param([("string", False)], [], b"\x00" * 31 + b"\x20", id="a pointer to nothing"),
        pytest.param([("string", False)], [], b"\xff" * 32, id="a pointer beyond everything"),
        pytest.param([("bytes", False)], [], bytes(31) + b"\x20" + b"\xff" * 32, id="a length beyond everything"),
        pytest.param([("string", False)], [], bytes(31) + b"\x20" + WORD + b"\xff" + bytes(31), id="not UTF-8"),
        pytest.param(
            [("bytes", False)], [], bytes(31) + b"\x20" + WORD + b"\x01" * 32, id="dirty padding behind bytes"
        ),
        pytest.param([("uint256[]", False)], [], bytes(31) + b"\x20" + b"\xff" * 32, id="an endless array"),
        pytest.param([("int8", False)], [], b"\x7f" + bytes(31), id="a number out of its range"),
    ],
)
def test_what_breaks_the_abi_is_not_decoded(inputs: list[tuple[str, bool]], topics: list[bytes], data: bytes) -> None:
    """Offers short data, padding that is not zero, pointers and lengths that lead out of the data, broken text."""
    abi = EventAbi("Said", tuple(Input(f"a{n}", *each) for n, each in enumerate(inputs)))
    with pytest.raises(Undecodable, match=r"Said\("):
        abi.decode([abi.topic0, *topics], data)


def test_events_are_told_by_their_topic_and_the_number_of_topics() -> None:
    """Reads two declarations of one event with other arguments indexed, and leaves out what is no event."""

    def transfer(*indexed: bool) -> dict[str, Any]:
        types = ("address", "address", "uint256")
        inputs = [{"name": f"a{n}", "type": types[n], "indexed": each} for n, each in enumerate(indexed)]
        return {"type": "event", "name": "Transfer", "inputs": inputs}

    abi = [
        transfer(True, True, False),
        transfer(True, True, True),
        transfer(False, False, False) | {"anonymous": True},
        {"type": "function", "name": "transfer"},
        "something else",
    ]
    found = events_of(abi, what="abi.json")
    assert sorted(count for _, count in found) == [3, 4]
    assert {event.signature for event in found.values()} == {"Transfer(address,address,uint256)"}


def test_tuples_are_written_by_their_components() -> None:
    """Reads an argument whose type is an array of structs with a struct inside."""
    inner = {"name": "i", "type": "tuple", "components": [{"name": "x", "type": "bytes32"}]}
    outer = {"name": "all", "type": "tuple[2][]", "components": [{"name": "n", "type": "uint8"}, inner]}
    [event] = events_of([{"type": "event", "name": "E", "inputs": [outer | {"indexed": False}]}], what="x").values()
    assert event.signature == "E((uint8,(bytes32))[2][])"


def test_arguments_without_a_name_are_told_by_their_number() -> None:
    """Reads an event of two unnamed arguments around a named one, and refuses one with a name twice."""

    def declared(*names: str) -> list[Any]:
        return [
            {"type": "event", "name": "E", "inputs": [{"name": n, "type": "uint8", "indexed": False} for n in names]}
        ]

    [event] = events_of(declared("", "x", ""), what="abi.json").values()
    assert event.decode([event.topic0], b"".join(n.to_bytes(32) for n in (1, 2, 3))) == {"arg0": 1, "x": 2, "arg2": 3}
    for names in (("x", "x"), ("", "arg0")):
        with pytest.raises(BadInput, match=r"abi\.json has the event E with two arguments of one name"):
            events_of(declared(*names), what="abi.json")


@pytest.mark.parametrize(
    "abi",
    [
        None,
        {},
        "abi",
        [{"type": "event", "inputs": []}],
        [{"type": "event", "name": "E"}],
        [{"type": "event", "name": "E", "inputs": None}],
        [{"type": "event", "name": "E", "inputs": ["x"]}],
        [{"type": "event", "name": "E", "inputs": [{"name": "x", "indexed": True}]}],
        [{"type": "event", "name": "E", "inputs": [{"name": "x", "type": "uint8"}]}],
        [{"type": "event", "name": "E", "inputs": [{"name": "x", "type": 8, "indexed": True}]}],
        [{"type": "event", "name": "E", "inputs": [{"name": "x", "type": "tuple", "indexed": True}]}],
    ],
)
def test_what_is_no_abi_is_refused_by_name(abi: object) -> None:
    """Offers other JSON, and events that lack a name, arguments, a type or whether they are indexed."""
    with pytest.raises(BadInput, match=r"abi\.json"):
        events_of(abi, what="abi.json")


def test_an_array_that_no_log_can_hold_is_refused_when_the_abi_is_read() -> None:
    """Declares arrays of more words than a log's data may have, one of them as an array of arrays."""
    for abi_type in ("uint8[99999999999]", "uint8[1000][1000]", "uint8[131073][]"):
        inputs = [{"name": "a", "type": abi_type, "indexed": False}]
        with pytest.raises(BadInput, match="which no log can hold"):
            events_of([{"type": "event", "name": "E", "inputs": inputs}], what="abi.json")


@pytest.mark.parametrize("abi_type", ["uint257", "money", "uint256[", ""])
def test_a_type_that_solidity_does_not_have_is_refused_when_the_abi_is_read(abi_type: str) -> None:
    """Declares an event of a type that nothing can decode: better said at the start than at its first log."""
    with pytest.raises(BadInput, match=r"abi\.json"):
        events_of(
            [{"type": "event", "name": "E", "inputs": [{"name": "x", "type": abi_type, "indexed": False}]}],
            what="abi.json",
        )


def test_a_log_of_the_manifest_is_decoded(manifest: Manifest) -> None:
    """Encodes a transfer and reads the event and its arguments by their types."""
    log = event_log(
        manifest, "DN", "Transfer", ref(9), 0, **{"from": b"\x01" * 20, "to": b"\x02" * 20, "value": 2**255}
    )
    event = decode_log(log, manifest)
    assert isinstance(event, ChainEvent)
    assert (event.contract.name, event.name) == ("DN", "Transfer")
    assert (event.address("from"), event.address("to"), event.uint("value")) == (b"\x01" * 20, b"\x02" * 20, 2**255)
    with pytest.raises(AssertionError):
        event.word("from")
    with pytest.raises(AssertionError):
        event.uint("from")


def test_what_has_no_meaning_says_why(manifest: Manifest) -> None:
    """Decodes logs of a stranger, without topics, of an unknown topic, with a topic too many, with short data."""
    good = event_log(manifest, "DN", "Transfer", ref(9), 0, **{"from": b"\x01" * 20, "to": b"\x02" * 20, "value": 1})

    def reason(address: bytes, topics: tuple[bytes, ...], data: bytes) -> str:
        decoded = decode_log(ChainLog(good.transaction_hash, 0, 0, address, topics, data), manifest)
        assert isinstance(decoded, Unknown)
        return decoded.reason

    assert reason(b"\x99" * 20, good.topics, good.data) == "no contract of the manifest has this address"
    assert reason(DN, (), good.data).startswith("an anonymous event")
    assert reason(DN, (word("x"),), b"") == "the ABI of DN has no event with this first topic and 1 topics"
    assert reason(DN, (*good.topics, word("x")), b"").endswith("this first topic and 4 topics")
    assert reason(DN, good.topics[:2], good.data).endswith("this first topic and 2 topics")
    assert reason(DN, good.topics, good.data[:31]).startswith("Transfer(address,address,uint256): ")
    assert reason(DN, (good.topics[0], b"\xff" * 32, good.topics[2]), good.data).startswith("Transfer(")


def test_a_task_event_is_its_own_meaning(manifest: Manifest) -> None:
    """Decodes an entry of each kind."""
    assert decode(LogEntry(1, Finality.PENDING, CHAIN_ID, ref(9), task(1)), manifest) == task(1)
    assert isinstance(decode(LogEntry(1, Finality.PENDING, CHAIN_ID, ref(9), chain_log(ref(9), 0)), manifest), Unknown)


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=4), st.binary(max_size=300), st.sampled_from(range(6)))
def test_no_bytes_are_fatal(topics: list[bytes], data: bytes, known: int) -> None:
    """Decodes any bytes under the first topic of any event of the reference contracts: an event or a reason."""
    manifest = _shared()
    contract = list(manifest.contracts.values())[known % len(manifest.contracts)]
    for topic0, _ in contract.events:
        log = ChainLog(word("t"), 0, 0, contract.address, (topic0, *topics[1:]), data)
        assert isinstance(decode_log(log, manifest), ChainEvent | Unknown)


_kept: list[Manifest] = []


def _shared() -> Manifest:
    if not _kept:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            _kept.append(paper_manifest(Path(folder)))
    return _kept[0]
