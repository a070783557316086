"""The dataset over HTTP is the files that the manifest lists, and nothing else of the disk."""

import hashlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from deepnode_graphql.app import make_app
from deepnode_graphql.dataset.making import make
from tests.conftest import fresh_database
from tests.graphql.dataset.conftest import EpochScribe, content_of
from tests.graphql.statements.month_books import month_scribe

POSTINGS = "postings/in_epoch=1/part-0.parquet"


@pytest.fixture(scope="module")
def served(postgres_url: str, room: Path) -> Iterator[tuple[TestClient, Path]]:
    """A dataset of two epochs, served; what stands beside its files is nobody's business."""
    folder = Path(tempfile.mkdtemp(dir=room))
    with fresh_database(postgres_url) as url, month_scribe(url, folder) as scribe:
        epochs = EpochScribe(scribe, folder)
        epochs.begin()
        epochs.open(1)
        epochs.open(2)
        epochs.seal()
        with epochs.opened() as books:
            make(books, folder / "made")
        (folder / "secret").write_text("nobody's business")
        (folder / "made" / "notes.txt").write_text("nobody's business either")
        (folder / "made" / "postings" / "in_epoch=2").mkdir()
        (folder / "made" / "postings" / "in_epoch=2" / "part-0.parquet").write_text("not listed: nobody's business")
        with TestClient(make_app(url, epochs.manifest, dataset_directory=folder / "made")) as http:
            yield http, folder / "made"


def test_every_listed_file_is_served_with_its_hash_as_its_tag(served: tuple[TestClient, Path]) -> None:
    """Asks for the manifest and for all that it lists; files may be kept for ever, the manifest may not."""
    http, folder = served
    answer = http.get("/dataset/manifest.json")
    content = content_of(folder)
    assert answer.content == content["manifest.json"]
    assert answer.headers["etag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'
    assert answer.headers["cache-control"] == "no-cache"
    listed = [file for epoch in answer.json()["epochs"] for file in epoch["files"]]
    assert len(listed) == len(content) - 3
    for file in listed:
        answer = http.get(f"/dataset/{file['path']}")
        assert (answer.status_code, answer.content) == (200, content[file["path"]])
        assert answer.headers["etag"] == f'"{file["sha256"]}"' == f'"{hashlib.sha256(answer.content).hexdigest()}"'
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["content-type"] == "application/vnd.apache.parquet"


def test_a_download_goes_on_where_it_stopped(served: tuple[TestClient, Path]) -> None:
    """HEAD, parts in every spelling, If-Range, If-None-Match, and a part behind the end."""
    http, folder = served
    content, url = (folder / POSTINGS).read_bytes(), f"/dataset/{POSTINGS}"
    head = http.head(url)
    tag = head.headers["etag"]
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(content)))
    assert head.headers["accept-ranges"] == "bytes"
    for said, part in (
        ("0-3", content[:4]),
        ("100-", content[100:]),
        ("-8", content[-8:]),
        ("5-99999999", content[5:]),
    ):
        answer = http.get(url, headers={"Range": f"bytes={said}", "If-Range": tag})
        assert (answer.status_code, answer.content) == (206, part)
        start = content.index(part)
        assert answer.headers["content-range"] == f"bytes {start}-{start + len(part) - 1}/{len(content)}"
    assert http.get(url, headers={"Range": "bytes=0-3", "If-Range": '"another"'}).content == content
    beyond = http.get(url, headers={"Range": f"bytes={len(content)}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(content)}")
    same = http.get(url, headers={"If-None-Match": tag})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    assert http.post(url).status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        "", "notes.txt", ".lock", "postings", "postings/", "postings/in_epoch=1", "postings/in_epoch=01/part-0.parquet",
        "postings/in_epoch=2/part-0.parquet", "postings/in_epoch=99/part-0.parquet", "/etc/passwd", "../secret",
        "%2e%2e/secret", "..%2fsecret", "postings/../../secret", "postings/in_epoch=1/../in_epoch=1/part-0.parquet",
        "./manifest.json", "manifest.json/", "MANIFEST.JSON", "manifest.json%00", "postings//in_epoch=1/part-0.parquet",
    ],
)  # fmt: skip
def test_nothing_else_of_the_disk_is_served(served: tuple[TestClient, Path], path: str) -> None:
    """Asks for what is beside the files, for other spellings of their names, and for what is not listed."""
    http, _ = served
    answer = http.get(f"/dataset/{path}")
    if path in ("./manifest.json", "postings/in_epoch=1/../in_epoch=1/part-0.parquet"):
        # The client itself shortens these.
        assert answer.status_code == 200
        return
    assert answer.status_code == 404
    assert b"business" not in answer.content
    assert b"/part-0" not in answer.content


def test_a_damaged_dataset_is_not_served(epochs: EpochScribe, folder: Path) -> None:
    """Shortens a file, then breaks the manifest: 500 without a word about the disk. A new epoch is served at once."""
    epochs.open(1)
    epochs.seal()
    folder /= "made"
    app = make_app(epochs.url, epochs.manifest, dataset_directory=folder)
    with epochs.opened() as books, TestClient(app) as http:
        assert http.get("/dataset/manifest.json").status_code == 404, "nothing was made yet"
        make(books, folder)
        assert len(http.get("/dataset/manifest.json").json()["epochs"]) == 1
        epochs.open(2)
        epochs.seal()
        make(books, folder)
        assert len(http.get("/dataset/manifest.json").json()["epochs"]) == 2
        assert http.get(f"/dataset/{POSTINGS}").status_code == 200
        (folder / POSTINGS).write_bytes(b"PAR1")
        broken = http.get(f"/dataset/{POSTINGS}")
        (folder / "manifest.json").write_text(json.dumps({}))
        for answer in (broken, http.get("/dataset/manifest.json")):
            assert answer.status_code == 500
            assert "internal error" in answer.json()["error"]["message"]
            assert b"part-0" not in answer.content
    with TestClient(make_app(epochs.url, epochs.manifest)) as http:
        assert http.get("/dataset/manifest.json").status_code == 404
