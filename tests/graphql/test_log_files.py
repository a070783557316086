"""The published log over HTTP is the published directory, file by file, and nothing else of the disk."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from deepnode_graphql.app import make_app
from deepnode_ledger.publishing import Publisher
from deepnode_ledger.transparency import Signer, leaf_hash, parse_path, parse_proof, tile
from deepnode_ledger.transparency.tile import Bundle, decode_bundle
from tests.graphql.small_books import ALICE, Scribe, transfer

SIGNER = Signer("log.example/deepnode", bytes(range(32)))


@pytest.fixture
def published(own_books: Scribe, tmp_path: Path) -> Iterator[tuple[TestClient, Path]]:
    """A log of 300 sealed entries, published; the file beside the directory is nobody's business."""
    own_books.block(*(transfer(bytes(20), ALICE, n + 1) for n in range(300)))
    own_books.seal(1)
    folder = tmp_path / "published"
    with Publisher(own_books.url, folder, SIGNER) as publisher:
        assert publisher.publish() is not None
    (tmp_path / "secret").write_text("nobody's business")
    (folder / "notes.txt").write_text("nobody's business either")
    with TestClient(make_app(own_books.url, own_books.manifest, log_directory=folder)) as http:
        yield http, folder


def test_every_published_file_is_served_byte_for_byte(published: tuple[TestClient, Path]) -> None:
    """Asks for each file of the directory by its path; tiles may be cached for ever, the checkpoint may not."""
    http, folder = published
    paths = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    tiles = [path for path in paths if path.startswith("tile/")]
    assert {"checkpoint", "tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/001.p/44"} <= set(paths)
    for path in [*tiles, "checkpoint"]:
        answer = http.get(f"/log/{path}")
        assert (answer.status_code, answer.content) == (200, (folder / path).read_bytes())
        assert ("immutable" in answer.headers["cache-control"]) == (path != "checkpoint")


@pytest.mark.parametrize(
    "path",
    [
        "", "notes.txt", ".lock", "tile/", "tile/0/0", "tile/0/x000", "tile/00/000", "tile/0/002", "tile/0/000.p/0",
        "tile/0/000.p/256", "tile/0/001", "tile/-1/000", "tile/64/000", "tile/entries/../../notes.txt",
        "tile/..%2f..%2fsecret", "tile/%2e%2e/%2e%2e/secret", "tile/0/000%00", "tile//etc/passwd", "proof/0",
        "proof/-1", "proof/301", "proof/x", "proof/99999999999999999999999999",
    ],
)  # fmt: skip
def test_nothing_else_is_served(published: tuple[TestClient, Path], path: str) -> None:
    """Asks for what is beside the files, for other spellings of their names, and for what the tree does not have."""
    http, _ = published
    answer = http.get(f"/log/{path}")
    assert answer.status_code == 404
    assert b"business" not in answer.content
    assert b"/tmp" not in answer.content


def test_the_proof_of_an_entry_leads_to_the_signed_root(published: tuple[TestClient, Path]) -> None:
    """Fetches proofs and bundles as a stranger does, and verifies them with the log's key alone."""
    http, _ = published
    for position in (1, 256, 257, 300):
        proof = parse_proof(http.get(f"/log/proof/{position}").text)
        bundle = Bundle((position - 1) // 256, 256 if position <= 256 else 44)
        entries = decode_bundle(http.get(f"/log/{bundle.path}").content, bundle.width)
        entry = entries[(position - 1) % 256]
        assert proof.verify(entry, SIGNER.verifier).head.size == 300
        level0 = http.get(f"/log/{tile.Tile(0, bundle.index, bundle.width).path}").content
        assert tile.split(level0)[(position - 1) % 256] == leaf_hash(entry)
    assert parse_path("tile/entries/001.p/44") == Bundle(1, 44)


def test_a_damaged_directory_is_an_error_and_no_wrong_proof(published: tuple[TestClient, Path]) -> None:
    """Changes a byte of a tile: the proof is refused, and the answer tells nothing of the disk."""
    http, folder = published
    path = folder / "tile/0/000"
    path.write_bytes(b"\x00" + path.read_bytes()[1:])
    answer = http.get("/log/proof/5")
    assert answer.status_code == 500
    assert b"/" not in answer.content


def test_without_a_directory_nothing_is_published(own_books: Scribe) -> None:
    """Asks an API that was given none."""
    with TestClient(make_app(own_books.url, own_books.manifest)) as http:
        for path in ("checkpoint", "tile/0/000", "proof/1"):
            assert http.get(f"/log/{path}").status_code == 404
