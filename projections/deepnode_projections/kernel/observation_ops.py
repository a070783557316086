"""Observation operations: the compiled twins of the rules for ratings, settlements and prices.

As with ``task_ops``: a twin does exactly what the rules do (``rules.observations``), or returns False and has changed
nothing. What a user or a payment processor says of a task a second time is the rules' alone.
"""

from deepnode_ledger.compiled import Integer, inner
from deepnode_projections.kernel import task_params as params
from deepnode_projections.kernel import task_tables as tables
from deepnode_projections.kernel.layout import NONE
from deepnode_projections.kernel.maps import Maps
from deepnode_projections.kernel.table import Cells, enter, find, keep
from deepnode_projections.kernel.task_params import Params
from deepnode_projections.kernel.task_rows import changing, is_token
from deepnode_projections.kernel.task_tables import TaskTables


@inner
def rated(cells: Cells, at: Integer, position: Integer, m: Maps, p: Params, t: TaskTables) -> bool:
    """UserFeedback."""
    task, rating, comment = m.ids[cells[at]], cells[at + 1], cells[at + 2]
    producer, event = m.names[cells[at + 3]], m.names[cells[at + 4]]
    task_row = find(t.task, 1, task, 0, 0, 0)
    if task_row < 0:
        return False
    stage = t.task.cells[task_row, tables.TASK_STAGE]
    if stage != p[params.STAGE_APPROVED] and stage != p[params.STAGE_CREDITED]:
        return False
    if find(t.feedback, 1, task, 0, 0, 0) >= 0 or find(t.observation, 2, producer, event, 0, 0) >= 0:
        return False
    domain, model = t.task.cells[task_row, tables.TASK_DOMAIN], t.task.cells[task_row, tables.TASK_MODEL]
    use = changing(t.model_use, 3, tables.USE_SINCE, position, p[params.EPOCH], domain, model, 0)
    t.model_use.cells[use, tables.USE_RATINGS] += 1
    t.model_use.cells[use, tables.USE_STARS] += rating
    _observe(producer, event, task, p[params.OF_RATING], rating, 0, position, p, t)
    row = enter(t.feedback, 1, tables.FEEDBACK_SINCE + 1, task, 0, 0, 0)
    own = t.feedback.cells
    own[row, tables.FEEDBACK_RATING] = rating
    own[row, tables.FEEDBACK_COMMENT] = NONE if comment == NONE else m.bases[0] + comment
    own[row, tables.FEEDBACK_PRODUCER] = producer
    own[row, tables.FEEDBACK_EVENT] = event
    own[row, tables.FEEDBACK_SINCE] = position
    return True


@inner
def settled(cells: Cells, at: Integer, position: Integer, m: Maps, p: Params, t: TaskTables) -> bool:
    """PaymentProcessorSettled, of just the task's price."""
    task, asset, low, high = m.ids[cells[at]], m.ids[cells[at + 1]], cells[at + 2], cells[at + 3]
    reference, producer, event = cells[at + 5], m.names[cells[at + 6]], m.names[cells[at + 7]]
    task_row = find(t.task, 1, task, 0, 0, 0)
    if task_row < 0 or t.task.cells[task_row, tables.TASK_ASSET] != asset:
        return False
    price = tables.TASK_PRICE
    if t.task.cells[task_row, price] != low or t.task.cells[task_row, price + 1] != high:
        return False
    if find(t.settlement, 1, task, 0, 0, 0) >= 0 or find(t.observation, 2, producer, event, 0, 0) >= 0:
        return False
    checked = find(t.checked, 2, p[params.CHECKED_SETTLED], p[params.OF_AMOUNT], 0, 0)
    if checked < 0:
        return False
    seen = _observe(producer, event, task, p[params.OF_AMOUNT], low, high, position, p, t)
    t.observation.cells[seen, tables.OBSERVATION_ASSET] = asset
    row = enter(t.settlement, 1, tables.SETTLEMENT_SINCE + 1, task, 0, 0, 0)
    own = t.settlement.cells
    own[row, tables.SETTLEMENT_ASSET] = asset
    own[row, tables.SETTLEMENT_AMOUNT] = low
    own[row, tables.SETTLEMENT_AMOUNT + 1] = high
    own[row, tables.SETTLEMENT_PROCESSOR] = m.ids[cells[at + 4]]
    own[row, tables.SETTLEMENT_REFERENCE] = NONE if reference == NONE else m.bases[0] + reference
    own[row, tables.SETTLEMENT_PRODUCER] = producer
    own[row, tables.SETTLEMENT_EVENT] = event
    own[row, tables.SETTLEMENT_SINCE] = position
    keep(t.checked, tables.CHECKED_SINCE, checked, position)
    t.checked.cells[checked, tables.CHECKED_COMPARISONS] += 1
    return True


@inner
def priced(cells: Cells, at: Integer, position: Integer, m: Maps, p: Params, t: TaskTables) -> bool:
    """PriceObserved."""
    asset, fiat, source = m.ids[cells[at]], m.names[cells[at + 1]], m.names[cells[at + 2]]
    producer, event = m.names[cells[at + 5]], m.names[cells[at + 6]]
    if not is_token(asset, p) or find(t.observation, 2, producer, event, 0, 0) >= 0:
        return False
    seen = _observe(producer, event, NONE, p[params.OF_PRICE], cells[at + 3], cells[at + 4], position, p, t)
    t.observation.cells[seen, tables.OBSERVATION_ASSET] = asset
    t.observation.cells[seen, tables.OBSERVATION_FIAT] = fiat
    t.observation.cells[seen, tables.OBSERVATION_SOURCE] = source
    row = changing(t.price, 3, tables.PRICE_SINCE, position, asset, fiat, source, 0)
    own = t.price.cells
    own[row, tables.PRICE_PPM] = cells[at + 3]
    own[row, tables.PRICE_PPM + 1] = cells[at + 4]
    own[row, tables.PRICE_PRODUCER] = producer
    own[row, tables.PRICE_EVENT] = event
    own[row, tables.PRICE_SAID] = m.bases[1] + cells[at + 7]
    return True


@inner
def _observe(
    producer: Integer,
    event: Integer,
    task: Integer,
    name: Integer,
    low: Integer,
    high: Integer,
    position: Integer,
    p: Params,
    t: TaskTables,
) -> Integer:
    """Enter an observation of a value, of a task or of ``NONE``; return its row."""
    row = enter(t.observation, 2, tables.OBSERVATION_SINCE + 1, producer, event, 0, 0)
    own = t.observation.cells
    for cell in range(tables.OBSERVATION_NAME, tables.OBSERVATION_SINCE):
        own[row, cell] = NONE
    own[row, tables.OBSERVATION_NAME] = name
    own[row, tables.OBSERVATION_VALUE] = low
    own[row, tables.OBSERVATION_VALUE + 1] = high
    own[row, tables.OBSERVATION_EPOCH] = p[params.EPOCH]
    own[row, tables.OBSERVATION_OBSERVED] = position
    own[row, tables.OBSERVATION_TASK] = task
    # The lower half of an amount that is unknown.
    own[row, tables.OBSERVATION_CORRECTED] = 0
    own[row, tables.OBSERVATION_SINCE] = position
    return row
