"""The whole economy, six domains and three hundred people: books, chain and claims agree at every epoch's end."""

from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest
from psycopg import Connection

from deepnode_cli.proving import proof_file
from deepnode_cli.proving.evidence import from_published
from deepnode_cli.proving.making import Wanted, make_proof
from deepnode_cli.verifying.finding import Severity
from deepnode_cli.verifying.single import verify_file
from deepnode_indexer.devnet.anvil import Anvil
from deepnode_indexer.devnet.artifacts import Interface, load_artifact
from deepnode_indexer.devnet.cast_of_accounts import FULL
from deepnode_indexer.devnet.deployment import deploy
from deepnode_indexer.devnet.economy import Economy
from deepnode_indexer.devnet.json_rpc import JsonRpc
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import load_manifest
from deepnode_ledger.publishing import PublishedFiles
from deepnode_ledger.snapshot import snapshot
from deepnode_ledger.transparency import Verifier
from deepnode_projections.explaining import Asset
from deepnode_projections.projector import connect
from deepnode_projections.recompute import loaded, relations
from deepnode_projections.registers.at import StateAt
from deepnode_projections.replay import Fed, Replay
from deepnode_projections.rules.book import RECORDS
from deepnode_projections.rules.claims import claim_tree
from deepnode_projections.rules.emission import ClaimedTotal
from deepnode_projections.rules.pools import Earned
from deepnode_projections.state_root import state_root
from tests.cli.proving.standard_checker import Checker
from tests.conftest import fresh_database
from tests.e2e.devnet_bundle import FINAL_BLOCKS, publish
from tests.e2e.planted_errors import IN_BOOKS, differing_with, run_with_errors
from tests.e2e.real_parts import Devnet, Ledger, open_ledger
from tests.e2e.test_reconcile import assert_equal, block_of_wrong_root
from tests.ledger.publishing.sealed_history import VKEY

BLOCKS = 170
"""Four epochs of forty blocks."""

PROOFS = 30

EMPTY = {"split_difference", "pool_difference", "correction"}
"""Relations without a row: nothing on the devnet is split, allocated or told otherwise than it should be."""


@pytest.fixture(scope="module")
def full_devnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    """A node with the whole economy, from seed 7."""
    with Anvil.start() as node:
        deployment = deploy(node.url, tmp_path_factory.mktemp("full") / "devnet", FULL)
        yield Devnet(node, deployment, Economy(node.url, deployment, seed=7), load_manifest(deployment.manifest))


@pytest.fixture(scope="module")
def full_ledger(full_devnet: Devnet, postgres_url: str) -> Iterator[Ledger]:
    """A ledger of it, four epochs long."""
    with fresh_database(postgres_url) as url:
        opened = open_ledger(url, full_devnet.node.url, full_devnet.manifest)
        opened.live(full_devnet, BLOCKS)
        yield opened
        opened.close()


def test_books_chain_and_claims_agree_at_every_epochs_end(full_devnet: Devnet, full_ledger: Ledger) -> None:
    """Reconciles at the last block of each epoch; then lets the contract judge a proof of everybody who can claim."""
    with closing(connect(full_ledger.url, "books")) as connection:
        unexplained = connection.execute("SELECT * FROM difference WHERE until IS NULL AND reason = ''").fetchall()
        assert unexplained == []
        assert connection.execute("SELECT kind, reason FROM refusal").fetchall() == []
        ends = [
            int(row["start_block"]) - 1
            for row in connection.execute("SELECT start_block FROM epoch WHERE until IS NULL AND epoch > 1")
        ]
        wrong = block_of_wrong_root(connection) if _has_wrong_root(connection) else BLOCKS * 10
        assert len(ends) > 2
        for block in ends:
            if block < wrong:
                assert assert_equal(full_devnet, full_ledger, block)["balances"] > 300
        accepted = sum(_accepted(full_devnet, connection, token.address) for token in full_devnet.manifest.tokens)
    assert accepted > 50


def test_books_rules_and_kernel_agree_at_every_epochs_end(full_ledger: Ledger) -> None:
    """Replays the log by the rules and by the kernel, and compares roots, refusals and every record with the books."""
    with snapshot(full_ledger.log.datastore) as view:
        batches = list(view.read(1))
    rules, kernel = Replay(full_ledger.manifest, by_definition=True), Replay(full_ledger.manifest, kernel_entries=1)
    told: list[list[Fed]] = [[replay.feed(batch) for batch in batches] for replay in (rules, kernel)]
    ended, by_kernel = ([end for fed in each for end in fed.ended] for each in told)
    refused = [[refusal for fed in each for refusal in fed.refused] for each in told]
    assert kernel.root() == rules.root()
    assert by_kernel == ended
    assert refused[1] == refused[0]
    assert len(ended) >= 4
    for kind in RECORDS:
        assert kernel.records(kind) == rules.records(kind), kind
    with closing(connect(full_ledger.url, "books")) as connection:
        assert state_root(connection, rules.position) == rules.root()
        assert [state_root(connection, end.position) for end in ended] == [end.root for end in ended]
        found = connection.execute("SELECT position, reason FROM refusal ORDER BY position").fetchall()
    assert [(row["position"], row["reason"]) for row in found] == [(each.position, each.reason) for each in refused[0]]


