"""The cache of decoded batches: what is read back is what was written, and what is anything else is not there."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepnode_ledger.batch import from_rows, row_of
from deepnode_ledger.errors import Damaged
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.roster import Roster
from deepnode_ledger.sealed_batches import SealedBatchRef
from deepnode_projections.kernel import cache, cache_form
from deepnode_projections.kernel.cache import DecodedCache
from deepnode_projections.kernel.cache_form import joined, sections_of, signed, written
from deepnode_projections.kernel.decoded import DecodedBatch
from deepnode_projections.kernel.decoding import decode_batch
from deepnode_projections.kernel.layout import NONE
from tests.ledger.factories import FACTORY, created, factories
from tests.ledger.histories import CHAIN_ID, ref, word
from tests.ledger.paper_deployment import USDC, event_log
from tests.projections import stories as s
from tests.projections.kernel.decoded_rows import assert_same, rows_of
from tests.projections.rules import spoken
from tests.projections.test_both_ways import CHILDREN, Record

KEY: Final = b"\x01" * 32
REF: Final = SealedBatchRef(3, 11, 25, b"\x05" * 32)
OPS, CELLS, IDS, HASHES, EVENTS, EVENT_ENDS, HOLDERS, TOLD, PLACES, SINGLES = range(10)
TRANSFER_AT, CREATED_AT, ASSIGNED_AT, RATED_AT = 0, 48, 60, 94
"""Where the cells of the story's first transfer stand, and of its statements."""


@pytest.fixture(scope="module")
def decoded(manifest: Manifest) -> DecodedBatch:
    """A batch with every operation, and a log without a meaning."""
    story = [
        s.transfer(s.NOBODY, s.ANNA, 2**70),
        s.transfer(s.ANNA, s.BEN, 0),
        s.revenue_received(s.RECEIPT_1, s.MODEL_1, 10**20),
        s.revenue_split(s.RECEIPT_1, s.MODEL_1, 10**20, range(1, 10)),
        s.transfer(s.ANNA, USDC, 1),
        s.transfer(s.ANNA, s.BEN, 10**38 - 1),
        s.deposited(s.NODE_1, 5),
    ]
    logs = [event_log(manifest, contract, event, ref(5), n, **args) for n, (contract, event, args) in enumerate(story)]
    records: list[Record] = [(CHAIN_ID, ref(5), log) for log in logs]
    records.append((CHAIN_ID, ref(6), replace(logs[0], topics=(word("unknown"),))))
    kinds = ("TaskCreated", "TaskAssigned", "OutputSubmitted", "ValidationSubmitted", "ConsensusReached", "VWUAssigned")
    others = ("UserFeedback", "PaymentProcessorSettled", "BadBehaviourReported", "TaskReassigned", "TaskRejected")
    for number, kind in enumerate((*kinds, *others, "TaskExpired", "PriceObserved", "Correction"), 1):
        members = {"asset": to_hex(USDC)} if "asset" in spoken.ORDINARY[kind] else {}
        records.append((CHAIN_ID, ref(7), spoken.event(kind, number, spoken.data_of(kind, **members))))
    batch = from_rows([row_of(position, *record) for position, record in enumerate(records, 11)])
    return decode_batch(batch, Roster(manifest), set())


@pytest.fixture
def folder(tmp_path: Path, manifest: Manifest) -> DecodedCache:
    return DecodedCache(tmp_path / "decoded", manifest)


def test_what_is_read_back_is_what_was_written(folder: DecodedCache, decoded: DecodedBatch) -> None:
    """Writes a batch with every operation, reads it back, and leaves nothing but one file."""
    assert folder.get(KEY) is None
    folder.put(KEY, decoded)
    folder.put(KEY, decoded)
    assert_same(folder.get(KEY), decoded)
    assert [each.name for each in folder.folder.iterdir()] == [f"{KEY.hex()}.decoded"]


