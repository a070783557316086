"""Documents that are asked by their id, and answers that a client or a cache need not get twice."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from deepnode_graphql.app import make_app
from deepnode_graphql.persisted import sha256_id
from deepnode_graphql.reading import Reading
from deepnode_graphql.terms import Terms
from deepnode_ledger.errors import BadInput
from tests.graphql.conftest import Api
from tests.graphql.small_books import ALICE, BOB, DN, NOBODY, Scribe, transfer

GRAPHQL_RESPONSE = {"Accept": "application/graphql-response+json"}
ENTRY = "query Entry($p: Long!) { entry(position: $p) { kind } }"
META = "{ _meta { position } }"
BALANCES = "query ($at: At) { balances(at: $at) { edges { node { account { name } amount } } } }"
EXAMPLE = "query ($id: ID!) {\n  user(id: $id) {\n    name\n  }\n}"
"""The example of the appendix, whose id stands there."""


def ask(http: TestClient, document_id: str, *, tag: str | None = None, **variables: Any) -> Any:
    """The answer to a document by its id, by GET."""
    headers = GRAPHQL_RESPONSE if tag is None else {**GRAPHQL_RESPONSE, "If-None-Match": tag}
    parameters = {"documentId": document_id, "variables": json.dumps(variables)}
    return http.get("/graphql", params=parameters, headers=headers)


def get(http: TestClient, query: str, *, tag: str | None = None, accept: str = GRAPHQL_RESPONSE["Accept"]) -> Any:
    """The answer to a query, by GET."""
    headers = {"Accept": accept} if tag is None else {"Accept": accept, "If-None-Match": tag}
    return http.get("/graphql", params={"query": query}, headers=headers)


@contextmanager
def registered(books: Scribe, documents: Path, *, only: bool = False) -> Iterator[TestClient]:
    """The API with these documents."""
    app = make_app(books.url, books.manifest, terms=Terms(documents=documents, documents_only=only))
    with TestClient(app) as http:
        yield http


def test_an_id_is_the_hash_that_the_appendix_says() -> None:
    """Hashes the appendix' own example."""
    assert sha256_id(EXAMPLE) == "sha256:7dba4bd717b41f10434822356a93c32b1fb4907b983e854300ad839f84cdcd6e"


