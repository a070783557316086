"""What statements say: the ``data`` of each type of task event, as typed values.

A member that may be left out is None then. Members that are not named here are allowed and mean nothing, so that a
producer may say more tomorrow. Forms are those of ``statement_form``.

Source: seeds/000 steps 1 to 4, seeds/002 section 2, DESIGN section 5; docs/task-events.md has the table.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from deepnode_ledger.statement_form import (
    Address,
    AmountText,
    Attempt,
    Consensus,
    Count,
    Difficulty,
    EventId,
    Fiat,
    Id,
    Ppm,
    PriceText,
    Rating,
    Score,
    Severity,
    Slot,
    SlotList,
    Text,
    Verdict,
    Version,
    Vwu,
)


class TaskCreated(msgspec.Struct, frozen=True):
    """A consumer asks a model for work, at a price (base units of ``asset``)."""

    task: Id
    domain: Id
    model: Id
    version: Version
    consumer_hash: Id
    price: AmountText
    asset: Address
    difficulty_ppm: Difficulty
    input_hash: Id


class TaskAssigned(msgspec.Struct, frozen=True):
    """A node gets one of the attempt's slots. Its trust and collateral are as the producer knew them by a block."""

    task: Id
    attempt: Attempt
    slot: Slot
    node: Id
    trust_ppm: Ppm
    collateral: AmountText
    block_hash: Id | None = None


class Usage(msgspec.Struct, frozen=True):
    """What an output took."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None


class OutputSubmitted(msgspec.Struct, frozen=True):
    """The node of a slot has answered."""

    task: Id
    attempt: Attempt
    slot: Slot
    node: Id
    output_hash: Id
    latency_ms: Count | None = None
    usage: Usage | None = None


class ValidationSubmitted(msgspec.Struct, frozen=True):
    """A validator's verdict on a slot's output, with a score from 0 to 100."""

    task: Id
    attempt: Attempt
    slot: Slot
    validator: Id
    verdict: Verdict
    score: Score
    report_hash: Id


class ConsensusReached(msgspec.Struct, frozen=True):
    """What the validations come to; ``accepted`` are the slots whose output is correct."""

    task: Id
    attempt: Attempt
    verdict: Consensus
    accepted: SlotList


class VWUAssigned(msgspec.Struct, frozen=True):
    """A node is given the verified work units of a task for its correct output."""

    task: Id
    attempt: Attempt
    slot: Slot
    node: Id
    vwu: Vwu
    difficulty_ppm: Difficulty


class TaskReassigned(msgspec.Struct, frozen=True):
    """The task is tried again, by other or the same nodes."""

    task: Id
    attempt: Attempt
    next_attempt: Attempt


class TaskRejected(msgspec.Struct, frozen=True):
    """The task ends without a correct output."""

    task: Id
    attempt: Attempt


class TaskExpired(msgspec.Struct, frozen=True):
    """The task ends because nobody answered in time."""

    task: Id
    attempt: Attempt


class BadBehaviourReported(msgspec.Struct, frozen=True):
    """A validator reports the node of a slot; severity 1 is the mildest, 3 the worst."""

    task: Id
    attempt: Attempt
    slot: Slot
    node: Id
    validator: Id
    severity: Severity
    evidence_hash: Id


class UserFeedback(msgspec.Struct, frozen=True):
    """A consumer rates what a task gave, from 1 to 5."""

    task: Id
    rating: Rating
    comment_hash: Id | None = None


class PaymentProcessorSettled(msgspec.Struct, frozen=True):
    """A payment processor has settled a task's price outside the chain (base units of ``asset``)."""

    task: Id
    asset: Address
    amount: AmountText
    processor: Address
    reference_hash: Id | None = None


class PriceObserved(msgspec.Struct, frozen=True):
    """What a whole token was worth, in millionths of a unit of ``fiat``, by a source."""

    asset: Address
    fiat: Fiat
    price_ppm: PriceText
    source: Text


class Correction(msgspec.Struct, frozen=True):
    """The producer's event ``corrects`` was wrong: the member of its kind has the right value.

    A price (``price_ppm``), a rating or a settlement's ``amount`` is void without one. What is said of a task says of
    which: ``task`` for its ``difficulty_ppm`` or ``price``, besides ``attempt`` and ``slot`` for an output's ``vwu``.
    """

    corrects: EventId
    reason: Text
    price_ppm: PriceText | None = None
    rating: Rating | None = None
    amount: AmountText | None = None
    vwu: Vwu | None = None
    difficulty_ppm: Difficulty | None = None
    price: AmountText | None = None
    task: Id | None = None
    attempt: Attempt | None = None
    slot: Slot | None = None


Data = (
    TaskCreated
    | TaskAssigned
    | OutputSubmitted
    | ValidationSubmitted
    | ConsensusReached
    | VWUAssigned
    | TaskReassigned
    | TaskRejected
    | TaskExpired
    | BadBehaviourReported
    | UserFeedback
    | PaymentProcessorSettled
    | PriceObserved
    | Correction
)
"""What any statement says."""

TASK_CREATED: Final = "ai.deepnode.task.created.v1"
TASK_ASSIGNED: Final = "ai.deepnode.task.assigned.v1"
OUTPUT_SUBMITTED: Final = "ai.deepnode.output.submitted.v1"
VALIDATION_SUBMITTED: Final = "ai.deepnode.validation.submitted.v1"
CONSENSUS_REACHED: Final = "ai.deepnode.consensus.reached.v1"
VWU_ASSIGNED: Final = "ai.deepnode.vwu.assigned.v1"
TASK_REASSIGNED: Final = "ai.deepnode.task.reassigned.v1"
TASK_REJECTED: Final = "ai.deepnode.task.rejected.v1"
TASK_EXPIRED: Final = "ai.deepnode.task.expired.v1"
BAD_BEHAVIOUR_REPORTED: Final = "ai.deepnode.badbehaviour.reported.v1"
USER_FEEDBACK: Final = "ai.deepnode.user.feedback.v1"
PAYMENT_PROCESSOR_SETTLED: Final = "ai.deepnode.paymentprocessor.settled.v1"
PRICE_OBSERVED: Final = "ai.deepnode.price.observed.v1"
CORRECTION: Final = "ai.deepnode.correction.v1"

DATA_OF: Final[Mapping[str, type[Data]]] = {
    TASK_CREATED: TaskCreated,
    TASK_ASSIGNED: TaskAssigned,
    OUTPUT_SUBMITTED: OutputSubmitted,
    VALIDATION_SUBMITTED: ValidationSubmitted,
    CONSENSUS_REACHED: ConsensusReached,
    VWU_ASSIGNED: VWUAssigned,
    TASK_REASSIGNED: TaskReassigned,
    TASK_REJECTED: TaskRejected,
    TASK_EXPIRED: TaskExpired,
    BAD_BEHAVIOUR_REPORTED: BadBehaviourReported,
    USER_FEEDBACK: UserFeedback,
    PAYMENT_PROCESSOR_SETTLED: PaymentProcessorSettled,
    PRICE_OBSERVED: PriceObserved,
    CORRECTION: Correction,
}
"""The shape of ``data`` by the event's type."""
