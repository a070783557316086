"""`deepnode doctor` names what is wrong, and only that; what it looks at is real wherever it can be."""

import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner, Result

from deepnode_cli.checks import CHECKS, Looks, NodeLook, Unseen, Verdict
from deepnode_cli.examining import seen
from deepnode_cli.keys import load_signer, make_key
from deepnode_indexer.level import Level
from deepnode_indexer.node_state import Batches, Heights, Identity, Proof
from deepnode_ledger.chain import Chain
from deepnode_ledger.database import url_of
from deepnode_ledger.database_state import DatabaseState, LogLock
from deepnode_ledger.evidence import Evidence, EvidenceKind, Hold, record
from deepnode_ledger.head import Head
from deepnode_ledger.log import Log
from deepnode_ledger.log_state import ChainState, Covered, LogState, ProducersState, gaps_between, look_at_log, merged
from deepnode_ledger.manifest import ChainSpec, Contract, Manifest
from deepnode_ledger.producer_state import Gap, ProducerState
from deepnode_ledger.record import BlockRef
from deepnode_ledger.tables import ROLE, VERSION
from deepnode_ledger.transparency import EMPTY_ROOT, TreeHead, sign_head
from deepnode_projections.books_state import BooksState
from tests.command_line import app
from tests.ledger.histories import CHAIN_ID, GENESIS, TOKEN, opened, run, task

NOW = 1_800_000_000
MANIFEST = Manifest("fake", 1, CHAIN_ID, GENESIS, {TOKEN: Contract("Token", "Nodes", TOKEN, 5, {})}, {})

DATABASE = DatabaseState("18.1", 180001, True, VERSION, "ledger", True, True, 4, 97, None, 0.01, 0.002)
HEIGHTS = Heights(BlockRef(1_000, b"\x01" * 32, NOW), BlockRef(900, b"\x02" * 32, NOW - 200), None, NOW + 2.0)
IDENTITY = Identity(CHAIN_ID, GENESIS)
NODE = NodeLook("1: https://a.example", CHAIN_ID, IDENTITY, HEIGHTS, Batches(64, None), Proof(True, False, None))
CHAIN = ChainState(
    Chain(CHAIN_ID, GENESIS, 5, HEIGHTS.head, HEIGHTS.finalized),
    (Covered(5, 850, "end-header+headers+bloom+receipts"),),
    (),
    (),
    frozenset({TOKEN}),
)
LOG = LogState(Head(50, 40, 2), (CHAIN,))
WELL = Looks(
    DATABASE,
    LOG,
    ProducersState((ProducerState("urn:p", 9, 9),), ()),
    BooksState(50, MANIFEST.digest, CHAIN_ID, True),
    MANIFEST,
    (NODE, replace(NODE, about="2: https://b.example")),
)


def database(**changed: Any) -> Looks:
    return replace(WELL, database=replace(DATABASE, **changed))


def node(**changed: Any) -> Looks:
    return replace(WELL, nodes=(replace(NODE, **changed), NODE))


def log(**changed: Any) -> Looks:
    return replace(WELL, log=LogState(LOG.head, (replace(CHAIN, **changed),)))


def at(head: BlockRef, finalized: BlockRef | None = HEIGHTS.finalized) -> Heights:
    return replace(HEIGHTS, head=head, finalized=finalized, why_not=None if finalized else "null")


def verdicts(looks: Looks) -> dict[str, Verdict]:
    """The worst verdict of each check, but of those that are well or skipped."""
    worst: dict[str, Verdict] = {}
    for check in CHECKS:
        for finding in check(looks):
            if finding.verdict in (Verdict.WARN, Verdict.BAD):
                assert finding.to_do, finding
                worst[finding.check] = max(worst.get(finding.check, finding.verdict), finding.verdict, key=_badness)
    return worst


def _badness(verdict: Verdict) -> int:
    return list(Verdict).index(verdict)


def test_nothing_is_found_where_all_is_well() -> None:
    """Judges a healthy deployment."""
    assert verdicts(WELL) == {}


