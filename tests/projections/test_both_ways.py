"""The rules log by log, which are the definition, and the fold by columns say the same of every run of entries."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepnode_ledger.batch import from_rows, row_of
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.posting import AMOUNT_LIMIT
from deepnode_ledger.record import BlockRef, ChainLog, TaskEvent
from deepnode_ledger.roster import Roster
from deepnode_projections import folding, posting_columns
from deepnode_projections.books import Page
from deepnode_projections.folding import fold
from deepnode_projections.folds import running_balance
from deepnode_projections.folds.transfers import TRANSFER
from deepnode_projections.registers.state import MemoryState
from deepnode_projections.rules.book import RECORDS
from tests.ledger.factories import FACTORY, FAR, FAR_CHAIN, PROXY, created, factories, said
from tests.ledger.histories import CHAIN_ID, ref, task, word
from tests.ledger.paper_deployment import event_log, paper_manifest
from tests.projections import stories as s
from tests.projections.test_limbs import ints

Record = tuple[int, BlockRef, ChainLog | TaskEvent]
CHILDREN = [bytes([n]) * 20 for n in (0x71, 0x72)]


@pytest.fixture(scope="module")
def made_by_factories(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return factories(tmp_path_factory.mktemp("factories"))


def told(page: Page, state: MemoryState, asset_ids: dict[bytes, int]) -> dict[str, Any]:
    """All that a page would write, in one form for both ways, and every record."""
    entries = [
        (
            *(e.position, logged.chain_id, e.kind, e.contract, logged.block.number, logged.block.time),
            *(logged.record.transaction_hash, logged.record.log_index),
        )
        for logged, e in page.entries
        if isinstance(logged.record, ChainLog)
    ]
    if page.transfers:
        postings = posting_columns.gather(page.transfers, [entry for _, entry in page.entries], asset_ids)
        after = posting_columns.run(postings, lambda _account, _asset: 0).after
        names = [postings.accounts.names[number] for number in postings.account.tolist()]
        places = (postings.position.tolist(), postings.leg.tolist(), names, postings.asset.tolist())
        posted = list(zip(*places, ints(postings.amount), ints(after), strict=True))
        for t in page.transfers:
            fields = (t.position, t.block_number, t.block_time, t.log_index)
            for row, (position, number, time, index) in enumerate(zip(*(f.tolist() for f in fields), strict=True)):
                where = (position, t.chain_id, "Transfer", t.token.name, number, time)
                entries.append((*where, t.transaction_hash[row].tobytes(), index))
    else:
        found, beyond = running_balance.run({}, (entry for _, entry in page.entries))
        if beyond:
            raise posting_columns.BeyondLimit
        posted = [
            (p.position, p.leg, p.posting.account.name, asset_ids[p.posting.asset], p.posting.amount, p.balance)
            for p in found
        ]
    refusals = [(logged.position, kind, contract, refusal.reason) for logged, kind, contract, refusal in page.refusals]
    return {
        "entries": sorted(entries),
        "posted": posted,
        "refusals": refusals,
        "records": [list(state.every(kind)) for kind in RECORDS],
        "blocks": page.blocks,
        "quarantined": sorted(page.quarantined, key=lambda each: each.position),
    }


def both(manifest: Manifest, records: list[Record], run_entries: int) -> list[dict[str, Any] | None]:
    """Fold records run by run in both ways; return what each says of the last run, None if a balance goes too far."""
    rows = [row_of(position, *record) for position, record in enumerate(records, 1)]
    ways: list[dict[str, Any] | None] = []
    for by_definition in (True, False):
        roster, state, start, page = Roster(manifest), MemoryState(), 0, Page()
        while start < len(rows):
            run = from_rows(rows[start : start + run_entries])
            page, taken = fold(run, roster, state, by_definition=by_definition)
            assert 0 < taken <= run.num_rows
            start += taken
        tokens = manifest.tokens + [child.contract for child in roster.children if child.contract.kind == "Token"]
        asset_ids = {token.address: number for number, token in enumerate(tokens, 1)}
        try:
            ways.append(told(page, state, asset_ids))
        except posting_columns.BeyondLimit:
            ways.append(None)
    return ways


@st.composite
def paper_records(draw: st.DrawFn, manifest: Manifest) -> list[Record]:
    """Any story on paper, cut into blocks, with task events and damaged logs in it."""
    records: list[Record] = []
    number = 5
    for index, (contract, event, args) in enumerate(draw(st.lists(s.anything, min_size=1, max_size=25))):
        number += draw(st.integers(0, 1))
        log = event_log(manifest, contract, event, ref(number), index, **args)
        damage = draw(st.sampled_from(["", "", "", "short", "long", "padding", "topics", "topic0", "stranger"]))
        topics, data, address = log.topics, log.data, log.address
        if damage == "short":
            data = data[:-1]
        elif damage == "long":
            data += bytes(5)
        elif damage == "padding":
            topics = (*topics[:-1], b"\x01" + topics[-1][1:])
        elif damage == "topics":
            topics = topics[: draw(st.integers(0, 3))]
        elif damage == "topic0":
            topics = (word("unknown"), *topics[1:])
        elif damage == "stranger":
            address = word("stranger")[:20]
        log = ChainLog(log.transaction_hash, index, index, address, topics, data)
        records.append((CHAIN_ID, ref(number), log))
        if draw(st.integers(0, 4)) == 0:
            records.append((CHAIN_ID, ref(number), task(index)))
    return records


@settings(max_examples=60)
@given(st.data(), st.sampled_from([1, 4, 1000]))
def test_a_story_of_one_chain(manifest: Manifest, data: st.DataObject, run_entries: int) -> None:
    """Folds any story of the paper deployment, damaged logs and task events in it, in runs of any length."""
    plain, by_columns = both(manifest, data.draw(paper_records(manifest)), run_entries)
    assert plain == by_columns


@st.composite
def factory_records(draw: st.DrawFn, manifest: Manifest) -> list[Record]:
    """Two chains in any order: factories announce tokens and rounds, which speak before and behind that."""
    records: list[Record] = []
    numbers = {CHAIN_ID: 5, FAR_CHAIN: 70}
    who = st.sampled_from([*CHILDREN, FACTORY, PROXY, FAR, s.ANNA, s.NOBODY])
    amounts = st.integers(0, 5) | st.just(AMOUNT_LIMIT)
    for index in range(draw(st.integers(1, 20))):
        chain_id = draw(st.sampled_from([CHAIN_ID, FAR_CHAIN]))
        numbers[chain_id] += draw(st.integers(0, 1))
        block = ref(numbers[chain_id], str(chain_id))
        if draw(st.integers(0, 2)) == 0:
            factory = manifest.contracts[FACTORY if chain_id == CHAIN_ID else FAR]
            log = created(factory, draw(st.sampled_from(CHILDREN)), block, index)
        else:
            args = {"from": draw(who), "to": draw(who), "value": draw(amounts)}
            log = said(draw(st.sampled_from(CHILDREN)), TRANSFER, block, index, **args)
        records.append((chain_id, block, log))
    return records


@settings(max_examples=80)
@given(st.data(), st.sampled_from([1, 3, 1000]))
def test_a_story_of_two_chains_with_factories(
    made_by_factories: Manifest, data: st.DataObject, run_entries: int
) -> None:
    """Has tokens speak and be spoken of before and behind their announcement, on the right and the wrong chain."""
    plain, by_columns = both(made_by_factories, data.draw(factory_records(made_by_factories)), run_entries)
    assert plain == by_columns


@pytest.mark.parametrize("run_entries", [1, 2, 1000])
def test_an_address_is_a_wallet_until_it_is_announced(made_by_factories: Manifest, run_entries: int) -> None:
    """Pays an address before and behind the log that makes a contract of it, all in one run or each in its own."""
    token, child = CHILDREN
    blocks = [ref(number, "far") for number in range(70, 75)]
    factory = made_by_factories.contracts[FAR]
    paid = {"from": s.ANNA, "to": child, "value": 3}
    logs = [
        created(factory, token, blocks[0], 0),
        said(token, TRANSFER, blocks[1], 0, **paid),
        created(factory, child, blocks[2], 5),
        said(token, TRANSFER, blocks[2], 4, **paid),
        said(token, TRANSFER, blocks[3], 0, **paid),
    ]
    records: list[Record] = [(FAR_CHAIN, blocks[n], logs[m]) for n, m in ((0, 0), (1, 1), (2, 3), (2, 2), (3, 4))]
    ways = [both(made_by_factories, records[:count], run_entries) for count in range(1, 6)]
    assert all(plain == by_columns for plain, by_columns in ways)
    takers = [way["posted"][-1][2] for way, _ in ways if way is not None and way["posted"]]
    wallet, pocket = f"Wallet:0x{child.hex()}", f"FarToken.0x{child.hex()}:Unattributed:"
    assert takers[0] == wallet
    assert takers[-1].startswith(pocket.rstrip(":"))


def test_a_page_holds_so_many_single_logs_at_most(manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a page take two single logs: a run of transfers and others is folded in parts, to the same end."""
    story = [s.transfer(s.NOBODY, s.ANNA, 9), s.deposited(s.NODE_1, 1), s.withdrawn(s.NODE_1, 1)] * 3
    logs = [event_log(manifest, contract, event, ref(5), n, **args) for n, (contract, event, args) in enumerate(story)]
    run = from_rows([row_of(n, CHAIN_ID, ref(5), log) for n, log in enumerate(logs, 1)])
    monkeypatch.setattr(folding, "SINGLE_ENTRIES", 2)
    taken = []
    while run.num_rows:
        page, count = fold(run, Roster(manifest), MemoryState(), by_definition=False)
        taken.append((count, len(page.transfers[0].position) if page.transfers else 0, len(page.entries)))
        run = run.slice(count)
    assert taken == [(4, 2, 2), (3, 1, 2), (2, 0, 2)]


def test_logs_without_a_meaning_are_counted_by_contract_and_topic(tmp_path: Path) -> None:
    """Has two contracts say what no ABI knows: the page says whose and which, by columns as log by log."""
    manifest = paper_manifest(tmp_path)
    dn, router = manifest.by_name("DN").address, manifest.by_name("Router").address
    logs = [
        ChainLog(word("t"), n, n, address, (word(topic),), b"")
        for n, (address, topic) in enumerate([(dn, "a"), (dn, "a"), (dn, "b"), (router, "a")])
    ]
    plain, by_columns = both(manifest, [(CHAIN_ID, ref(5), log) for log in logs], 1000)
    assert plain is not None
    assert plain == by_columns
    counts = Counter((each.address, each.topic0) for each in plain["quarantined"])
    assert counts == {(dn, word("a")): 2, (dn, word("b")): 1, (router, word("a")): 1}
