"""Observations: prices, ratings and settlements stand until they are corrected."""

import pytest

from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.rules.comparisons import Checked, Difference
from deepnode_projections.rules.corrections import Correction
from deepnode_projections.rules.observations import Feedback, Observation, Price, Settlement
from deepnode_projections.rules.work import ModelUse
from tests.projections.rules.spoken import PRODUCER, Spoken, judged
from tests.projections.rules.told import DN, USDC, address, word

OTHER = "urn:producer:2"


def approved() -> Spoken:
    """A story whose task t1 was approved."""
    return Spoken().say("TaskCreated").hear(judged()).say("ConsensusReached")


def price(story: Spoken) -> int | None:
    """The newest price of DN in dollars."""
    found = story.state.get(Price, DN, "USD", "urn:price")
    assert found is not None
    return found.price_ppm


def stars(story: Spoken) -> tuple[int, int]:
    """How many ratings the model has in the current epoch, and their sum."""
    (use,) = story.state.every(ModelUse)
    return use.ratings, use.stars


def test_a_price_is_the_newest_of_its_source() -> None:
    """Two sources, two currencies, two assets; the newest of one source takes the place of its older one."""
    story = Spoken().say("PriceObserved", price_ppm="5").say("PriceObserved", price_ppm="6", source="urn:other")
    story.say("PriceObserved", price_ppm="7", fiat="EUR").say("PriceObserved", price_ppm="8", asset=to_hex(USDC))
    story.say("PriceObserved", price_ppm="9")
    assert len(story.state.every(Price)) == 4
    assert story.state.get(Price, DN, "USD", "urn:price") == Price(
        *(DN, "USD", "urn:price", 9, PRODUCER, "e5", "2026-01-31T12:00:00Z")
    )
    story.say("PriceObserved", asset="0x" + "ee" * 20)
    assert story.reasons == [f"asset 0x{'ee' * 20} is no token of the manifest"]


def test_a_price_is_corrected_to_another_or_to_none() -> None:
    """Corrects the newest price, then the one before it, which changes nothing that is newer.

    ::

        e1  5
        e2  6   corrected to 60 by e3
        e1      void by e4
        e5  7   void by e6
    """
    story = Spoken().say("PriceObserved", price_ppm="5").say("PriceObserved", price_ppm="6")
    story.say("Correction", corrects="e2", price_ppm="60")
    assert price(story) == 60
    story.say("Correction", corrects="e1")
    assert price(story) == 60
    story.say("PriceObserved", price_ppm="7").say("Correction", corrects="e5")
    assert price(story) is None
    assert story.reasons == []
    found = story.state.get(Observation, PRODUCER, "e2")
    assert found == Observation(
        producer=PRODUCER,
        event_id="e2",
        value_name="price_ppm",
        value=6,
        epoch=0,
        observed_position=2,
        asset=DN,
        fiat="USD",
        source="urn:price",
        corrected_by="e3",
        corrected_value=60,
        correction_reason="a slip",
    )


def test_a_rating_counts_once_and_until_it_is_corrected() -> None:
    """Rates, rates again, corrects to 2, and, of another task, withdraws and rates anew."""
    story = approved().say("UserFeedback", rating=5)
    rated = f"e{story.position}"
    story.say("UserFeedback", rating=1)
    assert stars(story) == (1, 5)
    story.say("Correction", corrects=rated, rating=2)
    assert stars(story) == (1, 2)
    assert len(story.reasons) == 1
    assert "has rating 5 already" in story.reasons[0]
    again = approved().say("UserFeedback")
    again.say("Correction", corrects=f"e{again.position}")
    assert stars(again) == (0, 0)
    again.say("UserFeedback", rating=4)
    assert stars(again) == (1, 4)
    assert again.state.get(Feedback, word("t1")) == Feedback(word("t1"), 4, None, PRODUCER, f"e{again.position}")
    assert again.reasons == []


