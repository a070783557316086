"""The replay: the books made anew from the log's entries alone, in memory. It needs no database and no network.

An auditor feeds it the entries of a bundle. What it holds is what the projector writes: the same fold makes it.
"""

from deepnode_projections.replay.holding import Holdings
from deepnode_projections.replay.replaying import EpochEnd, Fed, Happened, Refused, Replay

__all__ = ["EpochEnd", "Fed", "Happened", "Holdings", "Refused", "Replay"]
