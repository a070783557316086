"""`deepnode bundle fetch` and what serves it: a download goes on after any cut, and a server can do no harm."""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import uvicorn
from starlette.testclient import TestClient
from starlette.types import ASGIApp
from typer.testing import CliRunner
from typing_extensions import override

from deepnode_cli.bundling import server
from deepnode_cli.bundling.fetching import Fetched, fetch
from deepnode_cli.bundling.server import FileServer
from deepnode_graphql.app import make_app
from deepnode_graphql.terms import NO_TERMS, Terms
from deepnode_ledger.bundle import layout, open_bundle
from deepnode_ledger.errors import BadInput, Damaged, TryAgain
from deepnode_ledger.manifest import load_manifest
from tests.command_line import app
from tests.conftest import fresh_database
from tests.ledger.bundle.bundles import content, small_bundle

LOG = layout.log_path(0)

Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture(scope="module")
def made(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small bundle, and beside it the manifest and a secret."""
    folder = tmp_path_factory.mktemp("made")
    with fresh_database(postgres_url) as url, small_bundle(url, folder, behind=2) as bundle:
        (folder / "secret").write_text("nobody's business")
        return bundle.path


def api(made: Path, terms: Terms = NO_TERMS) -> ASGIApp:
    """The API with this bundle; its database is away, which a bundle does not need."""
    manifest = load_manifest(made.parent / "manifest.toml")
    url = "postgresql://nobody@127.0.0.1:1/none"
    return make_app(url, manifest, bundle_directory=made, terms=terms)


@contextmanager
def serving(asgi: ASGIApp) -> Iterator[str]:
    """The API on a port of its own; the URL of its bundle."""
    config = uvicorn.Config(asgi, host="127.0.0.1", port=0, log_level="warning", lifespan="on")
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}/bundle"
    finally:
        running.should_exit = True
        thread.join()


@contextmanager
def stranger(answer: Callable[[str, dict[str, str]], Answer]) -> Iterator[str]:
    """A server that answers what a function says; it may promise more than it sends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = answer(self.path.removeprefix("/b/"), dict(self.headers.items()))
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True

        @override
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_address[1]}/b"
        finally:
            http.shutdown()
            thread.join()


def whole(files: dict[str, bytes], name: str) -> Answer:
    """What a plain server answers."""
    return (200, {}, files[name]) if name in files else (404, {}, b"")


