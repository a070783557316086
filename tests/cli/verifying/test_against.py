"""A bundle against a node of the auditor's own: an honest one, ones that lie, lag or refuse, and a forged bundle."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from deepnode_cli.verifying.against import STAGE, against
from deepnode_cli.verifying.chain_windows import windows
from deepnode_cli.verifying.driving import Planned, verify
from deepnode_cli.verifying.finding import Brought, Finding, Outcome, Severity
from deepnode_indexer.devnet.faults import (
    AlterHeaders,
    AlterLogs,
    AlterReceipts,
    BehindHead,
    CapRange,
    ChangeMind,
    Cut,
    DisorderLogs,
    FailCalls,
    FailRequests,
    Fault,
    FaultProxy,
    HideLogs,
    MoveFinality,
    NullBlocks,
    OtherChain,
    TruncateLogs,
    WithoutTimes,
    WrongIds,
)
from deepnode_ledger.batch import from_rows, row_of
from deepnode_ledger.errors import BadInput
from deepnode_ledger.record import BlockRef, ChainLog
from tests.cli.verifying import evidenced
from tests.cli.verifying.evidenced import Row
from tests.conftest import fresh_database
from tests.e2e.commands import deepnode
from tests.e2e.real_parts import Devnet
from tests.ledger.bundle.bundles import VKEY

LOG = "log/000/000/000.arrow"
SECRET = "s3cr3t-key"
WITHOUT_RECEIPTS = AlterReceipts(lie="no-method", when="always")
BLOCKS = tuple(range(30, 36))

Made = tuple[Devnet, Path]


@pytest.fixture(scope="module")
def made(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """A devnet that goes on, and the bundle of its first part."""
    folder = tmp_path_factory.mktemp("against")
    with fresh_database(postgres_url) as url, evidenced.devnet_bundle(url, folder) as (devnet, path):
        yield devnet, path


def compared(path: Path, url: str) -> Outcome:
    """The stage alone, as the verification runs it."""
    return verify(path, [Planned(STAGE, against([url]), is_kept=False)], Brought(against=(url,)))


def lied_to(made: Made, *faults: Fault) -> Outcome:
    devnet, path = made
    with FaultProxy(devnet.node.url, list(faults)) as proxy:
        return compared(path, proxy.url)


def of(outcome: Outcome, severity: Severity) -> list[Finding]:
    return [each for each in outcome.findings if each.severity is severity]


def test_an_honest_node_agrees(made: Made) -> None:
    """Every block and log is compared, and only what was compared is told."""
    outcome = compared(made[1], made[0].node.url)
    [note] = outcome.findings
    [(_, first, last, _)] = outcome.chains
    assert note.severity is Severity.NOTE
    assert f"up to block {last}" in note.said
    assert outcome.stages[0].counted["logs"] == outcome.entries
    assert outcome.stages[0].counted["blocks"] == last - first + 1


def test_a_node_that_hides_logs_is_told_of_by_its_own_receipts(made: Made) -> None:
    """Some logs of six blocks are hidden: a warning each about the node, and the bundle is right."""
    outcome = lied_to(made, HideLogs(blocks=BLOCKS, share=0.5, when="always"))
    warned = of(outcome, Severity.WARNING)
    assert outcome.ok
    assert {each.where for each in warned} <= {f"block 31337:{number}" for number in BLOCKS}
    assert len(warned) >= 3
    assert all("not those of its own receipts" in each.said for each in warned)


@pytest.mark.parametrize(
    "fault",
    [
        AlterLogs(field="data", when="always"),
        AlterLogs(field="address", when="always"),
        AlterLogs(field="topics", when="always"),
        AlterLogs(field="transactionHash", when="always"),
        AlterLogs(field="logIndex", when="always"),
        AlterLogs(field="blockHash", when="always"),
        AlterLogs(field="removed", when="always"),
    ],
    ids=lambda fault: fault.field,
)
def test_a_node_that_alters_logs_never_passes(made: Made, fault: Fault) -> None:
    """Altered logs are found: told of by the receipts, or the answer breaks a rule and is not compared."""
    outcome = lied_to(made, fault)
    assert of(outcome, Severity.WARNING) or of(outcome, Severity.ERROR)


def test_without_receipts_the_contradiction_stands(made: Made) -> None:
    """A node hides logs and has no receipts: the bundle and the node differ, each log is named."""
    outcome = lied_to(made, HideLogs(blocks=BLOCKS, share=0.5, when="always"), WITHOUT_RECEIPTS)
    found = of(outcome, Severity.ERROR)
    assert not outcome.ok
    assert all("was added: the node's logs have no such log" in each.said for each in found)
    assert all(each.positions and "log index" in each.integers for each in found)
    assert {each.where for each in found} <= {f"block 31337:{number}" for number in BLOCKS}


def test_a_forged_amount_is_found_by_an_honest_node(made: Made, tmp_path: Path) -> None:
    """Changes the last word of a log in a bundle whose list still fits."""
    forged = evidenced.copied(made[1], tmp_path / "forged")
    told: Row = {}

    def change(rows: list[Row]) -> None:
        row = next(row for row in rows[200:] if len(row["data"]) >= 32)
        value = int.from_bytes(row["data"][-32:])
        told.update(row, value=value)
        row["data"] = row["data"][:-32] + (value + 1).to_bytes(32)

    evidenced.rewrite(forged, LOG, change)
    [found] = of(compared(forged, made[0].node.url), Severity.ERROR)
    assert found.where == f"block 31337:{told['block_number']}"
    assert found.positions == (told["position"],)
    assert (found.integers["expected"], found.integers["difference"]) == (told["value"], 1)
    assert "the node's receipts have another data" in found.said


def test_a_forged_block_is_found_by_an_honest_node(made: Made, tmp_path: Path) -> None:
    """Changes the hash of one entry's block, and the time of another's."""
    forged = evidenced.copied(made[1], tmp_path / "forged")

    def change(rows: list[Row]) -> None:
        rows[100]["block_hash"] = bytes(32)
        rows[400]["block_time"] += 1

    evidenced.rewrite(forged, LOG, change)
    found = of(compared(forged, made[0].node.url), Severity.ERROR)
    assert {position for each in found for position in each.positions} == {101, 401}


def test_a_node_that_lags_leaves_blocks_uncompared(made: Made) -> None:
    """Its newest final block is behind the bundle's last: a warning with both numbers."""
    outcome = lied_to(made, MoveFinality(blocks=20, when="always"))
    [warned] = of(outcome, Severity.WARNING)
    [(_, _, last, _)] = outcome.chains
    assert "behind the bundle" in warned.said
    assert warned.integers["last block"] == last
    assert warned.integers["newest final"] < last


