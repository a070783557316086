"""Walking a list, page by page, while blocks and reorgs arrive: what was there and stays is met once."""

from dataclasses import dataclass, field
from random import Random
from typing import Any

from deepnode_graphql.schema import make_schema
from tests.graphql.conftest import Api
from tests.graphql.small_books import (
    ALICE,
    BOB,
    CAROL,
    MODEL,
    NOBODY,
    Event,
    Scribe,
    Unreadable,
    address_of,
    deposited,
    flagged,
    review_opened,
    transfer,
    word,
)

BLOCKS = 1_000
BLOCKS_AT_ONCE = 4
REORGS = 5
REORG_DEPTH_MAX = 8
PAGE = 5
LOOK_EVERY = 5
"""So many writes lie between two pages of a walk."""


@dataclass
class Walk:
    """A walk through a list: where it stands, what it has met, and what it must meet once at its end."""

    name: str
    order: str | None
    stays: set[str]
    met: list[str] = field(default_factory=list)
    after: str | None = None

    def look(self, api: Api) -> bool:
        """Take the next page; say whether there is another one."""
        page = page_of(api, self.name, self.order, PAGE, self.after)
        self.met += [edge["cursor"] for edge in page["edges"]]
        self.after = page["pageInfo"]["endCursor"]
        return bool(page["pageInfo"]["hasNextPage"])


def page_of(api: Api, name: str, order: str | None, first: int, after: str | None) -> Any:
    """A page of a list."""
    orders = f", orderBy: {order}" if order else ""
    query = "query ($first: Int, $after: String) { %s(first: $first, after: $after%s) { edges { cursor } %s } }"
    if name in PLAIN:
        query = query.replace("$first: Int", "$first: Int!")
    info = "pageInfo { hasNextPage endCursor }"
    return api.ask(query % (name, orders, info), first=first, after=after)[name]


def all_of(api: Api, name: str, order: str | None) -> set[str]:
    """The cursors of all rows of a list, as it is now."""
    found: list[str] = []
    after = None
    while True:
        page = page_of(api, name, order, 1_000, after)
        found += [edge["cursor"] for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            assert len(set(found)) == len(found), name
            return set(found)


SCHEMA = make_schema().core
assert SCHEMA.query_type is not None
LISTS = sorted(
    name for name, each in SCHEMA.query_type.fields.items() if str(each.type).rstrip("!").endswith("Connection")
)
PLAIN = {name for name in LISTS if str(SCHEMA.query_type.fields[name].args["first"].type) == "Int!"}
"""Lists whose `first` cannot be null."""

BOTH_WAYS = ("postings", "entries", "logEntries")


def some_events(rng: Random, number: int) -> list[Event]:
    """What a block holds: payments, collateral, models, logs that nobody reads, and events without effect."""
    who = [ALICE, BOB, CAROL, word("somebody", rng.randrange(200))[:20]]
    events: list[Event] = [transfer(NOBODY, rng.choice(who), rng.randrange(1, 10**18))]
    match number % 5:
        case 0:
            events += deposited(rng.randrange(1, 1_000)) if number % 10 else [flagged()]
        case 1:
            args = {
                "domain": word("domain", number % 3),
                "creator": ALICE,
                "a": 1,
                "b": 2,
                "x": 3,
                "metaHash": bytes(32),
            }
            events.append(Event("Models", "ModelRegistered", model=word("model", rng.randrange(400)), **args))
        case 2:
            args = {"payer": BOB, "asset": address_of("USDCStandIn"), "amount": 5, "ref": bytes(32)}
            router, receipt = address_of("RevenueRouter"), word("receipt", rng.randrange(10**6))
            events.append(transfer(NOBODY, router, 5, "USDCStandIn"))
            events.append(Event("RevenueRouter", "RevenueReceived", receipt=receipt, model=MODEL, **args))
        case 3:
            events.append(review_opened(1, case=word("no case", number)))
        case _:
            events.append(Unreadable("DNToken", ""))
    return events


def written(books: Scribe, rng: Random, count: int) -> None:
    """Add blocks at once, some of them empty."""
    books.blocks_at_once(
        *([] if rng.randrange(9) == 0 else some_events(rng, rng.randrange(10**6)) for _ in range(count))
    )


def test_a_walk_meets_what_stays_once_while_blocks_and_reorgs_arrive(own_books: Scribe, own_api: Api) -> None:
    """Walks every list at once, a page now and then, while 1 000 blocks and 5 reorgs come.

    A row that is there when the walk begins, after each reorg and at its end must be met once; no row is met twice.
    """
    rng = Random(6)
    written(own_books, rng, 200)
    walks = [Walk(name, None, set()) for name in LISTS]
    walks += [Walk(name, "POSITION_DESC", set()) for name in BOTH_WAYS]
    walks = [each for each in walks if all_of(own_api, each.name, each.order)]
    assert {each.name for each in walks} >= {
        *("accounts", "balances", "postings", "entries", "logEntries", "refusals", "quarantine", "models", "receipts"),
    }
    for walk in walks:
        walk.stays = all_of(own_api, walk.name, walk.order)
    ended: list[Walk] = []
    writes = BLOCKS // BLOCKS_AT_ONCE
    reorgs = set(rng.sample(range(20, writes), REORGS))
    for write in range(writes):
        if write in reorgs:
            depth = rng.randrange(1, REORG_DEPTH_MAX + 1)
            own_books.reorg(
                len(own_books.blocks) - depth, *(some_events(rng, rng.randrange(10**6)) for _ in range(depth))
            )
            for walk in walks:
                walk.stays &= all_of(own_api, walk.name, walk.order)
        written(own_books, rng, BLOCKS_AT_ONCE)
        if write % LOOK_EVERY:
            continue
        for walk in list(walks):
            if not walk.look(own_api):
                walk.stays &= all_of(own_api, walk.name, walk.order)
                ended.append(walk)
                walks[walks.index(walk)] = Walk(walk.name, walk.order, all_of(own_api, walk.name, walk.order))
    for walk in walks:
        while walk.look(own_api):
            pass
        walk.stays &= all_of(own_api, walk.name, walk.order)
    assert own_api.ask("{ reorgs(first: 9) { edges { node { keptPosition } } } }")["reorgs"]["edges"][REORGS - 1 :]
    for walk in [*walks, *ended]:
        assert len(set(walk.met)) == len(walk.met), f"{walk.name} {walk.order}: a row was met twice"
        assert walk.stays <= set(walk.met), f"{walk.name} {walk.order}: {len(walk.stays - set(walk.met))} rows missed"
    assert sum(len(walk.stays) for walk in [*walks, *ended]) > 3_000
