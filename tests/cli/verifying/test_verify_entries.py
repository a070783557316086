"""The stages of the entries and of the statements where a log has more than one file: what one file cannot tell.

A bundle is written whose hashes all fit, so nothing but the rule in question can be broken.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from deepnode_cli.verifying.driving import verify
from deepnode_cli.verifying.finding import Brought, Finding, Outcome, Severity
from deepnode_cli.verifying.stages import stages
from deepnode_ledger.batch import Row, row_of
from deepnode_ledger.record import ChainLog
from tests.cli.verifying.long_log import BORDER, PRODUCER, block, entries_of, log_row, task_row, write
from tests.ledger.histories import CHAIN_ID, FIRST_BLOCK, TOKEN

LAST_BLOCK = FIRST_BLOCK + (BORDER - 1) // 2
"""The block of the last entry of the first file: it ends there."""


def looked(path: Path, *names: str, jobs: int = 1) -> Outcome:
    """Run some stages."""
    planned = [each for each in stages(Brought()) if each.name in names]
    return verify(path, planned, Brought(), jobs=jobs)


def found(tmp_path: Path, others: Mapping[int, Row], stage: str = "entries") -> list[Finding]:
    """Errors and notes of a log of a file and a half hundred entries, some of which are others."""
    return list(looked(write(tmp_path / "bundle", entries_of(BORDER + 50, others)), stage).findings)


@pytest.mark.parametrize("entries", [BORDER, BORDER + 300])
def test_files_make_one_tree(entries: int, tmp_path: Path) -> None:
    """A whole file, and more than a tile more: the root that is made at once is that of the parts."""
    path = write(tmp_path / "bundle", entries_of(entries))
    outcome = looked(path, "files", "entries", "statements")
    assert outcome.ok, outcome.findings
    [counted] = [stage.counted for stage in outcome.stages if stage.name == "entries"]
    assert counted["entries"] == entries
    tiles = [each for each in (path / "tile").rglob("*") if each.is_file()]
    assert counted["tiles"] == len(tiles), "each is compared once"


def test_two_workers_look_at_two_files_in_order(tmp_path: Path) -> None:
    """With two processes: a tile of each file and one above both are changed, and told in the order of the log."""
    path = write(tmp_path / "bundle", entries_of(BORDER + 300))
    for name in ("tile/0/007", "tile/0/257.p/44", "tile/2/000.p/1"):
        data = bytearray((path / name).read_bytes())
        data[33 if len(data) > 33 else 3] ^= 1
        (path / name).write_bytes(data)
    outcome = looked(path, "entries", jobs=2)
    assert [each.where for each in outcome.findings] == ["tile/0/007", "tile/0/257.p/44", "tile/2/000.p/1"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (log_row(BORDER + 1, LAST_BLOCK, 1), "comes twice"),
        (log_row(BORDER + 1, LAST_BLOCK, 0), "stands behind 1"),
        (log_row(BORDER + 1, LAST_BLOCK - 3, 5), "block_number must not go down"),
    ],
)
def test_the_order_holds_across_the_border(row: Row, said: str, tmp_path: Path) -> None:
    """The second file begins with a log that the first one ended with, or that belongs before it."""
    errors = [each for each in found(tmp_path, {BORDER + 1: row}) if each.severity == Severity.ERROR]
    assert {each.where for each in errors} == {f"position {BORDER + 1}"}
    assert any(said in each.said for each in errors)
    assert all(each.positions == (BORDER, BORDER + 1) for each in errors)


def test_a_block_has_one_hash_across_the_border_and_a_hash_one_block(tmp_path: Path) -> None:
    """The second file gives the first one's last block another hash; or gives its hash to another block."""
    log = ChainLog(b"\x05" * 32, 2, 2, TOKEN, (), b"\x01")
    other = replace(block(LAST_BLOCK), hash=b"\x09" * 32)
    same = replace(block(LAST_BLOCK + 1), hash=block(LAST_BLOCK).hash)
    for number, place in enumerate((other, same)):
        row = row_of(BORDER + 1, CHAIN_ID, place, log)
        errors = [each for each in found(tmp_path / str(number), {BORDER + 1: row}) if each.severity == Severity.ERROR]
        assert f"position {BORDER + 1}" in {each.where for each in errors}


def test_an_id_and_a_number_stand_once_in_all_files(tmp_path: Path) -> None:
    """One id and one number in both files, each with a right signature; a gap is a note with its numbers."""
    first, second = FIRST_BLOCK + (BORDER - 7) // 2, LAST_BLOCK + 10
    others = {
        BORDER - 6: task_row(BORDER - 6, first, "e1", 1),
        BORDER - 4: task_row(BORDER - 4, first + 1, "e2", 2),
        BORDER + 20: task_row(BORDER + 20, second, "e1", 7),
        BORDER + 22: task_row(BORDER + 22, second + 1, "e9", 2),
    }
    findings = found(tmp_path, others, "statements")
    errors = [(each.where, each.positions) for each in findings if each.severity == Severity.ERROR]
    assert sorted(errors) == [
        (f"position {BORDER + 20}", (BORDER - 6, BORDER + 20)),
        (f"position {BORDER + 22}", (BORDER - 4, BORDER + 22)),
    ]
    [gap] = [each for each in findings if each.severity == Severity.NOTE]
    assert (gap.where, gap.integers) == (f"producer {PRODUCER}", {"first": 3, "last": 6})


def test_what_is_filed_beside_a_statement_is_what_it_says(tmp_path: Path) -> None:
    """Genuine signatures, filed under another id, number, type or chain: each is named with both values."""
    row = list(task_row(9, FIRST_BLOCK + 4, "e1", 1))
    for number, (column, value) in enumerate([(16, "e2"), (17, 2), (18, "TaskClosed"), (2, CHAIN_ID + 1)]):
        changed = tuple(value if at == column else cell for at, cell in enumerate(row))
        path = write(tmp_path / str(number), entries_of(20, {9: changed}))
        errors = [each for each in looked(path, "statements").findings if each.severity == Severity.ERROR]
        assert [each.where for each in errors] == ["position 9"]
        assert str(value) in errors[0].said
