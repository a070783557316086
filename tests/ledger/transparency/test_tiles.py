"""Tiles are C2SP's: their paths have one spelling, their bundles are read strictly, the tree is read from them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_ledger.errors import BadInput
from deepnode_ledger.transparency import (
    Bundle,
    Tile,
    TileHashes,
    bundles_of,
    consistency_proof,
    decode_bundle,
    encode_bundle,
    inclusion_proof,
    leaf_hashes,
    parse_path,
    root_of,
    tiles_of,
    verify_consistency,
    verify_inclusion,
)
from deepnode_ledger.transparency.tile import split
from tests.ledger.transparency.growing_log import GrowingLog, entries_of

sizes = st.one_of(st.integers(0, 2000), st.integers(0, 2**40))
indices = st.one_of(st.integers(0, 3000), st.integers(0, 2**55 - 1))


@pytest.mark.parametrize(
    ("place", "path"),
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(0, 1_234_067), "tile/0/x001/x234/067"),
        (Tile(0, 1_234_067, 8), "tile/0/x001/x234/067.p/8"),
        (Tile(63, 1000, 255), "tile/63/x001/000.p/255"),
        (Bundle(999), "tile/entries/999"),
        (Bundle(273, 112), "tile/entries/273.p/112"),
    ],
)
def test_a_place_has_its_path(place: Tile | Bundle, path: str) -> None:
    """Writes and reads paths, the specification's own example among them."""
    assert place.path == path
    assert parse_path(path) == place


@given(
    st.builds(Tile, st.integers(0, 63), indices, st.integers(1, 256)) | st.builds(Bundle, indices, st.integers(1, 256))
)
def test_a_path_leads_back_to_its_place(place: Tile | Bundle) -> None:
    """Writes any path and reads it."""
    assert parse_path(place.path) == place
    assert parse_path(place.full.path) == place.full


@pytest.mark.parametrize(
    "path",
    [
        "",
        "checkpoint",
        "/tile/0/000",
        "tile/0/000/",
        "tile//0/000",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/x000/000",
        "tile/0/x001",
        "tile/0/001/000",
        "tile/0/x001/x000",
        "tile/0/X001/000",
        "tile/00/000",
        "tile/100/000",
        "tile/-1/000",
        "tile/data/000",
        "tile/8/0/000",
        "tile/entries/0/000",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/1/",
        "tile/0/000.p/1\n",
        "tile/0/000\n",
        "tile/0/\u0660\u0660\u0660",
        "tile/0/../0/000",
        "tile/0/000?x",
        "tile/0/" + "x999/" * 6 + "999",
        "tile/0/" + "x001/" * 100 + "000",
    ],
)
def test_another_spelling_is_refused(path: str) -> None:
    """Reads what is no path of a tile, or not the one spelling of it."""
    with pytest.raises(BadInput, match="path"):
        parse_path(path)


@pytest.mark.parametrize("path", ["tile/64/000", "tile/0/000.p/999", "tile/0/" + "x999/" * 5 + "999"])
def test_a_path_out_of_range_is_refused(path: str) -> None:
    """Reads paths that are well-formed and lead nowhere."""
    with pytest.raises(BadInput, match="a tile's"):
        parse_path(path)


@pytest.mark.parametrize(
    ("level", "index", "width"), [(-1, 0, 1), (64, 0, 1), (0, -1, 1), (0, 2**55, 1), (0, 0, 0), (0, 0, 257)]
)
def test_a_tile_outside_of_any_tree_cannot_be_named(level: int, index: int, width: int) -> None:
    """Makes coordinates that are out of range."""
    with pytest.raises(BadInput, match="a tile's"):
        Tile(level, index, width)


def test_the_specifications_examples_of_tile_counts() -> None:
    """Counts the tiles of trees of 70 000 and 256 leaves, for which tlog-tiles says what there is."""
    tiles = list(tiles_of(70_000))
    assert [tile for tile in tiles if tile.width < 256] == [Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1)]
    assert [tile for tile in tiles if tile.width == 256] == [*(Tile(0, index) for index in range(273)), Tile(1, 0)]
    assert list(tiles_of(256)) == [Tile(0, 0), Tile(1, 0, 1)]
    assert list(bundles_of(70_000))[-2:] == [Bundle(272), Bundle(273, 112)]
    assert not list(tiles_of(0))
    assert not list(bundles_of(0))


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_new_tiles_are_those_that_were_not_there(one: int, other: int) -> None:
    """Compares the tiles and bundles between two sizes with the difference of both sets."""
    since, size = sorted((one, other))
    assert list(tiles_of(size, since)) == [tile for tile in tiles_of(size) if tile not in set(tiles_of(since))]
    assert list(bundles_of(size, since)) == [one for one in bundles_of(size) if one not in set(bundles_of(since))]


