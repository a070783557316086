"""What producers say, told in short: statements through the door of text, put to all rules about tasks in their order.

Ids are given as short texts (``task="t1"``), as in ``told``; every member that a statement needs and a story does not
tell has an ordinary value, so that a story tells no more than it is about.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.record import TaskEvent
from deepnode_ledger.statement import Statement, Unreadable, read
from deepnode_ledger.statement_data import DATA_OF
from deepnode_projections.rules import corrections, observations, tasks, trust, verdicts, work
from deepnode_projections.rules.scene import Scene
from tests.projections.rules.told import DN, Story, address, word

PRODUCER: Final = "urn:producer:1"
TYPES: Final = {kind.__name__: name for name, kind in DATA_OF.items()}
MECHANISMS: Final = (tasks, verdicts, work, observations, corrections)

ORDINARY: Final[Mapping[str, Mapping[str, Any]]] = {
    "TaskCreated": {
        "task": "t1",
        "domain": "d1",
        "model": "m1",
        "version": 1,
        "consumer_hash": "c",
        "price": "1000",
        "asset": to_hex(DN),
        "difficulty_ppm": 1_000_000,
        "input_hash": "in",
    },
    "TaskAssigned": {
        "task": "t1",
        "attempt": 1,
        "slot": 1,
        "node": "n1",
        "trust_ppm": 500_000,
        "collateral": "0",
    },
    "OutputSubmitted": {"task": "t1", "attempt": 1, "slot": 1, "node": "n1", "output_hash": "out"},
    "ValidationSubmitted": {
        "task": "t1",
        "attempt": 1,
        "slot": 1,
        "validator": "v1",
        "verdict": "correct",
        "score": 90,
        "report_hash": "r",
    },
    "ConsensusReached": {"task": "t1", "attempt": 1, "verdict": "approved", "accepted": [1, 2]},
    "VWUAssigned": {"task": "t1", "attempt": 1, "slot": 1, "node": "n1", "vwu": 1000, "difficulty_ppm": 1_000_000},
    "TaskReassigned": {"task": "t1", "attempt": 1, "next_attempt": 2},
    "TaskRejected": {"task": "t1", "attempt": 1},
    "TaskExpired": {"task": "t1", "attempt": 1},
    "BadBehaviourReported": {
        "task": "t1",
        "attempt": 1,
        "slot": 1,
        "node": "n1",
        "validator": "v1",
        "severity": 1,
        "evidence_hash": "e",
    },
    "UserFeedback": {"task": "t1", "rating": 5},
    "PaymentProcessorSettled": {"task": "t1", "asset": to_hex(DN), "amount": "1000", "processor": to_hex(address("p"))},
    "PriceObserved": {"asset": to_hex(DN), "fiat": "USD", "price_ppm": "400000", "source": "urn:price"},
    "Correction": {"corrects": "e1", "reason": "a slip"},
}
"""An ordinary statement of each type, by its name. ``OutputSubmitted`` leaves out what may be left out."""

_IDS: Final = {"task", "domain", "model", "node", "validator"}


def data_of(kind: str, **members: Any) -> dict[str, Any]:
    """The data of a statement as JSON has it; short texts become ids."""
    said = {**ORDINARY[kind], **members}
    is_id = {name for name in said if name in _IDS or name.endswith("_hash")}
    return {
        name: to_hex(word(value)) if name in is_id and isinstance(value, str) and not value.startswith("0x") else value
        for name, value in said.items()
    }


def event(kind: str, number: int, data: Mapping[str, Any], producer: str = PRODUCER, **envelope: Any) -> TaskEvent:
    """The task event with this data, the producer's ``number``-th, whose id is ``e<number>``."""
    text = {
        "specversion": "1.0",
        "id": f"e{number}",
        "source": producer,
        "type": TYPES[kind],
        "sequence": str(number),
        "time": "2026-01-31T12:00:00Z",
        "data": data,
    }
    payload = msgspec.json.encode({**text, **envelope})
    return TaskEvent(producer, f"e{number}", number, TYPES[kind], payload, bytes(65))


def statement(kind: str, number: int = 1, producer: str = PRODUCER, **members: Any) -> Statement:
    """A statement that can be read."""
    found = read(event(kind, number, data_of(kind, **members), producer))
    assert not isinstance(found, Unreadable), found.reason
    return found


def put(spoken: Statement, scene: Scene) -> None:
    """Put a statement to all rules that there are for it."""
    rules = [each.TASK_RULES[spoken.type] for each in MECHANISMS if spoken.type in each.TASK_RULES]
    assert rules, spoken.type
    for rule in rules:
        rule(spoken, scene)


class Spoken(Story):
    """A story that statements are part of; the producer's event at position N has the id ``eN``."""

    def __init__(self) -> None:
        super().__init__(trust.RULES)

    def say(self, kind: str, producer: str = PRODUCER, **members: Any) -> "Spoken":
        """Let a producer state something."""
        spoken = statement(kind, self.position + 1, producer, **members)
        self.does(lambda scene: put(spoken, scene))
        return self

    def hear(self, said: Sequence[tuple[str, Mapping[str, Any]]]) -> "Spoken":
        """Let the producer state one thing after the other."""
        for kind, members in said:
            self.say(kind, **members)
        return self

    def epoch(self, number: int) -> "Spoken":
        """Let an epoch be the current one from here on."""
        self.opens(number)
        return self


Said = tuple[str, dict[str, Any]]
"""A statement's kind, and its members that are not ordinary."""


def judged(
    task: str = "t1",
    *,
    correct: Mapping[int, Sequence[bool]] | None = None,
    nodes: Sequence[str] = ("n1", "n2"),
    attempt: int = 1,
    answers: Sequence[int] = (1, 2),
) -> list[Said]:
    """An attempt from its assignment up to its validations, by slot; validator ``v1`` judges first."""
    correct = correct or {1: (True, True), 2: (True, True)}
    own = {"task": task, "attempt": attempt}
    said: list[Said] = [("TaskAssigned", {**own, "slot": slot, "node": node}) for slot, node in enumerate(nodes, 1)]
    for slot in answers:
        said.append(("OutputSubmitted", {**own, "slot": slot, "node": nodes[slot - 1]}))
        for number, is_correct in enumerate(correct[slot], 1):
            verdict = "correct" if is_correct else "incorrect"
            said.append(("ValidationSubmitted", {**own, "slot": slot, "validator": f"v{number}", "verdict": verdict}))
    return said