def test_another_decoding_asks_for_another_version(decoded: DecodedBatch) -> None:
    """Holds what is made of the story against what this version made of it when it was new.

    Where this fails, what is in a cache is not what would be decoded now: raise ``cache.VERSION``, and put the new
    digest here.
    """
    digest = hashlib.sha256(b"".join(list(sections_of(decoded))[:PLACES])).hexdigest()
    assert (cache.VERSION, digest) == (4, "e009c93ed93d4a8cc6ef4208fc4b657ca7cf10a25cdd39c6b428d8844da7825b")


def test_a_file_that_changed_is_not_there_and_is_replaced(folder: DecodedCache, decoded: DecodedBatch) -> None:
    """Cuts the file off, lets it grow, changes a byte of it, and takes another one's."""
    folder.put(KEY, decoded)
    path, other = folder.folder / f"{KEY.hex()}.decoded", b"\x02" * 32
    whole = path.read_bytes()
    changed = bytearray(whole)
    changed[len(whole) // 2] ^= 1
    for data in (b"", whole[:100], whole[:-64], whole + bytes(64), bytes(changed), written(decoded, other)):
        path.write_bytes(data)
        assert folder.get(KEY) is None
        folder.put(KEY, decoded)
        assert_same(folder.get(KEY), decoded)


def test_what_is_no_plain_file_is_not_there(
    folder: DecodedCache, decoded: DecodedBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Puts a pipe, a link and a folder in the file's place, and a file that is too large."""
    folder.put(KEY, decoded)
    path = folder.folder / f"{KEY.hex()}.decoded"
    kept = path.rename(folder.folder / "elsewhere")
    os.mkfifo(path)
    assert folder.get(KEY) is None
    path.unlink()
    path.symlink_to(kept)
    assert folder.get(KEY) is None
    folder.put(KEY, decoded)
    assert_same(folder.get(KEY), decoded)
    monkeypatch.setattr(cache, "BYTES_MAX", 1_000)
    assert folder.get(KEY) is None
    path.unlink()
    path.mkdir()
    assert folder.get(KEY) is None


def test_a_batch_is_written_whole_or_not_at_all(
    folder: DecodedCache, decoded: DecodedBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Has writing fail: the file of before stays, and nothing is left beside it."""
    folder.put(KEY, decoded)

    def fail(*_: object) -> bytes:
        raise OSError("the disk is full")

    monkeypatch.setattr(cache_form, "written", fail)
    with pytest.raises(OSError, match="full"):
        folder.put(KEY, replace(decoded, first=1))
    assert_same(folder.get(KEY), decoded)
    assert len(list(folder.folder.iterdir())) == 1


def test_the_key_stands_for_all_that_decoding_depends_on(tmp_path: Path, manifest: Manifest) -> None:
    """Changes one thing after the other: each has a key of its own, and the same again has the same."""
    others = factories(tmp_path)
    roster, folder = Roster(others), DecodedCache(tmp_path, others)
    keys = [
        folder.key(REF, roster, set()),
        DecodedCache(tmp_path, manifest).key(REF, roster, set()),
        folder.key(replace(REF, number=4), roster, set()),
        folder.key(replace(REF, first_position=12), roster, set()),
        folder.key(replace(REF, sha256=b"\x06" * 32), roster, set()),
        folder.key(REF, roster, set(CHILDREN[:1])),
        folder.key(REF, roster, set(CHILDREN)),
    ]
    logs = [created(others.contracts[FACTORY], child, ref(9), n) for n, child in enumerate(CHILDREN)]
    for position, log in enumerate(logs, 1):
        roster.learn(from_rows([row_of(position, CHAIN_ID, ref(9), log)]))
        keys.append(folder.key(REF, roster, set()))
    assert len(set(keys)) == len(keys)
    assert DecodedCache(tmp_path, others).key(REF, roster, set()) == keys[-1]
    roster.forget_behind(1)
    assert folder.key(REF, roster, set()) == keys[-2]
    assert folder.key(REF, Roster(others), set()) == keys[0]


def cell(at: int, value: int) -> Callable[[list[bytes]], None]:
    """Let a cell be another one."""

    def change(sections: list[bytes]) -> None:
        cells = np.frombuffer(sections[CELLS], np.int64).copy()
        cells[at] = value
        sections[CELLS] = cells.tobytes()

    return change


def section(number: int, change: Callable[[bytes], bytes]) -> Callable[[list[bytes]], None]:
    """Let a section be another one."""

    def change_it(sections: list[bytes]) -> None:
        sections[number] = change(sections[number])

    return change_it


def said(**members: Any) -> Callable[[list[bytes]], None]:
    """Let members of what is told be other ones."""
    return section(TOLD, lambda data: msgspec.json.encode(msgspec.json.decode(data) | members))


def number(at: int, value: int) -> Callable[[bytes], bytes]:
    """Let a number of a section be another one."""
    return lambda data: data[: 8 * at] + value.to_bytes(8, "little", signed=True) + data[8 * at + 8 :]


FORGED: Final[dict[str, Callable[[list[bytes]], None]]] = {
    "an operation that there is not": section(OPS, lambda data: b"\x63" + data[1:]),
    "an operation below zero": section(OPS, lambda data: b"\xff" + data[1:]),
    "an operation between others": section(OPS, lambda data: b"\x07" + data[1:]),
    "another operation": section(OPS, lambda data: b"\x03" + data[1:]),
    "a row less": section(OPS, lambda data: data[:-1]),
    "a row more": section(OPS, lambda data: data + b"\x01"),
    "no rows": section(OPS, lambda _: b""),
    "a row that is left to the rules": section(OPS, lambda data: data[:1] + b"\x00" + data[2:]),
    "a cell more": section(CELLS, lambda data: data + bytes(8)),
    "half a cell": section(CELLS, lambda data: data[:-4]),
    "an id that there is not": cell(TRANSFER_AT, 10_000),
    "an id below zero": cell(TRANSFER_AT, -1),
    "a holder that there is not": cell(TRANSFER_AT + 1, 5),
    "an amount that is too large": cell(TRANSFER_AT + 4, 2**63 - 1),
    "an amount below zero": cell(TRANSFER_AT + 4, -1),
    "a hash that there is not": cell(CREATED_AT + 4, 99),
    "a name that there is not": cell(CREATED_AT + 10, 6),
    "an event that there is not": cell(CREATED_AT + 11, 3),
    "attempt 0": cell(ASSIGNED_AT + 1, 0),
    "slot 65": cell(ASSIGNED_AT + 2, 65),
    "no slot": cell(ASSIGNED_AT + 2, NONE),
    "a rating of 6": cell(RATED_AT + 1, 6),
    "a comment that there is not": cell(RATED_AT + 2, 99),
    "an event that is no name": cell(RATED_AT + 4, 6),
    "half an id": section(IDS, lambda data: data[:-16]),
    "fewer ids": section(IDS, lambda data: data[:32]),
    "fewer hashes": section(HASHES, lambda data: data[32:]),
    "text that is none": section(EVENTS, lambda data: b"\xff" * len(data)),
    "events that end nowhere": section(EVENT_ENDS, lambda _: b""),
    "events that begin behind the start": section(EVENT_ENDS, number(0, 1)),
    "an event that ends before it begins": section(EVENT_ENDS, number(1, -1)),
    "an event that ends behind all": section(EVENT_ENDS, number(1, 10**6)),
    "more text than events": section(EVENTS, lambda data: data + b"x"),
    "a holder who is no id": section(HOLDERS, number(3, 10_000)),
    "a holder who is no pocket": section(HOLDERS, number(3, -3)),
    "what is no JSON": section(TOLD, lambda data: data[:-1]),
    "what is no text": section(TOLD, lambda data: data.replace(b"urn", b"\xff\xfe\xfd")),
    "a name twice": said(names=["a", "a"]),
    "a position that is too large": said(first=2**80),
    "another position": said(first=12),
    "a member too many": said(more=1),
    "a log without a meaning before the first": said(quarantined=[[10, "0d3R0dHR0dHR0dHR0dHR0dHR0dE=", None, "why"]]),
    "a log without a meaning behind the last": said(quarantined=[[33, "0d3R0dHR0dHR0dHR0dHR0dHR0dE=", None, "why"]]),
    "a transfer without a meaning": said(quarantined=[[11, "0d3R0dHR0dHR0dHR0dHR0dHR0dE=", None, "why"]]),
    "half an address": said(quarantined=[[18, "0d3R", None, "why"]]),
    "half a topic": said(quarantined=[[18, "0d3R0dHR0dHR0dHR0dHR0dHR0dE=", "0d3R", "why"]]),
    "a pocket of half an address": said(pockets=[{"owner": "a", "pocket": "b", "key": "", "holder": "0d3R"}] * 2),
    "no places": section(PLACES, lambda _: b""),
    "cut places": section(PLACES, lambda data: data[:-8]),
    "no entries": section(SINGLES, lambda _: b""),
    "cut entries": section(SINGLES, lambda data: data[:-200]),
    "entries for places": lambda sections: sections.__setitem__(PLACES, sections[SINGLES]),
    "places for entries": lambda sections: sections.__setitem__(SINGLES, sections[PLACES]),
}


def test_a_forged_file_is_not_there(folder: DecodedCache, decoded: DecodedBatch) -> None:
    """Forges files whose digest is right, each with one thing in it that compiled code must never see."""
    folder.put(KEY, decoded)
    path, right = folder.folder / f"{KEY.hex()}.decoded", list(sections_of(decoded))
    path.write_bytes(joined(right, KEY))
    assert_same(folder.get(KEY), decoded)
    for what, forge in FORGED.items():
        sections = list(right)
        forge(sections)
        assert sections != right, what
        path.write_bytes(joined(sections, KEY))
        assert folder.get(KEY) is None, what


def test_lengths_that_are_none_are_not_believed(folder: DecodedCache, decoded: DecodedBatch) -> None:
    """Forges a header whose lengths add up to the file's, or to nothing."""
    right = written(decoded, KEY)
    folder.put(KEY, decoded)
    for length in (-64, 2**62, -(2**63), 0, len(right)):
        forged = bytearray(right)
        forged[56:64] = length.to_bytes(8, "little", signed=True)
        (folder.folder / f"{KEY.hex()}.decoded").write_bytes(signed(bytes(forged[24:])))
        assert folder.get(KEY) is None, length


def test_the_largest_amount_is_read_back_and_the_next_is_not(folder: DecodedCache, decoded: DecodedBatch) -> None:
    """Adds one to the amount of 10**38 - 1 in the story."""
    folder.put(KEY, decoded)
    sections = list(sections_of(decoded))
    cells = np.frombuffer(sections[CELLS], np.int64).copy()
    [at] = np.flatnonzero(cells == (10**38 - 1) >> 64)
    cells[at - 1] += 1
    sections[CELLS] = cells.tobytes()
    (folder.folder / f"{KEY.hex()}.decoded").write_bytes(joined(sections, KEY))
    assert folder.get(KEY) is None


@settings(max_examples=200)
@given(st.integers(0, 9), st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=3))
def test_whatever_is_read_back_is_within_its_bounds(
    decoded: DecodedBatch, which: int, changes: list[tuple[int, int]]
) -> None:
    """Forges any bytes of any section: either nothing is read, or a batch all of whose cells mean something."""
    sections = list(sections_of(decoded))
    forged = bytearray(sections[which])
    for at, value in changes:
        forged[at % len(forged)] = value
    sections[which] = bytes(forged)
    try:
        found = cache_form.read(np.frombuffer(joined(sections, KEY), np.uint8), KEY)
    except Damaged:
        return
    assert len(rows_of(found)) == 22
