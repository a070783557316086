"""Credit for a task that several nodes did right: "one model, two nodes" does not say whose work counts.

Sources: seeds/000 step 3, seeds/003 section 2, DESIGN section 6: two-node credit full, split or first.
"""

from collections.abc import Sequence

from deepnode_projections.maths.apportion import largest_remainder
from deepnode_projections.rulesets.ruleset import NodeCredit


def credited(policy: NodeCredit, vwus: Sequence[int]) -> tuple[int, ...]:
    """Return the work that counts for each of the outputs of an attempt that were found correct.

    Args:
        policy: of the ruleset in force.
        vwus: verified work units assigned to each output, in the order in which the outputs were submitted.

    ``full``: each as assigned. ``split``: the mean of all (rounded down) divided by what was assigned, an odd unit to
    the earlier. ``first``: what was assigned to the first, nothing to the others.

    Source: seeds/003 section 2, DESIGN section 6.
    """
    assert all(vwu >= 0 for vwu in vwus), vwus
    match policy:
        case "full":
            return tuple(vwus)
        case "first":
            return tuple(0 if place else vwu for place, vwu in enumerate(vwus))
        case "split":
            mean = sum(vwus) // len(vwus) if vwus else 0
            found = largest_remainder(mean, ((place.to_bytes(2), vwu) for place, vwu in enumerate(vwus)))
            by_place = {int.from_bytes(share.key): share.amount for share in found.shares}
            parts = tuple(by_place.get(place, 0) for place in range(len(vwus)))
            assert sum(parts) == mean, (vwus, parts)
            return parts
