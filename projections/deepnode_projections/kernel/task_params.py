"""Task parameters: what the twins of the rules about tasks must know besides the tables, as one array of integers.

It says which epoch is open, what its ruleset says of work and trust, which numbers the texts have that the twins write
or compare, and which assets are tokens. It is to be made again when an epoch opens, when a ruleset is activated, and
when a token is learned of.
"""

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from deepnode_projections.kernel.state import ColumnState
from deepnode_projections.maths.trust import step_of
from deepnode_projections.rules.epochs import current
from deepnode_projections.rules.observations import AMOUNT, PRICE, RATING
from deepnode_projections.rules.parameters import ruleset_at
from deepnode_projections.rules.tasks import (
    APPROVED,
    ASSIGNED,
    CORRECT,
    CREATED,
    CREDITED,
    EXPIRED,
    FAILED,
    INCORRECT,
    MISSING,
    REJECTED,
)
from deepnode_projections.rules.verdicts import OUTCOME
from deepnode_projections.rulesets.ruleset import NodeCredit, Outcome

Params = npt.NDArray[Any]
"""An array of int64 with the places below."""

EPOCH: Final = 0
"""The epoch that is open."""

SLOTS: Final = 1
QUORUM: Final = 2
MAJORITY: Final = 3
"""Slots of an attempt, validations that an output needs, and the part of them (ppm) that must be for it."""

CREDIT: Final = 4
"""How several correct outputs are credited: ``FULL``, ``SPLIT`` or ``FIRST``."""

IS_LATE_DROPPED: Final = 5
"""1 where work that is verified after its epoch does not count."""

START: Final = 6
"""The trust of a subject that nothing is known of."""

STAGE_CREATED: Final = 7
STAGE_ASSIGNED: Final = 8
STAGE_APPROVED: Final = 9
STAGE_FAILED: Final = 10
STAGE_CREDITED: Final = 11
"""Texts: a task's stages."""

VERDICTS: Final = 12
"""Texts: a slot's verdicts, in the order of ``IS_CORRECT``, ``IS_INCORRECT`` and ``IS_MISSING``."""

CHECKED_SUBJECT: Final = 15
CHECKED_TRUST: Final = 16
CHECKED_COLLATERAL: Final = 17
"""Texts: what assignments are compared by."""

STAGE_REJECTED: Final = 18
STAGE_EXPIRED: Final = 19
"""Texts: a task's stages behind which nothing follows."""

CHECKED_SETTLED: Final = 20
"""Text: what settlements are compared by, beside ``OF_AMOUNT``."""

OF_RATING: Final = 21
OF_AMOUNT: Final = 22
OF_PRICE: Final = 23
"""Texts: what an observation's value is."""

STEPS: Final = 24
"""The steps of trust by outcome, ``STEP_WIDTH`` cells each: alpha, target, and the outcome's text."""

STEP_WIDTH: Final = 3

IN_LINE: Final = 3
OUT_OF_LINE: Final = 4
REPORTED: Final = 5
"""Outcomes; before them stand those that verdicts lead to. A report has a step for each severity from 1 on."""

SEVERITIES: Final = 3
"""A report that is graver than this is left to the rules. There is none: see ``statement_form.SEVERITY_MAX``."""

TOKENS_COUNT: Final = STEPS + STEP_WIDTH * (REPORTED + SEVERITIES)
TOKENS: Final = TOKENS_COUNT + 1
"""How many assets are tokens; behind it, each one's word."""

IS_CORRECT: Final = 0
IS_INCORRECT: Final = 1
IS_MISSING: Final = 2
"""A slot's verdict; it is the number of the outcome that its node's trust learns from as well."""

FULL: Final = 0
SPLIT: Final = 1
FIRST: Final = 2

_CREDIT: Final[dict[NodeCredit, int]] = {"full": FULL, "split": SPLIT, "first": FIRST}
_VERDICTS: Final = (CORRECT, INCORRECT, MISSING)
_STAGES: Final = (CREATED, ASSIGNED, APPROVED, FAILED, CREDITED)
_JUDGED: Final[tuple[Outcome, ...]] = ("in_line", "out_of_line")


def task_params(state: ColumnState, tokens: Iterable[bytes]) -> npt.NDArray[np.int64]:
    """Say what holds now.

    Args:
        state: what is known; texts and words that it has no number for get one.
        tokens: the addresses (20 bytes) that are tokens to an event of the next entries. A task that is priced in
            anything else is left to the rules, so one that is missing costs time and changes nothing.
    """
    epoch = current(state)
    ruleset = ruleset_at(state, epoch)
    work, number = ruleset.work, state.texts.number
    cells = [
        *(epoch, work.slots, work.quorum, work.majority_ppm, _CREDIT[work.credit], int(work.late_events == "dropped")),
        ruleset.trust.start_ppm,
        *(number(text) for text in (*_STAGES, *_VERDICTS, "TaskAssigned", "trust", "collateral")),
        *(number(text) for text in (REJECTED, EXPIRED, "PaymentProcessorSettled", RATING, AMOUNT, PRICE)),
    ]
    assert len(cells) == STEPS, cells
    outcomes: list[tuple[Outcome, int]] = [(OUTCOME[verdict], 1) for verdict in _VERDICTS]
    outcomes += [(outcome, 1) for outcome in _JUDGED]
    outcomes += [("reported", severity) for severity in range(1, SEVERITIES + 1)]
    for outcome, severity in outcomes:
        step = step_of(ruleset.trust, outcome, severity)
        cells += [step.alpha_ppm, step.target_ppm, number(outcome)]
    words = [state.words.number(token) for token in sorted(set(tokens))]
    return np.array([*cells, len(words), *words], np.int64)