def test_a_rating_that_was_counted_stays_as_it_was() -> None:
    """Rates in epoch 1 and corrects in epoch 2: the end of epoch 1 has counted it, so the correction is a record."""
    story = approved().epoch(1).say("UserFeedback")
    rated = f"e{story.position}"
    story.epoch(2).say("Correction", corrects=rated, rating=1)
    feedback, found = story.state.get(Feedback, word("t1")), story.state.get(Observation, PRODUCER, rated)
    (made,) = story.state.every(Correction)
    assert story.reasons == []
    assert feedback is not None
    assert feedback.rating == 5
    assert found is not None
    assert (found.value, found.corrected_value) == (5, 1)
    assert (made.told, made.value, made.epoch, made.in_time, made.corrected_epoch) == (5, 1, 1, False, 2)


def test_a_rating_that_was_withdrawn_makes_room_and_is_not_corrected_again() -> None:
    """Withdraws a rating, rates anew, and corrects the withdrawn one, which would be a second rating."""
    story = approved().say("UserFeedback")
    rated = f"e{story.position}"
    story.say("Correction", corrects=rated).say("UserFeedback", rating=4).say("Correction", corrects=rated, rating=3)
    assert stars(story) == (1, 4)
    assert story.reasons == [f"event '{rated}' was withdrawn, and 'e{story.position - 1}' stands in its place"]


def test_only_what_was_approved_is_rated() -> None:
    """Rates a task that nobody knows, and one that is assigned."""
    story = Spoken().say("UserFeedback").say("TaskCreated").say("TaskAssigned").say("UserFeedback")
    assert "was never created" in story.reasons[0]
    assert "is assigned: what was not approved is not rated" in story.reasons[1]


def test_a_settlement_is_held_against_the_price() -> None:
    """Settles 990 of 1000, which is a difference; the correction to 1000 is compared again and is none."""
    story = Spoken().say("TaskCreated").say("PaymentProcessorSettled", amount="990")
    assert [(each.expected, each.fact) for each in story.state.every(Difference)] == [(1000, 990)]
    story.say("PaymentProcessorSettled").say("PaymentProcessorSettled", asset=to_hex(USDC))
    assert "is settled with 990 already, by 'e2'" in story.reasons[0]
    assert "has a price in" in story.reasons[1]
    story.say("Correction", corrects="e2", amount="1000")
    (checked,) = story.state.every(Checked)
    assert (checked.comparisons, checked.differing) == (2, 1)
    found = story.state.get(Settlement, word("t1"))
    assert found == Settlement(word("t1"), DN, 1000, address("p"), None, PRODUCER, "e2")


def test_a_void_settlement_makes_room_for_another() -> None:
    """Withdraws a settlement and settles again."""
    story = Spoken().say("TaskCreated").say("PaymentProcessorSettled", amount="990").say("Correction", corrects="e2")
    story.say("PaymentProcessorSettled")
    found = story.state.get(Settlement, word("t1"))
    assert story.reasons == []
    assert found is not None
    assert (found.amount, found.event_id) == (1000, "e4")


@pytest.mark.parametrize(
    ("corrects", "members", "reason"),
    [
        ("e9", {}, f"event 'e9' of '{PRODUCER}' is no price, rating or settlement in the books"),
        ("e1", {}, "naming the task, and nothing else"),
        ("e3", {}, "event 'e3' of"),
        ("e2", {"producer": OTHER}, f"event 'e2' of '{OTHER}' is no price"),
        ("e4", {"rating": 3}, "event 'e4' has a price_ppm to correct, and no rating"),
        ("e4", {"price_ppm": "1", "amount": "3", "rating": 3}, "and no rating and amount"),
    ],
)
def test_what_cannot_be_corrected(corrects: str, members: dict[str, str], reason: str) -> None:
    """Corrects an unknown event, one that moved a task, a correction, another producer's, and amiss.

    ::

        e1  a task is created
        e2  a price       corrected by e3
        e4  a price
    """
    story = Spoken().say("TaskCreated").say("PriceObserved").say("Correction", corrects="e2").say("PriceObserved")
    story.say("Correction", corrects=corrects, **members)
    assert len(story.reasons) == 1
    assert reason in story.reasons[0]
