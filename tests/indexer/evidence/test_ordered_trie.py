"""The root of an ordered list: against a definition of the trie that is written for reading, not for speed."""

import random

import pytest
import rlp
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from deepnode_indexer.evidence import ordered_trie, rlp_item

Node = bytes | list["Node"]


def defined(pairs: dict[tuple[int, ...], bytes]) -> Node:
    """The node of Yellow Paper, appendix D: what RLP encodes, with its short children inside it."""
    if len(pairs) == 1:
        ((path, value),) = pairs.items()
        return [compact(path, leaf=True), value]
    first = {path[0] for path in pairs}
    if len(first) == 1:
        common = 0
        paths = list(pairs)
        while all(path[common] == paths[0][common] for path in paths):
            common += 1
        below = defined({path[common:]: value for path, value in pairs.items()})
        return [compact(paths[0][:common], leaf=False), reference(below)]
    children: list[Node] = []
    for nibble in range(16):
        below_it = {path[1:]: value for path, value in pairs.items() if path[0] == nibble}
        children.append(reference(defined(below_it)) if below_it else b"")
    return [*children, b""]


def reference(node: Node) -> Node:
    encoded = rlp.encode(node)
    return node if len(encoded) < 32 else keccak(encoded)


def compact(path: tuple[int, ...], *, leaf: bool) -> bytes:
    flag = 2 * leaf + len(path) % 2
    nibbles = (flag, *path) if len(path) % 2 else (flag, 0, *path)
    return bytes(16 * high + low for high, low in zip(nibbles[::2], nibbles[1::2], strict=True))


def defined_root(values: list[bytes]) -> bytes:
    pairs = {}
    for index, value in enumerate(values):
        key = rlp.encode(index)
        pairs[tuple(nibble for byte in key for nibble in (byte >> 4, byte & 15))] = value
    return bytes(keccak(rlp.encode(defined(pairs))))


# Values below 32 bytes, so that nodes stand inside their parents, and above.
VALUES = st.one_of(st.binary(min_size=1, max_size=6), st.binary(min_size=20, max_size=80))


@given(st.lists(VALUES, min_size=1, max_size=40))
def test_a_root_is_that_of_the_definition(values: list[bytes]) -> None:
    """Lists of short and long values, whose tries have every kind of node."""
    assert ordered_trie.root(values) == defined_root(values)


@pytest.mark.parametrize("length", [1, 2, 15, 16, 17, 127, 128, 129, 255, 256, 257, 700])
def test_a_root_is_right_where_the_keys_grow_longer(length: int) -> None:
    """Around 128 and 256 the index's RLP gets another byte, and index 0 has a key that is not the first."""
    rng = random.Random(length)
    values = [rng.randbytes(rng.randint(1, 60)) for _ in range(length)]
    assert ordered_trie.root(values) == defined_root(values)


def test_an_empty_list_has_the_known_root() -> None:
    """It stands in every header without transactions: keccak-256 of the RLP of nothing."""
    assert ordered_trie.root([]) == ordered_trie.EMPTY_ROOT == keccak(rlp.encode(b""))


@given(st.lists(VALUES, min_size=2, max_size=20, unique=True), st.data())
def test_a_list_that_differs_anywhere_has_another_root(values: list[bytes], data: st.DataObject) -> None:
    """Leaves out one value, exchanges two neighbours, and changes one byte."""
    root = ordered_trie.root(values)
    at = data.draw(st.integers(0, len(values) - 2))
    assert ordered_trie.root(values[:at] + values[at + 1 :]) != root
    assert ordered_trie.root([*values[:at], values[at + 1], values[at], *values[at + 2 :]]) != root
    changed = bytes((values[at][0] ^ 1,)) + values[at][1:]
    assert ordered_trie.root([*values[:at], changed, *values[at + 1 :]]) != root


@given(st.binary(max_size=300), st.integers(0, 2**256 - 1), st.lists(st.binary(max_size=40), max_size=10))
def test_rlp_items_are_those_of_the_library(value: bytes, number: int, parts: list[bytes]) -> None:
    """Strings, quantities and lists of every length, short forms and long ones."""
    assert rlp_item.string(value) == rlp.encode(value)
    assert rlp_item.quantity(number) == rlp.encode(number)
    assert rlp_item.sequence(b"".join(map(rlp_item.string, parts))) == rlp.encode(parts)