def test_what_no_setting_names_is_skipped_by_name() -> None:
    """Judges nothing at all: every check must say so, each with a name of its own."""
    found = [finding for check in CHECKS for finding in check(Looks())]
    assert {finding.verdict for finding in found} == {Verdict.SKIPPED}
    assert all("is not given" in finding.says for finding in found)
    assert len({finding.check for finding in found}) == len(CHECKS) == len(found)


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        (database(server_version_num=140009), {"database": Verdict.BAD}),
        (database(is_log_there=False, tables_version=None), {"database-tables": Verdict.WARN}),
        (database(tables_version="0001"), {"database-tables": Verdict.BAD}),
        (database(tables_version="9999"), {"database-tables": Verdict.BAD}),
        (database(is_role_granted=False), {"database-role": Verdict.BAD}),
        (database(is_role_granted=False, tables_version=None), {"database-role": Verdict.BAD}),
        (database(is_role_granted=False, is_role_there=False), {"database-role": Verdict.WARN}),
        (database(connections=80), {"database-connections": Verdict.WARN}),
        (database(connections=97), {"database-connections": Verdict.BAD}),
        (database(lock=LogLock(7, 0.2, 1)), {}),
        (database(lock=LogLock(7, None, 1)), {}),
        (database(lock=LogLock(7, 20.0, 1)), {"database-lock": Verdict.WARN}),
        (database(lock=LogLock(7, 99.0, 1)), {"database-lock": Verdict.BAD}),
        (database(ahead_seconds=-3.0), {"clock-database": Verdict.WARN}),
        (database(ahead_seconds=3.0, round_trip_seconds=4.0), {}),
        (database(ahead_seconds=99.0), {"clock-database": Verdict.BAD}),
        (node(identity=Unseen("away")), {"provider-chain": Verdict.BAD}),
        (node(identity=Identity(1, GENESIS)), {"provider-chain": Verdict.BAD}),
        (node(identity=Identity(CHAIN_ID, None)), {"provider-chain": Verdict.BAD}),
        (node(identity=Identity(CHAIN_ID, bytes(32))), {"provider-chain": Verdict.BAD}),
        (node(heights=Unseen("away")), {"provider-head": Verdict.BAD}),
        (node(heights=replace(HEIGHTS, asked_at_seconds=NOW + 70.0)), {"provider-head": Verdict.WARN}),
        (node(heights=replace(HEIGHTS, asked_at_seconds=NOW + 999.0)), {"provider-head": Verdict.BAD}),
        (node(heights=replace(HEIGHTS, asked_at_seconds=NOW - 20.0)), {"clock-chain": Verdict.WARN}),
        (node(heights=at(HEIGHTS.head, None)), {"provider-finalized": Verdict.BAD}),
        (node(heights=at(HEIGHTS.head, BlockRef(1, bytes(32), NOW - 9_999))), {"provider-finalized": Verdict.WARN}),
        (node(heights=at(BlockRef(989, bytes(32), NOW))), {"provider-lag": Verdict.WARN}),
        (node(batches=Batches(10, "10 are too many")), {"provider-batches": Verdict.WARN}),
        (node(batches=Batches(1, "no batches")), {"provider-batches": Verdict.BAD}),
        (node(batches=Unseen("garbage")), {"provider-batches": Verdict.BAD}),
        (node(proof=Proof(False, True, None)), {"provider-receipts": Verdict.WARN}),
        (node(proof=Proof(False, False, None)), {"provider-receipts": Verdict.WARN}),
        (replace(node(proof=Proof(False, False, None)), level=Level.RECEIPTS), {"provider-receipts": Verdict.BAD}),
        (node(proof=Proof(True, False, "another root")), {"provider-hashes": Verdict.BAD}),
        (replace(node(proof=Proof(True, False, "another root")), level=Level.ENDS), {"provider-hashes": Verdict.WARN}),
        (node(tells_heads=False), {"provider-heads": Verdict.WARN}),
        (node(tells_heads=True), {}),
        (replace(WELL, nodes=(NODE,)), {"providers": Verdict.WARN}),
        (replace(WELL, nodes=()), {"providers": Verdict.BAD}),
        (replace(WELL, wrong_rpc=("--rpc number 3: no URL",)), {"providers": Verdict.BAD}),
        (replace(WELL, manifest=Unseen("no TOML")), {"manifest": Verdict.BAD}),
        (
            replace(WELL, manifest=replace(MANIFEST, others={10: ChainSpec(10, GENESIS)})),
            {"providers": Verdict.BAD, "manifest-log": Verdict.WARN, "manifest-books": Verdict.BAD},
        ),
        (log(chain=replace(CHAIN.chain, genesis_hash=bytes(32))), {"manifest-log": Verdict.BAD}),
        (log(chain=replace(CHAIN.chain, first_block=4)), {"manifest-log": Verdict.BAD, "coverage-gaps": Verdict.BAD}),
        (log(contracts=frozenset({b"\xbb" * 20})), {"manifest-contracts": Verdict.BAD}),
        (log(contracts=frozenset({TOKEN, b"\xbb" * 20})), {"manifest-contracts": Verdict.WARN}),
        (log(contracts=frozenset()), {}),
        (replace(WELL, books=BooksState(50, bytes(32), CHAIN_ID, True)), {"manifest-books": Verdict.BAD}),
        (replace(WELL, books=None), {"books": Verdict.WARN}),
        (replace(WELL, books=BooksState(49, MANIFEST.digest, CHAIN_ID, True)), {}),
        (replace(WELL, books=BooksState(49, MANIFEST.digest, CHAIN_ID, False)), {"books": Verdict.BAD}),
        (replace(WELL, log=replace(LOG, head=Head(99_999, 40, 2))), {"books": Verdict.WARN}),
        (replace(WELL, log=replace(LOG, head=Head(2_000_000, 40, 2))), {"books": Verdict.WARN, "log": Verdict.WARN}),
        (log(chain=replace(CHAIN.chain, tip=None)), {"coverage-tip": Verdict.WARN}),
        (log(chain=replace(CHAIN.chain, tip=BlockRef(900, bytes(32), NOW - 61))), {"coverage-tip": Verdict.WARN}),
        (log(covered=(Covered(5, 9, "receipts"), Covered(11, 850, "receipts"))), {"coverage-gaps": Verdict.BAD}),
        (log(weak=((5, 9), (12, 12))), {"coverage-evidence": Verdict.WARN}),
        (log(holds=(Hold(851, 860, "two differ"),)), {"coverage-holds": Verdict.BAD}),
        (log(covered=(Covered(5, 500, "receipts"),)), {"coverage-sealing": Verdict.WARN}),
        (
            replace(WELL, producers=ProducersState((ProducerState("urn:p", 9, 7),), (Gap("urn:p", 3, 4),))),
            {"producers": Verdict.WARN},
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_found_and_nothing_else(looks: Looks, expected: dict[str, Verdict]) -> None:
    """Judges a healthy deployment with one thing wrong: that check alone must find it, and say what to do."""
    assert verdicts(looks) == expected


def test_gaps_are_the_blocks_between_ranges() -> None:
    """Ranges that touch, overlap, and leave out their start and a middle."""
    covered = [Covered(7, 9, ""), Covered(10, 12, ""), Covered(11, 11, ""), Covered(20, 21, "")]
    assert gaps_between(5, covered) == [(5, 6), (13, 19)]
    assert gaps_between(5, []) == []


@pytest.mark.parametrize(
    ("evidence", "is_weak"),
    [
        ("end-header", True),
        ("end-header+headers", True),
        ("header-continuity", True),
        ("end-header+agreement", False),
        ("end-header+headers+bloom", False),
        ("end-header+headers+receipts", False),
    ],
)
def test_evidence_of_blocks_alone_is_weak(evidence: str, *, is_weak: bool) -> None:
    """Judges what the coverage table may say of a range; runs that touch or overlap are told as one."""
    assert Covered(5, 9, evidence).is_weak is is_weak
    assert merged([(8, 9), (5, 7), (6, 6), (11, 12)]) == [(5, 9), (11, 12)]


def doctor(*arguments: object) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, ["doctor", *map(str, arguments)])