def brought(url: str, folder: Path) -> Fetched:
    """Fetch without a word."""
    return fetch(url, folder, sha256=None, progress=lambda _done, _of: None)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that fails is asked again at once."""
    monkeypatch.setattr(server, "PAUSE_SECONDS", 0.001)


def test_every_listed_file_is_served_and_nothing_else(made: Path) -> None:
    """Asks the API for all files, for what is beside them, and for parts; the ETag is the SHA-256."""
    files = content(made)
    with TestClient(api(made)) as http:
        for name, data in files.items():
            answer = http.get(f"/bundle/{name}")
            assert (answer.status_code, answer.content) == (200, data)
            tag = answer.headers["etag"]
            assert tag == f'"{hashlib.sha256(data).hexdigest()}"'
            final = name.startswith(("tile/", "rulesets/"))
            assert ("immutable" in answer.headers["cache-control"]) == final, name
            assert http.head(f"/bundle/{name}").headers["content-length"] == str(len(data))
            assert http.get(f"/bundle/{name}", headers={"If-None-Match": tag}).status_code == 304
            part = http.get(f"/bundle/{name}", headers={"Range": "bytes=5-", "If-Range": tag})
            assert (part.status_code, part.content) == (206, data[5:])
            assert http.get(f"/bundle/{name}", headers={"Range": "bytes=5-", "If-Range": '"other"'}).content == data
        assert http.get(f"/bundle/{LOG}", headers={"Range": "bytes=999999999-"}).status_code == 416
        for name in ("secret", "../secret", "%2e%2e/secret", "log", "", layout.log_path(1), "bundle.json/x", "a%00b"):
            assert http.get(f"/bundle/{name}").status_code == 404, name
    with TestClient(make_app("postgresql://x@127.0.0.1:1/n", load_manifest(made.parent / "manifest.toml"))) as http:
        assert http.get("/bundle/bundle.json").status_code == 404


def test_a_bundle_that_is_being_made_or_is_damaged_is_not_served(made: Path, tmp_path: Path) -> None:
    """Takes the list away, changes it, shortens a file and puts a link in its place: 404 or 500, and no byte of it."""
    folder = tmp_path / "bundle"
    for name, data in content(made).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    (tmp_path / "manifest.toml").write_bytes((made.parent / "manifest.toml").read_bytes())
    (tmp_path / "abi").symlink_to(made.parent / "abi")
    with TestClient(api(folder)) as http:
        assert http.get(f"/bundle/{LOG}").status_code == 200
        good = (folder / LOG).read_bytes()
        (folder / LOG).write_bytes(good[:-1])
        assert http.get(f"/bundle/{LOG}").status_code == 500
        (folder / LOG).unlink()
        (folder / LOG).symlink_to(made.parent / "secret")
        refused = http.get(f"/bundle/{LOG}")
        assert (refused.status_code, refused.json()["error"]["code"]) == (500, "INTERNAL")
        assert "business" not in refused.text
        listed = (folder / "bundle.json").read_bytes()
        (folder / "bundle.json").write_bytes(listed.replace(b"deepnode", b"deepnote"))
        assert http.get("/bundle/bundle.json").status_code == 500
        (folder / "bundle.json").unlink()
        assert http.get("/bundle/bundle.json").status_code == 404
        assert http.get("/bundle/coverage.json").status_code == 404


def test_the_command_brings_the_bundle_that_is_served(made: Path, tmp_path: Path) -> None:
    """Runs the command against the real API at 40 requests a second; again, when all is there; and for another hash."""
    digest = hashlib.sha256((made / "bundle.json").read_bytes()).hexdigest()
    with serving(api(made, Terms(request_rate=40))) as url:
        folder = tmp_path / "fetched"
        for came in (True, False):
            done = CliRunner().invoke(app, ["bundle", "fetch", url, str(folder), "--sha256", digest, "--json"])
            assert done.exit_code == 0, (done.exception, done.output)
            said = json.loads(done.stdout)
            assert (said["entries"], said["sha256"], said["directory"]) == (358, digest, str(folder))
            assert content(folder) == content(made)
            assert (brought(f"{url}/bundle.json", folder).came_bytes == 0) or came
        wrong = CliRunner().invoke(app, ["bundle", "fetch", url, str(folder), "--sha256", "0" * 64])
        assert isinstance(wrong.exception, BadInput)
        assert "asked for was 0000" in str(wrong.exception)
    with open_bundle(folder) as bundle:
        assert list(bundle.unlisted()) == []
    for bad in ("ftp://127.0.0.1/x", "file:///etc", "http://", "x", "http://127.0.0.1/b?x=1"):
        with pytest.raises(BadInput, match=r"is fetched from an http\(s\) URL"):
            brought(bad, tmp_path / "never")


def test_a_download_goes_on_in_the_middle_of_a_file(made: Path, tmp_path: Path) -> None:
    """A server that ends every answer after some bytes: no byte is asked for twice, in one run or in two."""
    files = content(made)
    asked: list[tuple[str, int]] = []

    def answer(name: str, headers: dict[str, str]) -> Answer:
        data = files[name]
        start = int(headers["Range"].removeprefix("bytes=").removesuffix("-")) if "Range" in headers else 0
        if name == "bundle.json":
            return 200, {}, data
        assert not start or headers["If-Range"] == f'"{hashlib.sha256(data).hexdigest()}"'
        asked.append((name, start))
        sent = data[start : start + 7_000]
        parts = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {}
        return (206 if start else 200), {"Content-Length": str(len(data) - start), **parts}, sent

    folder = tmp_path / "fetched"
    temporary = folder / Path(LOG).with_name(f".{Path(LOG).name}.new")
    temporary.parent.mkdir(parents=True)
    temporary.write_bytes(files[LOG][:10_000])
    with stranger(answer) as url:
        brought(url, folder)
    assert content(folder) == files
    assert sorted(start for name, start in asked if name == LOG) == list(range(10_000, len(files[LOG]), 7_000))
    assert len(set(asked)) == len(asked)


def test_a_server_without_parts_and_left_overs_of_another_bundle_end_well(made: Path, tmp_path: Path) -> None:
    """Plain answers to questions for parts; unfinished files with other bytes, and with too many."""
    files = content(made)
    folder = tmp_path / "fetched"
    for name, left in ((LOG, b"x" * 500), ("coverage.json", b"y" * 10**6)):
        path = folder / Path(name).with_name(f".{Path(name).name}.new")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(left)
    with stranger(lambda name, _headers: whole(files, name)) as url:
        brought(url, folder)
    assert content(folder) == files


def _lies(files: dict[str, bytes]) -> dict[str, tuple[dict[str, Answer], type[Exception], str]]:
    listed = json.loads(files["bundle.json"])
    outside = {**listed, "files": [{"path": "../stolen", "bytes": 1, "sha256": "0" * 64}, *listed["files"]]}
    huge = {**listed, "files": [{**part, "bytes": 2**50} if part["path"] == LOG else part for part in listed["files"]]}

    def spelled(value: object) -> bytes:
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n"

    log = files[LOG]
    return {
        "a name outside": ({"bundle.json": (200, {}, spelled(outside))}, Damaged, "has the name"),
        "more than the disk holds": ({"bundle.json": (200, {}, spelled(huge))}, BadInput, "has room for"),
        "no list": ({"bundle.json": (200, {}, b"<html>")}, Damaged, "is not that of"),
        "nothing there": ({"bundle.json": (404, {}, b"")}, BadInput, "answers 404"),
        "a file is missing": ({LOG: (404, {}, b"")}, BadInput, "answers 404"),
        "leads elsewhere": ({LOG: (302, {"Location": "http://169.254.169.254/"}, b"")}, BadInput, "leads elsewhere"),
        "the list leads elsewhere": ({"bundle.json": (301, {"Location": "/x"}, b"")}, BadInput, "leads elsewhere"),
        "other bytes": ({LOG: (200, {}, log[:-1] + b"x")}, Damaged, "another length or SHA-256"),
        "fewer bytes": ({LOG: (200, {}, log[:-1])}, Damaged, "another length or SHA-256"),
        "more bytes": ({LOG: (200, {}, log + b"x" * 10**6)}, BadInput, f"more than {len(log)} bytes"),
        "a part of something": ({LOG: (206, {"Content-Range": "bytes 7-9/10"}, b"abc")}, BadInput, "another part"),
        "a part without a place": ({LOG: (206, {}, log)}, BadInput, "another part"),
        "nothing behind the end": ({LOG: (416, {}, b"")}, BadInput, "another part"),
        "packed": ({LOG: (200, {"Content-Encoding": "gzip"}, b"\x1f\x8b" + b"\0" * 99)}, Damaged, "SHA-256"),
        "busy for ever": ({LOG: (429, {"Retry-After": "0"}, b"")}, TryAgain, "it answers 429"),
        "cut off at once": ({LOG: (200, {"Content-Length": str(len(log))}, b"")}, TryAgain, "cannot be fetched"),
    }


def test_a_server_that_lies_does_no_harm(made: Path, tmp_path: Path) -> None:
    """Tries each lie on a fresh directory: it is named, nothing lies outside, no list is there; then the truth is
    fetched into the same directory.
    """
    files = content(made)
    for number, (lies, error, why) in enumerate(_lies(files).values()):
        folder = tmp_path / str(number) / "fetched"
        folder.parent.mkdir()

        def answer(name: str, _headers: dict[str, str], lies: dict[str, Answer] = lies) -> Answer:
            return lies.get(name) or whole(files, name)

        with stranger(answer) as url, pytest.raises(error, match=why):
            brought(url, folder)
        assert not (folder / "bundle.json").exists()
        assert [path.name for path in folder.parent.iterdir()] in ([], ["fetched"])
        with stranger(lambda name, _headers: whole(files, name)) as url:
            brought(url, folder)
        assert content(folder) == files


def test_a_server_that_is_away_or_changes_its_list_is_named(made: Path, tmp_path: Path) -> None:
    """Nobody listens; then a list that is cut off and comes again with other bytes is taken as it comes last."""
    with stranger(lambda name, _headers: (404, {}, b"")) as url:
        pass
    with pytest.raises(TryAgain, match="cannot be fetched"):
        brought(url, tmp_path / "never")
    files = content(made)
    tries = iter([(200, {"Content-Length": "100000"}, b"{" * 5_000)])

    def answer(name: str, _headers: dict[str, str]) -> Answer:
        return next(tries, whole(files, name)) if name == "bundle.json" else whole(files, name)

    with stranger(answer) as url:
        brought(url, tmp_path / "fetched")
    assert content(tmp_path / "fetched") == files


def test_it_waits_as_long_as_a_busy_server_asks() -> None:
    """Answers 429 twice, and once 503 without a time; notes the pauses."""
    answers = iter([(429, {"Retry-After": "7"}, b""), (503, {}, b""), (429, {"Retry-After": "99999"}, b"")])
    pauses: list[float] = []
    with stranger(lambda _name, _headers: next(answers, (200, {}, b"here"))) as url:
        [(at, piece)] = list(FileServer(url, pause=pauses.append).pieces("x", 0, 10, None))
    assert (at, piece) == (0, b"here")
    assert [min(each, 30) for each in pauses] == pauses
    assert pauses[0] >= 7
