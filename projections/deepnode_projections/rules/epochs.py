"""Epochs: the periods that emissions and rewards are counted in.

The chain opens them one by one (``EpochOpened``). An entry of the log belongs to the epoch that is open at its
position; what comes late counts in the epoch in which it came. Before the first there is epoch 0.

Source: seeds/001 section 2, DESIGN section 6.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.posting import Posting
from deepnode_projections.registers.state import State
from deepnode_projections.rules.reading import number
from deepnode_projections.rules.scene import NoEffect, Rules, Scene

_ONE: Final = "emission"


@dataclass(frozen=True, slots=True)
class Epoch:
    """An epoch that was opened by the entry at ``opened_position``, at a block and its time (seconds since 1970)."""

    TABLE: ClassVar[str] = "epoch"
    KEY: ClassVar[int] = 1

    epoch: int
    start_block: int
    opened_time: int
    opened_position: int


@dataclass(frozen=True, slots=True)
class CurrentEpoch:
    """The epoch that is open. ``of`` is always ``emission``: there is one series of epochs."""

    TABLE: ClassVar[str] = "current_epoch"
    KEY: ClassVar[int] = 1

    of: str
    epoch: int


def current(state: State) -> int:
    """Return the epoch that is open, 0 before the first."""
    found = state.get(CurrentEpoch, _ONE)
    return 0 if found is None else found.epoch


def _opened(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    epoch, before = event.uint("epoch"), current(scene.state)
    if epoch != before + 1:
        raise NoEffect(f"epoch {epoch} cannot follow epoch {before}: epochs count up by one")
    scene.state.put(Epoch(epoch, number(event, "startBlock"), scene.block_time, scene.position))
    scene.state.put(CurrentEpoch(_ONE, epoch))
    return ()


RULES: Final[Rules] = {("Emission", "EpochOpened"): _opened}
RECORDS: Final = (Epoch, CurrentEpoch)
