"""The books and the SQL that recomputes them agree on whatever is said, sensible or not."""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import Connection

from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.errors import BadInput
from deepnode_ledger.record import Block, ChainLog, Header, TaskEvent
from deepnode_ledger.vocabulary import KINDS
from deepnode_projections.projector import connect
from deepnode_projections.recompute import Recomputation, loaded, recompute, relations, statements
from deepnode_projections.recompute.events import declared
from deepnode_projections.recompute.published_rules import published
from deepnode_projections.rulesets.profiles import shipped
from tests.conftest import fresh_database
from tests.ledger.histories import opened, ref
from tests.projections.kernel.mixed_history import log_of
from tests.projections.rules import spoken
from tests.projections.rules.lives import interleaved, lives
from tests.projections.rules.told import DN, MANIFEST, USDC, anything, told, word
from tests.projections.stories import projecting, rows

WHOLE = [kind for kind in KINDS if kind not in ("Token", "Other")]
CONTRACTS = ["DN", "USDC", *WHOLE]
HUGE = 10**38


@contextmanager
def books_of(url: str, history: Sequence[ChainEvent | ChainLog | TaskEvent]) -> Iterator[Connection[Any]]:
    """Books of what was said, in order: a block for each log, task events behind the block before them."""
    with opened(url) as log:
        number, before = 5, None
        for said in [told("Emission", "EpochOpened", epoch=1, startBlock=5), *history]:
            if isinstance(said, TaskEvent):
                log.accept([said])
                continue
            own = ref(number)
            found = log_of(said, own, 0) if isinstance(said, ChainEvent) else said
            log.extend(before, [Block(Header(own, ref(number - 1).hash), (found,))])
            number, before = number + 1, own
        with projecting(url, MANIFEST) as projector:
            projector.catch_up()
        with closing(connect(url, "books")) as connection:
            yield connection


def agrees(found: Recomputation) -> bool:
    """Whether nothing differs; what does is the test's message."""
    assert list(found.values) == []
    return found.differing == 0


ids = ["n1", "n2", "n3", "v1", "v2", "m1", "d1", "one", "two"]
events = anything(CONTRACTS, also={"bytes32": ids, "address": [DN, USDC], "uint64": [1, 2, 3]})


@st.composite
def corrected(draw: st.DrawFn, said: Sequence[spoken.Said]) -> list[spoken.Said]:
    """Corrections of some of what was said, most of them of what can be corrected; their numbers come behind."""
    made: list[spoken.Said] = []
    measured = [n for n, (kind, _) in enumerate(said) if kind in ("TaskCreated", "VWUAssigned", "UserFeedback")]
    for n in draw(st.lists(st.sampled_from(measured) | st.integers(0, len(said) - 1), max_size=5)):
        kind, told_then = said[n]
        members: dict[str, Any] = {"corrects": f"e{n + 1}"}
        if kind == "VWUAssigned":
            members |= {name: told_then[name] for name in ("task", "attempt", "slot")}
            members["vwu"] = draw(st.integers(1, 10**6))
        elif kind == "TaskCreated":
            right = st.integers(1, 10**7)
            prices = st.integers(0, 100).map(str)
            members |= draw(st.builds(dict, difficulty_ppm=right) | st.builds(dict, price=prices))
            members["task"] = told_then["task"]
        elif draw(st.booleans()):
            members["rating"] = draw(st.integers(1, 5))
        made.append(("Correction", members))
    return made


