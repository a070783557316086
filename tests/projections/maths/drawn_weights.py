"""Emission weights that a domain may set under the default rules, for tests that draw them."""

from hypothesis import strategies as st

from deepnode_projections.rulesets.ruleset import Weights


@st.composite
def weights(draw: st.DrawFn) -> Weights:
    """Weights within the default's bounds, which sum to 990 000: the owner's, and cuts of the rest."""
    owner = draw(st.integers(0, 100_000))
    cuts = sorted(draw(st.lists(st.integers(0, 990_000 - owner), min_size=3, max_size=3)))
    edges = zip([0, *cuts], [*cuts, 990_000 - owner], strict=True)
    miners, stakers, validators, models = (after - before for before, after in edges)
    return Weights(miners=miners, stakers=stakers, validators=validators, owner=owner, models=models)
