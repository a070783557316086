"""Claims: the tree of what everybody is entitled to, beside the root that the chain pays by.

Entitlements are cumulative: an earner's leaf says all that it has earned of an asset in all epochs up to the root's.
The rules make the tree of a submitted root again, compare root and total, and compare each payment with what the tree
entitles to less what was paid before.

Source: DESIGN section 6, "Facts and expectations".
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.posting import Posting
from deepnode_projections.maths.claims import ClaimTree, Entitlement
from deepnode_projections.registers.record import Amount
from deepnode_projections.registers.state import State
from deepnode_projections.rules.comparisons import Difference, compare, compare_words
from deepnode_projections.rules.emission import ClaimedTotal, Root
from deepnode_projections.rules.pockets import token
from deepnode_projections.rules.pools import Earned
from deepnode_projections.rules.reading import amount, number
from deepnode_projections.rules.scene import Rules, Scene


@dataclass(frozen=True, slots=True)
class ExpectedRoot:
    """The root that the rules give for an epoch and asset, its total (base units), and how many earners are in it.

    It is 32 zero bytes where nobody has earned anything.
    """

    TABLE: ClassVar[str] = "expected_root"
    KEY: ClassVar[int] = 2

    epoch: int
    asset: bytes
    root: bytes
    total: Amount
    earners: int


def claim_tree(state: State, asset: bytes, epoch: int) -> ClaimTree:
    """Make the tree of what everybody has earned of an asset, up to an epoch (included)."""
    earned: dict[bytes, int] = {}
    for each in state.every(Earned, asset):
        if each.epoch <= epoch:
            earned[each.earner] = earned.get(each.earner, 0) + each.amount
    return ClaimTree(Entitlement(earner, asset, cumulative) for earner, cumulative in earned.items())


def _submitted(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    epoch, asset = number(event, "epoch"), token(event, scene)
    tree = claim_tree(scene.state, asset, epoch)
    scene.state.put(ExpectedRoot(epoch, asset, tree.root, tree.total, len(tree.entitlements)))
    compare_words(scene, "RootSubmitted", "root", asset, tree.root, event.word("root"))
    compare(scene, "RootSubmitted", "total", asset, tree.total, amount(event, "total"))
    return ()


def _claimed(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    epoch, asset, earner = number(event, "epoch"), token(event, scene), event.address("earner")
    earned = sum(each.amount for each in scene.state.every(Earned, asset, earner) if each.epoch <= epoch)
    paid = scene.state.get(ClaimedTotal, earner, asset)
    assert paid is not None, "rules.emission has a rule for the same event, and comes first"
    compare(scene, "Claimed", "cumulative", earner + asset, earned, paid.amount)
    return ()


def _disabled(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    """Say of what differed in a root that it was taken out of force for it."""
    state, asset = scene.state, token(event, scene)
    root = state.get(Root, number(event, "epoch"), asset)
    assert root is not None, "rules.emission has a rule for the same event, and comes first"
    for what in ("root", "total"):
        found = state.get(Difference, "RootSubmitted", what, asset, root.submitted_position)
        if found is not None:
            because = f"the root was disabled: {to_hex(event.word('reason'))}"
            state.put(replace(found, reason="; ".join(filter(None, (found.reason, because)))))
    return ()


RULES: Final[Rules] = {
    ("Rewards", "RootSubmitted"): _submitted,
    ("Rewards", "RootDisabled"): _disabled,
    ("Rewards", "Claimed"): _claimed,
}
RECORDS: Final = (ExpectedRoot,)
