"""A wrong VWU on a real devnet, corrected when its epoch is over: as known, as corrected, and nothing else changes."""

import json
import re
import shlex
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient
from typer.testing import CliRunner

from deepnode_graphql.app import make_app
from deepnode_indexer.devnet.task_events import Stated, Statement
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import from_hex, to_hex
from deepnode_ledger.snapshot import Snapshot
from deepnode_projections.checkpoint import load_checkpoint
from deepnode_projections.correcting import replay_corrected
from deepnode_projections.maths.credit import credited
from deepnode_projections.maths.rewards import MinerWork, to_miners
from deepnode_projections.projector import connect
from deepnode_projections.registers.at import StateAt
from deepnode_projections.replay import Replay
from deepnode_projections.rules.corrections import Correction
from deepnode_projections.rules.parameters import ruleset_at
from deepnode_projections.rules.pools import Reward
from deepnode_projections.rules.registry import Node
from deepnode_projections.rules.tasks import CORRECT, Slot, Task
from deepnode_projections.rules.work import Work
from tests.command_line import app
from tests.e2e.real_parts import Devnet, Ledger

PAGE = Path(__file__).resolve().parents[2] / "docs" / "corrections.md"
BLOCKS = 75
"""Epoch 1 is over by then, and its rewards are allocated."""

EPOCH = 1
TIMES = 5
"""The right value is so many times the wrong one."""


def test_a_wrong_vwu_that_was_paid_by_is_told_as_known_and_as_corrected(
    devnet: Devnet, ledger: Ledger, tmp_path: Path
) -> None:
    """Plays two epochs, multiplies the VWU of a task of the first, and asks for the epoch in every way that there is.

    What comes out as corrected is held against a division by hand: the epoch's miners' leg by the weights of the
    books, of which one is put right.
    """
    ledger.live(devnet, BLOCKS)
    before = ledger.projector.catch_up().position
    with closing(connect(ledger.url, "books")) as connection, connection.transaction():
        task, slots = _credited_task(StateAt(connection, before))
        tip = load_checkpoint(connection.cursor(), devnet.manifest).tip
        assert tip is not None
    wrong = slots[0]
    assert wrong.vwu is not None
    right = wrong.vwu * TIMES
    _correct(devnet, ledger, wrong, right)
    ledger.live(devnet, 3)
    assert ledger.root() == ledger.rebuilt_root()

    with closing(connect(ledger.url, "books")) as connection, connection.transaction():
        past = StateAt(connection, ledger.projector.catch_up().position)
        [made] = [each for each in past.every(Correction) if each.value_name == "vwu"]
        assert (made.told, made.value, made.epoch, made.in_time) == (wrong.vwu, right, EPOCH, False)
        assert past.every(Reward, EPOCH) == StateAt(connection, before).every(Reward, EPOCH)
        log = Snapshot(connection)
        as_said = Replay(devnet.manifest)
        for batch in log.read(1, past.position):
            as_said.feed(batch)
        assert to_hex(as_said.root()) == ledger.root()
        state = replay_corrected(devnet.manifest, past.every(Correction), log.read(1, past.position)).state
        expected = _by_hand(past, task, slots, right)
        assert expected
        found = {
            (each.asset, each.subject): each.amount
            for each in state.every(Reward, EPOCH, task.domain)
            if each.role == "miner"
        }
        assert found == expected
        counted = {
            (each.asset, each.subject): each.amount
            for each in past.every(Reward, EPOCH, task.domain)
            if each.role == "miner"
        }
        assert found != counted
        assert sum(found.values()) == sum(counted.values())
        node = past.get(Node, wrong.node)
        assert node is not None
    _ask(devnet, ledger, tmp_path, before, node.operator, tip.time)


def _credited_task(past: StateAt) -> tuple[Task, list[Slot]]:
    """A task of the epoch whose work was paid for, in a domain in which somebody else worked, too."""
    paid = {(each.domain, each.subject) for each in past.every(Reward, EPOCH) if each.role == "miner"}
    for task in past.every(Task):
        domains = [each for each in past.every(Work, EPOCH, task.domain) if each.weighted]
        slots = [each for each in past.every(Slot, task.task, task.attempt) if each.verdict == CORRECT]
        if task.credited_epoch == EPOCH and len(domains) > 1 and (task.domain, slots[0].node) in paid:
            return task, slots
    raise AssertionError(f"no task of epoch {EPOCH} was paid for")


def _correct(devnet: Devnet, ledger: Ledger, wrong: Slot, right: int) -> None:
    """Let the devnet's own producer correct a slot's VWU."""
    assert wrong.vwu_event is not None
    said: dict[str, Stated] = {"corrects": wrong.vwu_event, "reason": "counted by the wrong unit", "vwu": right}
    where: dict[str, Stated] = {"task": to_hex(wrong.task), "attempt": wrong.attempt, "slot": wrong.slot}
    tip = ledger.log.chain().tip
    assert tip is not None
    ledger.take_in([devnet.economy._producer.say(Statement("Correction", {**said, **where}), tip.time)])


