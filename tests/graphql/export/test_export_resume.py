"""Downloads over HTTP: what a client has already is not sent again, and what was cut off goes on where it stopped."""

import threading
import time
from collections.abc import Iterator

import anyio
import psycopg
import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import Message

from deepnode_graphql.export import sending, spool
from deepnode_graphql.export.formats import FORMATS
from deepnode_graphql.export.http import ExportEndpoint
from deepnode_graphql.export.source import Selection, Source
from deepnode_graphql.export.sources import SOURCES
from deepnode_graphql.export.spool import Spool
from deepnode_graphql.reading import Reading, driver_connection
from deepnode_graphql.service import Service
from tests.graphql.export.export_books import made, service_of
from tests.graphql.small_books import Scribe

FINAL = "at_position=9"


def app_of(service: Service, kept: Spool) -> Starlette:
    """The routes of exports, with a spool of the test's own."""
    endpoint = ExportEndpoint(service, kept)
    return Starlette(routes=[Route("/export", endpoint.catalogue), Route("/export/{source}.{suffix}", endpoint.export)])


@pytest.fixture
def kept() -> Iterator[Spool]:
    """A spool, empty at first."""
    made_here = Spool()
    yield made_here
    made_here.close()


@pytest.fixture
def http(full_service: Service, kept: Spool) -> Iterator[TestClient]:
    """A client of the exports."""
    with TestClient(app_of(full_service, kept)) as client:
        yield client


@pytest.mark.parametrize("suffix", FORMATS)
def test_each_half_of_a_file_is_a_range_of_the_whole(http: TestClient, suffix: str) -> None:
    """Fetches the whole, then two ranges with its tag, by each format; before anything was kept, and after."""
    url = f"/export/rewards.{suffix}?{FINAL}&history=true"
    first = http.get(url, headers={"Range": "bytes=100-"})
    assert (first.status_code, first.headers["accept-ranges"]) == (206, "bytes")
    whole = http.get(url)
    assert whole.status_code == 200
    content, tag = whole.content, whole.headers["etag"]
    assert first.content == content[100:]
    assert first.headers["content-range"] == f"bytes 100-{len(content) - 1}/{len(content)}"
    assert int(whole.headers["content-length"]) == len(content)
    half = len(content) // 2
    front, back = (
        http.get(url, headers={"Range": f"bytes={part}", "If-Range": tag}) for part in (f"0-{half - 1}", f"{half}-")
    )
    assert front.content + back.content == content
    assert http.get(url, headers={"Range": "bytes=-7"}).content == content[-7:]
    assert whole.headers["content-type"] == FORMATS[suffix].media_type


def test_a_file_too_large_to_be_kept_is_made_again(full_service: Service) -> None:
    """Gives the spool no room: ranges are the same bytes, and the second needs no counting."""
    kept = Spool(file_bytes_max=10)
    with TestClient(app_of(full_service, kept)) as http:
        url = f"/export/rewards.ndjson?{FINAL}"
        content = http.get(url).content
        for part, expected in {"5-99": content[5:100], "200-": content[200:], "-3": content[-3:]}.items():
            answer = http.get(url, headers={"Range": f"bytes={part}"})
            assert (answer.status_code, answer.content) == (206, expected)
            assert answer.headers["content-range"].endswith(f"/{len(content)}")
    kept.close()


def test_what_the_client_has_is_not_sent_again(http: TestClient) -> None:
    """Sends the tag back, in each way that it may be written; another tag gets the file."""
    url = f"/export/trust.csv?{FINAL}"
    tag = http.head(url).headers["etag"]
    for given in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        answer = http.get(url, headers={"If-None-Match": given})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    assert http.get(url, headers={"If-None-Match": '"other"'}).status_code == 200


def test_tags_tell_apart_what_differs(http: TestClient) -> None:
    """Asks for another source, format, moment and filter; and twice for the same."""
    urls = [
        "trust.csv?at_position=9", "work.csv?at_position=9", "trust.ndjson?at_position=9", "trust.csv?at_position=8",
        "trust.csv?at_position=9&history=true",
    ]  # fmt: skip
    tags = [http.head(f"/export/{url}").headers["etag"] for url in urls]
    assert len(set(tags)) == len(urls)
    assert [http.head(f"/export/{url}").headers["etag"] for url in urls] == tags


