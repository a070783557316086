"""The rules of collateral and revenue move what the journal moved, and refuse what it refused, for the same reasons.

What they refuse beyond the journal is named here; no contract of the reference deployment can say it.
"""

import re
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from deepnode_ledger.manifest import Manifest
from deepnode_ledger.posting import AmountTooLarge, Posting
from deepnode_projections.folds import journal
from deepnode_projections.registers.state import MemoryState
from deepnode_projections.rules import collateral, registry, revenue
from deepnode_projections.rules.scene import NoEffect, Scene
from tests.ledger.histories import CHAIN_ID
from tests.projections import stories as s

RULES: Final = {**collateral.RULES, **registry.RULES, **revenue.RULES}

ALSO_REFUSED: Final = (
    r"a second case of one id: .*",
    r"(a review of|a verdict on) a case that is \w+ and not \w+: .*",
    r"a verdict divides .*",
    r"a second receipt of one id: .*",
    r"(a split|a refund) of a receipt that is \w+ already: .*",
    r"model 0x\w+ is taken: .*",
    # A sum of amounts that are each within the limit.
    r"-?\d+ base units: the books hold amounts below 10\*\*38",
)


def by_rules(manifest: Manifest, state: MemoryState, position: int, said: s.Said) -> tuple[Posting, ...] | str:
    """What the rules move, or why nothing."""
    event = s.decoded(manifest, said)
    rule = RULES.get((event.contract.kind, event.name))
    if rule is None:
        return ()
    try:
        with state.attempt(position):
            return tuple(rule(event, Scene(state, manifest, position, CHAIN_ID, 9, 0)))
    except (NoEffect, AmountTooLarge) as refusal:
        return str(refusal)


@given(st.lists(s.anything.filter(lambda said: said[1] != "Transfer"), max_size=25))
def test_rules_move_what_the_journal_moved(manifest: Manifest, story: list[s.Said]) -> None:
    """Tells any story to both; what the rules alone refuse is taken out of the journal's facts too."""
    state, facts = MemoryState(), dict[journal.FactKey, bytes]()
    for position, said in enumerate(story, 1):
        found = by_rules(manifest, state, position, said)
        effect = journal.apply(s.decoded(manifest, said), facts, journal.Around(manifest))
        if isinstance(found, str) and any(re.fullmatch(reason, found) for reason in ALSO_REFUSED):
            continue
        assert found == (effect.reason if isinstance(effect, journal.Refusal) else effect.postings)
        if isinstance(effect, journal.Effect):
            facts.update(effect.facts)
