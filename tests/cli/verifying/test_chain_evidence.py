"""The chain's evidence in a bundle: the untouched one passes, and each change is found at its block and log.

Every change is followed by a new list with the right hashes, so that no hash of a file gives it away.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from deepnode_cli.verifying.block_evidence import Checked
from deepnode_cli.verifying.finding import Brought, Finding, Outcome, Severity
from deepnode_cli.verifying.logs_compared import error
from deepnode_indexer.devnet.faults import AlterReceipts, FaultProxy, HideLogs
from deepnode_ledger.bundle import contents
from deepnode_ledger.errors import BadInput, TryAgain
from deepnode_ledger.hexadecimal import from_hex, to_hex
from tests.cli.verifying import evidenced
from tests.cli.verifying.evidenced import Row, busy, flipped, log_row, renumbered
from tests.conftest import fresh_database
from tests.e2e.real_parts import Devnet

HEADERS = "evidence/headers-000000.arrow"
RECEIPTS = "evidence/receipts-000000.arrow"
LOG = "log/000/000/000.arrow"

Made = tuple[Devnet, Path, str]


@pytest.fixture(scope="module")
def made(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """A devnet, the bundle of it, and the database of its log."""
    folder = tmp_path_factory.mktemp("evidenced")
    with fresh_database(postgres_url) as url, evidenced.devnet_bundle(url, folder) as (devnet, path):
        yield devnet, path, url


@pytest.fixture
def bundle(made: Made, tmp_path: Path) -> Path:
    """A copy of the bundle to change."""
    return evidenced.copied(made[1], tmp_path / "bundle")


def errors(outcome: Outcome) -> list[Finding]:
    return [each for each in outcome.findings if each.severity is Severity.ERROR]


def only_error(path: Path) -> Finding:
    [found] = errors(evidenced.examined(path))
    return found


def test_an_untouched_bundle_is_shown_to_be_the_chain(made: Made) -> None:
    """Looks at everything, and tells the one hash that everything hangs by."""
    outcome = evidenced.examined(made[1])
    [note] = outcome.findings
    assert outcome.ok
    assert "compare this hash with any explorer" in note.said
    [stage] = outcome.stages
    [(_, first, last, last_hash)] = outcome.chains
    assert note.where == f"block 31337:{last}"
    assert last_hash in note.said
    assert stage.counted["headers"] == last - first + 1
    by_receipts, by_blooms = (stage.counted[f"blocks shown by their {each}"] for each in ("receipts", "blooms"))
    assert by_receipts + by_blooms == last - first + 1
    assert by_blooms > 0
    assert stage.counted["logs"] == outcome.entries


def test_the_pieces_can_be_looked_at_by_other_processes(made: Made) -> None:
    """Two processes give the same findings and the same counts as one."""
    one, two = evidenced.examined(made[1]), evidenced.examined(made[1], jobs=2)
    assert two.findings == one.findings
    assert two.stages[0].counted == one.stages[0].counted


def test_what_a_piece_came_to_can_be_kept() -> None:
    """A verification that goes on reads results back: integers of 256 bits and hashes are the same."""
    said = error("block 1:2", "altered", (7,), expected=2**256 - 1)
    result = Checked(bytes(32), b"", 1, 2, 3, 4, 5, (said,))
    assert msgspec.json.decode(msgspec.json.encode(result), type=Checked) == result
    assert said.finding("chain evidence").integers == {"expected": 2**256 - 1}


def test_a_hash_that_the_auditor_brings_is_compared(made: Made) -> None:
    """The chain's own hash is confirmed, and another one is an error."""
    [(chain_id, _, _, last_hash)] = evidenced.examined(made[1]).chains
    right = evidenced.examined(made[1], Brought(blocks={chain_id: from_hex(last_hash, 32)}))
    wrong = evidenced.examined(made[1], Brought(blocks={chain_id: bytes(32)}))
    assert "has the hash that was brought" in right.findings[0].said
    assert "is the hash that was brought" in errors(wrong)[0].said


def change_header(name: str, change: Callable[[Any], Any]) -> Callable[[list[Row]], None]:
    def apply(rows: list[Row]) -> None:
        rows[30][name] = change(rows[30][name])

    return apply


