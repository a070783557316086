"""Explaining: any amount leads back to events, ruleset, formula, integers and remainder.

Pure functions over a state at a position (``registers.at.StateAt``). Source: DESIGN section 6, "explain(line)".
"""

from deepnode_projections.explaining.differences import explain_difference, explain_differences
from deepnode_projections.explaining.explanation import Asset, Explanation, NothingToExplain, Step, Table
from deepnode_projections.explaining.layout import as_data, as_text
from deepnode_projections.explaining.past import Past
from deepnode_projections.explaining.places import LogPlace, log_places
from deepnode_projections.explaining.rewards import explain_reward, line_of
from deepnode_projections.explaining.splits import explain_split, receipts

__all__ = [
    "Asset",
    "Explanation",
    "LogPlace",
    "NothingToExplain",
    "Past",
    "Step",
    "Table",
    "as_data",
    "as_text",
    "explain_difference",
    "explain_differences",
    "explain_reward",
    "explain_split",
    "line_of",
    "log_places",
    "receipts",
]