def test_books_and_sql_agree_and_each_shows_an_error_in_the_other(full_ledger: Ledger) -> None:
    """Recomputes the books in SQL, step by step, each also with an error of one unit; then plants some in the books.

    Without an error every row is equal; with one the SQL's differ, and of the books' exactly the row that was changed.
    """
    with (
        closing(connect(full_ledger.url, "books")) as connection,
        loaded(connection, full_ledger.manifest) as begun,
    ):
        shown = run_with_errors(begun)
        assert len(shown) >= 10
        assert [planted for planted, differing in shown.items() if not differing] == []
        everything = [relation.compare(begun.cursor) for relation in relations()]
        assert [value for each in everything for value in each.values] == []
        assert all(each.differing == 0 for each in everything)
        assert {each.relation for each in everything if not each.rows} <= EMPTY
        for planted in IN_BOOKS:
            found = differing_with(begun, planted)
            assert (found.differing, len(found.values)) == (1, 1), planted
            [value] = found.values
            assert value.books is not None
            assert value.recomputed is not None
            assert int(value.books) - int(value.recomputed) == 1, planted


def test_the_script_of_the_docs_agrees_with_the_books(full_devnet: Devnet, full_ledger: Ledger, tmp_path: Path) -> None:
    """Makes proofs of what thirty of the earners have earned, which our program and the script both do again."""
    assert _agreed(full_devnet, full_ledger, tmp_path, PROOFS) == PROOFS


@pytest.mark.soak
def test_the_script_of_the_docs_agrees_with_the_books_of_everybody(
    full_devnet: Devnet, full_ledger: Ledger, tmp_path: Path
) -> None:
    """Makes the proofs of everything that anybody has earned."""
    assert _agreed(full_devnet, full_ledger, tmp_path, None) > 500


def _agreed(devnet: Devnet, ledger: Ledger, folder: Path, count: int | None) -> int:
    """Let both verifiers do amounts again, of some or of all; return how many that were."""
    devnet.node.mine(FINAL_BLOCKS)
    ledger.sync()
    publish(ledger, folder / "published")
    prove, check = cache(from_published(PublishedFiles(folder / "published"))), Checker()
    assets = {
        each.address: Asset(each.address, each.symbol or "", each.decimals or 0) for each in devnet.manifest.tokens
    }
    with closing(connect(ledger.url, "books")) as connection, connection.transaction():
        past = StateAt(connection, ledger.projector.catch_up().position)
        earned = past.every(Earned)
        chosen = earned if count is None else Random(7).sample(earned, count)
        assert len({each.epoch for each in chosen}) > 2
        for each in chosen:
            wanted = Wanted(each.earner, assets[each.asset], each.epoch)
            path = folder / "proof.json"
            path.write_bytes(proof_file.write(make_proof(past, devnet.manifest, wanted, prove, None)))
            found = verify_file(path, bundle=None, verifiers=[Verifier.parse(VKEY)])
            assert [wrong for wrong in found if wrong.severity is Severity.ERROR] == []
            verdict = check(VKEY, path)
            assert verdict.accepted, (each, verdict.last)
            assert f"has earned {each.amount} base units" in verdict.last
    return len(chosen)


def _has_wrong_root(connection: Connection[Any]) -> bool:
    return connection.execute("SELECT FROM difference WHERE subject = 'RootSubmitted'").fetchone() is not None


def _accepted(devnet: Devnet, connection: Connection[Any], asset: bytes) -> int:
    """Call ``claim`` for all whom the root in force gives more than was paid; return how many proofs were good."""
    rewards, interface = devnet.manifest.by_name("Rewards"), Interface(load_artifact("Rewards").abi)
    rpc = JsonRpc(devnet.node.url)
    position = connection.execute("SELECT position FROM checkpoint").fetchone()
    assert position is not None
    state = StateAt(connection, position["position"])
    asked = {"to": to_hex(rewards.address), "data": interface.call_data("inForce", to_hex(asset))}
    told = rpc.call("eth_call", asked, "latest")
    # The root, its total, its epoch …: a word each.
    epoch = int(told[2 + 2 * 64 : 2 + 3 * 64], 16)
    accepted = 0
    tree = claim_tree(state, asset, epoch)
    for each in tree.entitlements:
        paid = state.get(ClaimedTotal, each.earner, asset)
        if paid is not None and paid.amount >= each.cumulative:
            continue
        data = interface.call_data(
            "claim", epoch, to_hex(each.earner), to_hex(asset), each.cumulative, list(tree.proof(each))
        )
        rpc.call("eth_call", {"to": to_hex(rewards.address), "data": data}, "latest")
        accepted += 1
    return accepted