@pytest.mark.parametrize(
    ("change", "block", "said"),
    [
        (change_header("rlp", flipped), 31, "hashes to"),
        (change_header("rlp", lambda rlp: rlp[:-1]), 31, "cannot be read"),
        (change_header("rlp", lambda rlp: rlp + b"\0"), 31, "cannot be read"),
        (change_header("hash", flipped), 31, "hashes to"),
        (change_header("number", lambda _: 77), 77, "stands where block 31"),
        (change_header("chain_id", lambda _: 1), 31, "of chain 1 stands where"),
        (lambda rows: rows.pop(30), 31, "the headers of blocks 31 to 31 are missing"),
        (lambda rows: rows.insert(30, rows[29]), 30, "stands where block 31"),
        (lambda rows: rows[30:32].reverse() or [*rows[:30], rows[31], rows[30], *rows[32:]], 31, "blocks 31 to 31"),
        (lambda rows: rows[:-1], None, "are missing"),
        (lambda rows: rows.clear(), 1, "are missing"),
    ],
)
def test_a_changed_header_is_found_at_its_block(
    bundle: Path, change: Callable[[list[Row]], Any], block: int | None, said: str
) -> None:
    """Changes, drops, doubles and exchanges headers."""
    evidenced.rewrite(bundle, HEADERS, change)
    found = errors(evidenced.examined(bundle))
    assert found
    assert any(said in each.said for each in found), found
    assert block is None or any(each.where == f"block 31337:{block}" for each in found), found


def change_receipt(name: str, change: Callable[[Any], Any]) -> Callable[[list[Row]], None]:
    def apply(rows: list[Row]) -> None:
        rows[busy(rows)][name] = change(rows[busy(rows)][name])

    return apply


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (change_receipt("receipt", flipped), "have the root"),
        (change_receipt("receipt", lambda _: b""), "is empty"),
        (change_receipt("index", lambda index: index + 1), "is kept as receipt"),
        (change_receipt("transaction_hash", flipped), "another transaction hash"),
        (lambda rows: rows.pop(busy(rows)), "have the root"),
        (lambda rows: rows.insert(busy(rows), rows[busy(rows)]), "have the root"),
        (lambda rows: [each for each in rows if each["number"] != rows[busy(rows)]["number"]], "lacks its receipts"),
    ],
)
def test_a_changed_receipt_is_found_at_its_block(bundle: Path, change: Callable[[list[Row]], Any], said: str) -> None:
    """Changes, drops and doubles receipts; without those of a block its logs are shown by nothing."""
    blocks = []

    def noted(rows: list[Row]) -> Any:
        blocks.append(rows[busy(rows)]["number"])
        return change(rows)

    evidenced.rewrite(bundle, RECEIPTS, noted)
    found = errors(evidenced.examined(bundle))
    assert any(said in each.said and each.where == f"block 31337:{blocks[0]}" for each in found), found