def _by_hand(past: StateAt, task: Task, slots: list[Slot], right: int) -> Mapping[tuple[bytes, bytes], int]:
    """Divide the miners' leg of every pool of the task's domain by the weights of the books, one put right."""
    in_order = sorted(slots, key=lambda each: each.output_position or 0)
    units = [right if each.slot == slots[0].slot else each.vwu or 0 for each in in_order]
    counts = credited(ruleset_at(past, EPOCH).work.credit, units)
    more = {
        each.node: (count - (each.credited_vwu or 0)) * task.difficulty_ppm
        for each, count in zip(in_order, counts, strict=True)
    }
    work = []
    for each in past.every(Work, EPOCH, task.domain):
        node = past.get(Node, each.node)
        assert node is not None
        work.append(MinerWork(each.node, node.operator, each.weighted + more.get(each.node, 0)))
    legs: dict[bytes, int] = {}
    for line in past.every(Reward, EPOCH, task.domain):
        if line.role == "miner":
            legs[line.asset] = legs.get(line.asset, 0) + line.amount
    return {
        (asset, line.subject): line.amount
        for asset, leg in legs.items()
        for line in to_miners(leg, work).lines
        if line.amount
    }


def _ask(devnet: Devnet, ledger: Ledger, folder: Path, before: int, operator: bytes, time: int) -> None:
    """Run the commands and the query of docs/corrections.md, and compare what they say with one another."""
    settings = ["--database", ledger.url, "--manifest", str(devnet.deployment.manifest)]
    text = PAGE.read_text("utf-8")
    commands = [
        shlex.split(line) for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()
    ]
    told: list[str] = []
    for command in commands:
        words = [
            {"2": str(EPOCH), "2026-10-31": str(before), "2026-10": f"epoch:{EPOCH + 1}"}.get(
                each, to_hex(operator) if each.startswith("0x") else each
            )
            for each in command[1:]
        ]
        if words[0] == "statement":
            words += ["--output", str(folder)]
        done = CliRunner().invoke(app, [*words, *settings])
        assert done.exit_code == 0, (words, done.output, done.exception)
        told.append(done.stdout)
    table, data = told[0], json.loads(told[1])
    assert "counted by then: the books stay" in table
    changed = [each for each in data["earners"] if int(each["difference"])]
    assert to_hex(operator) in {each["earner"] for each in changed}
    for each in data["earners"]:
        assert each["known"] == each["now"]
        assert int(each["corrected"]) - int(each["now"]) == int(each["difference"])
        assert each["corrected"] in table
    for asset in {each["asset"] for each in data["earners"]}:
        assert sum(int(each["difference"]) for each in data["earners"] if each["asset"] == asset) == 0
    assert [each["holds"] for each in data["corrections"] if each["value_name"] == "vwu"] == [True]
    assert any(from_hex(each["node"], 32) for each in data["work"])
    _statement(next(folder.glob("*.json")), next(each for each in changed if each["earner"] == to_hex(operator)))
    _query(text, devnet, ledger, time)
    for words, reason in (
        (["99"], "epoch 99 is not over"),
        ([str(EPOCH), "--known", "9999999"], "is ahead of the books"),
    ):
        refused = CliRunner().invoke(app, ["audit", "epoch", *words, *settings])
        assert isinstance(refused.exception, BadInput)
        assert reason in str(refused.exception)
    _compare(devnet, ledger, folder, settings)


def _statement(file: Path, earner: Mapping[str, Any]) -> None:
    """The operator's statement has both figures: those of the command for the epoch."""
    statement = json.loads(file.read_text("utf-8"))["statement"]
    lines = [
        each
        for each in statement["corrected"]
        if each["epoch"] == EPOCH and each["token"]["address"] == earner["asset"]
    ]
    assert sum(int(each["amount"]) for each in lines) == int(earner["now"])
    assert sum(int(each["corrected_amount"]) for each in lines) == int(earner["corrected"])
    accruals = {
        (each["epoch"], each["subject"], each["role"], each["kind"], each["amount"]) for each in statement["accruals"]
    }
    assert {(e["epoch"], e["subject"], e["role"], e["kind"], e["amount"]) for e in lines} <= accruals
    assert [each["value_name"] for each in statement["corrections"]] == ["vwu"]


def _query(text: str, devnet: Devnet, ledger: Ledger, time: int) -> None:
    """The page's query tells the same lines then and now, and the correction."""
    [query] = re.findall(r"```graphql\n(.*?)```", text, re.DOTALL)
    query = query.replace("_eq: 2", f"_eq: {EPOCH}").replace("1700000025", str(time - 1))
    with TestClient(make_app(ledger.url, devnet.manifest)) as client:
        answer = client.post("/graphql", json={"query": query}).json()
    assert "errors" not in answer, answer
    data = answer["data"]
    assert data["then"] == data["now"]
    assert data["now"]["edges"]
    nodes = [each["node"] for each in data["corrections"]["edges"]]
    [made] = [each for each in nodes if each["valueName"] == "vwu"]
    assert int(made["value"]) == TIMES * int(made["told"])
    assert made["inTime"] is False


def _compare(devnet: Devnet, ledger: Ledger, folder: Path, settings: list[str]) -> None:
    """A bundle of all that is final is what the live ledger has, state roots with corrections in them included."""
    devnet.node.mine(64)
    ledger.sync()
    bundle = str(folder / "bundle")
    made = CliRunner().invoke(app, ["bundle", "create", bundle, "--unsigned", *settings])
    assert made.exit_code == 0, made.exception
    done = CliRunner().invoke(app, ["audit", "diff", "live", bundle, *settings, "--json"])
    found = json.loads(done.stdout)
    assert (done.exit_code, found["same"], found["first"]) == (0, True, None), found
    assert found["stateRoots"] > EPOCH
