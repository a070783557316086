"""Rulesets: the answers to what the seeds leave open, as data that is hashed and activated by epoch."""

from deepnode_projections.rulesets.fields import FieldDifference, FieldValue, differences, fields_of
from deepnode_projections.rulesets.profiles import (
    DEFAULT,
    UnknownRuleset,
    by_hash,
    by_name,
    default,
    load,
    parse,
    shipped,
)
from deepnode_projections.rulesets.ruleset import Outcome, Ruleset, RulesetRefused

__all__ = [
    "DEFAULT",
    "FieldDifference",
    "FieldValue",
    "Outcome",
    "Ruleset",
    "RulesetRefused",
    "UnknownRuleset",
    "by_hash",
    "by_name",
    "default",
    "differences",
    "fields_of",
    "load",
    "parse",
    "shipped",
]
