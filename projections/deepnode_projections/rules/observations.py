"""Observations: what producers tell about the world beside the tasks.

A user rates a task that was approved, once. A payment processor's settlement of a task's price is held against that
price. A price of a token in fiat money is the newest of its source. None of these moves a task or any money: where one
is corrected (``rules.corrections``), the right value takes the place of the wrong one, or none does.

These rules come behind ``rules.work``.

Source: DESIGN section 5, off-chain task events; seeds/000 step 4 (payment processors), seeds/002 section 2.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Final

from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.statement import Statement, said
from deepnode_ledger.statement_data import (
    PAYMENT_PROCESSOR_SETTLED,
    PRICE_OBSERVED,
    USER_FEEDBACK,
    PaymentProcessorSettled,
    PriceObserved,
    UserFeedback,
)
from deepnode_projections.registers.record import Amount
from deepnode_projections.rules.comparisons import compare
from deepnode_projections.rules.epochs import current
from deepnode_projections.rules.scene import NoEffect, Scene, TaskRules
from deepnode_projections.rules.tasks import APPROVED, CREDITED, check_token, task_of
from deepnode_projections.rules.work import use_of

PRICE: Final = "price_ppm"
RATING: Final = "rating"
AMOUNT: Final = "amount"
"""What an observation's value is: the name of the member that has it, in its event and in a correction."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A producer's event that can be corrected: a price, a rating or a settled amount.

    ``producer`` and ``event_id`` name the event. ``value_name`` says what it told: price_ppm, rating or amount.
    ``value`` is what was told first. ``epoch`` is the one in which it came, ``observed_position`` its entry.
    ``task`` is what a rating or a settlement is about. ``asset`` is the token (20 bytes) of a price or a
    settlement. ``fiat`` is the money of a price, ``source`` where the price comes from. ``corrected_by`` is the id
    of the event that corrected it, of several the newest. ``corrected_value`` is the right value then, if there is
    any. ``correction_reason`` is why it was corrected.
    """

    TABLE: ClassVar[str] = "observation"
    KEY: ClassVar[int] = 2

    producer: str
    event_id: str
    value_name: str
    value: Amount
    epoch: int
    observed_position: int
    task: bytes | None = None
    asset: bytes | None = None
    fiat: str | None = None
    source: str | None = None
    corrected_by: str | None = None
    corrected_value: Amount | None = None
    correction_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Price:
    """The newest price of a token in fiat money by a source.

    ``asset`` is the token (20 bytes). ``fiat`` is a code of ISO 4217. ``source`` is where the price comes from.
    ``price_ppm`` is in millionths of a unit of fiat money for a whole token, unless it was void. ``producer`` and
    ``event_id`` name the event that told it. ``said_at`` is that event's own time (RFC 3339).
    """

    TABLE: ClassVar[str] = "price"
    KEY: ClassVar[int] = 3

    asset: bytes
    fiat: str
    source: str
    price_ppm: Amount | None
    producer: str
    event_id: str
    said_at: str


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a user gave for a task.

    ``rating`` is from 1 to 5 stars, unless it was void. ``comment_hash`` stands for what the user wrote.
    ``producer`` and ``event_id`` name the event that told it.
    """

    TABLE: ClassVar[str] = "feedback"
    KEY: ClassVar[int] = 1

    task: bytes
    rating: int | None
    comment_hash: bytes | None
    producer: str
    event_id: str


@dataclass(frozen=True, slots=True)
class Settlement:
    """A payment processor's settlement of a task's price.

    ``asset`` is the token of the price (20 bytes). ``amount`` is in base units, unless it was void. ``processor``
    is the processor's address (20 bytes). ``reference_hash`` stands for the processor's own record. ``producer``
    and ``event_id`` name the event that told it.
    """

    TABLE: ClassVar[str] = "settlement"
    KEY: ClassVar[int] = 1

    task: bytes
    asset: bytes
    amount: Amount | None
    processor: bytes
    reference_hash: bytes | None
    producer: str
    event_id: str


def _priced(statement: Statement, scene: Scene) -> None:
    data = said(statement, PriceObserved)
    check_token(scene, data.asset)
    seen = Observation(*_of(statement, scene, PRICE, data.price_ppm), None, data.asset, data.fiat, data.source)
    key = (data.asset, data.fiat, data.source)
    scene.state.put(seen)
    scene.state.put(Price(*key, data.price_ppm, statement.producer, statement.event_id, statement.time))


