"""Epochs are opened one by one, and what no table could hold opens none."""

from deepnode_ledger.decoding import ChainEvent
from deepnode_projections.rules import epochs
from deepnode_projections.rules.epochs import Epoch, current
from tests.projections.rules.told import Story, told


def opened(epoch: int, start_block: int = 7) -> ChainEvent:
    return told("Emission", "EpochOpened", epoch=epoch, startBlock=start_block)


def test_epochs_count_up_by_one() -> None:
    """Opens 1 and 2, then 2 again, 4 and 0: three refusals, and 2 is open."""
    tale = Story(epochs.RULES).tell(opened(1), opened(2), opened(2), opened(4), opened(0))
    assert current(tale.state) == 2
    assert [(each.epoch, each.start_block) for each in tale.state.every(Epoch)] == [(1, 7), (2, 7)]
    assert tale.reasons == [
        f"epoch {epoch} cannot follow epoch 2: epochs count up by one" for epoch in (2, 4, 0)
    ]  # fmt: skip


def test_a_block_that_no_table_can_hold_opens_no_epoch() -> None:
    """Opens epoch 1 at block 2**63, which a contract may say, and at 2**63 - 1."""
    tale = Story(epochs.RULES).tell(opened(1, 2**63))
    assert tale.reasons == [f"startBlock {2**63}: the books hold numbers below 2**63"]
    assert current(tale.state) == 0
    assert current(tale.tell(opened(1, 2**63 - 1)).state) == 1
