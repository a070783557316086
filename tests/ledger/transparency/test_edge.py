"""The edge of the growing tree: however the leaves come in, root and tiles are the ones of the whole."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_ledger.errors import BadInput
from deepnode_ledger.transparency import (
    EMPTY_ROOT,
    Edge,
    Tile,
    leaf_hash,
    leaf_hashes,
    read_edge,
    root_of,
    tiles_of,
)
from tests.ledger.transparency import rfc6962
from tests.ledger.transparency.growing_log import GrowingLog, entries_of

ENTRIES = entries_of(70_001)
LEAVES = leaf_hashes(ENTRIES)


@given(st.lists(st.integers(0, 400), max_size=8))
def test_runs_make_no_difference(runs: list[int]) -> None:
    """Appends entries in any runs, and compares root, edge and tiles with the RFC and with one run."""
    log = GrowingLog()
    for run in runs:
        before = log.edge.size
        log.append(ENTRIES[before : before + run])
        assert log.edge.root == rfc6962.mth(ENTRIES[: log.edge.size])
    size = sum(runs)
    at_once, tiles = Edge().extend(LEAVES[:size])
    assert log.edge == at_once
    assert (at_once.size, [tile for tile, _ in tiles]) == (size, list(tiles_of(size)))
    assert {tile: log.tiles[tile] for tile, _ in tiles} == dict(tiles)


@given(st.lists(st.sampled_from([1, 255, 256, 257, 4_096, 20_000, 65_535, 65_536]), min_size=1, max_size=6))
def test_runs_make_no_difference_over_many_tiles(runs: list[int]) -> None:
    """Appends long runs that end on and beside the borders of tiles, up to the second level."""
    edge = Edge()
    tiles: dict[Tile, bytes] = {}
    for run in runs:
        before = edge.size
        edge, new = edge.extend(LEAVES[before : before + run])
        assert [tile for tile, _ in new] == list(tiles_of(edge.size, before))
        tiles.update(new)
    assert edge.root == root_of(LEAVES[: edge.size])
    assert read_edge(edge.size, tiles.__getitem__) == edge


@given(st.integers(0, 70_001))
def test_an_edge_is_read_back_from_its_tiles(size: int) -> None:
    """Makes the edge from tiles that were published with another, larger tree: full ones stand in for partial ones."""
    edge, tiles = Edge().extend(LEAVES[:size])
    published = dict(tiles)
    assert read_edge(size, published.__getitem__) == edge
    _, later = edge.extend(LEAVES[size : size + 300])
    full = {tile: data for tile, data in [*tiles, *later] if tile.width == 256}
    assert read_edge(size, lambda tile: full.get(tile.full, published.get(tile, b""))) == edge


def test_a_tile_holds_the_hashes_that_its_place_says() -> None:
    """Compares tiles of three levels with subtrees hashed by the RFC."""
    _, made = Edge().extend(LEAVES)
    tiles = dict(made)
    assert tiles[Tile(0, 273, 113)] == b"".join(LEAVES[273 * 256 :])
    assert tiles[Tile(1, 0)][32 * 5 : 32 * 6] == rfc6962.mth(ENTRIES[5 * 256 : 6 * 256])
    assert tiles[Tile(1, 1, 17)][-32:] == rfc6962.mth(ENTRIES[272 * 256 : 273 * 256])
    assert tiles[Tile(2, 0, 1)] == rfc6962.mth(ENTRIES[:65_536])


def test_no_leaves_change_nothing() -> None:
    """Extends the empty tree and another one by nothing."""
    assert Edge().extend([]) == (Edge(), [])
    assert (Edge().size, Edge().root) == (0, EMPTY_ROOT)
    edge, _ = Edge().extend(LEAVES[:300])
    assert edge.extend([]) == (edge, [])


def test_an_edge_is_a_value() -> None:
    """Extends one edge twice in different ways: the first extension leaves it as it was."""
    edge, _ = Edge().extend(LEAVES[:300])
    left, _ = edge.extend([leaf_hash(b"left")])
    right, _ = edge.extend([leaf_hash(b"right")])
    assert left.root != right.root
    assert edge.root == rfc6962.mth(ENTRIES[:300])


def test_an_impossible_edge_is_refused() -> None:
    """Makes edges that no tree has, and extends one by something that is no hash."""
    for levels, match in (
        (((LEAVES[0],), ()), "highest level"),
        ((tuple(LEAVES[:256]),), "fewer than 256"),
        (((b"short",),), "32 bytes"),
        ((*[()] * 7, (LEAVES[0],) * 128), "leaves at most"),
    ):
        with pytest.raises(BadInput, match=match):
            Edge(levels)
    with pytest.raises(BadInput, match="32 bytes"):
        Edge().extend([LEAVES[0], b"short"])


def test_the_largest_tree_can_be_full() -> None:
    """Extends a tree of 2**63 - 2 leaves, whose hashes are made up, by the last leaf, and by one too many."""
    levels = (LEAVES[:254], *[LEAVES[:255]] * 6, LEAVES[:127])
    edge = Edge(tuple(map(tuple, levels)))
    last, tiles = edge.extend(LEAVES[:1])
    assert (last.size, [tile.width for tile, _ in tiles]) == (2**63 - 1, [255])
    with pytest.raises(BadInput, match="leaves at most"):
        last.extend(LEAVES[:1])


@pytest.mark.parametrize("size", [-1, 2**63])
def test_no_edge_of_an_impossible_size_is_read(size: int) -> None:
    """Asks for the edge of trees that cannot be."""
    with pytest.raises(BadInput, match="a tree has 0 to"):
        read_edge(size, lambda tile: b"")


def test_an_edge_needs_its_tiles_whole() -> None:
    """Reads an edge from tiles that are one hash too short."""
    tiles = dict(Edge().extend(LEAVES[:600])[1])
    with pytest.raises(BadInput, match=r"tile/0/002.p/88 must hold 88 hashes, not 87"):
        read_edge(600, lambda tile: tiles[tile][:-32])


def test_memory_does_not_grow_with_the_tree() -> None:
    """Appends ten runs and keeps the edge alone: the last run needs no more memory than the second."""
    edge, peaks = Edge(), []
    tracemalloc.start()
    try:
        for _ in range(10):
            tracemalloc.reset_peak()
            edge = edge.extend(LEAVES[:20_000])[0]
            peaks.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
    assert max(peaks[1:]) < min(peaks[1:]) * 11 // 10