def test_a_range_that_cannot_be_is_refused_or_left_alone(http: TestClient) -> None:
    """Asks behind the end, for a tag that is not the file's, for several parts, for nonsense."""
    url = f"/export/trust.csv?{FINAL}"
    content = http.get(url).content
    beyond = http.get(url, headers={"Range": f"bytes={len(content)}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(content)}")
    assert http.get(url, headers={"Range": "bytes=-0"}).status_code == 416
    for given in ({"If-Range": '"old"'}, {"If-Range": "Sat, 21 Nov 2026 00:00:00 GMT"}):
        answer = http.get(url, headers={"Range": "bytes=1-2", **given})
        assert (answer.status_code, answer.content) == (200, content)
    for part in ("bytes=0-1,5-6", "lines=1-2", "bytes=5-2", "bytes=-", "bytes=a-b", "bytes=" + "9" * 40 + "-"):
        answer = http.get(url, headers={"Range": part})
        assert (answer.status_code, answer.content) == (200, content), part


def test_what_is_not_final_is_not_resumed(http: TestClient) -> None:
    """Asks for a part of the books' end, which a reorg can change: the whole comes, and says so."""
    answer = http.get("/export/trust.csv", headers={"Range": "bytes=5-"})
    assert (answer.status_code, answer.headers["accept-ranges"]) == (200, "none")
    assert answer.headers["x-deepnode-finality"] == "PENDING"


def test_the_headers_say_what_a_file_is_of(http: TestClient) -> None:
    """Reads them by HEAD, which sends no body, and compares them with the file's own words."""
    answer = http.head(f"/export/postings.arrow?{FINAL}&asset=DN")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-disposition"] == 'attachment; filename="deepnode-8453-postings-9.arrow"'
    assert answer.headers["x-deepnode-query"] == "at_position=9&asset=DN"
    assert answer.headers["x-deepnode-state-root"].startswith("0x")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "content-length" not in answer.headers
    length = len(http.get(f"/export/postings.arrow?{FINAL}&asset=DN").content)
    assert int(http.head(f"/export/postings.arrow?{FINAL}&asset=DN").headers["content-length"]) == length


def test_the_catalogue_names_every_source_with_its_columns(http: TestClient) -> None:
    """Compares /export with the sources."""
    found = http.get("/export").json()
    assert {each["name"]: [column["name"] for column in each["columns"]] for each in found["sources"]} == {
        name: source.schema.names for name, source in SOURCES.items()
    }
    assert [each["suffix"] for each in found["formats"]] == list(FORMATS)
    assert all(each["said"].endswith(".") for each in found["sources"])


@pytest.mark.parametrize(
    ("url", "status", "message"),
    [
        ("nothing.csv", 404, "there is no source 'nothing': there are postings"),
        ("postings.doc", 404, "there is no format 'doc': there are arrow, parquet, csv, ndjson, xlsx"),
        ("tasks.csv?colour=red", 400, "unknown parameter 'colour': there are at_block"),
        ("tasks.csv?history=maybe", 400, "history must be true or false, not 'maybe'"),
        ("tasks.csv?task=0x1", 400, "task"),
        ("tasks.csv?attempt=-1", 400, "attempt must be a whole number"),
        ("tasks.csv?asset=XYZ", 400, "asset 'XYZ' is not in the books"),
        ("tasks.csv?at_epoch=99999", 400, "epoch"),
        ("balances.csv?account=" + "a" * 1001, 400, "account must have 1000 characters at most"),
        ("refusals.csv?kind=%00", 400, "kind must not hold the character 0"),
        ("log_entries.csv?kind=x", 400, "kind must be one of CHAIN_LOG, TASK_EVENT, not 'x'"),
        ("log_entries.csv?transaction_hash=0x12", 400, "transaction_hash must have 32 bytes"),
        ("log_entries.csv?history=true", 400, "unknown parameter 'history'"),
    ],
)
def test_what_is_wrong_is_named(http: TestClient, url: str, status: int, message: str) -> None:
    """Sends one mistake at a time, by GET and by HEAD."""
    answer = http.get(f"/export/{url}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, "BAD_INPUT")
    assert message in answer.json()["error"]["message"]
    assert http.head(f"/export/{url}").status_code == status


def test_a_client_that_goes_away_ends_its_statement(
    full_books: Scribe, kept: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Makes a source sleep in the database, disconnects, and looks for the statement and the place it had."""

    def sleeping(reading: Reading, selection: Selection) -> Iterator[None]:
        driver_connection(reading.database).execute("SELECT pg_sleep(30) AS napping_export")
        yield None

    def batches(reading: Reading, selection: Selection) -> Iterator[None]:
        return sleeping(reading, selection)

    slow = Source("trust", "It sleeps.", SOURCES["trust"].schema, (), batches)
    monkeypatch.setattr("deepnode_graphql.export.request.SOURCES", {"trust": slow})
    with service_of(full_books) as service, psycopg.connect(full_books.url, autocommit=True) as watcher:

        def running() -> int:
            found = watcher.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%napping_export%' AND state = 'active'"
                " AND pid <> pg_backend_pid()"
            ).fetchone()
            assert found is not None
            return int(found[0])

        def wait_for_it() -> None:
            until = time.monotonic() + 10
            while running() == 0:
                assert time.monotonic() < until
                time.sleep(0.02)

        async def scenario() -> list[Message]:
            sent: list[Message] = []
            gone = anyio.Event()

            async def receive() -> Message:
                await gone.wait()
                return {"type": "http.disconnect"}

            async def send(message: Message) -> None:
                sent.append(message)

            async def leave() -> None:
                await anyio.to_thread.run_sync(wait_for_it)
                assert service.exports_running == 1
                gone.set()

            scope = {
                "type": "http", "method": "GET", "path": "/export/trust.csv", "query_string": b"", "headers": [],
                "http_version": "1.1", "scheme": "http", "root_path": "", "server": ("test", 80),
            }  # fmt: skip
            with anyio.fail_after(20):
                async with anyio.create_task_group() as group:
                    group.start_soon(leave)
                    await app_of(service, kept)(scope, receive, send)
            return sent

        began = time.monotonic()
        assert anyio.run(scenario) == []
        assert time.monotonic() - began < 15
        assert running() == 0
        assert service.exports_running == 0
        assert service.answered["export", "gone"] == 1


def test_a_client_that_does_not_read_is_let_go(
    full_service: Service, kept: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Takes the first message and then nothing: after the time that is allowed, the place is free."""
    monkeypatch.setattr(sending, "SEND_SECONDS_MAX", 0.2)

    async def scenario() -> None:
        started = anyio.Event()

        async def receive() -> Message:
            await anyio.sleep_forever()
            raise AssertionError

        async def send(message: Message) -> None:
            if message["type"] == "http.response.body":
                started.set()
                await anyio.sleep_forever()

        scope = {
            "type": "http", "method": "GET", "path": "/export/trust.csv", "query_string": b"", "headers": [],
            "http_version": "1.1", "scheme": "http", "root_path": "", "server": ("test", 80),
        }  # fmt: skip
        with anyio.fail_after(20):
            await app_of(full_service, kept)(scope, receive, send)
        assert started.is_set()

    before = full_service.answered["export", "gone"]
    anyio.run(scenario)
    assert full_service.exports_running == 0
    assert full_service.answered["export", "gone"] == before + 1


def test_the_spool_keeps_within_its_bounds(full_service: Service) -> None:
    """Writes files until there is no more room: the one that was used least lately goes, and a reader goes on."""
    kept = Spool(bytes_max=250, file_bytes_max=200)
    for name in ("a", "b"):
        file = kept.begin(name)
        file.write(name.encode() * 100)
        assert kept.open(name) is None
        file.finish()
    reader = kept.open("a")
    assert reader is not None
    for name in ("c", "d"):
        file = kept.begin(name)
        file.write(name.encode() * 100)
        file.finish()
    assert [kept_file(kept, name) for name in "abcd"] == [None, None, b"c" * 100, b"d" * 100]
    with reader:
        assert reader.read() == b"a" * 100
    assert kept._directory is not None
    (kept._directory / "d").unlink()
    assert kept_file(kept, "d") is None, "somebody else has tidied up"
    large = kept.begin("e")
    large.write(b"e" * 201)
    large.finish()
    assert (kept.open("e"), kept.length("e")) == (None, 201)
    directory = kept._directory
    kept.close()
    assert directory is not None
    assert not directory.exists()
    assert made(full_service, "trust", "csv")


def kept_file(kept: Spool, name: str) -> bytes | None:
    """What the spool has of a file."""
    file = kept.open(name)
    if file is None:
        return None
    with file:
        return file.read()


def test_a_full_disk_costs_nobody_an_export(http: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Says that nothing is free: the export comes, whole and by parts."""
    monkeypatch.setattr(spool, "FREE_BYTES_MIN", 2**80)
    url = f"/export/nodes.csv?{FINAL}"
    content = http.get(url).content
    assert http.get(url, headers={"Range": "bytes=9-"}).content == content[9:]


def test_two_who_make_the_same_file_do_not_disturb_each_other(http: TestClient) -> None:
    """Asks four times at once for one file that is not kept yet."""
    found: list[bytes] = []
    url = f"/export/models.ndjson?{FINAL}"
    threads = [threading.Thread(target=lambda: found.append(http.get(url).content)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
