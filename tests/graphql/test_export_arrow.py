"""The Arrow export: readers that are not ours open it, and its sums are those of the books."""

import io
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from starlette.testclient import TestClient

from deepnode_graphql.app import make_app
from deepnode_graphql.export.source import AMOUNT
from deepnode_graphql.export.sources import postings
from deepnode_graphql.service import EXPORTS_AT_ONCE
from deepnode_ledger.hexadecimal import to_hex
from tests.graphql.conftest import Api
from tests.graphql.small_books import ALICE, AMOUNT_MAX, CAROL, Scribe, transfer


def fetch(api: Api, **parameters: Any) -> bytes:
    """The bytes of an export that must succeed."""
    answer = api.http.get("/export/postings.arrow", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.content


def table(content: bytes) -> pa.Table:
    """The export as pyarrow reads it."""
    return pa.ipc.open_stream(content).read_all()


def sums(rows: list[tuple[str, str, Any]]) -> dict[tuple[str, str], int]:
    """Amounts by account and asset."""
    made: dict[tuple[str, str], int] = {}
    for account, asset, amount in rows:
        made[account, asset] = made.get((account, asset), 0) + int(amount)
    return made


def in_duckdb(stream: pa.RecordBatchReader) -> list[tuple[str, str, Any]]:
    """The export as DuckDB reads it: it finds the reader by its name here."""
    found = duckdb.sql("SELECT account, asset, amount::VARCHAR FROM stream")
    assert found is not None
    assert stream is not None
    return found.fetchall()


def held(api: Api) -> dict[tuple[str, str], int]:
    """The balances as GraphQL gives them."""
    data = api.ask("{ balances(first: 1000) { edges { node { account { name } asset { symbol } amount } } } }")
    nodes = [edge["node"] for edge in data["balances"]["edges"]]
    return {(node["account"]["name"], node["asset"]["symbol"]): int(node["amount"]) for node in nodes}


def test_pyarrow_polars_and_duckdb_read_the_same_sums_as_graphql(api: Api) -> None:
    """Adds the exported amounts up in three readers and compares them with the balances of GraphQL."""
    content, expected = fetch(api), held(api)
    by_pyarrow = table(content)
    columns = [by_pyarrow.column(name).to_pylist() for name in ("account", "asset", "amount")]
    assert sums(list(zip(*columns, strict=True))) == expected
    frame = pl.read_ipc_stream(io.BytesIO(content)).with_columns(pl.col("account", "asset").cast(pl.String))
    assert sums(frame.select("account", "asset", "amount").rows()) == expected
    stream = pa.ipc.open_stream(content)
    assert sums(in_duckdb(stream)) == expected


def test_the_last_balance_of_each_account_is_its_balance(api: Api) -> None:
    """Takes the column `balance` of the last row of each account and asset."""
    rows = table(fetch(api)).to_pylist()
    assert {(row["account"], row["asset"]): int(row["balance"]) for row in rows} == held(api)
    assert [(row["position"], row["leg"]) for row in rows] == sorted((row["position"], row["leg"]) for row in rows)


def test_every_column_has_the_promised_type_and_value(api: Api) -> None:
    """Reads the first row and the largest amount."""
    read = table(fetch(api))
    assert read.schema.remove_metadata() == postings.SCHEMA
    first = read.slice(1, 1).to_pylist()[0]
    assert first["account"] == "Wallet:" + to_hex(ALICE)
    assert (first["kind"], first["contract"], first["asset"], first["finality"]) == (
        "Transfer",
        "DNToken",
        "DN",
        "SEALED",
    )
    assert first["block_time"].isoformat() == "2023-11-14T22:13:22+00:00"
    assert first["transaction_hash"].startswith("0x")
    assert len(first["transaction_hash"]) == 66
    amounts = {int(value) for value in read.column("amount").to_pylist()}
    assert {AMOUNT_MAX, -AMOUNT_MAX} <= amounts
    finality = dict(zip(read.column("block_number").to_pylist(), read.column("finality").to_pylist(), strict=True))
    assert {number <= 5: value for number, value in finality.items()} == {True: "SEALED", False: "PENDING"}


def test_equal_queries_give_equal_bytes_that_say_what_they_are(api: Api) -> None:
    """Fetches the same past block twice; reads the metadata of the schema."""
    content = fetch(api, at_block=5)
    assert content == fetch(api, at_block=5)
    said = {key.decode(): value.decode() for key, value in table(content).schema.metadata.items()}
    meta = api.ask(
        "{ _meta(at: { block: 5 }) { position chainId codeVersion stateRoot block { hash } manifest { digest } } }"
    )["_meta"]
    assert said["deepnode.position"] == str(meta["position"]) == "9"
    assert said["deepnode.block_hash"] == meta["block"]["hash"]
    assert said["deepnode.state_root"] == meta["stateRoot"]
    assert said["deepnode.manifest_digest"] == meta["manifest"]["digest"]
    assert said["deepnode.chain_id"] == str(meta["chainId"])
    assert (said["deepnode.finality"], said["deepnode.query"]) == ("SEALED", "at_block=5")


def test_filters_choose_the_same_rows_as_graphql(api: Api) -> None:
    """Filters by account, holder, asset, moment and position."""

    def positions(**parameters: Any) -> list[int]:
        return [int(each) for each in table(fetch(api, **parameters)).column("position").to_pylist()]

    assert positions(account="Wallet:" + to_hex(ALICE)) == [1, 3, 4, 13, 14, 15]
    assert positions(holder=to_hex(CAROL), asset="USDC") == [10, 12]
    assert positions(at_position=3, from_position=2, asset="DN") == [2, 2, 3, 3]
    assert positions(at_time=1_700_000_002) == [1, 1, 2, 2]
    assert positions(at_block=0) == []
    assert positions(account="nobody") == []


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("colour=red", "unknown parameter 'colour': there are at_block"),
        ("asset=DN&asset=USDC", "asset is given twice"),
        ("at_block=1&at_position=1", "give one of at_block, at_position, at_time, at_epoch, not 2"),
        ("at_block=99", "at.block 99 is above the last block that the books cover, 9"),
        ("at_block=-1", "at_block must be a whole number"),
        ("from_position=x", "from_position must be a whole number"),
        ("holder=0x12", "holder must have 20 bytes, not 1"),
        ("asset=XYZ", "asset 'XYZ' is not in the books"),
        ("account=a%00b", "account must not hold the character 0"),
    ],
)
def test_a_parameter_that_breaks_a_rule_is_named(api: Api, query: str, message: str) -> None:
    """Sends one mistake at a time."""
    answer = api.http.get(f"/export/postings.arrow?{query}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BAD_INPUT")
    assert message in answer.json()["error"]["message"]


