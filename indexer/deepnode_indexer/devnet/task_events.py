"""The off-chain half of the devnet: what its one producer says about tasks, as signed CloudEvents.

Every event has the producer's next sequence number, from 1 and without gaps. Its time is the time of the block that the
step mined, never the clock's, so that the same seed says the same bytes. Amounts are decimal strings, ids and hashes
are 0x-prefixed hexadecimal, and no number has a fraction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

import msgspec

from deepnode_indexer.devnet.task_signing import DEVNET_PRODUCER_ID, DEVNET_PRODUCER_KEY, sign_envelope
from deepnode_indexer.devnet.trust import Lesson

TYPE_NAMES: Mapping[str, str] = {
    "TaskCreated": "ai.deepnode.task.created.v1",
    "TaskAssigned": "ai.deepnode.task.assigned.v1",
    "OutputSubmitted": "ai.deepnode.output.submitted.v1",
    "ValidationSubmitted": "ai.deepnode.validation.submitted.v1",
    "ConsensusReached": "ai.deepnode.consensus.reached.v1",
    "VWUAssigned": "ai.deepnode.vwu.assigned.v1",
    "TaskReassigned": "ai.deepnode.task.reassigned.v1",
    "TaskRejected": "ai.deepnode.task.rejected.v1",
    "TaskExpired": "ai.deepnode.task.expired.v1",
    "BadBehaviourReported": "ai.deepnode.badbehaviour.reported.v1",
    "UserFeedback": "ai.deepnode.user.feedback.v1",
    "PaymentProcessorSettled": "ai.deepnode.paymentprocessor.settled.v1",
    "PriceObserved": "ai.deepnode.price.observed.v1",
    "Correction": "ai.deepnode.correction.v1",
}

Value: TypeAlias = "str | int | Sequence[Value] | Mapping[str, Value]"
Stated: TypeAlias = "Value | Callable[[], Value]"
"""A value, or what gives it at the moment at which it is said."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What the producer is about to say: an event of the vocabulary, by its name there, and its data.

    Once it is said, trust takes the steps of its `lessons`.
    """

    name: str
    data: Mapping[str, Stated]
    lessons: Sequence[Lesson] = ()


class Producer:
    """Numbers, stamps and signs statements. It keeps the last sequence number and nothing else."""

    def __init__(self) -> None:
        self.sequence = 0

    def next_id(self, ahead: int = 1) -> str:
        """The id of the event that is said `ahead` statements from now."""
        return f"devnet-{self.sequence + ahead}"

    def say(self, statement: Statement, block_time: int) -> bytes:
        """The signed envelope of `statement`, said at `block_time` (seconds since 1970)."""
        event_id = self.next_id()
        self.sequence += 1
        event = {
            "specversion": "1.0",
            "type": TYPE_NAMES[statement.name],
            "source": DEVNET_PRODUCER_ID,
            "id": event_id,
            "time": datetime.fromtimestamp(block_time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "datacontenttype": "application/json",
            "sequence": str(self.sequence),
            "data": {name: value() if callable(value) else value for name, value in statement.data.items()},
        }
        for lesson in statement.lessons:
            lesson.trust.say(lesson.step)
        return sign_envelope(msgspec.json.encode(event, order="deterministic"), DEVNET_PRODUCER_KEY)
