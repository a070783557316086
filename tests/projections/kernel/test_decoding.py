"""A decoded batch says, row by row, what the log's decoding says of each entry; what it does not say is the rules'."""

from collections.abc import Collection
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepnode_ledger.batch import entries, from_rows, row_of
from deepnode_ledger.bulk_statements import decode_statements
from deepnode_ledger.decoding import ChainEvent, Unknown, decode
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.posting import AMOUNT_LIMIT
from deepnode_ledger.record import Finality, LogEntry, TaskEvent
from deepnode_ledger.roster import Roster
from deepnode_ledger.statement import Statement, read
from deepnode_ledger.statement_data import PRICE_OBSERVED, PriceObserved
from deepnode_ledger.statement_layout import Amount, Choice, Octets, Slots, Whole, layout_of
from deepnode_projections.kernel import cache_form, ops
from deepnode_projections.kernel.decoded import DecodedBatch
from deepnode_projections.kernel.decoding import decode_batch
from deepnode_projections.kernel.decoding_tasks import OP_OF
from deepnode_projections.kernel.op_cells import CELLS, Of
from deepnode_projections.registers.state import MemoryState
from deepnode_projections.rules import book
from deepnode_projections.rules.scene import Scene
from tests.ledger.factories import factories
from tests.ledger.histories import CHAIN_ID, ref
from tests.ledger.paper_deployment import DN, USDC, event_log
from tests.projections import stories as s
from tests.projections.kernel.decoded_rows import assert_same, rows_of
from tests.projections.rules import spoken
from tests.projections.test_both_ways import CHILDREN, Record, factory_records, paper_records

KEY = b"\x01" * 32
PAYMENTS = {"RevenueReceived": ops.RECEIVED, "RevenueSplit": ops.SPLIT}


