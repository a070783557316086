"""Sorting a whole batch by event gives each row the meaning that it has alone."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepnode_ledger import batch as batches
from deepnode_ledger.abi import EventAbi, Input
from deepnode_ledger.bulk import decode_rows
from deepnode_ledger.contract import Contract
from deepnode_ledger.decoding import ChainEvent, Unknown, decode, decode_log
from deepnode_ledger.gathering import gather
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.record import ChainLog, Finality, LogEntry
from deepnode_ledger.roster import Roster
from tests.ledger.factories import FACTORY, FAR, FAR_CHAIN, PROXY, UPGRADE, created, factories, said
from tests.ledger.histories import CHAIN_ID, GENESIS, ref, task, word

CHILD = b"\x11" * 20


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return factories(tmp_path_factory.mktemp("factories"))


def versions(manifest: Manifest) -> tuple[dict[str, EventAbi], dict[str, EventAbi]]:
    """The events of the proxy before and behind its upgrade, by name."""
    [(_, one), (_, two)] = manifest.contracts[PROXY].abis
    return {event.name: event for event in one.values()}, {event.name: event for event in two.values()}


def test_a_proxy_is_read_by_the_abi_of_the_block(manifest: Manifest) -> None:
    """Decodes each version's logs before, in and behind the block of the upgrade, where both versions can stand."""
    one, two = versions(manifest)

    def read(event: EventAbi, number: int | None, **args: Any) -> dict[str, Any] | None:
        log = said(PROXY, event, ref(number or 9), 0, **args)
        found = decode_log(log, manifest, block_number=number)
        return dict(found.args) if isinstance(found, ChainEvent) else None

    assert [read(one["Set"], n, value=5) for n in (UPGRADE - 1, UPGRADE, UPGRADE + 1, None)] == [
        {"value": 5}, {"value": 5}, None, None
    ]  # fmt: skip
    assert [read(two["Set"], n, value=6) for n in (UPGRADE - 1, UPGRADE, UPGRADE + 1, None)] == [
        None, {"value": 6}, {"value": 6}, {"value": 6}
    ]  # fmt: skip
    assert [read(one["Gone"], n) for n in (1, UPGRADE, UPGRADE + 1)] == [{}, {}, None]
    assert [read(two["Came"], n) for n in (UPGRADE - 1, UPGRADE, UPGRADE + 1)] == [None, {}, {}]


def test_a_namesake_goes_by_its_signature() -> None:
    """Declares an overload of Transfer beside the real one: no rule of the books may take it for a transfer."""
    inputs = (Input("from", "address", True), Input("to", "address", True), Input("value", "uint256", False))
    real, overload = EventAbi("Transfer", inputs), EventAbi("Transfer", (*inputs, Input("memo", "bytes32", False)))
    approval = EventAbi("Approval", inputs)
    events = {(event.topic0, event.topics_count): event for event in (real, overload, approval)}
    token = Contract("T", "Token", CHILD, 1, events, "T", 18)
    assert [token.name_of(each) for each in (real, approval)] == ["Transfer", "Approval"]
    assert token.name_of(overload) == "Transfer(address,address,uint256,bytes32)"
    other = Contract("O", "Other", CHILD, 1, events)
    assert other.name_of(overload) == "Transfer"
    manifest = Manifest("m", 1, CHAIN_ID, GENESIS, {CHILD: token}, {})
    party = b"\x01" * 20
    log = said(CHILD, overload, ref(9), 0, **{"from": party, "to": party, "value": 1, "memo": bytes(32)})
    event = decode_log(log, manifest)
    assert isinstance(event, ChainEvent)
    assert event.name == "Transfer(address,address,uint256,bytes32)"


def test_a_log_of_another_chain_is_no_log_of_the_contract(manifest: Manifest) -> None:
    """Decodes a log at a contract's address on the chain where it stands, and on the other."""
    log = created(manifest.contracts[FAR], CHILD, ref(90), 0)
    on = [decode_log(log, manifest, chain_id=chain_id) for chain_id in (FAR_CHAIN, CHAIN_ID, None)]
    assert [type(event) for event in on] == [ChainEvent, Unknown, Unknown]


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, int, bytes]]:
    """What is said, on which chain, by whom; in the order of the log."""
    what = st.sampled_from(
        [
            "create",
            "Backed",
            "Opened",
            "Set1",
            "Set2",
            "Gone",
            "Came",
            "Changed",
            "odd",
            "dirty",
            "none",
            "task",
            "next",
        ]
    )
    chains = st.sampled_from([CHAIN_ID, CHAIN_ID, FAR_CHAIN])
    who = st.sampled_from([FACTORY, PROXY, FAR, CHILD, b"\x12" * 20])
    fitting = [("create", CHAIN_ID, FACTORY), ("create", FAR_CHAIN, FAR), ("next", CHAIN_ID, FACTORY)]
    fitting += [(each, CHAIN_ID, CHILD) for each in ("Backed", "Opened")]
    fitting += [(each, CHAIN_ID, PROXY) for each in ("Set1", "Set2", "Gone", "Came", "Changed", "dirty")]
    anything = st.tuples(what, chains, who)
    return draw(st.lists(st.sampled_from(fitting) | anything, min_size=15, max_size=40))