def told(*arguments: object) -> dict[str, dict[str, str]]:
    """What the command says of each check, by its JSON; the exit code must fit."""
    done = doctor("--json", *arguments)
    findings = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.exit_code == int(any(each["verdict"] == "bad" for each in findings)), done.output
    return {each["check"]: each for each in findings}


def test_something_must_be_named() -> None:
    """Runs the command without any setting."""
    assert doctor().exit_code == 2


def test_no_secret_is_told() -> None:
    """A node and a database that are away and a value that is no URL, each with a secret in it; as text and as JSON."""
    settings = ["--rpc", "http://user:hidden1@127.0.0.1:9/v2/hidden2?key=hidden3", "--rpc", "127.0.0.1/hidden4"]
    settings += ["--database", "postgresql://me:hidden5@127.0.0.1:1/ledger", "--timeout", "8"]
    for form in ([], ["--json"]):
        done = doctor(*settings, *form)
        assert done.exit_code == 1
        assert "hidden" not in done.output
        assert "http://127.0.0.1:9" in done.output
        assert "--rpc number 2" in done.output
        assert "no connection can be made" in done.output


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_what_hangs_is_told_in_time(silent: int) -> None:
    """Asks a node, a WebSocket and a database that accept connections and never answer."""
    settings = ["--rpc", f"http://127.0.0.1:{silent}", "--rpc", f"ws://127.0.0.1:{silent}"]
    found = told(*settings, "--database", f"postgresql://me@127.0.0.1:{silent}/ledger", "--timeout", "0.4")
    assert found["database"]["says"] == "there was no answer in 0.4 s"
    assert found["provider-chain"]["says"] == "there was no answer in 0.4 s"
    assert found["provider-heads"]["verdict"] == "warn"