def test_sizes_have_an_order() -> None:
    """Asks what is new in a smaller tree, and in one that is too large."""
    for size, since in ((1, 2), (2**63, 0), (1, -1)):
        with pytest.raises(BadInput, match="sizes go from 0"):
            list(tiles_of(size, since))
        with pytest.raises(BadInput, match="sizes go from 0"):
            list(bundles_of(size, since))


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
def test_a_bundle_holds_its_entries(entries: list[bytes]) -> None:
    """Writes a bundle and reads it."""
    assert decode_bundle(encode_bundle(entries), len(entries)) == entries


def test_a_bundles_bytes() -> None:
    """Compares with the format written by hand, and takes the longest entry."""
    assert encode_bundle([b"ab", b"", b"c" * 258]) == b"\x00\x02ab\x00\x00\x01\x02" + b"c" * 258
    longest = b"z" * 65_535
    assert decode_bundle(encode_bundle([longest]), 1) == [longest]


def test_a_bundle_has_limits() -> None:
    """Writes a bundle of no entry, of 257, and of one that its length cannot tell."""
    for entries, match in (([], "not 0"), ([b""] * 257, "not 257"), ([b"", b"z" * 65_536], "not 65536")):
        with pytest.raises(BadInput, match=match):
            encode_bundle(entries)


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=8), st.data())
def test_a_bundle_of_other_bytes_is_refused(entries: list[bytes], data: st.DataObject) -> None:
    """Cuts a bundle anywhere, adds a byte, and reads it with another number of entries."""
    whole = encode_bundle(entries)
    with pytest.raises(BadInput, match="ends within entry"):
        decode_bundle(whole[: data.draw(st.integers(0, len(whole) - 1))], len(entries))
    with pytest.raises(BadInput, match="1 bytes behind"):
        decode_bundle(whole + b"\x00", len(entries))
    with pytest.raises(BadInput, match="ends within entry"):
        decode_bundle(whole, len(entries) + 1)
    with pytest.raises(BadInput, match="bytes behind"):
        decode_bundle(whole, len(entries) - 1)


@pytest.mark.parametrize("length", [0, 1, 31, 33, 8193, 8224])
def test_a_tile_holds_whole_hashes(length: int) -> None:
    """Takes tiles of impossible lengths apart."""
    with pytest.raises(BadInput, match="a tile holds 1 to 256 hashes"):
        split(bytes(length))


@pytest.fixture(scope="module")
def log() -> GrowingLog:
    """A log of three tile levels, grown in uneven runs."""
    return GrowingLog(entries_of(66_000), run=7_001)


@given(data=st.data())
def test_the_tree_is_read_from_its_tiles(log: GrowingLog, data: st.DataObject) -> None:
    """Proves from tiles what a tree of any published size holds, and checks the proofs with roots made from leaves."""
    size = data.draw(st.sampled_from([*range(7_001, 66_000, 7_001), 66_000]))
    leaves = leaf_hashes(log.entries[:size])
    hashes = TileHashes(size, log.read_tile)
    root = root_of(leaves)
    assert hashes.root == root
    index = data.draw(st.integers(0, size - 1))
    verify_inclusion(leaves[index], index, size, root, inclusion_proof(index, size, hashes))
    old = data.draw(st.integers(0, size))
    verify_consistency(old, root_of(leaves[:old]), size, root, consistency_proof(old, size, hashes))


def test_a_proof_reads_few_tiles(log: GrowingLog) -> None:
    """Counts the tiles that one proof and its repetition ask for."""
    asked: list[Tile] = []

    def read_tile(tile: Tile) -> bytes:
        asked.append(tile)
        return log.read_tile(tile)

    hashes = TileHashes(66_000, read_tile)
    proof = inclusion_proof(300, 66_000, hashes)
    assert len(asked) == len(set(asked)) <= 5
    before = len(asked)
    assert inclusion_proof(300, 66_000, hashes) == proof
    assert len(asked) == before


def test_a_node_outside_of_the_tree_is_not_read(log: GrowingLog) -> None:
    """Asks for subtrees that a tree of 66 000 leaves does not have."""
    hashes = log.hashes()
    for level, index in ((0, 66_000), (0, -1), (-1, 0), (17, 0), (4, 4125), (64, 0), (100_000, 0)):
        with pytest.raises(BadInput, match="has no node"):
            hashes(level, index)


def test_a_tile_that_is_missing_or_cut_is_named(log: GrowingLog) -> None:
    """Reads through functions that know no tile, or return one hash too few."""
    with pytest.raises(BadInput, match=r"no tile/0/000"):
        TileHashes(600, GrowingLog().read_tile)(0, 0)
    with pytest.raises(BadInput, match="tile/0/000 must hold 256 hashes, not 255"):
        TileHashes(600, lambda tile: log.read_tile(tile)[:-32])(0, 0)