def test_a_document_of_a_folder_is_asked_by_its_id(small_books: Scribe, tmp_path: Path) -> None:
    """Registers a file that an editor ended with a line's end; both ids mean it, by GET and by POST."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "entry.graphql").write_text(ENTRY + "\n", "utf-8")
    (tmp_path / "notes.txt").write_text("not a document", "utf-8")
    with registered(small_books, tmp_path) as http:
        for document_id in (sha256_id(ENTRY), sha256_id(ENTRY + "\n"), hashlib.sha256(ENTRY.encode()).hexdigest()):
            assert ask(http, document_id, p=1).json() == {"data": {"entry": {"kind": "Transfer"}}}
            body = {"documentId": document_id, "variables": {"p": 1}, "operationName": "Entry"}
            assert http.post("/graphql", json=body).json() == {"data": {"entry": {"kind": "Transfer"}}}
        # Other queries are answered too.
        assert http.post("/graphql", json={"query": META}).status_code == 200


def test_documents_of_a_json_file_may_have_ids_of_their_own(small_books: Scribe, tmp_path: Path) -> None:
    """Registers what a build writes: a hash, a name, and a prefixed name for three documents."""
    found = {sha256_id(ENTRY): ENTRY, "x-explorer:meta.1": META, "0123456789abcdef0123456789abcdef": BALANCES}
    (tmp_path / "documents.json").write_text(json.dumps(found), "utf-8")
    with registered(small_books, tmp_path / "documents.json") as http:
        assert ask(http, sha256_id(ENTRY), p=1).json() == {"data": {"entry": {"kind": "Transfer"}}}
        assert ask(http, "x-explorer:meta.1").json() == {"data": {"_meta": {"position": 15}}}
        assert ask(http, sha256_id(META)).json() == {"data": {"_meta": {"position": 15}}}
        assert len(ask(http, "0123456789abcdef0123456789abcdef").json()["data"]["balances"]["edges"]) > 1


def test_a_stranger_registers_nothing(small_books: Scribe, tmp_path: Path) -> None:
    """Sends a query with its id in each way that clients know, then the id alone: it is unknown as before."""
    (tmp_path / "entry.graphql").write_text(ENTRY, "utf-8")
    query = "{ __typename }"
    extensions = {"persistedQuery": {"version": 1, "sha256Hash": hashlib.sha256(query.encode()).hexdigest()}}
    with registered(small_books, tmp_path) as http:
        both = http.post("/graphql", json={"query": query, "documentId": sha256_id(query)}, headers=GRAPHQL_RESPONSE)
        assert (both.status_code, both.json()["errors"][0]["message"]) == (
            400, "give either query or documentId, not both",
        )  # fmt: skip
        assert http.post("/graphql", json={"query": query, "extensions": extensions}).status_code == 200
        unknown = ask(http, sha256_id(query))
        assert unknown.status_code == 404
        assert f"no document is registered as '{sha256_id(query)}'" in unknown.json()["errors"][0]["message"]
        assert unknown.headers["cache-control"] == "no-store"
        assert http.post("/graphql", json={"extensions": extensions}, headers=GRAPHQL_RESPONSE).status_code == 400
        assert http.post("/graphql", json={"documentId": 1}, headers=GRAPHQL_RESPONSE).status_code == 400


def test_where_only_documents_are_answered_no_other_query_is(small_books: Scribe, tmp_path: Path) -> None:
    """Asks for another query by POST, by GET and by an event stream; the document's own text is the document."""
    (tmp_path / "entry.graphql").write_text(ENTRY + "\n", "utf-8")
    other = {"query": META}
    with registered(small_books, tmp_path, only=True) as http:
        assert ask(http, sha256_id(ENTRY), p=1).status_code == 200
        assert http.post("/graphql", json={"query": ENTRY, "variables": {"p": 1}}).status_code == 200
        for answer in (
            http.post("/graphql", json=other),
            http.get("/graphql", params=other),
            http.post("/graphql", json=other, headers={"Accept": "text/event-stream"}),
            http.post("/graphql", json={"query": "{ __schema { types { name } } }"}),
        ):
            assert answer.status_code == 403
            assert "only registered documents are answered here" in answer.text


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [
        ("a.graphql", "{ nothing }", "cannot be asked: Cannot query field 'nothing'"),
        ("a.graphql", "{", "cannot be asked: Syntax Error"),
        ("a.graphql", b"\xff", "is not UTF-8"),
        ("a.json", "[]", "must be a JSON object of documents by their ids"),
        ("a.json", "{", "is not JSON"),
        ("a.json", '{"a b": "{ __typename }"}', "has an id that is none: 'a b'"),
        ("a.json", json.dumps({"0" * 64: "{ __typename }"}), "whose id is sha256:"),
        ("a.json", json.dumps({"a": 1}), "must be a JSON object"),
    ],
)
def test_documents_that_cannot_be_asked_are_told_at_the_start(
    small_books: Scribe, tmp_path: Path, name: str, content: str | bytes, rule: str
) -> None:
    """Registers one mistake at a time; the message names the file and the rule, and nothing is served."""
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    terms = Terms(documents=file if name.endswith("json") else tmp_path)
    with pytest.raises(BadInput, match=rule):
        make_app(small_books.url, small_books.manifest, terms=terms)


def test_documents_that_are_not_there_are_told(small_books: Scribe, tmp_path: Path) -> None:
    """Names a file that is none, and asks for documents only without any."""
    with pytest.raises(BadInput, match=r"documents cannot be read from .*: No such file"):
        make_app(small_books.url, small_books.manifest, terms=Terms(documents=tmp_path / "none.json"))
    with pytest.raises(BadInput, match="documents_only needs documents"):
        Terms(documents_only=True)


def test_who_has_the_answer_gets_no_other_one_until_the_books_change(own_books: Scribe, own_api: Api) -> None:
    """Asks by GET again and again while blocks come, one is replaced, and one is made final."""
    own_books.block(transfer(NOBODY, ALICE, 5 * DN))
    first = get(own_api.http, BALANCES)
    tag = first.headers["etag"]
    assert (first.status_code, first.headers["cache-control"]) == (200, "no-cache")
    assert "Accept" in first.headers["vary"]
    for known in (tag, f"W/{tag}", f'"other", {tag}'):
        again = get(own_api.http, BALANCES, tag=known)
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert again.headers["cache-control"] == "no-cache"
    seen = [tag]
    for change in (
        lambda: own_books.block(transfer(ALICE, BOB, 1 * DN)),
        lambda: own_books.reorg(1, [transfer(ALICE, BOB, 2 * DN)]),
        lambda: own_books.seal(1),
        own_books.block,
    ):
        change()
        answer = get(own_api.http, BALANCES, tag=seen[-1])
        assert answer.status_code == 200
        seen.append(answer.headers["etag"])
        assert answer.json() == own_api.post(BALANCES).json()
    assert len(set(seen)) == len(seen)


