"""Task tables: the tables that the twins of the rules about tasks read and write, and where in their rows things are.

The places are of the layouts of the records, and known when the twins are compiled.
"""

from typing import Final, NamedTuple

import numpy as np

from deepnode_projections.kernel.layout import layout_of
from deepnode_projections.kernel.state import ColumnState
from deepnode_projections.kernel.table import Cells, View
from deepnode_projections.rules.collateral import Collateral
from deepnode_projections.rules.comparisons import Checked
from deepnode_projections.rules.observations import Feedback, Observation, Price, Settlement
from deepnode_projections.rules.registry import Model, Node
from deepnode_projections.rules.tasks import Slot, Task
from deepnode_projections.rules.trust import Trust
from deepnode_projections.rules.verdicts import Report, Validation
from deepnode_projections.rules.work import ModelSales, ModelUse, ValidatorWork, Work

MANY: Final = 64
"""Slots, and validations, of an attempt at a task; one that has more is left to the rules."""


class TaskTables(NamedTuple):
    """The views of tables, and ``scratch``: room for lists of up to ``MANY`` numbers, ``MANY`` cells each."""

    task: View
    slot: View
    validation: View
    trust: View
    work: View
    validator_work: View
    model_use: View
    model_sales: View
    checked: View
    node: View
    collateral: View
    model: View
    observation: View
    feedback: View
    settlement: View
    report: View
    price: View
    scratch: Cells


def task_tables(state: ColumnState) -> TaskTables:
    """Return the tables as they are now: as long as nothing makes room in one of them."""
    view = {kind: table.view() for kind, table in state.tables.items()}
    return TaskTables(
        *(view[Task], view[Slot], view[Validation], view[Trust], view[Work], view[ValidatorWork], view[ModelUse]),
        *(view[ModelSales], view[Checked], view[Node], view[Collateral], view[Model]),
        *(view[Observation], view[Feedback], view[Settlement], view[Report], view[Price]),
        np.zeros((3, MANY), np.int64),
    )


_TASK: Final = layout_of(Task)
TASK_DOMAIN: Final = _TASK.at("domain")
TASK_MODEL: Final = _TASK.at("model")
TASK_VERSION: Final = _TASK.at("version")
TASK_CONSUMER: Final = _TASK.at("consumer_hash")
TASK_PRICE: Final = _TASK.at("price")
TASK_ASSET: Final = _TASK.at("asset")
TASK_DIFFICULTY: Final = _TASK.at("difficulty_ppm")
TASK_INPUT: Final = _TASK.at("input_hash")
TASK_PRODUCER: Final = _TASK.at("producer")
TASK_EPOCH: Final = _TASK.at("epoch")
TASK_STAGE: Final = _TASK.at("stage")
TASK_ATTEMPT: Final = _TASK.at("attempt")
TASK_CREATED: Final = _TASK.at("created_position")
TASK_EVENT: Final = _TASK.at("event_id")
TASK_JUDGED: Final = _TASK.at("judged_epoch")
TASK_CREDITED: Final = _TASK.at("credited_epoch")
TASK_SINCE: Final = _TASK.since

_SLOT: Final = layout_of(Slot)
SLOT_SLOT: Final = _SLOT.at("slot")
SLOT_NODE: Final = _SLOT.at("node")
SLOT_TRUST: Final = _SLOT.at("trust_ppm")
SLOT_STATED_TRUST: Final = _SLOT.at("stated_trust_ppm")
SLOT_COLLATERAL: Final = _SLOT.at("collateral")
SLOT_STATED_COLLATERAL: Final = _SLOT.at("stated_collateral")
SLOT_ASSIGNED: Final = _SLOT.at("assigned_position")
SLOT_OUTPUT: Final = _SLOT.at("output_hash")
SLOT_ANSWERED: Final = _SLOT.at("output_position")
SLOT_LATENCY: Final = _SLOT.at("latency_ms")
SLOT_INPUT_TOKENS: Final = _SLOT.at("input_tokens")
SLOT_OUTPUT_TOKENS: Final = _SLOT.at("output_tokens")
SLOT_SEVERITY: Final = _SLOT.at("reported_severity")
SLOT_VERDICT: Final = _SLOT.at("verdict")
SLOT_VWU: Final = _SLOT.at("vwu")
SLOT_CREDITED: Final = _SLOT.at("credited_vwu")
SLOT_PRODUCER: Final = _SLOT.at("vwu_producer")
SLOT_EVENT: Final = _SLOT.at("vwu_event")
SLOT_SINCE: Final = _SLOT.since

_VALIDATION: Final = layout_of(Validation)
VALIDATION_SLOT: Final = _VALIDATION.at("slot")
VALIDATION_VALIDATOR: Final = _VALIDATION.at("validator")
VALIDATION_VERDICT: Final = _VALIDATION.at("verdict")
VALIDATION_SCORE: Final = _VALIDATION.at("score")
VALIDATION_REPORT: Final = _VALIDATION.at("report_hash")
VALIDATION_IN_CONSENSUS: Final = _VALIDATION.at("in_consensus")
VALIDATION_SUBMITTED: Final = _VALIDATION.at("submitted_position")
VALIDATION_SINCE: Final = _VALIDATION.since

