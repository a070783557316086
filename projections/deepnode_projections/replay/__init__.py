"""The replay: the books made anew from the log's entries alone, in memory. It needs no database and no network.

An auditor feeds it the entries of a bundle. What it holds is what the projector writes: the same fold makes it.
"""

from deepnode_projections.replay.altered import Altered
from deepnode_projections.replay.fed import EpochEnd, Fed, Happened, Refused
from deepnode_projections.replay.log import replay_log
from deepnode_projections.replay.replaying import Replay
from deepnode_projections.replay.verdicts import (
    AllocationVerdict,
    ClaimVerdict,
    Part,
    RootVerdict,
    SplitVerdict,
    Verdicts,
)

__all__ = [
    "AllocationVerdict",
    "Altered",
    "ClaimVerdict",
    "EpochEnd",
    "Fed",
    "Happened",
    "Part",
    "Refused",
    "Replay",
    "RootVerdict",
    "SplitVerdict",
    "Verdicts",
    "replay_log",
]