def _rated(statement: Statement, scene: Scene) -> None:
    data, state = said(statement, UserFeedback), scene.state
    task = task_of(state, data.task)
    if task.stage not in (APPROVED, CREDITED):
        raise NoEffect(f"task {to_hex(data.task)} is {task.stage}: what was not approved is not rated")
    before = state.get(Feedback, data.task)
    if before is not None and before.rating is not None:
        raise NoEffect(f"task {to_hex(data.task)} has rating {before.rating} already, by event {before.event_id!a}")
    use = use_of(state, task)
    state.put(replace(use, ratings=use.ratings + 1, stars=use.stars + data.rating))
    state.put(Observation(*_of(statement, scene, RATING, data.rating), data.task))
    state.put(Feedback(data.task, data.rating, data.comment_hash, statement.producer, statement.event_id))


def _settled(statement: Statement, scene: Scene) -> None:
    data, state = said(statement, PaymentProcessorSettled), scene.state
    task = task_of(state, data.task)
    if data.asset != task.asset:
        raise NoEffect(f"task {to_hex(data.task)} has a price in {to_hex(task.asset)}, not in {to_hex(data.asset)}")
    before = state.get(Settlement, data.task)
    if before is not None and before.amount is not None:
        raise NoEffect(f"task {to_hex(data.task)} is settled with {before.amount} already, by {before.event_id!a}")
    state.put(Observation(*_of(statement, scene, AMOUNT, data.amount), data.task, data.asset))
    own = (data.processor, data.reference_hash, statement.producer, statement.event_id)
    state.put(Settlement(data.task, data.asset, data.amount, *own))
    compare(scene, "PaymentProcessorSettled", "amount", data.task, task.price, data.amount)


def _of(statement: Statement, scene: Scene, value_name: str, value: int) -> tuple[str, str, str, int, int, int]:
    """The fields that every observation begins with."""
    return statement.producer, statement.event_id, value_name, value, current(scene.state), scene.position


def tell_again(scene: Scene, wrong: Observation, right: int | None) -> None:
    """Let the books go on with the right value of an observation, or without it if there is none.

    Raises:
        NoEffect: it was withdrawn, and another one has taken its place.
    """
    if wrong.value_name == RATING:
        _rate_again(scene, wrong, right)
    elif wrong.value_name == AMOUNT:
        _settle_again(scene, wrong, right)
    else:
        _price_again(scene, wrong, right)


def _rate_again(scene: Scene, wrong: Observation, rating: int | None) -> None:
    assert wrong.task is not None, wrong
    state, task = scene.state, task_of(scene.state, wrong.task)
    use, feedback = use_of(state, task), state.get(Feedback, wrong.task)
    assert feedback is not None, wrong
    _check_place(feedback, wrong)
    ratings = use.ratings + (rating is not None) - (feedback.rating is not None)
    state.put(replace(use, ratings=ratings, stars=use.stars - (feedback.rating or 0) + (rating or 0)))
    state.put(replace(feedback, rating=rating))


def _settle_again(scene: Scene, wrong: Observation, amount: int | None) -> None:
    assert wrong.task is not None, wrong
    settlement, task = scene.state.get(Settlement, wrong.task), task_of(scene.state, wrong.task)
    assert settlement is not None, wrong
    _check_place(settlement, wrong)
    scene.state.put(replace(settlement, amount=amount))
    if amount is not None:
        compare(scene, "PaymentProcessorSettled", "amount", wrong.task, task.price, amount)


def _check_place(newest: Feedback | Settlement, wrong: Observation) -> None:
    if (newest.producer, newest.event_id) != (wrong.producer, wrong.event_id):
        raise NoEffect(f"event {wrong.event_id!a} was withdrawn, and {newest.event_id!a} stands in its place")


def _price_again(scene: Scene, wrong: Observation, price_ppm: int | None) -> None:
    assert wrong.asset is not None, wrong
    assert wrong.fiat is not None, wrong
    assert wrong.source is not None, wrong
    newest = scene.state.get(Price, wrong.asset, wrong.fiat, wrong.source)
    # A later price of the same source stands as it is.
    if newest is not None and (newest.producer, newest.event_id) == (wrong.producer, wrong.event_id):
        scene.state.put(replace(newest, price_ppm=price_ppm))


TASK_RULES: Final[TaskRules] = {
    PRICE_OBSERVED: _priced,
    USER_FEEDBACK: _rated,
    PAYMENT_PROCESSOR_SETTLED: _settled,
}
RECORDS: Final = (Observation, Price, Feedback, Settlement)