def test_many_batches_with_new_names_in_each_are_read_by_all(
    own_books: Scribe, own_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Makes batches of three rows, so that dictionaries change from batch to batch, and reads them in three readers."""
    monkeypatch.setattr(postings, "BATCH_ROWS", 3)
    for number in range(1, 21):
        own_books.block(transfer(bytes(20), bytes([number]) * 20, number))
    content = fetch(own_api)
    stream = pa.ipc.open_stream(content)
    assert len(list(stream)) == 14
    expected = held(own_api)
    assert len(expected) == 21
    read = table(content)
    columns = [read.column(name).to_pylist() for name in ("account", "asset", "amount")]
    assert sums(list(zip(*columns, strict=True))) == expected
    frame = pl.read_ipc_stream(io.BytesIO(content)).with_columns(pl.col("account", "asset").cast(pl.String))
    assert sums(frame.select("account", "asset", "amount").rows()) == expected
    stream = pa.ipc.open_stream(content)
    assert sums(in_duckdb(stream)) == expected


def test_text_becomes_decimal128_exactly() -> None:
    """Casts the largest and smallest amounts, and refuses what has a digit more."""
    texts = [str(AMOUNT_MAX), str(-AMOUNT_MAX), "0", "-1", str(10**37)]
    cast = pc.cast(pa.array(texts), AMOUNT)
    assert [str(int(value.as_py())) for value in cast] == texts
    with pytest.raises(pa.ArrowInvalid):
        pc.cast(pa.array([str(10**38)]), AMOUNT)


def test_too_many_exports_at_once_are_told_to_try_again(small_books: Scribe) -> None:
    """Takes every place that exports may have; the next is answered with 503, and works when one is free."""
    app = make_app(small_books.url, small_books.manifest)
    with TestClient(app) as http:
        app.state.service.exports_running = EXPORTS_AT_ONCE
        answer = http.get("/export/postings.arrow")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "TRY_AGAIN")
        app.state.service.exports_running = EXPORTS_AT_ONCE - 1
        for _ in range(3):
            assert http.get("/export/postings.arrow").status_code == 200
        head = http.head("/export/postings.arrow")
        assert head.headers["content-disposition"] == 'attachment; filename="deepnode-8453-postings-15.arrow"'
        assert http.get("/export/postings.arrow?x=1").status_code == 400
        assert app.state.service.exports_running == EXPORTS_AT_ONCE - 1