_TRUST: Final = layout_of(Trust)
TRUST_SCORE: Final = _TRUST.at("score")
TRUST_UPDATES: Final = _TRUST.at("updates")
TRUST_REASON: Final = _TRUST.at("reason")
TRUST_UPDATED: Final = _TRUST.at("updated_position")
TRUST_SINCE: Final = _TRUST.since

_WORK: Final = layout_of(Work)
WORK_VWU: Final = _WORK.at("vwu")
WORK_WEIGHTED: Final = _WORK.at("weighted")
WORK_TASKS: Final = _WORK.at("tasks")
WORK_SINCE: Final = _WORK.since

_JUDGING: Final = layout_of(ValidatorWork)
JUDGING_VALIDATIONS: Final = _JUDGING.at("validations")
JUDGING_IN_LINE: Final = _JUDGING.at("in_line")
JUDGING_WEIGHTED: Final = _JUDGING.at("weighted")
JUDGING_SINCE: Final = _JUDGING.since

_USE: Final = layout_of(ModelUse)
USE_TASKS: Final = _USE.at("tasks")
USE_VWU: Final = _USE.at("vwu")
USE_WEIGHTED: Final = _USE.at("weighted")
USE_JUDGED: Final = _USE.at("judged")
USE_CORRECT: Final = _USE.at("correct")
USE_RATINGS: Final = _USE.at("ratings")
USE_STARS: Final = _USE.at("stars")
USE_SINCE: Final = _USE.since

_SALES: Final = layout_of(ModelSales)
SALES_TASKS: Final = _SALES.at("tasks")
SALES_AMOUNT: Final = _SALES.at("amount")
SALES_SINCE: Final = _SALES.since

_CHECKED: Final = layout_of(Checked)
CHECKED_COMPARISONS: Final = _CHECKED.at("comparisons")
CHECKED_SINCE: Final = _CHECKED.since

_NODE: Final = layout_of(Node)
NODE_DOMAIN: Final = _NODE.at("domain")
NODE_ROLE: Final = _NODE.at("role")
NODE_LEFT: Final = _NODE.at("left_epoch")

_OBSERVATION: Final = layout_of(Observation)
OBSERVATION_NAME: Final = _OBSERVATION.at("value_name")
OBSERVATION_VALUE: Final = _OBSERVATION.at("value")
OBSERVATION_EPOCH: Final = _OBSERVATION.at("epoch")
OBSERVATION_OBSERVED: Final = _OBSERVATION.at("observed_position")
OBSERVATION_TASK: Final = _OBSERVATION.at("task")
OBSERVATION_ASSET: Final = _OBSERVATION.at("asset")
OBSERVATION_FIAT: Final = _OBSERVATION.at("fiat")
OBSERVATION_SOURCE: Final = _OBSERVATION.at("source")
OBSERVATION_CORRECTED: Final = _OBSERVATION.at("corrected_value")
OBSERVATION_SINCE: Final = _OBSERVATION.since

_FEEDBACK: Final = layout_of(Feedback)
FEEDBACK_RATING: Final = _FEEDBACK.at("rating")
FEEDBACK_COMMENT: Final = _FEEDBACK.at("comment_hash")
FEEDBACK_PRODUCER: Final = _FEEDBACK.at("producer")
FEEDBACK_EVENT: Final = _FEEDBACK.at("event_id")
FEEDBACK_SINCE: Final = _FEEDBACK.since

_SETTLEMENT: Final = layout_of(Settlement)
SETTLEMENT_ASSET: Final = _SETTLEMENT.at("asset")
SETTLEMENT_AMOUNT: Final = _SETTLEMENT.at("amount")
SETTLEMENT_PROCESSOR: Final = _SETTLEMENT.at("processor")
SETTLEMENT_REFERENCE: Final = _SETTLEMENT.at("reference_hash")
SETTLEMENT_PRODUCER: Final = _SETTLEMENT.at("producer")
SETTLEMENT_EVENT: Final = _SETTLEMENT.at("event_id")
SETTLEMENT_SINCE: Final = _SETTLEMENT.since

_REPORT: Final = layout_of(Report)
REPORT_SEVERITY: Final = _REPORT.at("severity")
REPORT_EVIDENCE: Final = _REPORT.at("evidence_hash")
REPORT_REPORTED: Final = _REPORT.at("reported_position")
REPORT_SINCE: Final = _REPORT.since

_PRICE: Final = layout_of(Price)
PRICE_PPM: Final = _PRICE.at("price_ppm")
PRICE_PRODUCER: Final = _PRICE.at("producer")
PRICE_EVENT: Final = _PRICE.at("event_id")
PRICE_SAID: Final = _PRICE.at("said_at")
PRICE_SINCE: Final = _PRICE.since

COLLATERAL_FREE: Final = layout_of(Collateral).at("free")
MODEL_DOMAIN: Final = layout_of(Model).at("domain")