def test_a_failure_that_nobody_expected_is_told_by_its_kind() -> None:
    """Asks a question that fails with a secret in its error."""

    def ask() -> None:
        raise RuntimeError("hidden")

    assert seen(ask) == Unseen("it failed with RuntimeError")


@pytest.fixture
def live(database_url: str) -> Iterator[Log]:
    """A log on a real server: a sealed range, a tail, a hold, and a producer that left a number out."""
    with opened(database_url) as log:
        blocks = run(5, 12)
        log.extend(None, blocks)
        log.accept([task(1), task(3)])
        log.seal(blocks[3].header.block, why="end-header+headers+bloom")
        log.hold(Hold(9, 10, "two providers differ"))
        yield log


def test_a_real_log_is_read(live: Log) -> None:
    """Looks at a real database: its version, role, clock, coverage, hold, producers, and books that are not there."""
    found = told("--database", url_of(live.datastore))
    well = ("database", "database-tables", "database-role", "database-connections", "database-lock", "clock-database")
    assert [found[name]["verdict"] for name in (*well, "log", "coverage-gaps", "coverage-evidence")] == ["ok"] * 9
    assert found["log"]["says"] == "10 entries, 4 of them sealed, 6 waiting"
    assert found["coverage-gaps"]["says"] == "blocks 5 to 8 are sealed without a gap"
    assert found["coverage-holds"]["says"] == "blocks 9 to 10 are held: two providers differ"
    assert "deepnode index repair 9..10 --chain 8453" in found["coverage-holds"]["to_do"]
    assert found["producers"]["says"] == "1 of 3 events never came: 2"
    assert found["books"]["verdict"] == "warn"
    live.release(9, 10)
    assert doctor("--database", url_of(live.datastore)).exit_code == 0
    assert doctor("--database", url_of(live.datastore), "--strict").exit_code == 1