def test_a_node_that_refuses_long_ranges_is_asked_for_short_ones(made: Made) -> None:
    """Seven blocks a question are all it answers, and times it does not know; nothing but the note comes of it."""
    [note] = lied_to(made, CapRange(blocks=7, when="always"), WithoutTimes(when="always")).findings
    assert note.severity is Severity.NOTE


@pytest.mark.parametrize(
    "fault",
    [
        AlterHeaders(when="always"),
        AlterHeaders(field="receiptsRoot", when="always"),
        BehindHead(blocks=90, when="always"),
        ChangeMind(when="always"),
        Cut(when="always"),
        DisorderLogs(when="always"),
        FailCalls(when="always"),
        FailRequests(status=404, when="always"),
        FailRequests(status=200, when="always"),
        MoveFinality(when="always"),
        NullBlocks(when="always"),
        TruncateLogs(logs=3, when="always"),
        WrongIds(when="always"),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_a_node_that_fails_or_lies_is_no_crash(made: Made, fault: Fault) -> None:
    """Each is a finding, and the stage comes to its end."""
    outcome = lied_to(made, fault)
    assert of(outcome, Severity.WARNING) or of(outcome, Severity.ERROR)
    assert not any("could not be finished" in each.said for each in outcome.findings)


def test_another_chain_is_an_error(made: Made) -> None:
    """The node has another genesis, or another id."""
    [found] = of(lied_to(made, OtherChain(when="always")), Severity.ERROR)
    assert "the manifest" in found.said


def test_nobody_there_is_a_warning_and_no_secret_is_told(made: Made) -> None:
    """The URL has a key in its user, path and query, and none of them is in any word of the outcome."""
    url = f"http://user:{SECRET}@127.0.0.1:9/{SECRET}?key={SECRET}"
    outcome = compared(made[1], url)
    [warned] = of(outcome, Severity.WARNING)
    assert "cannot be compared with" in warned.said
    assert SECRET not in repr(outcome)
    with pytest.raises(BadInput) as refused:
        against([f"{SECRET}.example/key"])
    assert SECRET not in str(refused.value)


def test_windows_have_every_block_once_and_every_entry() -> None:
    """Batches of 7 rows, blocks of up to 5 logs, gaps: windows follow one another, and no block is cut."""
    place = BlockRef(0, bytes(32), 0)
    log = ChainLog(bytes(32), 0, 0, bytes(20), (), b"")
    numbers = sorted([(n * n) % 3_000 for n in range(200)] + [2_500] * 5)
    rows = [
        row_of(position, 1, BlockRef(number, place.hash, 0), log) for position, number in enumerate(numbers, start=1)
    ]
    batches = [from_rows(rows[start : start + 7]) for start in range(0, len(rows), 7)]
    found = list(windows(batches, 1, 0, 9_999))
    assert found[0].first == 0
    assert found[-1].last == 9_999
    assert all(one.last + 1 == other.first for one, other in itertools.pairwise(found))
    assert pa.concat_batches([each.entries for each in found]).column("position").to_pylist() == [*range(1, 206)]
    for each in found:
        own = each.entries.column("block_number").to_pylist()
        assert all(each.first <= number <= each.last for number in own)


def test_the_command_compares_and_keeps_the_key_of_the_url(made: Made, tmp_path: Path) -> None:
    """Runs ``deepnode verify --against`` with a URL that holds a key, and looks for it in all that is written."""
    devnet, path = made
    url = f"{devnet.node.url}/?key={SECRET}"
    reports = [tmp_path / f"report.{kind}" for kind in ("txt", "json", "html")]
    told = [option for each in reports for option in ("--report", str(each))]
    command = ["verify", str(path), "--verifier", VKEY, "--no-replay", "--against", url, *told]
    done = deepnode([*command, "--resume", str(tmp_path / "kept")], {})
    written = [done.stdout, done.stderr, *(each.read_text() for each in reports)]
    assert "the node was compared up to block" in done.stdout
    assert devnet.node.url in done.stdout
    assert not any(SECRET in each for each in written)
