"""One model, two nodes: whose work counts when both were right."""

from hypothesis import given
from hypothesis import strategies as st

from deepnode_projections.maths import credited

work = st.lists(st.integers(0, 10**18), max_size=8)


def test_two_nodes_by_hand() -> None:
    """Credits two outputs of 1 001 units under each policy; the odd unit of a split is the earlier node's."""
    assert credited("full", (1_001, 1_001)) == (1_001, 1_001)
    assert credited("split", (1_001, 1_001)) == (501, 500)
    assert credited("first", (1_001, 1_001)) == (1_001, 0)
    assert credited("split", (1_000,)) == (1_000,)
    assert credited("split", (0, 0)) == (0, 0)
    assert credited("split", (1_000, 2_000)) == (500, 1_000)


@given(vwus=work)
def test_a_split_counts_a_task_once(vwus: list[int]) -> None:
    """Draws assigned work: split sums to the mean, full to all, and first to what the first was assigned."""
    assert sum(credited("full", vwus)) == sum(vwus)
    assert sum(credited("split", vwus)) == (sum(vwus) // len(vwus) if vwus else 0)
    assert sum(credited("first", vwus)) == (vwus[0] if vwus else 0)
    assert all(len(credited(policy, vwus)) == len(vwus) for policy in ("full", "split", "first"))