@pytest.fixture(scope="module")
def made_by_factories(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return factories(tmp_path_factory.mktemp("factories"))


def expected(entry: LogEntry, roster: Roster, uncertain: Collection[bytes]) -> list[tuple[int, dict[str, Any]]]:
    """All that may be said of an entry: the operation and its values. Words have zeros behind them."""
    if isinstance(entry.record, TaskEvent):
        said = read(entry.record)
        if not isinstance(said, Statement) or said.type not in (*OP_OF, PRICE_OBSERVED):
            return [(ops.RULES, {})]
        asset = getattr(said.data, "asset", None)
        if asset is not None and not is_token(asset, entry, roster, uncertain):
            return [(ops.RULES, {})]
        if isinstance(said.data, PriceObserved):
            source = {"producer": said.producer, "event_id": said.event_id, "time": said.time}
            about: dict[str, Any] = msgspec.structs.asdict(said.data)
            return [(ops.PRICED, about | source | {"asset": wide(said.data.asset)})]
        return [(OP_OF[said.type], told(said))]
    event = decode(entry, roster)
    if isinstance(event, Unknown):
        # Whose log it would be does not matter, unless it is one of those that the rules read one by one.
        return [(ops.NOTHING, {}), (ops.RULES, {})]
    assert isinstance(event, ChainEvent)
    if not book.has_rule(event.contract.kind, event.name):
        return [(ops.NOTHING, {})]
    amounts = [value for value in event.args.values() if isinstance(value, int)]
    if any(value >= AMOUNT_LIMIT for value in amounts):
        return [(ops.RULES, {})]
    if event.name == "Transfer":
        if {event.args["from"], event.args["to"]} & set(uncertain):
            return [(ops.RULES, {})]
        place = (entry.block.number, entry.record.log_index)
        where = (entry.position, entry.chain_id, entry.block.number, entry.block.time, roster)
        moved = book.apply(event, Scene(MemoryState(), roster.manifest, *where, place=place))
        assert not isinstance(moved, book.Refusal)
        if not moved:
            return [(ops.NOTHING, {})]
        giver, taker = moved
        value = {"from": giver.account, "to": taker.account, "value": taker.amount}
        return [(ops.TRANSFER, {"token": wide(giver.asset), **value})]
    if event.name in PAYMENTS and is_token(event.address("asset"), entry, roster, uncertain):
        values = {name: wide(value) if isinstance(value, bytes) else value for name, value in event.args.items()}
        return [(PAYMENTS[event.name], {"contract": wide(event.contract.address), **values})]
    return [(ops.RULES, {})]


def told(said: Statement) -> dict[str, Any]:
    """What a statement's cells stand for."""
    values = msgspec.structs.asdict(said.data)
    values.pop("block_hash", None)
    if "latency_ms" in values:
        usage = values.pop("usage")
        values |= {name: usage and getattr(usage, name) for name in ("input_tokens", "output_tokens")}
    if "verdict" in values:
        values["verdict"] = int(values["verdict"] in ("correct", "approved"))
    if "accepted" in values:
        mask = sum(1 << (slot - 1) for slot in values["accepted"])
        values["accepted"] = mask - (mask >> 63 << 64)
    if OP_OF[said.type] in (ops.CREATED, ops.CREDITED, ops.RATED, ops.SETTLED):
        values |= {"producer": said.producer, "event_id": said.event_id}
    return {name: wide(value) if isinstance(value, bytes) else value for name, value in values.items()}


def is_token(asset: bytes, entry: LogEntry, roster: Roster, uncertain: Collection[bytes]) -> bool:
    contract = roster.get(asset, entry.chain_id)
    return contract is not None and contract.kind == "Token" and asset not in uncertain


def wide(value: bytes) -> bytes:
    return value.ljust(32, b"\0")


def check(manifest: Manifest, records: list[Record], run_entries: int) -> list[DecodedBatch]:
    """Decode records run by run, and hold each row against what may be said of it."""
    rows = [row_of(position, *record) for position, record in enumerate(records, 1)]
    every, roster, found = from_rows(rows), Roster(manifest), list[DecodedBatch]()
    for start in range(0, len(rows), run_entries):
        batch = every.slice(start, run_entries)
        uncertain = {child.contract.address for child in roster.learn(batch)}
        decoded = decode_batch(batch, roster, uncertain)
        logged = list(entries(batch, Finality.PENDING))
        left = set(decode_statements(batch)[1].tolist())
        for number, (entry, row) in enumerate(zip(logged, rows_of(decoded), strict=True)):
            is_left = number in left and row[0] != ops.PRICED
            assert row in ([(ops.RULES, {})] if is_left else expected(entry, roster, uncertain)), entry
        check_the_rest(decoded, logged, roster)
        assert_same(cache_form.read(np.frombuffer(bytearray(cache_form.written(decoded, KEY)), np.uint8), KEY), decoded)
        found.append(decoded)
    return found


def check_the_rest(decoded: DecodedBatch, logged: list[LogEntry], roster: Roster) -> None:
    """Hold the lists of a decoded batch against its entries."""
    assert decoded.first == logged[0].position
    by_row = dict(enumerate(decoded.ops.tolist()))
    assert list(entries(decoded.singles, Finality.PENDING)) == [
        entry for row, entry in enumerate(logged) if by_row[row] == ops.RULES
    ]
    unknown = [
        (entry.position, entry.record.address, entry.record.topics[0] if entry.record.topics else None, why.reason)
        for row, entry in enumerate(logged)
        if by_row[row] == ops.NOTHING and isinstance(why := decode(entry, roster), Unknown)
        if not isinstance(entry.record, TaskEvent)
    ]
    assert [tuple(each) for each in decoded.quarantined] == unknown
    assert len(np.unique(decoded.ids, axis=0)) == len(decoded.ids)
    assert len(set(decoded.names)) == len(decoded.names)
    assert len(np.unique(decoded.holders)) == len(decoded.holders)
    assert len(set(decoded.pockets)) == len(decoded.pockets)
    places = [(entry.chain_id, entry.block.number, entry.block.hash, entry.block.time) for entry in logged]
    assert list(zip(*(column.to_pylist() for column in decoded.places.columns[:4]), strict=True)) == places
    assert decoded.places.schema.names[4:] == ["transaction_hash", "log_index"]


@st.composite
def statements(draw: st.DrawFn, number: int) -> TaskEvent:
    """A statement of any type, frequent or not, and now and then one that cannot be read."""
    kind = draw(st.sampled_from([*spoken.ORDINARY, *("TaskCreated", "OutputSubmitted", "ConsensusReached") * 3]))
    odd: dict[str, st.SearchStrategy[Any]] = {
        "asset": st.sampled_from([to_hex(DN), to_hex(USDC), to_hex(s.ANNA), *map(to_hex, CHILDREN)]),
        "price": st.sampled_from(["0", str(2**64), str(AMOUNT_LIMIT - 1), str(AMOUNT_LIMIT)]),
        "collateral": st.sampled_from(["7", str(2**64 - 1)]),
        "accepted": st.sampled_from([[], [1], [1, 2], [64], list(range(1, 65)), [2, 1]]),
        "latency_ms": st.sampled_from([0, 2**53, None]),
        "comment_hash": st.sampled_from([to_hex(b"\1" * 32), None]),
        "reference_hash": st.sampled_from([to_hex(b"\2" * 32), to_hex(b"\1" * 32), None]),
        "amount": st.sampled_from(["0", str(2**64), str(AMOUNT_LIMIT - 1), str(AMOUNT_LIMIT)]),
        "rating": st.sampled_from([0, 1, 5, 6]),
        "severity": st.sampled_from([0, 1, 3, 4]),
        "price_ppm": st.sampled_from(["0", "1", str(2**64), str(AMOUNT_LIMIT - 1), str(AMOUNT_LIMIT)]),
        "source": st.sampled_from(["urn:price", '\u20ac "', ""]),
        "usage": st.sampled_from([{}, {"input_tokens": 5}, {"input_tokens": None, "output_tokens": 0}, None]),
        "verdict": st.sampled_from(["correct", "incorrect", "approved", "rejected"]),
        "slot": st.sampled_from([1, 2, 64, 65]),
    }
    members = spoken.data_of(kind)
    optional = {
        "OutputSubmitted": {"latency_ms", "usage"},
        "UserFeedback": {"comment_hash"},
        "PaymentProcessorSettled": {"reference_hash"},
    }.get(kind, set())
    for name in sorted(odd.keys() & (members.keys() | optional)):
        if draw(st.booleans()):
            members[name] = draw(odd[name])
    return spoken.event(kind, number, members, draw(st.sampled_from([spoken.PRODUCER, "urn:producer:2"])))


@st.composite
def spoken_among(draw: st.DrawFn, logs: list[Record]) -> list[Record]:
    """Logs with statements between them, on the home chain."""
    records: list[Record] = []
    for index, (chain_id, block, record) in enumerate(logs):
        if isinstance(record, TaskEvent) or draw(st.booleans()):
            records.append((CHAIN_ID, block, draw(statements(index + 1))))
        if not isinstance(record, TaskEvent):
            records.append((chain_id, block, record))
    return records


@settings(max_examples=30)
@given(st.data(), st.sampled_from([1, 4, 1000]))
def test_any_story_is_decoded_as_its_entries_are(manifest: Manifest, data: st.DataObject, run_entries: int) -> None:
    """Decodes any story of the paper deployment, damaged logs and statements in it, in runs of any length."""
    check(manifest, data.draw(spoken_among(data.draw(paper_records(manifest)))), run_entries)


@settings(max_examples=40)
@given(st.data(), st.sampled_from([1, 3, 1000]))
def test_a_story_with_factories_is_decoded_as_its_entries_are(
    made_by_factories: Manifest, data: st.DataObject, run_entries: int
) -> None:
    """Has tokens of two chains speak and be spoken of before and behind their announcement, in runs of any length."""
    check(made_by_factories, data.draw(spoken_among(data.draw(factory_records(made_by_factories)))), run_entries)


def test_a_batch_has_every_operation(manifest: Manifest) -> None:
    """Decodes one entry of each kind: no operation is missing, and only what is rare is left to the rules."""
    story = [
        s.transfer(s.NOBODY, s.ANNA, 2**70),
        s.transfer(s.ANNA, s.NOBODY, 1),
        s.transfer(s.ANNA, s.BEN, 0),
        s.approval(),
        s.revenue_received(s.RECEIPT_1, s.MODEL_1, 10**20),
        s.revenue_split(s.RECEIPT_1, s.MODEL_1, 10**20, [1, 2**64, 3, 4, 5, 6, 7, 8, 9]),
        s.deposited(s.NODE_1, 5),
    ]
    records: list[Record] = [
        (CHAIN_ID, ref(5), event_log(manifest, contract, event, ref(5), index, **args))
        for index, (contract, event, args) in enumerate(story)
    ]
    kinds = ("TaskCreated", "TaskAssigned", "OutputSubmitted", "ValidationSubmitted", "ConsensusReached", "VWUAssigned")
    others = ("UserFeedback", "PaymentProcessorSettled", "BadBehaviourReported", "TaskReassigned", "TaskRejected")
    for number, kind in enumerate((*kinds, *others, "TaskExpired", "PriceObserved", "Correction"), 1):
        members = {"asset": to_hex(USDC)} if "asset" in spoken.ORDINARY[kind] else {}
        records.append((CHAIN_ID, ref(5), spoken.event(kind, number, spoken.data_of(kind, **members))))
    [decoded] = check(manifest, records, 1000)
    assert decoded.ops.tolist() == [2, 2, 1, 1, 3, 4, 0, *range(10, 23), 0]
    assert decoded.names == (spoken.PRODUCER, "e7", "e8", "USD", "urn:price", "e13")


def test_the_bounds_of_cells_are_those_of_the_statements_members() -> None:
    """Compares each cell of a statement with the form of the member that it holds."""
    for event_type, op in OP_OF.items():
        members = {member.name: member for member in layout_of(event_type).members}
        own = {cell.name: cell for cell in CELLS[op] if cell.of not in (Of.NAME, Of.EVENT)}
        assert own.keys() == members.keys() - {"block_hash"}, event_type
        for name, cell in own.items():
            assert cell.may_be_left_out == members[name].may_be_left_out, (event_type, name)
            match members[name].shape:
                case Whole(low, high):
                    assert (cell.of, cell.low, cell.high) == (Of.NUMBER, low, high), (event_type, name)
                case Choice():
                    assert (cell.of, cell.low, cell.high) == (Of.NUMBER, 0, 1), (event_type, name)
                case Slots():
                    assert (cell.of, cell.low, cell.high) == (Of.NUMBER, -(2**63), 2**63 - 1), (event_type, name)
                case Amount():
                    assert cell.of is Of.AMOUNT, (event_type, name)
                case Octets():
                    assert cell.of is (Of.HASH if name.endswith("_hash") else Of.ID), (event_type, name)
