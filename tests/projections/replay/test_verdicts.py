"""Verdicts name every distribution that is not what the rules give, with its entries and both integers."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepnode_ledger.batch import from_rows, row_of
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.snapshot import snapshot
from deepnode_ledger.vocabulary import LEGS
from deepnode_projections.maths.claims import EMPTY_ROOT, ClaimTree, Entitlement
from deepnode_projections.replay import Altered, Replay, Verdicts
from deepnode_projections.replay import altered as altered_module
from deepnode_projections.replay.altered import altered_earners
from tests.graphql.live_books import allocated, live_books, submitted
from tests.graphql.live_books import opened as opened_epoch
from tests.graphql.small_books import ALICE, BOB, DOMAIN, Event, address_of
from tests.ledger.histories import CHAIN_ID, ref
from tests.ledger.paper_deployment import USDC, event_log
from tests.projections import stories as s

TOKEN = b"\xd1" * 20

_amounts = st.dictionaries(st.binary(min_size=20, max_size=20), st.integers(1, 10**30), min_size=2, max_size=12)


def tree_of(amounts: dict[bytes, int]) -> ClaimTree:
    return ClaimTree(Entitlement(earner, TOKEN, amount) for earner, amount in amounts.items())


@settings(max_examples=60)
@given(_amounts, st.data())
def test_one_altered_amount_is_found(amounts: dict[bytes, int], data: st.DataObject) -> None:
    """Alters an earner's amount in a tree, down to leaving it out: the search names it and both amounts."""
    earner = data.draw(st.sampled_from(sorted(amounts)))
    wrong = data.draw(st.integers(0, 10**30).filter(lambda amount: amount != amounts[earner]))
    lie, truth = tree_of({**amounts, earner: wrong}), tree_of(amounts)
    found = altered_earners(truth.entitlements, lie.root, lie.total)
    assert found == (Altered(earner, amounts[earner], wrong),)


@settings(max_examples=60)
@given(_amounts, st.data())
def test_two_exchanged_amounts_are_found(amounts: dict[bytes, int], data: st.DataObject) -> None:
    """Gives two earners each other's amounts, so that the total is right: the search names both."""
    one, other = data.draw(st.lists(st.sampled_from(sorted(amounts)), min_size=2, max_size=2, unique=True))
    lie, truth = tree_of({**amounts, one: amounts[other], other: amounts[one]}), tree_of(amounts)
    found = altered_earners(truth.entitlements, lie.root, lie.total)
    if amounts[one] == amounts[other]:
        assert lie.root == truth.root
    else:
        assert {(each.earner, each.expected, each.submitted) for each in found} == {
            (one, amounts[one], amounts[other]),
            (other, amounts[other], amounts[one]),
        }


def test_a_search_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allows three trees: an alteration that would be the fourth is not found; nor is one of three amounts."""
    amounts = {bytes([n]) * 20: 10 + n for n in range(1, 9)}
    truth = tree_of(amounts)
    last = tree_of({**amounts, b"\x08" * 20: 19})
    assert altered_earners(truth.entitlements, last.root, last.total) != ()
    monkeypatch.setattr(altered_module, "HASHES_MAX", 3 * 2 * len(amounts))
    assert altered_earners(truth.entitlements, last.root, last.total) == ()
    monkeypatch.undo()
    three = tree_of({earner: amount + (n < 3) for n, (earner, amount) in enumerate(amounts.items())})
    assert altered_earners(truth.entitlements, three.root, three.total) == ()


def test_a_split_that_is_not_the_rules_is_named_with_its_payment(manifest: Manifest) -> None:
    """Splits a payment of 100 as 90 without a route: nothing can be expected of the legs, and the verdict says why."""
    story = [
        s.model_registered(s.MODEL_1, s.DOMAIN_1),
        s.revenue_received(s.RECEIPT_1, s.MODEL_1, 100),
        s.revenue_split(s.RECEIPT_1, s.MODEL_1, 90, [10] * 9),
    ]
    logs = [event_log(manifest, name, event, ref(5), n, **args) for n, (name, event, args) in enumerate(story)]
    replay = Replay(manifest)
    verdicts = Verdicts(replay)
    replay.feed(from_rows([row_of(n, CHAIN_ID, ref(5), log) for n, log in enumerate(logs, 1)]))
    [split] = verdicts.splits()
    assert (split.position, split.receipt, split.received) == (3, s.RECEIPT_1, 2)
    assert [part.name for part in split.parts] == [*LEGS, "gross"]
    assert (split.parts[-1].expected, split.parts[-1].fact) == (100, 90)
    assert f"no route is known of 0x{USDC.hex()}" in split.parts[0].reason
    assert sum(each.comparisons for each in verdicts.counts() if each.subject == "RevenueSplit") == 10


def test_roots_and_allocations_are_judged_where_they_stand(database_url: str, tmp_path: Path) -> None:
    """Allocates and submits in books where nobody has earned: each is judged once, and what was refused is not."""
    with live_books(database_url, tmp_path) as books:
        books.block(opened_epoch(1))
        books.block(opened_epoch(2), allocated(1, 5), allocated(1, 6), submitted(1, 40), submitted(1, 50))
        claim = Event("Rewards", "Claimed", epoch=1, earner=ALICE, asset=address_of("DNToken"), to=BOB, amount=3)
        books.block(claim)
        with snapshot(books.log.datastore) as view:
            batches = list(view.read(1))
        for size in (1, 1000):
            replay = Replay(books.manifest)
            verdicts = Verdicts(replay)
            for batch in batches:
                for start in range(0, batch.num_rows, size):
                    replay.feed(batch.slice(start, size))
            [root], [allocation], [paid] = verdicts.roots, verdicts.allocations, verdicts.claims()
            assert (root.position, root.epoch, root.total, root.expected_total) == (5, 1, 40, 0)
            assert (root.expected_root, root.earners, root.altered, root.agrees) == (EMPTY_ROOT, 0, (), False)
            assert (allocation.position, allocation.domain, allocation.pool) == (3, DOMAIN, 32)
            assert (allocation.opened, allocation.closed) == (1, 2)
            assert [part.name for part in allocation.parts] == ["weights"]
            assert not allocation.agrees
            assert (paid.position, paid.earner, paid.part.expected, paid.part.fact) == (7, ALICE, 0, 3)
            assert [each.subject for each in verdicts.others()] == []
