"""What-if: a log replayed under other parameters, held against what it was."""

from deepnode_projections.whatif.comparison import (
    ROLES,
    UNDISTRIBUTED,
    Change,
    SplitChange,
    Spread,
    Total,
    by_earner,
    by_role,
    of_pools,
    spread,
)
from deepnode_projections.whatif.division import minted_asset
from deepnode_projections.whatif.pressure import PressureRow
from deepnode_projections.whatif.running import Side, WhatIf, run
from deepnode_projections.whatif.scenario import Scenario, make, parse_settings, preset, presets

__all__ = [
    "ROLES",
    "UNDISTRIBUTED",
    "Change",
    "PressureRow",
    "Scenario",
    "Side",
    "SplitChange",
    "Spread",
    "Total",
    "WhatIf",
    "by_earner",
    "by_role",
    "make",
    "minted_asset",
    "of_pools",
    "parse_settings",
    "preset",
    "presets",
    "run",
    "spread",
]