def test_an_answer_at_a_final_moment_is_the_same_for_ever(own_books: Scribe, own_api: Api) -> None:
    """Asks at a block that is final, before and after other blocks and a reorg: one tag, and kept without a look."""
    own_books.block(transfer(NOBODY, ALICE, 5 * DN))
    own_books.block(transfer(ALICE, BOB, 1 * DN))
    own_books.seal(1)
    at_final = "{ balances(at: { block: 1 }) { edges { node { amount finality } } } }"
    at_pending = at_final.replace("block: 1", "block: 2")
    final, pending = get(own_api.http, at_final), get(own_api.http, at_pending)
    assert final.headers["cache-control"] == "public, max-age=86400, immutable"
    assert pending.headers["cache-control"] == "no-cache"
    own_books.reorg(1, [transfer(ALICE, BOB, 3 * DN)], [])
    again = get(own_api.http, at_final)
    assert (again.headers["etag"], again.content) == (final.headers["etag"], final.content)
    assert get(own_api.http, at_pending).headers["etag"] != pending.headers["etag"]
    by_variable = own_api.http.get(
        "/graphql", params={"query": BALANCES, "variables": '{"at": {"block": 1}}'}, headers=GRAPHQL_RESPONSE
    )
    assert "immutable" in by_variable.headers["cache-control"]


@pytest.mark.parametrize(
    "query",
    [
        "{ balances(at: { block: 5 }) { edges { cursor } } accounts { edges { cursor } } }",
        "{ balances(at: { block: 9 }) { edges { cursor } } }",
        "{ balances(at: null) { edges { cursor } } }",
        "{ _meta(at: { block: 5 }) { finalizedBlock { number } } }",
        "{ balances(at: { block: 5 }) { edges { cursor } } ...f } fragment f on Query { reorgs { edges { cursor } } }",
        "{ assets { symbol } }",
    ],
)
def test_what_also_tells_of_the_present_is_not_final(api: Api, query: str) -> None:
    """Asks at a final block, and beside it for something that is not: caches must look each time."""
    assert get(api.http, query).headers["cache-control"] == "no-cache"


def test_a_tag_stands_for_one_document_with_its_variables_name_and_media_type(api: Api) -> None:
    """Changes one of these at a time; every tag is another one."""
    two = "query A { _meta { position } } query B { _meta { position } }"
    asked = [
        {"query": ENTRY, "variables": '{"p": 1}'},
        {"query": ENTRY, "variables": '{"p": 2}'},
        {"query": ENTRY + " ", "variables": '{"p": 1}'},
        {"query": two, "operationName": "A"},
        {"query": two, "operationName": "B"},
    ]
    tags = [
        api.http.get("/graphql", params=each, headers={"Accept": accept}).headers["etag"]
        for each in asked
        for accept in ("application/json", "application/graphql-response+json")
    ]
    assert len(set(tags)) == len(tags)
    assert api.http.get("/graphql", params={"variables": '{ "p":1}', "query": ENTRY}).headers["etag"] in tags
    # A tag of the other media type is no answer of this one.
    tag = get(api.http, META).headers["etag"]
    assert get(api.http, META, tag=tag).status_code == 304
    assert get(api.http, META, tag=tag, accept="application/json").status_code == 200


def test_what_is_known_is_not_executed(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Breaks what a query reads: who has the answer does not notice, and an answer with an error has no tag."""
    query = "{ _meta { stateRoot } }"
    tag = get(api.http, query).headers["etag"]
    monkeypatch.setattr(Reading, "root", lambda *_: 1 // 0)
    assert get(api.http, query, tag=tag).status_code == 304
    broken = get(api.http, query)
    assert broken.json()["errors"][0]["extensions"]["code"] == "INTERNAL"
    assert "etag" not in broken.headers
    assert broken.headers["cache-control"] == "no-store"


def test_what_is_refused_or_posted_is_kept_by_nobody(api: Api) -> None:
    """Asks wrongly by GET, and rightly by POST."""
    for answer in (get(api.http, "{ nothing }"), get(api.http, "{"), api.post(META)):
        assert "etag" not in answer.headers
        assert answer.headers["cache-control"] == "no-store"


def test_a_parameter_that_is_given_twice_is_refused(api: Api) -> None:
    """Gives two queries: a cache and this service might not mean the same one."""
    answer = api.http.get("/graphql?query={__typename}&query={a:__typename}", headers=GRAPHQL_RESPONSE)
    assert (answer.status_code, answer.json()["errors"][0]["message"]) == (400, "'query' is given twice")


@pytest.mark.parametrize(
    "media",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/graphql",
        "text/json",
        "application/json, text/plain",
        "",
    ],
)
def test_a_page_elsewhere_cannot_post_in_the_name_of_its_reader(api: Api, media: str) -> None:
    """Posts with the content types that a browser sends without asking first, and some more: each is refused."""
    body = b'{"query": "{ __typename }"}'
    headers = {**GRAPHQL_RESPONSE, **({"Content-Type": media} if media else {})}
    answer = api.http.post("/graphql", content=body, headers=headers)
    assert answer.status_code == 415
