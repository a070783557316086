"""The books recomputed in SQL, and compared row by row: what checks the folds shares nothing with them."""

from deepnode_projections.recompute.loading import statements
from deepnode_projections.recompute.recomputation import SCHEMA, Begun, Recomputation, loaded, recompute
from deepnode_projections.recompute.relation import SHOWN_MAX, Compared, Differing, relations

__all__ = [
    "SCHEMA",
    "SHOWN_MAX",
    "Begun",
    "Compared",
    "Differing",
    "Recomputation",
    "loaded",
    "recompute",
    "relations",
    "statements",
]
