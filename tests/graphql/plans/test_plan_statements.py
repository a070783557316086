"""What a plan sends to the database, and what becomes of it when the database or the books are not as they were."""

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import psycopg
import pytest
from graphql import get_operation_ast, parse

from deepnode_graphql import execution
from deepnode_graphql.answers import Outcome
from deepnode_graphql.execution import GraphQLRequest
from deepnode_graphql.plans import wire
from deepnode_graphql.plans.planner import Job
from deepnode_graphql.plans.wire import Ask
from tests.graphql.plans.conftest import Pair, pair_over
from tests.graphql.small_books import ALICE, BOB, DN, Scribe, transfer

LIST = "query($first: Int!) { postings(first: $first) { edges { node { position amount account { name } } } } }"


@contextmanager
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[Ask]]]:
    """What goes over the wire, trip by trip."""
    trips: list[list[Ask]] = []
    ask = wire.ask

    def listening(connection: Any, kept: Any, asks: Any) -> Any:
        trips.append(list(asks))
        return ask(connection, kept, asks)

    with monkeypatch.context() as patched:
        patched.setattr(wire, "ask", listening)
        yield trips


def test_a_request_is_one_trip_with_one_statement_for_each_root_field(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three root fields are asked for, and what goes over the wire is listened to: beside them only the checkpoint."""
    query = "{ a: postings { edges { node { leg } } } b: entry(position: 1) { kind } collaterals { edges { cursor } } }"

    pair.same(query)
    with sent(monkeypatch) as trips:
        pair.same(query)

    [trip] = trips
    begin, checkpoint, *statements, rollback = [each.sql.decode() for each in trip]
    assert (begin.split()[0], rollback) == ("BEGIN", "ROLLBACK")
    assert "FROM checkpoint" in checkpoint
    assert len(statements) == 3


def test_only_the_columns_that_are_asked_for_are_read(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list is asked for with one field: its statement selects that column alone; with cursors, also the key."""
    with sent(monkeypatch) as trips:
        pair.same("{ collateralCases { edges { node { stage } } pageInfo { hasNextPage } } }")
        pair.same("{ collateralCases { edges { node { stage } cursor } } }")

    selected = [trip[2].sql.decode().partition("FROM")[0].split(",") for trip in trips]
    names = [[each.rpartition(".")[2].strip(' \n"') for each in columns] for columns in selected]
    assert names == [["stage"], ["stage", "case", "contract"]]


def test_requests_of_one_shape_share_a_prepared_statement(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A find is asked with several keys, and a list with lists of almost the same length: the text stays the same."""
    with sent(monkeypatch) as trips:
        for position in (1, 2, 3, 99):
            pair.same("query($p: Long!) { entry(position: $p) { kind } }", p=position)
        for names in (["a", "b", "Mint"], ["a", "b", "c", "Mint"]):
            pair.same("query($n: [String!]) { accounts(where: {name_in: $n}) { edges { node { name } } } }", n=names)

    found, listed = {trip[2].sql for trip in trips[:4]}, {trip[2].sql for trip in trips[4:]}
    assert (len(found), len(listed)) == (1, 1)


def test_a_moment_in_the_past_is_answered_in_a_reading(pair: Pair) -> None:
    """The same list is asked for at the end and before it; the assets' names are looked at in a reading once, too."""
    query = "query($at: At) { balances(at: $at) { edges { node { amountFormatted } } } _meta(at: $at) { position } }"

    pair.same(query, at=None)
    pair.same(query, at=None)
    pair.same(query, at={"position": 3})
    pair.same(query, at={"block": 5})

    assert (pair.planner.answered["directly"], pair.planner.answered["within"]) == (1, 3)


def test_what_is_asked_once_is_not_planned(pair: Pair) -> None:
    """With the patience that a service has, the library answers first, and the plan from the second time on."""
    pair.planner.patience = 1

    for directly in (0, 1, 2):
        pair.same(LIST, first=3)
        assert pair.planner.answered["directly"] == directly


def test_a_statement_that_fails_is_left_to_the_library_and_the_connection_lives_on(pair: Pair) -> None:
    """An amount too large for its column makes PostgreSQL refuse; the next request is answered by a plan again."""
    where = {"free": {"_lt": "9" * 70}}
    refused, stock = pair.ask(
        GraphQLRequest("query($w: CollateralWhere) { collaterals(where: $w) { edges { cursor } } }", {"w": where})
    )
    assert ("errors" in refused.body, refused.outcome) == ("errors" in stock.body, stock.outcome)

    before = pair.planner.answered["directly"]
    pair.same(LIST, first=3)

    assert pair.planner.answered["directly"] == before + 1


def test_prepared_statements_that_are_gone_are_prepared_again(pair: Pair) -> None:
    """They are dropped behind the plan's back; the next request is answered by a plan all the same."""
    pair.same(LIST, first=3)
    pooled = pair.service.engine.raw_connection()
    assert isinstance(pooled.driver_connection, psycopg.Connection)
    pooled.driver_connection.execute("DEALLOCATE ALL")
    pooled.close()
    before = pair.planner.answered["directly"]
    pair.same(LIST, first=3)

    assert pair.planner.answered["directly"] == before + 1


def test_a_server_that_cut_all_connections_costs_no_request(pair: Pair, small_books: Scribe) -> None:
    """Every backend of the API is terminated between two requests: the second is answered by a plan all the same."""
    pair.same(LIST, first=3)
    with psycopg.connect(small_books.url, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'deepnode-api' "
            "AND datname = current_database()"
        )
    before = pair.planner.answered["directly"]

    answer = pair.planned.run(GraphQLRequest(LIST, {"first": 3}))

    assert answer.outcome is Outcome.ANSWERED
    assert pair.planner.answered["directly"] == before + 1


def test_many_threads_and_a_growing_chain_see_whole_states(own_books: Scribe) -> None:
    """Eight threads ask for balances and the position while blocks arrive: what is held sums to zero each time."""
    own_books.block(transfer(bytes(20), ALICE, 5 * DN))
    pair = pair_over(own_books)
    query = "{ _meta { position } balances(first: 100) { edges { node { amount position } } } }"
    failed: list[str] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            data = pair.planned.run(GraphQLRequest(query)).body["data"]
            rows = [edge["node"] for edge in data["balances"]["edges"]]
            if (
                sum(int(row["amount"]) for row in rows)
                or max(row["position"] for row in rows) > data["_meta"]["position"]
            ):
                failed.append(str(data))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for number in range(10):
        own_books.block(transfer(ALICE, BOB, number + 1))
    over.set()
    for thread in threads:
        thread.join()
    pair.service.engine.dispose()

    assert not failed
    assert pair.planner.answered["directly"] > 8


def test_assets_are_named_in_conditions_by_symbol_or_address(pair: Pair) -> None:
    """Postings of a token are asked for both ways and by a name that is none, of which the library says so."""
    query = (
        "query($asset: String!) { postings(where: {asset: $asset}) { edges { node { asset { symbol address } } } } }"
    )
    pair.same(query, asset="DN")
    before = pair.planner.answered["directly"]

    answer = pair.same(query, asset="USDC")
    [edge, *_] = orjson.loads(answer)["data"]["postings"]["edges"]
    assert edge["node"]["asset"]["symbol"] == "USDC"
    assert pair.same(query, asset=edge["node"]["asset"]["address"]) == answer

    assert pair.planner.answered["directly"] == before + 2
    assert b"is not in the books" in pair.same(query, asset="nothing")


def test_a_document_that_stands_for_very_much_is_not_planned(pair: Pair) -> None:
    """Fragments that spread fragments mean thousands of fields; the planner gives up early, and for good."""
    names = [f"f{number}" for number in range(12)]
    below = [f"fragment {name} on Account {{ balances {{ a: account {{ ...{then} }} b: account {{ ...{then} }} }} }}"
             for name, then in itertools.pairwise(names)]  # fmt: skip
    query = f'{{ account(name: "none") {{ ...f0 }} }} {" ".join(below)} fragment f11 on Account {{ name }}'

    began = time.process_time()
    document = parse(query)
    operation = get_operation_ast(document, None)
    assert operation is not None
    job = Job(document, operation, requests=1)
    assert pair.planner.directly(job, None) is None
    with pair.service.reading() as reading:
        assert pair.planner.within(job, None, reading) is None

    assert time.process_time() - began < 1
    assert (job.plans, job.paths) == ({(): None}, {(): None})


def test_many_shapes_at_once_are_planned_a_few_at_a_time(pair: Pair) -> None:
    """Twenty root fields of as many shapes are asked for together again and again: in the end a plan answers."""
    fields = " ".join(f"e{size}: entries(first: {size}) {{ edges {{ node {{ kind }} }} }}" for size in range(1, 21))

    for _ in range(20):
        pair.same(f"{{ {fields} }}")

    assert pair.planner.answered["walked"] >= 3
    assert pair.planner.answered["directly"] >= 3


def test_a_document_is_parsed_and_validated_once(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same query is asked again with other variables, and what parses and validates counts its calls."""
    called: list[str] = []
    for name in ("parse", "validate"):
        own = getattr(execution, name)

        def counting(*arguments: Any, name: str = name, own: Any = own, **named: Any) -> Any:
            called.append(name)
            return own(*arguments, **named)

        monkeypatch.setattr(execution, name, counting)

    for first in (1, 2, 3):
        assert pair.planned.run(GraphQLRequest(LIST, {"first": first})).outcome is Outcome.ANSWERED

    assert sorted(called) == ["parse", "validate"]
