"""`deepnode explain` on a real chain: every amount is led back to what made it, and adds up."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from starlette.testclient import TestClient

from deepnode_graphql.app import make_app
from deepnode_graphql.explanations import PLACES_MAX
from deepnode_ledger.manifest import load_manifest
from deepnode_ledger.snapshot import Snapshot
from deepnode_projections.explaining import (
    Asset,
    NothingToExplain,
    as_text,
    explain_reward,
    explain_split,
    log_places,
    receipts,
)
from deepnode_projections.explaining.past import span_of
from deepnode_projections.explaining.rewards import line_of
from deepnode_projections.projector import connect
from deepnode_projections.registers.at import StateAt
from deepnode_projections.registers.record import key_of
from deepnode_projections.rules.comparisons import Checked
from deepnode_projections.rules.pools import Earned, Reward
from deepnode_projections.rules.revenue import SETTLED, Receipt
from deepnode_projections.rules.tasks import Slot
from tests.e2e.commands import deepnode
from tests.e2e.explain_page import BLOCKS, EPOCH, PAGE, page
from tests.e2e.real_parts import Devnet, Ledger


@contextmanager
def books(ledger: Ledger) -> Iterator[tuple[StateAt, dict[bytes, Asset]]]:
    with closing(connect(ledger.url, "books")) as connection, connection.transaction():
        rows = connection.execute("SELECT address, symbol, decimals FROM asset ORDER BY asset_id").fetchall()
        assets = {bytes(row["address"]): Asset(bytes(row["address"]), row["symbol"], row["decimals"]) for row in rows}
        yield StateAt(connection, ledger.projector.catch_up().position), assets


def test_every_amount_is_explained(devnet: Devnet, ledger: Ledger) -> None:
    """Explains every reward of an epoch and every payment: all add up; the page of the docs comes out again."""
    ledger.live(devnet, BLOCKS)
    with books(ledger) as (past, assets):
        roles = Counter[str]()
        for line in past.every(Reward, EPOCH):
            told = line_of(past, assets[line.asset], line)
            assert told.holds, told.title
            assert told.amount == line.amount
            assert told.positions, told.title
            roles[line.role] += 1
        assert set(roles) == {
            *("miner", "validator", "delegator", "staker", "owner", "creator", "backer", "foundation"),
        }
        settled = 0
        for receipt in past.every(Receipt):
            told = explain_split(past, assets[receipt.asset], receipt)
            assert told.holds, told.title
            settled += receipt.stage == SETTLED
        assert settled > 100
        for earned in past.every(Earned):
            if earned.epoch == EPOCH:
                *lines, entitled = explain_reward(past, assets[earned.asset], EPOCH, earned.earner)
                assert sum(each.amount or 0 for each in lines) == earned.amount
                assert entitled.amount is not None
                assert entitled.amount >= earned.amount
        with pytest.raises(NothingToExplain, match="no reward of"):
            explain_reward(past, next(iter(assets.values())), EPOCH, bytes(20))
        with pytest.raises(NothingToExplain, match="no receipt"):
            receipts(past, bytes(32))
    check_what_is_missing(ledger)
    assert page(ledger) == PAGE.read_text(), "make the page again: python -m tests.e2e.explain_page"
    check_commands(devnet, ledger)
    check_api(devnet, ledger)


def check_what_is_missing(ledger: Ledger) -> None:
    """Take a counted task out of the records for a while: what it rests on is said not to add up, and nothing else."""
    with books(ledger) as (past, assets), past.connection.transaction(force_rollback=True):
        line = next(each for each in past.every(Reward, EPOCH) if each.role == "miner")
        span = span_of(past, EPOCH)
        slots = [(at, each) for at, each in past.found(Slot, "node", line.subject) if at in span and each.credited_vwu]
        counted_at, slot = slots[0]
        past.connection.execute("DELETE FROM task_slot WHERE task = %s AND position = %s", (slot.task, counted_at))
        told = line_of(past, assets[line.asset], line)
        assert [step.title for step in told.steps if not step.holds] == ["What the miner did"]
        (step,) = (step for step in told.steps if not step.holds)
        assert "what makes the difference was not found" in step.said[-1]


def check_commands(devnet: Devnet, ledger: Ledger) -> None:
    """Run the three commands as their users do."""
    settings = {"DEEPNODE_DATABASE_URL": ledger.url, "DEEPNODE_MANIFEST": str(devnet.deployment.manifest)}
    with books(ledger) as (past, assets):
        line = next(each for each in past.every(Reward, EPOCH) if assets[each.asset].symbol == "USDC")
        receipt = past.every(Receipt)[0]
        comparisons = sum(each.comparisons for each in past.every(Checked))
    asked = ["explain", "reward", "--epoch", str(EPOCH), "--asset", "USDC", "--earner", "0x" + line.earner.hex()]
    text = deepnode(asked, settings)
    assert text.returncode == 0, text.stderr
    assert f"{line.amount} base units" in text.stdout
    data = deepnode([*asked, "--json"], settings)
    *lines, entitled = [json.loads(each) for each in data.stdout.splitlines()]
    assert str(line.amount) in [each["amount"] for each in lines]
    assert [step["title"] for step in entitled["steps"]] == ["All epochs together", "The claim tree", "Claims"]
    assert {each["position"] for each in lines[0]["log"]} == {
        position for step in lines[0]["steps"] for position in step["positions"]
    }
    split = deepnode(["explain", "split", "--receipt", "0x" + receipt.receipt.hex()], settings)
    assert (split.returncode, "RevenueRouter RevenueReceived" in split.stdout) == (0, True), split.stderr
    difference = deepnode(["explain", "difference", "--json"], settings)
    told = json.loads(difference.stdout)
    assert sum(int(row[1]) for row in told["steps"][0]["table"]["rows"]) == comparisons
    for wrong in (
        ["explain", "reward", "--epoch", "1", "--earner", "0x" + "00" * 20],
        ["explain", "reward", "--epoch", "1", "--earner", "0x" + "00" * 20, "--asset", "DOGE"],
        ["explain", "split", "--receipt", "0x12"],
        ["explain", "difference", "--at", "999999999"],
    ):
        refused = deepnode(wrong, settings)
        assert refused.returncode != 0
        assert "Traceback" not in refused.stderr


def check_api(devnet: Devnet, ledger: Ledger) -> None:
    """Ask the API for explanations of reward lines and payments: each text is the one that the command writes."""
    query = (
        "query ($e: Long!) { rewards(first: 9, orderBy: SUBJECT_ASC, where: { epoch: { _eq: $e } }) { edges { node {"
        " explanation { text holds } } } } receipts(first: 2) { edges { node { explanation { text holds } } } } }"
    )
    manifest = load_manifest(devnet.deployment.manifest)
    with TestClient(make_app(ledger.url, manifest)) as http:
        data = http.post("/graphql", json={"query": query, "variables": {"e": EPOCH}}).json()["data"]
    with books(ledger) as (past, assets):
        log, known = Snapshot(past.connection), manifest
        lines = sorted(past.every(Reward, EPOCH), key=lambda line: (line.subject, line.epoch, key_of(line)))[:9]
        told = [line_of(past, assets[line.asset], line) for line in lines]
        told += [explain_split(past, assets[each.asset], each) for each in past.every(Receipt)[:2]]
        edges = [*data["rewards"]["edges"], *data["receipts"]["edges"]]
        for edge, expected in zip(edges, told, strict=True):
            answer = edge["node"]["explanation"]
            assert answer["holds"]
            places = log_places(log, known, expected.positions) if len(expected.positions) <= PLACES_MAX else ()
            assert answer["text"] == as_text(expected, places)