@st.composite
def histories(draw: st.DrawFn) -> list[ChainEvent | TaskEvent]:
    """Tasks' lives, corrections and any events, mixed, with an epoch opened now and then."""
    said = draw(interleaved([draw(lives(f"t{n}")) for n in range(2)]))
    numbered = [spoken.event(kind, n, spoken.data_of(kind, **rest)) for n, (kind, rest) in enumerate(said, 1)]
    more = [
        spoken.event(kind, n, spoken.data_of(kind, **rest))
        for n, (kind, rest) in enumerate(draw(corrected(said)), len(said) + 1)
    ]
    others: list[ChainEvent | TaskEvent] = list(draw(st.lists(events, min_size=10, max_size=40)))
    # Each in its own order, all of them mixed; the corrections in any order.
    places = draw(st.permutations([True] * len(numbered) + [False] * len(others)))
    streams = {True: iter(numbered), False: iter(others)}
    history = [next(streams[place]) for place in places]
    for each in draw(st.permutations(more)):
        history.insert(draw(st.integers(len(history) // 2, len(history))), each)
    at = sorted(draw(st.lists(st.integers(0, len(history)), min_size=2, max_size=2)), reverse=True)
    for epoch, place in zip((3, 2), at, strict=True):
        history.insert(place, told("Emission", "EpochOpened", epoch=epoch))
    return history


@settings(max_examples=4)
@given(histories())
def test_sql_and_books_agree_on_any_history(postgres_url: str, history: list[ChainEvent | TaskEvent]) -> None:
    """Compares every relation, whatever the rules allowed of the history."""
    with fresh_database(postgres_url) as url, books_of(url, history) as connection:
        assert agrees(recompute(connection, MANIFEST))


def test_corrections_in_time_and_late_ones_are_recomputed(postgres_url: str) -> None:
    """Corrects VWU, difficulty, price and rating of a credited task, again, out of order, and behind its epoch.

    The second time in parallel, as a large log is recomputed.
    """
    own = {"task": "t1", "attempt": 1}
    said: list[spoken.Said] = [("TaskCreated", {"task": "t1"}), *spoken.judged()]
    said.append(("ConsensusReached", {**own, "verdict": "approved", "accepted": [1, 2]}))
    said += [("VWUAssigned", {**own, "slot": slot, "node": f"n{slot}", "vwu": 1_001}) for slot in (1, 2)]
    said.append(("UserFeedback", {"task": "t1", "rating": 2}))
    first, rated = f"e{len(said) - 2}", f"e{len(said)}"
    said += [
        ("Correction", {"corrects": first, **own, "slot": 1, "vwu": 500}),
        ("Correction", {"corrects": "e1", "task": "t1", "difficulty_ppm": 3_000_000}),
        ("Correction", {"corrects": "e1", "task": "t1", "price": "7"}),
        ("Correction", {"corrects": rated, "rating": 5}),
        ("Correction", {"corrects": rated}),
        ("Correction", {"corrects": "e2", "task": "t1", "price": "8"}),
        ("Correction", {"corrects": first, **own, "slot": 2, "vwu": 1}),
        ("Correction", {"corrects": "e1", "task": "t1", "price": "9", "vwu": 9}),
    ]
    history: list[ChainEvent | TaskEvent] = [
        spoken.event(kind, n, spoken.data_of(kind, **rest)) for n, (kind, rest) in enumerate(said, 1)
    ]
    history.append(told("Emission", "EpochOpened", epoch=2))
    late = spoken.data_of("Correction", corrects=first, **own, slot=1, vwu=400)
    history.append(spoken.event("Correction", len(history), late))
    with fresh_database(postgres_url) as url, books_of(url, history) as connection:
        found = recompute(connection, MANIFEST)
        assert agrees(found)
        assert {each.relation: each.rows for each in found.relations}["correction"] == 6
        assert rows(url, "SELECT vwu, weighted FROM work WHERE until IS NULL ORDER BY 1") == [
            (500, 1_500_000_000),
            (1_001, 3_003_000_000),
        ]
        # Over millions of entries the server divides the work among several processes; here it is told to.
        connection.execute("SET debug_parallel_query = on")
        assert agrees(recompute(connection, MANIFEST))


def bad(event: ChainEvent, data: bytes | None = None, topics: Sequence[bytes] | None = None) -> ChainLog:
    """A log with other data or topics than its event has."""
    made = log_of(event, ref(1), 0)
    own = made.topics if topics is None else (made.topics[0], *topics)
    return ChainLog(made.transaction_hash, 0, 0, made.address, own, made.data if data is None else data)


def hostile_logs() -> list[ChainEvent | ChainLog | TaskEvent]:
    """What a chain and a producer may say to break a reader."""
    paid = told("DN", "Transfer", from_="anna", to="ben", value=7)
    created = told("Domains", "DomainCreated", domain="d1", owner="anna", uri="ipfs://d")
    route = told("Domains", "RevenueRouteSet", domain="d1", asset=DN, old=[], new_=[10_000] * 6, fromEpoch=1)
    data = log_of(route, ref(1), 0).data
    good = spoken.data_of("TaskCreated")
    texts: list[str | bytes] = [
        "",
        "{",
        "null",
        "[]",
        '"x"',
        "\ud800".encode("utf-8", "surrogatepass"),
        b"\xff\xfe",
        "[" * 60 + "]" * 60,
    ]
    events: list[ChainEvent | ChainLog | TaskEvent] = [
        *(told("DN", "Transfer", from_="", to="anna", value=value) for value in (HUGE - 1, 1, HUGE, 2**256 - 1, 5)),
        told("DN", "Transfer", from_="anna", to="anna", value=3),
        bad(paid, b""),
        bad(paid, bytes(31)),
        bad(paid, bytes(31) + b"\x09" + b"\xff"),
        bad(paid, topics=[b"\xff" * 32, word("ben")]),
        bad(paid, topics=[word("anna")]),
        created,
        bad(told("Domains", "DomainCreated", domain="d2", owner="anna", uri="a\0b\\000é" + "\0" * 200_000)),
        bad(told("Domains", "DomainCreated", domain="d3", owner="anna", uri="é"), log_of(created, ref(1), 0).data[:40]),
        bad(
            told("Domains", "DomainCreated", domain="d4", owner="anna"),
            (32).to_bytes(32) + (2).to_bytes(32) + b"\xff\xfe" + bytes(30),
        ),
        bad(told("Domains", "DomainCreated", domain="d5", owner="anna"), (2**255).to_bytes(32) + bytes(64)),
        route,
        bad(route, (2**256 - 1).to_bytes(32) + data[32:]),
        bad(route, data[:-1]),
        told("Collateral", "Deposited", node="n1", amount=2**256 - 1),
        told("Collateral", "Deposited", node="n1'; DROP SCHEMA books; --", amount=HUGE - 1),
        told("Collateral", "Deposited", node="n1'; DROP SCHEMA books; --", amount=1),
        told("Models", "ModelRegistered", model="m1", domain="d1", a=2**32 - 1, b=1, x=0),
        told("Parameters", "ParamSet", key="k", new_=2**256 - 1, effectiveAt=2),
        told("Parameters", "ParamSet", key="k", new_=HUGE - 1, effectiveAt=2**64 - 1),
    ]
    numbers: dict[str, list[object]] = {
        "difficulty_ppm": ["1", 1.0, 10**30, -1, True, None],
        "price": ["01", "1e3", "9" * 39, 7, "-1"],
        "task": ["0x12", "0x" + "g" * 64, "0X" + "1" * 64, "0x" + "A" * 64],
    }
    payloads = [
        spoken.event("TaskCreated", n, {**good, name: value})
        for n, (name, value) in enumerate(((name, value) for name, values in numbers.items() for value in values), 1)
    ]
    sequence = len(payloads)
    for text in texts:
        sequence += 1
        raw = text if isinstance(text, bytes) else text.encode()
        payloads.append(
            TaskEvent(spoken.PRODUCER, f"e{sequence}", sequence, spoken.TYPES["TaskCreated"], raw, bytes(65))
        )
    odd: tuple[dict[str, Any], ...] = ({"id": "e0"}, {"source": "urn:other"}, {"sequence": sequence}, {"time": "\0"})
    for envelope in (*odd, {"extra": "\0"}, {"data": []}, {"data": "x"}):
        sequence += 1
        told_again = {**good, "task": f"0x{sequence:064x}"}
        made = spoken.event("TaskCreated", sequence, told_again)
        payloads.append(replace(made, payload=json.dumps({**json.loads(made.payload), **envelope}).encode()))
    sequence += 1
    twice = json.dumps(json.loads(spoken.event("TaskCreated", sequence, good).payload))
    twice = twice.replace('"price": "1000"', '"price": 1, "price": "1000"').replace('"version": 1', '"version": 1e0')
    payloads.append(
        TaskEvent(spoken.PRODUCER, f"e{sequence}", sequence, spoken.TYPES["TaskCreated"], twice.encode(), bytes(65))
    )
    return [*events, *payloads]


def test_what_the_books_refuse_is_refused_by_sql_for_reasons_of_its_own(postgres_url: str) -> None:
    """Puts malformed data, amounts at and above 10**38 and texts that are no statements into a log, and compares."""
    with fresh_database(postgres_url) as url, books_of(url, hostile_logs()) as connection:
        found = recompute(connection, MANIFEST)
        assert agrees(found)
        refused = rows(url, "SELECT count(*) FROM refusal") + rows(url, "SELECT count(*) FROM quarantine")
        assert min(count for (count,) in refused) > 5
        assert {each.relation for each in found.relations if each.rows} >= {"balance", "task", "domain", "collateral"}


def test_nothing_is_left_behind_unless_it_is_asked_for(database_url: str) -> None:
    """Looks for the schema behind a recomputation, then keeps one, replaces it, and will not replace another's."""
    schemas = "SELECT nspname::text FROM pg_namespace WHERE nspname = 'recompute'"
    with books_of(database_url, [told("DN", "Transfer", to="anna", value=5)]) as connection:
        assert agrees(recompute(connection, MANIFEST, only=("balance",)))
        assert rows(database_url, schemas) == []
        for _ in range(2):
            assert recompute(connection, MANIFEST, only=("balance",), keep=True).rows == 2
            assert rows(database_url, "SELECT balance FROM recompute.balance ORDER BY 1") == [(-5,), (5,)]
            assert rows(database_url, "SELECT FROM pg_views WHERE schemaname = 'recompute'") == []
        connection.execute("COMMENT ON SCHEMA recompute IS 'mine'")
        with pytest.raises(BadInput, match="not replaced"):
            recompute(connection, MANIFEST)
        with pytest.raises(BadInput, match="nothing that is recomputed"):
            recompute(connection, MANIFEST, only=("balances",))
        with pytest.raises(BadInput, match="ahead of the books"):
            recompute(connection, MANIFEST, position=99)


def test_a_projector_may_go_on_and_a_reorg_may_come_meanwhile(database_url: str) -> None:
    """Replaces the last block and adds one while a recomputation is open; then once more, with books not following."""
    paid = [log_of(told("DN", "Transfer", to="anna", value=value), ref(5), 0) for value in range(1, 7)]
    with opened(database_url) as log:
        log.extend(
            None, [Block(Header(ref(5), ref(4).hash), (paid[0],)), Block(Header(ref(6), ref(5).hash), (paid[1],))]
        )
        with projecting(database_url, MANIFEST) as projector, closing(connect(database_url, "books")) as connection:
            projector.catch_up()
            with loaded(connection, MANIFEST) as begun:
                log.extend(ref(5), [Block(Header(ref(6, "b"), ref(5).hash), (paid[2],))])
                log.extend(ref(6, "b"), [Block(Header(ref(7, "b"), ref(6, "b").hash), (paid[3],))])
                projector.catch_up()
                for _, text in statements():
                    begun.cursor.execute(text.encode())
                assert [
                    each.relation
                    for each in (relation.compare(begun.cursor) for relation in relations())
                    if each.differing
                ] == []
                assert begun.position == 2
            assert recompute(connection, MANIFEST).position == 3
            log.extend(ref(6, "b"), [Block(Header(ref(7, "c"), ref(6, "b").hash), (paid[4],))])
            found = recompute(connection, MANIFEST)
            assert agrees(found)
            assert found.position == 2


def test_the_list_of_events_says_what_the_vocabulary_says() -> None:
    """Compares first topics and numbers of indexed arguments: the list is one of its own, so it could drift."""
    known = {(kind, each.name): each for kind, events in KINDS.items() for each in events}
    for event in declared():
        abi = known[event.kind, event.name]
        indexed = [each.is_indexed for each in event.arguments]
        assert (event.topic0, indexed) == (abi.topic0, [each.indexed for each in abi.inputs]), event


def test_published_rules_have_the_hashes_that_the_rulesets_have() -> None:
    """Compares the hashes made of the TOML files with those of the rulesets."""
    assert {each.name: each.hashes for each in published()} == {each.name: each.hashes for each in shipped().values()}
    assert len(relations()) > 40
