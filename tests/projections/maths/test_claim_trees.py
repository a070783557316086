"""Claim trees are OpenZeppelin's to the byte, and a proof holds for its own entitlement alone."""

from random import Random

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st
from murky_tree import StandardMerkleTree

from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.maths import EMPTY_ROOT, ClaimTree, Entitlement, verify
from deepnode_projections.maths.claims import ClaimTwice, NoClaim
from tests.projections.maths.openzeppelin_trees import roots_of, trees_of

ANNE, BEN, DN = (bytes([number]) * 20 for number in (0xA1, 0xB2, 0xD1))

addresses = st.binary(min_size=20, max_size=20)
entitlements = st.lists(
    st.builds(Entitlement, addresses, st.sampled_from([DN, b"\x0c" * 20]), st.integers(1, 2**256 - 1)),
    max_size=40,
    unique_by=lambda each: (each.earner, each.asset),
)


def drawn(rng: Random, count: int) -> list[Entitlement]:
    """So many entitlements, of which some are as small and some as large as there can be."""
    amounts = [1, 2**256 - 1, *(rng.randrange(1, 10**38) for _ in range(count))]
    return [Entitlement(rng.randbytes(20), rng.choice([DN, BEN]), rng.choice(amounts)) for _ in range(count)]


def test_trees_are_those_of_the_library() -> None:
    """Makes trees of 1 to 40, 100 and 257 entitlements by OpenZeppelin's library and by ours: roots, nodes, proofs."""
    rng = Random(1)
    claims = [drawn(rng, count) for count in [*range(1, 41), 100, 257]]
    for each, theirs in zip(claims, trees_of(claims), strict=True):
        ours = ClaimTree(rng.sample(each, len(each)))
        assert to_hex(ours.root) == theirs["root"]
        assert ours.dump()["tree"] == theirs["dump"]["tree"]
        assert [[to_hex(node) for node in ours.proof(one)] for one in each] == theirs["proofs"]


def test_the_library_reads_our_dumps() -> None:
    """Lets OpenZeppelin's library load dumps of ours, which it checks node by node."""
    rng = Random(2)
    trees = [ClaimTree(drawn(rng, count)) for count in (1, 2, 3, 17, 64)]
    assert roots_of([tree.dump() for tree in trees]) == [to_hex(tree.root) for tree in trees]


@given(each=entitlements.filter(len))
def test_trees_are_those_of_another_library(each: list[Entitlement]) -> None:
    """Draws entitlements and lets murky-tree, a Python library, make the same tree and check our proofs."""
    values = [[to_hex(one.earner), to_hex(one.asset), one.cumulative] for one in each]
    types = ["address", "address", "uint256"]
    theirs, ours = StandardMerkleTree.of(values, types), ClaimTree(each)
    assert theirs.root == to_hex(ours.root)
    for one, value in zip(each, values, strict=True):
        assert StandardMerkleTree.verify(theirs.root, types, value, [to_hex(node) for node in ours.proof(one)])


def test_a_leaf_is_hashed_twice() -> None:
    """Encodes a leaf with eth-abi, as Solidity's abi.encode would."""
    entitlement = Entitlement(ANNE, DN, 10**18)
    encoded = encode(["address", "address", "uint256"], [to_hex(ANNE), to_hex(DN), 10**18])
    assert entitlement.leaf == keccak(keccak(encoded))
    assert ClaimTree([entitlement]).root == entitlement.leaf
    assert ClaimTree([entitlement]).proof(entitlement) == ()


def test_the_tree_of_nobody_has_a_root_that_nothing_proves() -> None:
    """Makes trees of nobody, and of somebody who is entitled to nothing."""
    nothing = Entitlement(ANNE, DN, 0)
    for tree in (ClaimTree([]), ClaimTree([nothing])):
        assert (tree.root, tree.total, tree.entitlements) == (EMPTY_ROOT, 0, ())
        with pytest.raises(NoClaim, match=r"no claim of 0xa1a1\w* to 0 of 0xd1"):
            tree.proof(nothing)
    assert not verify(EMPTY_ROOT, nothing, ())


@given(each=entitlements, rng=st.randoms(use_true_random=False))
def test_every_entitlement_is_proven_in_any_order(each: list[Entitlement], rng: Random) -> None:
    """Draws entitlements and shuffles them: the root stays, and each proof verifies against it."""
    tree = ClaimTree(each)
    assert ClaimTree(rng.sample(each, len(each))).root == tree.root
    assert tree.total == sum(one.cumulative for one in each)
    assert all(verify(tree.root, one, tree.proof(one)) for one in each)


@given(each=entitlements.filter(len), data=st.data())
def test_a_proof_holds_for_nothing_else(each: list[Entitlement], data: st.DataObject) -> None:
    """Changes the amount, the earner, a node, and the length of a proof: none of them verifies."""
    tree = ClaimTree(each)
    one = data.draw(st.sampled_from(each))
    proof = tree.proof(one)
    more = Entitlement(one.earner, one.asset, one.cumulative ^ 1)
    other = Entitlement(bytes(20) if any(one.earner) else ANNE, one.asset, one.cumulative)
    assert not verify(tree.root, more, proof)
    assert not verify(tree.root, other, proof)
    assert not verify(tree.root, one, [*proof, bytes(32)])
    assert not verify(tree.root, one, [*proof, b""])
    if proof:
        assert not verify(tree.root, one, proof[1:])
        assert not verify(tree.root, one, [bytes(32), *proof[1:]])
    with pytest.raises(NoClaim):
        tree.proof(more)


def test_nobody_is_entitled_twice() -> None:
    """Gives two amounts to one earner of one asset; of two assets it is fine."""
    with pytest.raises(ClaimTwice, match="entitled to 1 and 2 of 0xd1d1"):
        ClaimTree([Entitlement(ANNE, DN, 2), Entitlement(ANNE, DN, 1)])
    assert ClaimTree([Entitlement(ANNE, DN, 2), Entitlement(ANNE, BEN, 1)]).total == 3
