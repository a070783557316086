"""Plans answer with the same bytes as the library's executor, and they do answer most of what is asked."""

import random
import re
from typing import Any

import orjson

from deepnode_graphql.execution import GraphQLRequest
from tests.graphql.plans.conftest import Pair
from tests.graphql.plans.queries import Maker

_INCIDENT = re.compile(rb"internal error [0-9a-f]{16}")

ACCOUNTS = ["postings", "balances", "entries", "accounts", "account", "entry", "_meta", "postings", "balances"]
RECORDS = ["collaterals", "collateralCases", "collateral", "collateralCase", "nodes", "tasks", "epochs"]
THINGS = ["oddThings", "oddThing", "oddThings", "lone", "lonelyOnes"]


def _compare(pair: Pair, maker: Maker, count: int) -> tuple[int, int]:
    """Ask queries made up by chance of both; return how many were answered at all, and how many by a plan."""
    answered = 0
    before = pair.planner.answered.total()
    for _ in range(count):
        query = maker.query()
        for variables in query.variables:
            planned, stock = pair.ask(GraphQLRequest(query.text, variables))
            bodies = [_INCIDENT.sub(b"", orjson.dumps(each.body)) for each in (planned, stock)]
            assert bodies[0] == bodies[1], (query.text, variables, *bodies)
            assert planned.outcome is stock.outcome
            if "errors" not in stock.body:
                answered += 1
                _gather(maker, query.roots, stock.body["data"])
    return answered, pair.planner.answered.total() - before


def _gather(maker: Maker, roots: list[str], data: dict[str, Any]) -> None:
    for number, root in enumerate(roots):
        found = data.get(f"r{number}")
        known = maker.cursors.setdefault(root, [])
        if isinstance(found, dict) and len(known) < 40:
            known += [edge["cursor"] for edge in found.get("edges") or [] if "cursor" in edge]


def test_random_queries_of_accounts_and_records_give_the_same_bytes(pair: Pair) -> None:
    """Queries made up of the schema (arguments, cursors, moments, fragments, directives) are asked of both."""
    maker = Maker(pair.stock.schema.core, ACCOUNTS + RECORDS, random.Random(11))

    answered, planned = _compare(pair, maker, 150)

    assert answered > 150
    assert planned > answered * 0.9, (planned, answered, pair.planner.answered)


def test_random_queries_of_things_of_every_type_give_the_same_bytes(thing_pair: Pair) -> None:
    """The same over records with fields of every type, null where they may be, at the edges of each."""
    maker = Maker(thing_pair.stock.schema.core, THINGS, random.Random(12))

    answered, planned = _compare(thing_pair, maker, 100)

    assert answered > 80
    assert planned > answered * 0.9, (planned, answered, thing_pair.planner.answered)


def test_random_queries_of_relations_and_histories_give_the_same_bytes(pair: Pair) -> None:
    """What no plan's statement answers is asked for by chance: whatever hangs on what, with arguments of its own."""
    roots = [*ACCOUNTS, *RECORDS, "holder", "assets", "logEntries", "refusals", "reorgs", "quarantine"]
    maker = Maker(pair.stock.schema.core, roots, random.Random(13), deep=True)

    answered, _ = _compare(pair, maker, 80)

    assert answered > 60
    assert pair.planner.answered["walked"] > answered * 0.6, (pair.planner.answered, answered)
