"""Our tree is RFC 6962's: compared with the RFC as it is written, with pymerkle, and with the RFC's own laws."""

from itertools import pairwise
from typing import Any

import pymerkle  # type: ignore[import-untyped]  # pymerkle ships no types
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_ledger.errors import BadInput
from deepnode_ledger.transparency import (
    EMPTY_ROOT,
    NotProven,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    leaf_hashes,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from deepnode_ledger.transparency.tree import PROOF_HASHES_MAX, ReadHash, node_hash, root
from tests.ledger.transparency import rfc6962
from tests.ledger.transparency.growing_log import entries_of


def reader(entries: list[bytes]) -> ReadHash:
    """The hashes of a small tree, each made anew by the RFC's definition."""
    return lambda level, index: rfc6962.mth(entries[index << level : (index + 1) << level])


@st.composite
def entries_and_two_sizes(draw: st.DrawFn) -> tuple[list[bytes], int, int]:
    entries = draw(st.lists(st.binary(max_size=4), min_size=1, max_size=70))
    new = draw(st.integers(1, len(entries)))
    return entries, draw(st.integers(0, new)), new


def test_known_hashes() -> None:
    """Compares with values that are printed elsewhere: SHA-256 of nothing, and RFC 6962's test vectors."""
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    two = root_of(leaf_hashes([b"", b"\x00"]))
    assert two.hex() == "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"


@given(st.lists(st.binary(max_size=8), max_size=80))
def test_a_root_is_the_rfcs(entries: list[bytes]) -> None:
    """Makes the root of any entries twice, from all leaves and from complete subtrees, and by the RFC's recursion."""
    expected = rfc6962.mth(entries)
    assert root_of(leaf_hashes(entries)) == expected
    assert root(len(entries), reader(entries)) == expected


@given(entries_and_two_sizes())
def test_proofs_are_the_rfcs(case: tuple[list[bytes], int, int]) -> None:
    """Makes one proof of each kind and compares it with the RFC's recursion, hash by hash."""
    entries, old, new = case
    entries = entries[:new]
    if old < new:
        assert inclusion_proof(old, new, reader(entries)) == rfc6962.path(old, entries)
    expected = rfc6962.proof(old, entries) if 0 < old < new else []
    assert consistency_proof(old, new, reader(entries)) == expected


@given(entries_and_two_sizes())
def test_what_is_proven_verifies(case: tuple[list[bytes], int, int]) -> None:
    """Verifies a proof of each kind against the RFC's roots."""
    entries, old, new = case
    read, new_root = reader(entries), rfc6962.mth(entries[:new])
    if old < new:
        verify_inclusion(leaf_hash(entries[old]), old, new, new_root, inclusion_proof(old, new, read))
    verify_consistency(old, rfc6962.mth(entries[:old]), new, new_root, consistency_proof(old, new, read))


@given(entries_and_two_sizes(), st.data())
def test_an_altered_inclusion_proof_never_verifies(case: tuple[list[bytes], int, int], data: st.DataObject) -> None:
    """Changes one thing of a valid proof: a bit of leaf, root or a hash, the length, or the index."""
    entries, index, size = case
    entries = [bytes([number]) + entry for number, entry in enumerate(entries)]
    index = min(index, size - 1)
    leaf, top = leaf_hash(entries[index]), rfc6962.mth(entries[:size])
    proof = inclusion_proof(index, size, reader(entries))
    hashes = [leaf, top, *proof]
    at = data.draw(st.integers(0, len(hashes) - 1))
    bit = data.draw(st.integers(0, 255))
    hashes[at] = (int.from_bytes(hashes[at], "big") ^ 1 << bit).to_bytes(32, "big")
    with pytest.raises(NotProven, match=rf"leaf {index} and its proof lead to the root"):
        verify_inclusion(hashes[0], index, size, hashes[1], hashes[2:])
    other = data.draw(st.integers(0, size).filter(lambda other: other != index))
    with pytest.raises(NotProven):
        verify_inclusion(leaf, other, size, top, proof)
    with pytest.raises(NotProven, match="are enough"):
        verify_inclusion(leaf, index, size, top, [*proof, top])
    if proof:
        with pytest.raises(NotProven, match="too few"):
            verify_inclusion(leaf, index, size, top, proof[:-1])


@given(entries_and_two_sizes(), st.data())
def test_an_altered_consistency_proof_never_verifies(case: tuple[list[bytes], int, int], data: st.DataObject) -> None:
    """Changes a bit of a root or a hash of a valid proof, or its length."""
    entries, old, new = case
    proof = consistency_proof(old, new, reader(entries))
    hashes = [rfc6962.mth(entries[:old]), rfc6962.mth(entries[:new]), *proof]
    # From the empty tree nothing is known of the new root.
    at = data.draw(st.integers(0, len(hashes) - 1)) if old else 0
    bit = data.draw(st.integers(0, 255))
    altered = [*hashes]
    altered[at] = (int.from_bytes(hashes[at], "big") ^ 1 << bit).to_bytes(32, "big")
    with pytest.raises(NotProven, match="root"):
        verify_consistency(old, altered[0], new, altered[1], altered[2:])
    for other in ([*proof, hashes[1]], proof[:-1]):
        if other != proof:
            with pytest.raises(NotProven):
                verify_consistency(old, hashes[0], new, hashes[1], other)


def test_a_fork_is_not_proven() -> None:
    """Grows one tree in two ways; neither proof joins the old root with the other branch's new root."""
    common = entries_of(13)
    left, right = common + [b"left"] * 6, common + [b"right"] * 6
    old_root = rfc6962.mth(common)
    for ours, theirs in ((left, right), (right, left)):
        with pytest.raises(NotProven, match=r"leads to the new root .*, not .* of size 19"):
            verify_consistency(13, old_root, 19, rfc6962.mth(theirs), consistency_proof(13, 19, reader(ours)))
    with pytest.raises(NotProven, match="leads to the old root"):
        verify_consistency(14, rfc6962.mth(right[:14]), 19, rfc6962.mth(left), consistency_proof(14, 19, reader(left)))


def test_an_inner_node_never_passes_for_a_leaf() -> None:
    """Takes two leaf hashes joined, which is what an inner node hashes, as an entry: it has another hash."""
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert leaf_hash(left + right) != node_hash(left, right)


@pytest.mark.parametrize(
    ("size", "index"),
    [(0, 0), (5, 5), (5, -1), (-1, 0), (2**63, 0)],
)
def test_what_is_not_in_a_tree_has_no_proof(size: int, index: int) -> None:
    """Asks for the proof of a leaf that does not exist, and offers one."""
    with pytest.raises(BadInput, match=r"has no leaf|leaves, not"):
        inclusion_proof(index, size, reader([]))
    with pytest.raises(NotProven, match="has no leaf"):
        verify_inclusion(EMPTY_ROOT, index, size, EMPTY_ROOT, [])


@pytest.mark.parametrize(("old", "new"), [(2, 1), (-1, 1), (1, 2**63)])
def test_only_an_older_tree_is_a_prefix(old: int, new: int) -> None:
    """Asks for a consistency proof between sizes that are not in order, and offers one."""
    with pytest.raises(BadInput, match=r"old size must be|leaves, not"):
        consistency_proof(old, new, reader([]))
    with pytest.raises(NotProven, match="is no prefix"):
        verify_consistency(old, EMPTY_ROOT, new, EMPTY_ROOT, [])


def test_a_hash_has_32_bytes() -> None:
    """Offers a root, a leaf and a proof with a hash that is cut."""
    leaves = leaf_hashes([b"a", b"b"])
    top = root_of(leaves)
    for leaf, end, proof in [
        (leaves[0][:31], top, [leaves[1]]),
        (leaves[0], top[:31], [leaves[1]]),
        (leaves[0], top, [b""]),
    ]:
        with pytest.raises(NotProven, match="a hash has 32 bytes"):
            verify_inclusion(leaf, 0, 2, end, proof)


def test_the_largest_trees_need_no_more_hashes_than_a_proof_may_have() -> None:
    """Makes proofs for a tree of 2**62 leaves whose hashes are made up."""
    size = 2**62
    for index in (0, 1, size // 2, size - 2, size - 1):
        assert len(inclusion_proof(index, size, lambda level, index: EMPTY_ROOT)) <= PROOF_HASHES_MAX
        assert len(consistency_proof(index, size, lambda level, index: EMPTY_ROOT)) <= PROOF_HASHES_MAX


@pytest.fixture(scope="module")
def theirs() -> Any:
    """A tree of 1 001 entries by pymerkle."""
    tree = pymerkle.InmemoryTree(algorithm="sha256")
    for entry in entries_of(1001):
        tree.append_entry(entry)
    return tree


def test_pymerkle_agrees_on_every_root_to_size_1000(theirs: Any) -> None:
    """Compares the roots of the first 0 to 1 000 entries."""
    leaves = leaf_hashes(entries_of(1001))
    roots = [root_of(leaves[:size]) for size in range(1001)]
    assert roots == [theirs.get_root(size) for size in range(1001)]
    assert all(earlier != later for earlier, later in pairwise(roots))


@pytest.mark.parametrize("size", [1, 2, 3, 255, 256, 257, 600, 1000, 1001])
def test_pymerkle_agrees_on_proofs(theirs: Any, size: int) -> None:
    """Compares inclusion proofs, which pymerkle starts with the leaf; verifies consistency proofs by its roots."""
    entries = entries_of(size)
    for place in {0, 1, size // 3, size // 2, size - 1} & set(range(size)):
        proof = inclusion_proof(place, size, reader(entries))
        assert [leaf_hash(entries[place]), *proof] == theirs.prove_inclusion(place + 1, size).path
        # Its consistency proofs have a form of their own, so only what they lead to can be compared.
        old, old_root, new_root = place + 1, theirs.get_root(place + 1), theirs.get_root(size)
        verify_consistency(old, old_root, size, new_root, consistency_proof(old, size, reader(entries)))
        pymerkle.verify_consistency(rfc6962.mth(entries[:old]), new_root, theirs.prove_consistency(old, size))
