"""What is in doubt is not sealed; what shows a range to be whole is kept for good."""

import pytest

from deepnode_ledger.evidence import Evidence, EvidenceKind, Held, Hold, UncoveredContract, describe
from deepnode_ledger.log import Log
from tests.ledger.histories import FIRST_BLOCK, TOKEN, contents, everything, placed, ref, run

OTHER = b"\xbb" * 20
DIGEST = b"\x01" * 32


def speaks(first: int, last: int, kind: EvidenceKind = EvidenceKind.HEADERS) -> Evidence:
    return Evidence(kind, first, last, last - first + 1, "http://node", 7, DIGEST)


def sealed(log: Log) -> list[int]:
    return [entry.block.number for entry in contents(log) if entry.finality == "SEALED"]


def test_evidence_is_found_by_the_blocks_that_it_speaks_of(log: Log) -> None:
    """Covers two ranges with different evidence and asks for parts of them."""
    header = run(9, 9)[0].header
    log.append_finalized(FIRST_BLOCK, header, placed(run(5, 9)), "end-header", evidence=[speaks(5, 9)])
    log.extend(ref(9), run(10, 12))
    log.seal(ref(12), evidence=[speaks(10, 12, EvidenceKind.RECEIPTS)], why="receipts")
    assert log.evidence(1, 9) == [speaks(5, 9)]
    assert log.evidence(9, 10) == [speaks(5, 9), speaks(10, 12, EvidenceKind.RECEIPTS)]
    assert log.evidence(13, 99) == []


def test_a_held_block_is_not_sealed_and_neither_is_what_follows(log: Log) -> None:
    """Holds blocks 8 to 9 of a tail of six, then lets go of one after the other."""
    log.extend(None, run(5, 10))
    assert log.hold(Hold(8, 9, "two providers disagree"))
    assert not log.hold(Hold(8, 9, "again"))
    log.seal(ref(10))
    assert sealed(log) == [5, 6, 7]
    before = everything(log)
    assert log.seal(ref(10)) is None
    assert everything(log) == before
    log.release(8, 8)
    assert log.holds() == [Hold(9, 9, "two providers disagree")]
    log.seal(ref(10))
    assert sealed(log) == [5, 6, 7, 8]
    log.release(1, 20)
    log.seal(ref(10))
    assert sealed(log) == [5, 6, 7, 8, 9, 10]


def test_a_held_range_is_appended_only_by_who_settles_the_doubt(log: Log) -> None:
    """Holds the middle of a range of final blocks; the part of the hold behind the range stays."""
    log.hold(Hold(7, 20, "logs are missing"))
    before = everything(log)
    with pytest.raises(Held, match="blocks 7 to 20 are held: logs are missing"):
        log.append_finalized(FIRST_BLOCK, run(9, 9)[0].header, placed(run(5, 9)), "end-header")
    assert everything(log) == before
    log.append_finalized(FIRST_BLOCK, run(9, 9)[0].header, placed(run(5, 9)), "receipts", release=True)
    assert log.holds() == [Hold(10, 20, "logs are missing")]


def test_a_contract_that_begins_in_covered_blocks_is_refused(log: Log) -> None:
    """Adds a contract to a log with a tip: below it is refused, above it is welcome, a known one may come again."""
    log.enrol_contracts([(TOKEN, FIRST_BLOCK)])
    log.extend(None, run(5, 9))
    before = everything(log)
    with pytest.raises(UncoveredContract, match="begins at block 7, and the blocks up to 9 are covered"):
        log.enrol_contracts([(TOKEN, FIRST_BLOCK), (OTHER, 7)])
    assert everything(log) == before
    log.enrol_contracts([(TOKEN, FIRST_BLOCK), (OTHER, 10)])
    log.extend(ref(9), run(10, 12))
    log.enrol_contracts([(TOKEN, FIRST_BLOCK), (OTHER, 10)])


def test_a_log_that_noted_no_contracts_is_taken_to_cover_its_manifest(log: Log) -> None:
    """A log of an older program has a tip and no contracts: those of its manifest are noted as they are."""
    log.extend(None, run(5, 9))
    log.enrol_contracts([(TOKEN, FIRST_BLOCK)])
    with pytest.raises(UncoveredContract):
        log.enrol_contracts([(OTHER, FIRST_BLOCK)])


def test_kinds_are_named_from_weak_to_strong() -> None:
    """Describes evidence in any order, each kind once."""
    given = [speaks(1, 2, EvidenceKind.RECEIPTS), speaks(1, 2, EvidenceKind.END), speaks(1, 1, EvidenceKind.RECEIPTS)]
    assert describe(given) == "end-header+receipts"
