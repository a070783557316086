"""`deepnode doctor` before a real node, behind real faults, with a real log, books and published files."""

import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from typer.testing import CliRunner

from deepnode_cli.keys import load_signer, make_key
from deepnode_indexer.devnet.faults import (
    AlterHeaders,
    AlterReceipts,
    BehindHead,
    Fault,
    FaultProxy,
    MoveFinality,
    OtherChain,
    RateLimit,
)
from deepnode_ledger.evidence import Hold
from deepnode_ledger.publishing import Publisher
from tests.command_line import app
from tests.e2e.real_parts import Devnet, Ledger

FAULTS: dict[str, tuple[Fault, str]] = {
    "another chain": (OtherChain(chain_id=1), "provider-chain"),
    "20 blocks behind": (BehindHead(blocks=20), "provider-lag"),
    "no finalized tag": (MoveFinality(blocks=None), "provider-finalized"),
    "no receipts": (AlterReceipts(lie="no-method"), "provider-receipts"),
    "a header changed": (AlterHeaders(field="gasUsed"), "provider-hashes"),
    "limited": (RateLimit(style="http"), "provider-chain"),
}
"""What is wrong with a provider, and the check that must find it; nothing may be found of a provider without faults."""


def findings(*settings: object) -> tuple[int, list[dict[str, str]]]:
    """Run the doctor; return its exit code and what it found amiss."""
    done = CliRunner().invoke(app, ["doctor", "--json", *map(str, settings)])
    told = [json.loads(line) for line in done.stdout.splitlines()]
    return done.exit_code, [each for each in told if each["verdict"] in ("warn", "bad")]


def test_the_doctor_finds_what_is_wrong_with_real_parts(devnet: Devnet, ledger: Ledger, tmp_path: Path) -> None:
    """Checks a healthy ledger of a real chain by two providers, then one with a hold, old books and a readable key."""
    ledger.take_in(devnet.play(120))
    ledger.sync()
    ledger.log.enrol_contracts([(each.address, each.start_block) for each in devnet.manifest.on(31337)])
    make_key(tmp_path / "log.key", "log.example/devnet")
    with Publisher(ledger.url, tmp_path / "log", load_signer(tmp_path / "log.key")) as publisher:
        while publisher.publish() is not None:
            pass
    web_socket = devnet.node.url.replace("http://", "ws://")
    settings = ["--database", ledger.url, "--manifest", devnet.deployment.manifest]
    settings += ["--rpc", devnet.node.url, "--rpc", web_socket]
    settings += ["--log-key", tmp_path / "log.key", "--log-directory", tmp_path / "log"]
    assert findings(*settings) == (0, [])
    devnet.play(3)
    for _ in ledger.follower.sync():
        pass
    ledger.projector.close()
    ledger.log.hold(Hold(110, 112, "two providers differ"))
    (tmp_path / "log.key").chmod(0o644)
    code, found = findings(*settings)
    assert code == 1
    assert [each["check"] for each in found] == ["coverage-holds", "books", "key-mode"]


def test_the_doctor_finds_what_is_wrong_with_a_provider(devnet: Devnet) -> None:
    """Puts proxies with a fault each before the node: each is found by its check, the honest providers stay clean."""
    devnet.play(80)
    settings: list[object] = ["--manifest", devnet.deployment.manifest, "--rpc", devnet.node.url]
    expected: dict[str, list[str]] = {}
    with ExitStack() as stack:
        enter: Callable[[FaultProxy], FaultProxy] = stack.enter_context
        for fault, check in FAULTS.values():
            url = enter(FaultProxy(devnet.node.url, [fault])).url
            settings += ["--rpc", url]
            expected[url] = [check]
        code, found = findings(*settings)
    assert code == 1
    told = {url: [each["check"] for each in found if each["about"].split()[1] == url] for url in expected}
    assert told == expected, found