def test_weak_evidence_is_found(live: Log) -> None:
    """Records a sample of receipts of two ranges, then every receipt of a longer range around one of them."""

    def shown(kind: EvidenceKind, first: int, last: int, blocks: int) -> Evidence:
        return Evidence(kind, first, last, blocks, "http://a", 4, bytes(32))

    url = url_of(live.datastore)
    sampled = [shown(EvidenceKind.RECEIPTS, 5, 6, 1), shown(EvidenceKind.RECEIPTS, 7, 8, 1)]
    better = [shown(EvidenceKind.RECEIPTS, 4, 6, 3)]
    for evidence, expected in ((sampled, [(5, 8)]), (better, [(7, 8)])):
        with live.datastore.transaction(commit=True) as cursor:
            record(cursor, CHAIN_ID, evidence)
        assert list(look_at_log(url, timeout_seconds=5).chains[0].weak) == expected
    says = told("--database", url)["coverage-evidence"]
    assert says["says"] == "2 blocks in 1 ranges rest on one provider's word: 7 to 8"


def test_a_held_lock_is_seen(live: Log) -> None:
    """Holds the lock of the log's writers in another connection while the doctor looks."""
    url = url_of(live.datastore)
    with psycopg.connect(url) as holder:
        holder.execute("LOCK TABLE log.sealed IN EXCLUSIVE MODE")
        says = told("--database", url)["database-lock"]["says"]
        assert says.startswith(f"server process {holder.info.backend_pid} holds the log's lock for 0.")


def test_tables_of_another_version_are_told(live: Log) -> None:
    """Writes an older and a newer version into a real log, and looks at a database without one."""
    url = url_of(live.datastore)
    with psycopg.connect(url, autocommit=True) as owner:
        for version, to_do in (("0001", "deepnode log migrate"), ("9999", "upgrade this program")):
            owner.execute("UPDATE log.alembic_version SET version_num = %s", (version,))
            found = told("--database", url)
            assert found["database-tables"]["verdict"] == "bad"
            assert to_do in found["database-tables"]["to_do"]
            assert found["coverage-holds"]["says"] == "see database-tables"
        owner.execute("DROP SCHEMA log CASCADE")
    assert told("--database", url)["database-tables"]["verdict"] == "warn"


def test_a_login_without_the_role_is_told(live: Log) -> None:
    """Logs in as somebody to whom nothing was granted."""
    url = url_of(live.datastore)
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("CREATE ROLE doctors_nobody LOGIN")
        try:
            found = told("--database", psycopg.conninfo.make_conninfo(url, user="doctors_nobody"))
        finally:
            owner.execute("DROP ROLE doctors_nobody")
    assert found["database-role"]["verdict"] == "bad"
    assert found["database-role"]["to_do"].endswith(f"GRANT {ROLE} TO doctors_nobody")


def test_the_key_and_what_it_signed_are_checked(tmp_path: Path) -> None:
    """A key with the right and the wrong mode, no checkpoint, one of the key, one of another key, and garbage."""
    settings = ["--log-key", tmp_path / "log.key", "--log-directory", tmp_path / "log"]
    (tmp_path / "log").mkdir()
    assert told(*settings)["key"]["verdict"] == "bad"
    make_key(tmp_path / "log.key", "log.example/own")
    make_key(tmp_path / "other.key", "log.example/own")
    found = told(*settings)
    assert [found[name]["verdict"] for name in ("key", "key-mode", "checkpoint")] == ["ok", "ok", "warn"]
    head = TreeHead("log.example/own", 0, EMPTY_ROOT)
    for key, verdict in (("log.key", "ok"), ("other.key", "bad")):
        (tmp_path / "log" / "checkpoint").write_text(str(sign_head(head, [load_signer(tmp_path / key)])))
        assert told(*settings)["checkpoint"]["verdict"] == verdict
    assert told("--log-directory", tmp_path / "log")["checkpoint"]["verdict"] == "ok"
    (tmp_path / "log" / "checkpoint").write_text("garbage")
    (tmp_path / "log.key").chmod(0o640)
    found = told(*settings)
    assert [found[name]["verdict"] for name in ("key", "key-mode", "checkpoint")] == ["ok", "bad", "bad"]
    assert found["key-mode"]["to_do"] == f"run: chmod 600 {tmp_path / 'log.key'}"
