"""A moment named by its epoch: the state just before the entry that opened the next one."""

import pytest

from tests.graphql.conftest import Api

META = 'query ($at: At) { _meta(at: $at) { position } currentEpoch(of: "emission", at: $at) { epoch } }'


def test_an_epochs_end_is_just_before_the_entry_that_opened_the_next(related: Api) -> None:
    """Asks for each epoch that is over, and for the position before each opening: the answers are the same."""
    opened = related.ask("{ epochs { edges { node { openedPosition } } } }")["epochs"]["edges"]
    places = [edge["node"]["openedPosition"] for edge in opened]
    assert len(places) == 3
    for epoch, place in enumerate(places):
        answer = related.ask(META, at={"epoch": epoch})
        assert answer == related.ask(META, at={"position": place - 1})
        assert answer["_meta"]["position"] == place - 1
        assert (answer["currentEpoch"] or {"epoch": 0})["epoch"] == epoch


@pytest.mark.parametrize(
    ("epoch", "message"),
    [
        (3, "at.epoch 3 is not over: epoch 3 is open"),
        (2**53 - 1, "is not over: epoch 3 is open"),
        (-1, "at.epoch must be 0 or more, not -1"),
    ],
)
def test_an_epoch_that_is_not_over_is_refused(related: Api, epoch: int, message: str) -> None:
    """Names the open epoch, one that never was, and one below 0; the message names both sides."""
    code, said = related.refusal(META, at={"epoch": epoch})
    assert code == "BAD_INPUT"
    assert message in said


def test_without_any_epoch_none_is_over(own_api: Api) -> None:
    """Asks empty books for the end of epoch 0."""
    assert own_api.refusal(META, at={"epoch": 0}) == ("BAD_INPUT", "at.epoch 0 is not over: none was opened yet")


def test_an_epoch_and_another_name_together_are_refused(related: Api) -> None:
    """Gives an epoch and a position."""
    assert "exactly one" in related.refusal(META, at={"epoch": 1, "position": 1})[1]
