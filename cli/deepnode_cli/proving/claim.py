"""The claim of a proof: the leaf of everything that was ever earned, and its way to a root that stands on the chain.

Entitlements are cumulative, so the root of an epoch and that of an earlier one together bind what was earned between
them. The first root is taken that entitles to all of the epoch's lines: lines that were allocated behind the epoch's
own root are in a later one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from deepnode_cli.proving.evidence import Evidence
from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.explaining.past import Past
from deepnode_projections.maths.claims import ClaimTree
from deepnode_projections.rules.claims import claim_tree
from deepnode_projections.rules.emission import Root
from deepnode_projections.rules.pools import Earned


@dataclass(frozen=True, slots=True)
class _Standing:
    """A root that the chain has and the rules give, and what the earner had earned by then, epoch by epoch."""

    root: Root
    tree: ClaimTree
    earned: list[Earned]

    def amount_of(self, epoch: int) -> int:
        return sum(each.amount for each in self.earned if each.epoch == epoch)


def claims(past: Past, asset: bytes, earner: bytes, epoch: int, earned: int, evidence: Evidence) -> dict[str, Any]:
    """Return the members ``claim`` and ``before`` of a proof, each None if there is no such root.

    Args:
        past: the books.
        asset: what was earned (20 bytes).
        earner: an address (20 bytes).
        epoch: of the proof.
        earned: what its lines come to (base units).
        evidence: takes in the entries that submitted the roots.
    """
    roots = list(_standing(past, asset, earner))
    entitling = [each for each in roots if each.root.epoch >= epoch and each.amount_of(epoch) == earned]
    if not entitling:
        return {"claim": None, "before": None}
    claim = entitling[0]
    earlier = [each for each in roots if each.root.epoch < epoch and each.earned]
    return {
        "claim": _written(claim, earner, evidence),
        "before": _written(earlier[-1], earner, evidence) if earlier else None,
    }


def _standing(past: Past, asset: bytes, earner: bytes) -> Iterator[_Standing]:
    """Yield the roots that were not disabled and are those of the rules, by epoch."""
    for root in past.every(Root):
        if root.asset != asset or root.disabled_reason is not None:
            continue
        then = past.at(root.submitted_position)
        tree = claim_tree(then, asset, root.epoch)
        if tree.root == root.root:
            earned = [each for each in then.every(Earned, asset, earner) if each.epoch <= root.epoch]
            yield _Standing(root, tree, earned)


def _written(standing: _Standing, earner: bytes, evidence: Evidence) -> dict[str, Any]:
    own = next(each for each in standing.tree.entitlements if each.earner == earner)
    return {
        "submitted": evidence.at(standing.root.submitted_position),
        "epoch": standing.root.epoch,
        "root": to_hex(standing.root.root),
        "total": str(standing.tree.total),
        "earned": [[each.epoch, str(each.amount)] for each in standing.earned],
        "cumulative": str(own.cumulative),
        "leaf": to_hex(own.leaf),
        "proof": [to_hex(each) for each in standing.tree.proof(own)],
    }