def spoken(manifest: Manifest, what: str, who: bytes, number: int, index: int) -> ChainLog:
    """A log of a kind, from anybody."""
    one, two = versions(manifest)
    [creates] = manifest.contracts[FACTORY].creates
    of_child = {event.name: event for event in creates.events.values()}
    named = of_child | one | two | {"Set1": one["Set"], "Set2": two["Set"]}
    args = {"backer": CHILD, "amount": 1, "vault": CHILD, "value": 3, "a": CHILD}
    match what:
        case "create":
            log = created(manifest.contracts[FACTORY], CHILD if index % 4 else b"\x12" * 20, ref(number), index)
            return ChainLog(log.transaction_hash, index, index, who, log.topics, log.data)
        case "odd" | "none":
            return ChainLog(word("t"), index, index, who, (word("x"),) if what == "odd" else (), b"")
        case "dirty":
            return ChainLog(word("t"), index, index, who, (named["Changed"].topic0,), b"\xff" * 32)
    event = named[what]
    return said(who, event, ref(number), index, **{each.name: args[each.name] for each in event.inputs})


@settings(max_examples=60)
@given(histories(), st.booleans())
def test_a_batch_is_sorted_as_each_entry_is_decoded(history: list[tuple[str, int, bytes]], with_roster: bool) -> None:
    """Makes random histories of two chains around an upgrade with children that come and speak, and compares."""
    manifest = _shared()
    rows: list[batches.Row] = []
    heights = {CHAIN_ID: UPGRADE - 1, FAR_CHAIN: 80}
    for index, (what, chain_id, who) in enumerate(history):
        if what == "next":
            heights[chain_id] += 1
            continue
        number = heights[chain_id]
        record = task(index + 1) if what == "task" else spoken(manifest, what, who, number, index)
        rows.append(batches.row_of(len(rows) + 1, chain_id, ref(number), record))
    if not rows:
        return
    batch = batches.from_rows(rows)
    entries = list(batches.entries(batch, Finality.PENDING))
    known = Roster(manifest) if with_roster else manifest
    if isinstance(known, Roster):
        known.learn(batch)
    gathered = gather(batch, known)
    rows_of_all = [group.rows for group in gathered.groups] + [each.rows for each in gathered.strangers]
    assert sorted([*gathered.tasks, *(row for some in rows_of_all for row in some)]) == list(range(len(rows)))
    assert [isinstance(entries[row].record, ChainLog) for row in gathered.tasks] == [False] * len(gathered.tasks)
    assert list(gathered.rest) == sorted(row for each in gathered.strangers for row in each.rows)
    for row in gathered.rest:
        assert isinstance(decode(entries[row], known), Unknown)
    for group in gathered.groups:
        assert list(group.rows) == sorted(group.rows)
        decoded = decode_rows(group.event, batch, group.rows)
        columns = {name: column.values() for name, column in decoded.columns.items()}
        for index, row in enumerate(group.rows):
            event = decode(entries[row], known)
            if isinstance(event, Unknown):
                assert decoded.reasons[index] == event.reason
                continue
            assert isinstance(event, ChainEvent)
            assert (event.contract, event.name) == (group.contract, group.name)
            assert {name: values[index] for name, values in columns.items()} == event.args


def test_entries_may_be_sorted_by_hand_too(manifest: Manifest) -> None:
    """Gathers task events alone, then the rows of one event in a batch that was turned round."""
    assert gather(batches.from_rows([batches.row_of(1, CHAIN_ID, ref(9), task(1))]), manifest).groups == []
    logs = [created(manifest.contracts[FACTORY], CHILD, ref(9), index) for index in range(3)]
    batch = batches.from_rows([batches.row_of(n, CHAIN_ID, ref(9), log) for n, log in enumerate(logs, 1)])
    [group] = gather(batch.take([2, 1, 0]), manifest).groups
    assert group.rows.tolist() == [0, 1, 2]
    assert LogEntry(1, Finality.PENDING, CHAIN_ID, ref(9), logs[0]) == next(batches.entries(batch, Finality.PENDING))


_kept: list[Manifest] = []


def _shared() -> Manifest:
    if not _kept:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            _kept.append(factories(Path(folder)))
    return _kept[0]
