"""What the producer states of a node is so by the chain at that block; a reorg takes back what the chain alone said."""

import json
from typing import Any

from deepnode_indexer.devnet.anvil import STATES_KEPT
from deepnode_indexer.devnet.cast_of_accounts import SCORER
from deepnode_indexer.devnet.trust import TRUST_START_PPM, Step, Trust
from tests.indexer.devnet.conftest import MakeDevnet
from tests.indexer.devnet.reading import Devnet

UP, DOWN, FAULT = Step(1_000_000, 50_000), Step(0, 50_000), Step(0, 250_000)


def score(*steps: Step) -> int:
    """The score behind these steps."""
    ppm = TRUST_START_PPM
    for step in steps:
        ppm = step.behind(ppm)
    return ppm


def test_a_step_goes_a_part_of_the_way_and_is_rounded_down() -> None:
    """Takes three steps by hand."""
    assert UP.behind(500_000) == 525_000
    assert DOWN.behind(525_001) == 498_750
    assert Step(0, 1_000_000).behind(999_999) == 0


def test_steps_count_in_the_order_of_the_log() -> None:
    """In each block the chain decides first, and then the producer says."""
    trust = Trust()
    trust.say(UP)
    trust.close(1)
    trust.decide(2, FAULT)
    trust.say(DOWN)
    trust.say(UP)
    trust.close(2)
    assert trust.ppm == score(UP, FAULT, DOWN, UP) != score(UP, DOWN, UP, FAULT)


def test_a_reorg_voids_decisions_and_moves_what_was_said_behind_the_next_block() -> None:
    """Drops two blocks: their decision is gone, their statements stand behind the block that is mined next."""
    trust = Trust()
    trust.say(DOWN)
    trust.close(1)
    trust.say(UP)
    trust.close(2)
    trust.decide(3, FAULT)
    trust.say(UP)
    trust.close(3)
    trust.forget(2)
    assert trust.ppm == score(DOWN, UP, UP)
    trust.decide(4, FAULT)
    trust.say(DOWN)
    trust.close(4)
    assert trust.ppm == score(DOWN, FAULT, UP, UP, DOWN)
    trust.forget(4)
    assert trust.ppm == score(DOWN, UP, UP, DOWN)


def test_what_no_reorg_can_reach_is_let_go_and_still_counts() -> None:
    """Says a step a block for long: the score is that of all steps, before and behind a reorg of all states kept."""
    trust, steps = Trust(), []
    for block in range(3 * STATES_KEPT):
        steps.append(UP if block % 3 else DOWN)
        trust.say(steps[-1])
        trust.close(block)
    trust.decide(3 * STATES_KEPT, FAULT)
    trust.close(3 * STATES_KEPT)
    assert trust.ppm == score(*steps, FAULT)
    trust.forget(2 * STATES_KEPT)
    assert trust.ppm == score(*steps)


def test_an_assignment_states_the_collateral_that_the_contract_holds_free(make_devnet: MakeDevnet) -> None:
    """Plays through two reorgs, and asks the contract behind each block about the nodes that were given work in it."""
    devnet = make_devnet(7)
    stated = 0
    for step in range(140):
        if step in (60, 100):
            devnet.economy.reorg(9 if step == 60 else 25)
        for data in assignments(devnet.economy.step()):
            node = bytes.fromhex(data["node"][2:])
            assert devnet.read("Collateral", "freeOf", node) == int(data["collateral"]), step
            stated += 1
    assert stated > 200


def test_a_reorg_makes_the_scorer_think_again(make_devnet: MakeDevnet) -> None:
    """Drops checkpoints: none comes back as it was unless it still holds, and each follows on the one before it."""
    devnet = make_devnet(8)
    devnet.play(75)
    scorer = devnet.deployment.accounts[SCORER]
    before = sent_by(devnet, scorer)
    devnet.economy.reorg(15)
    after = sent_by(devnet, scorer)
    assert after < before
    while not devnet.economy.step():
        assert sent_by(devnet, scorer) == after, "nobody repeats what the scorer has sent"
    devnet.play(45)
    scores: dict[str, int] = {}
    written = devnet.logs("Trust", "ScoreCheckpoint")
    for log in written:
        assert log.arguments["old"] == scores.get(log.arguments["subject"], TRUST_START_PPM)
        scores[log.arguments["subject"]] = log.arguments["new_"]
    assert len(written) == sent_by(devnet, scorer) > after


def assignments(envelopes: list[bytes]) -> list[dict[str, Any]]:
    """The data of those events that give work to a node."""
    events = [json.loads(json.loads(envelope)["payload"]) for envelope in envelopes]
    return [event["data"] for event in events if event["type"].endswith("task.assigned.v1")]


def sent_by(devnet: Devnet, account: str) -> int:
    """How many transactions of an account are on the chain."""
    return int(devnet.rpc.call("eth_getTransactionCount", account, "latest"), 16)