def test_an_altered_amount_is_found_with_both_integers(bundle: Path) -> None:
    """Adds 2 to the last word of a log's data: the block, the log, the position and the difference are named."""
    told: Row = {}

    def change(rows: list[Row]) -> None:
        row = rows[log_row(rows, 5)]
        value = int.from_bytes(row["data"][-32:])
        row["data"] = row["data"][:-32] + (value + 2).to_bytes(32)
        told.update(row, before=value, word=len(row["data"]) // 32 - 1)

    evidenced.rewrite(bundle, LOG, change)
    found = only_error(bundle)
    assert found.where == f"block 31337:{told['block_number']}"
    assert found.positions == (told["position"],)
    assert found.integers == {
        "log index": told["log_index"],
        "word": told["word"],
        "expected": told["before"],
        "found": told["before"] + 2,
        "difference": 2,
    }


@pytest.mark.parametrize("name", ["address", "topic0", "transaction_hash", "transaction_index", "log_index"])
def test_an_altered_field_of_a_log_is_found(bundle: Path, name: str) -> None:
    """Changes one field of an entry."""
    positions = []

    def change(rows: list[Row]) -> None:
        row = rows[log_row(rows, 7)]
        row[name] = row[name] + 40_000 if isinstance(row[name], int) else flipped(row[name])
        positions.append(row["position"])

    evidenced.rewrite(bundle, LOG, change)
    assert positions[0] in {position for each in errors(evidenced.examined(bundle)) for position in each.positions}


@pytest.mark.parametrize(("name", "change"), [("block_hash", flipped), ("block_time", lambda time: time + 1)])
def test_an_entry_under_another_block_is_found(bundle: Path, name: str, change: Callable[[Any], Any]) -> None:
    """Changes hash or time of one entry's block."""
    told: Row = {}

    def apply(rows: list[Row]) -> None:
        row = rows[log_row(rows, 3)]
        row[name] = change(row[name])
        told.update(row)

    evidenced.rewrite(bundle, LOG, apply)
    found = only_error(bundle)
    assert found.where == f"block 31337:{told['block_number']}"
    assert found.positions == (told["position"],)


def test_a_dropped_log_is_found(bundle: Path) -> None:
    """Leaves one entry out and closes the gap in the positions."""
    told: Row = {}

    def drop(rows: list[Row]) -> list[Row]:
        told.update(rows.pop(log_row(rows, 9)))
        return renumbered(rows)

    evidenced.rewrite(bundle, LOG, drop)
    evidenced.shorten(bundle, 1)
    found = only_error(bundle)
    assert f"log {told['log_index']} of block {told['block_number']}" in found.said
    assert "is missing" in found.said


def test_a_log_too_many_is_found(bundle: Path) -> None:
    """Doubles one entry, and puts another one in that the chain does not have; two others make room."""
    told: list[Row] = []

    def add(rows: list[Row]) -> list[Row]:
        doubled = rows[log_row(rows, 4)]
        forged = {**doubled, "log_index": doubled["log_index"] + 7_000}
        rows.insert(log_row(rows, 4) + 1, forged)
        rows.insert(log_row(rows, 4) + 1, dict(doubled))
        told.extend([doubled, forged])
        return renumbered(rows[:-2])

    evidenced.rewrite(bundle, LOG, add)
    found = errors(evidenced.examined(bundle))
    assert any(
        "is in the log twice" in each.said and each.integers["log index"] == told[0]["log_index"] for each in found
    )
    assert any("was added" in each.said and each.integers["log index"] == told[1]["log_index"] for each in found)


def test_exchanged_logs_are_found(bundle: Path) -> None:
    """Exchanges two logs of a block."""
    told: list[int] = []

    def exchange(rows: list[Row]) -> list[Row]:
        row = log_row(rows, 2)
        told.extend([row + 1, row + 2])
        return renumbered([*rows[:row], rows[row + 1], rows[row], *rows[row + 2 :]])

    evidenced.rewrite(bundle, LOG, exchange)
    found = only_error(bundle)
    assert "stands behind log" in found.said
    assert found.positions == (told[1],)


def test_all_logs_of_a_block_that_are_dropped_with_its_receipts_are_found_by_the_bloom(bundle: Path) -> None:
    """Nothing in the bundle speaks of them any more but the header of their block."""
    told: list[int] = []

    def drop(rows: list[Row]) -> list[Row]:
        told.append(rows[log_row(rows, 8)]["block_number"])
        kept = [row for row in rows if row["block_number"] != told[0]]
        told.append(len(rows) - len(kept))
        return renumbered(kept)

    evidenced.rewrite(bundle, LOG, drop)
    evidenced.shorten(bundle, told[1])
    evidenced.rewrite(bundle, RECEIPTS, lambda rows: [row for row in rows if row["number"] != told[0]])
    found = only_error(bundle)
    assert found.where == f"block 31337:{told[0]}"
    assert "the bloom of block" in found.said


def test_a_bundle_may_end_within_a_block_only_if_the_log_goes_on(bundle: Path) -> None:
    """Drops the last log: a note where more entries are signed, and an error where the signed ones are all there."""
    evidenced.rewrite(bundle, LOG, lambda rows: rows[:-1])
    evidenced.shorten(bundle, 1)
    assert "is missing" in only_error(bundle).said
    listed = contents.decode((bundle / "bundle.json").read_bytes())
    evidenced.relist(bundle, checkpoint_size=listed.entries + 1)
    outcome = evidenced.examined(bundle)
    assert outcome.ok
    assert any("the bundle ends within block" in each.said for each in outcome.findings)


def test_missing_and_unexpected_files_are_found(bundle: Path) -> None:
    """Takes the receipts away, and puts headers of no block there."""
    (bundle / RECEIPTS).rename(bundle / "evidence/receipts-000009.arrow")
    evidenced.relist(bundle, added=("evidence/receipts-000009.arrow",))
    said = [each.said for each in errors(evidenced.examined(bundle))]
    assert any(f"{RECEIPTS} is missing" in each for each in said), said
    assert any("receipts-000009.arrow is there" in each for each in said), said


def test_files_that_are_none_of_arrow_are_found(bundle: Path) -> None:
    """Cuts one off and fills the other with noise."""
    (bundle / HEADERS).write_bytes((bundle / HEADERS).read_bytes()[:-7])
    (bundle / RECEIPTS).write_bytes(os.urandom(5_000))
    evidenced.relist(bundle)
    wheres = {each.where for each in errors(evidenced.examined(bundle))}
    assert {HEADERS, RECEIPTS} <= wheres


def test_the_last_hash_of_the_list_must_be_the_last_header_s(bundle: Path) -> None:
    """Changes it in bundle.json."""
    listed = contents.decode((bundle / "bundle.json").read_bytes())
    [chain] = listed.chains
    other = contents.ChainPart(
        chain.chain_id, chain.genesis_hash, chain.first_block, chain.last_block, to_hex(bytes(32))
    )
    evidenced.relist(bundle, chains=(other,))
    assert "bundle.json says" in only_error(bundle).said


def test_a_bundle_without_evidence_is_told_of(bundle: Path) -> None:
    """It may have none, and what that means is a note with the number of blocks."""
    for name in (HEADERS, RECEIPTS):
        (bundle / name).unlink()
    evidenced.relist(bundle)
    outcome = evidenced.examined(bundle)
    [note] = outcome.findings
    assert outcome.ok
    assert note.integers["blocks"] == outcome.chains[0][2] - outcome.chains[0][1] + 1


def test_gathering_again_keeps_what_is_right_and_gives_the_same_bytes(made: Made, tmp_path: Path) -> None:
    """Damages one file and gathers again: the other one is not written, and both are as they were."""
    devnet, path, url = made
    again = evidenced.copied(path, tmp_path / "again")
    before = {name: (again / name).read_bytes() for name in (HEADERS, RECEIPTS)}
    (again / RECEIPTS).write_bytes(b"cut off")
    inode = (again / HEADERS).stat().st_ino
    entries = contents.decode((path / "bundle.json").read_bytes()).entries
    evidenced.make(url, again, devnet.deployment.manifest, entries, {devnet.manifest.chain_id: devnet.node.url})
    assert {name: (again / name).read_bytes() for name in (HEADERS, RECEIPTS)} == before
    assert (again / HEADERS).stat().st_ino == inode


def test_a_node_that_lies_gives_no_evidence(made: Made, tmp_path: Path) -> None:
    """One hides logs in its receipts as well, one alters them: neither makes a file of receipts."""
    devnet, path, url = made
    entries = contents.decode((path / "bundle.json").read_bytes()).entries
    lies = [HideLogs(blocks=tuple(range(20, 40)), receipts=True, when="always"), AlterReceipts(when="always")]
    for number, lie in enumerate(lies):
        to = tmp_path / f"{number}"
        with FaultProxy(devnet.node.url, [lie]) as proxy:
            nodes = {devnet.manifest.chain_id: proxy.url}
            with pytest.raises((TryAgain, BadInput)):
                evidenced.make(url, to, devnet.deployment.manifest, entries, nodes)
        assert not (to / RECEIPTS).exists()
        assert not (to / "bundle.json").exists()


def test_the_check_by_hand_of_the_docs_prints_the_last_hash(made: Made, bundle: Path, tmp_path: Path) -> None:
    """Runs the code of docs/verify.md as it stands there, on the bundle and on one whose header was changed."""
    page = (Path(__file__).parents[3] / "docs" / "verify.md").read_text()
    script = tmp_path / "headers.py"
    script.write_text(page.split("```python\n", 1)[1].split("```", 1)[0])
    command = [sys.executable, str(script)]
    done = subprocess.run([*command, str(made[1])], capture_output=True, text=True, check=True)
    [(chain_id, _, _, last_hash)] = evidenced.examined(made[1]).chains
    assert done.stdout == f"{chain_id} {last_hash}\n"
    evidenced.rewrite(bundle, HEADERS, change_header("rlp", flipped))
    refused = subprocess.run([*command, str(bundle)], capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "AssertionError: 31" in refused.stderr
