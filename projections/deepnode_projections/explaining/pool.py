"""Where a pool came from, and how it was divided over the legs of a domain."""

from collections.abc import Mapping
from typing import Final

import msgspec

from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.explaining.division import SEEDS
from deepnode_projections.explaining.explanation import Asset, Cell, Step, Table, answers, counted, places
from deepnode_projections.explaining.past import Past, span_of
from deepnode_projections.maths.apportion import largest_remainder
from deepnode_projections.maths.pools import DomainClaim, checked_weights, over_domains
from deepnode_projections.rules.comparisons import Difference
from deepnode_projections.rules.domains import Domain, EmissionWeights, weights_at
from deepnode_projections.rules.emission import Allocation, EmissionMint
from deepnode_projections.rules.parameters import RulesetInForce, ruleset_at, ruleset_hash_in_force
from deepnode_projections.rules.revenue import ReleasedTotal
from deepnode_projections.rules.work import Work
from deepnode_projections.rulesets.ruleset import LEG_NAMES, PPM, Ruleset, Weights

EMISSION_LEG: Final = "emission"
MINTED_SYMBOL: Final = "DN"

LEG_OF_ROLE: Final[Mapping[str, str]] = {
    "miner": "miners",
    "staker": "stakers",
    "validator": "validators",
    "delegator": "validators",
    "owner": "owner",
    "creator": "models",
    "backer": "models",
    "foundation": "foundation",
}
"""Which leg of a pool a reward's role is paid from."""


def ruleset_step(past: Past, epoch: int) -> Step:
    """Say which ruleset an epoch was counted by, and which entry activated it."""
    rules, hash_ = ruleset_at(past, epoch), ruleset_hash_in_force(past, epoch)
    said = f'Epoch {epoch} is counted by the ruleset "{rules.name}", whose hash is {to_hex(rules.spec_hash)}.'
    if hash_ is None:
        return Step("The rules", (said, "None was activated on the chain, so it is the default one."))
    standing = next(each for each in reversed(past.every(RulesetInForce)) if each.from_epoch <= epoch)
    since = past.since(RulesetInForce, standing.version)
    known = "" if hash_ in rules.hashes else f" The chain names {to_hex(hash_)}, which does not come with this program."
    activated = f"It is number {standing.version} and holds from epoch {standing.from_epoch} on.{known}"
    return Step("The rules", (said, activated), seeds=("DESIGN section 6",), positions=places(since))


def pool_step(past: Past, epoch: int, domain: bytes, asset: Asset, fact: Allocation) -> Step:
    """Say what a pool is made of: the domain's part of what was minted, and leg z of its revenue."""
    span, rules = span_of(past, epoch), ruleset_at(past, epoch)
    allocated = past.since(Allocation, epoch, domain, asset.address)
    released, released_at = _released(past, domain, asset, span)
    said = [f"The pool of domain {to_hex(domain)} for epoch {epoch} is {asset.amount(fact.pool)}."]
    formulas, table, mint_at, expected = [], None, None, released
    mint = past.get(EmissionMint, epoch)
    if asset.symbol == MINTED_SYMBOL and mint is not None:
        mint_at = past.since(EmissionMint, epoch)
        part, table = _part_of_mint(past, rules, epoch, domain, mint.amount)
        expected += part
        said.append(f"{asset.amount(mint.amount)} were minted for the epoch; the domain's part of it is {part}.")
        formulas.append(f"{part} (of the mint) + {released} (of revenue) = {expected}")
    said.append(f"Leg z of the domain's revenue (emission) was released to it: {released} in the epoch.")
    holds = expected == fact.pool
    if not holds:
        said.append(
            f"These come to {expected}, which is not the pool. How the chain's allocator came to the rest is not in the"
            " books; what it divided is."
        )
    return Step(
        "The pool",
        tuple(said),
        tuple(formulas),
        table,
        ("001 section 1", "001 section 4"),
        answers(rules, "emission.domain_weighting", "emission.revenue_leg"),
        places(mint_at, allocated, *released_at),
        holds,
    )


def leg_step(past: Past, epoch: int, domain: bytes, asset: Asset, fact: Allocation, leg: str) -> Step:
    """Say how the pool was divided over the legs, and what of it the leg is that a reward is paid from."""
    rules = ruleset_at(past, epoch)
    set_ = weights_at(past, domain, epoch)
    allocated = past.since(Allocation, epoch, domain, asset.address)
    amount = getattr(fact, leg)
    if set_ is None:
        said = "The domain had set no weights for the epoch: the books only keep what the chain reports."
        return Step("The leg", (said,), positions=places(allocated), holds=False)
    weights = checked_weights(rules.emission, Weights(**{each: getattr(set_, each) for each in LEG_NAMES}))
    of_leg = [*msgspec.structs.astuple(weights), rules.emission.foundation_ppm]
    found = {s.key[0]: s for s in largest_remainder(fact.pool, ((bytes([n]), w) for n, w in enumerate(of_leg))).shares}
    rows: list[tuple[Cell, ...]] = []
    for number, name in enumerate((*LEG_NAMES, "foundation")):
        share, is_ = found.get(number), getattr(fact, name)
        part = (0, 0, 0) if share is None else (share.floor, share.remainder, share.extra)
        rows.append((name, of_leg[number], *part, is_))
    rows.append(("undistributed", None, None, None, None, fact.undistributed))
    own = (*LEG_NAMES, "foundation").index(leg)
    divided = found[own].amount if own in found else 0
    said_ = [
        (
            f"The {leg} leg has a weight of {of_leg[own]} of {PPM} ppm (setting {set_.version} of the domain's "
            f"weights, from epoch {set_.from_epoch} on). It is {asset.amount(amount)}."
        ),
    ]
    if fact.undistributed:
        unearned = [name for name in LEG_NAMES if getattr(fact, name) == 0 and getattr(weights, name)]
        said_.append(
            f"Nobody had earned {' and '.join(unearned) or 'a part'}: {fact.undistributed} stay undistributed."
        )
    differing = _differences(past, domain, asset, allocated)
    expected_too = "Every leg is what the rules give." if not differing else "; ".join(differing)
    formula = f"{fact.pool} * {of_leg[own]} / {PPM} -> {divided}"
    if own in found:
        share = found[own]
        formula = f"{fact.pool} * {share.weight} / {share.total_weight} = {share.floor}, remainder {share.remainder}"
        formula = f"{formula}; + {share.extra} = {share.amount}"
    # What legs that nobody earned would have got may come to the foundation's.
    holds = not differing and (divided == amount or leg == "foundation")
    return Step(
        "The leg",
        (*said_, expected_too),
        (formula,),
        Table(("leg", "weight ppm", "rounded down", "remainder", "extra", "base units"), tuple(rows)),
        ("001 section 2", *SEEDS),
        answers(rules, "emission.foundation_ppm", "emission.empty_pool"),
        places(past.since(EmissionWeights, domain, set_.version), allocated),
        holds,
    )


def _released(past: Past, domain: bytes, asset: Asset, span: range) -> tuple[int, list[int]]:
    """Return what was paid out of the emission leg for a domain among some entries, and where."""
    before, total, where = 0, 0, []
    for position, each in past.changes(ReleasedTotal, EMISSION_LEG, domain, asset.address):
        if position in span:
            total += each.amount - before
            where.append(position)
        before = each.amount
    return total, where


def _part_of_mint(past: Past, rules: Ruleset, epoch: int, domain: bytes, minted: int) -> tuple[int, Table]:
    claims = [
        DomainClaim(each.domain, sum(work.weighted for work in past.every(Work, epoch, each.domain)))
        for each in past.every(Domain)
    ]
    found = over_domains(rules.emission, minted, claims)
    rows = tuple((s.key, s.weight, s.floor, s.remainder, s.extra, s.amount) for s in found.shares)
    head = ("domain", "weight", "rounded down", "remainder", "extra", "part of mint")
    shown = [row for row in rows if row[0] == domain or len(rows) <= len(_FEW)]
    note = "" if len(shown) == len(rows) else f"{counted(len(rows) - len(shown), 'other domain')} left out"
    return sum(s.amount for s in found.shares if s.key == domain), Table(head, tuple(shown), note)


_FEW: Final = range(12)


def _differences(past: Past, domain: bytes, asset: Asset, position: int | None) -> list[str]:
    found = []
    for part in (*LEG_NAMES, "foundation", "undistributed", "weights"):
        key = domain if part == "weights" else domain + asset.address
        each = past.get(Difference, "EpochAllocated", part, key, position)
        if each is not None:
            found.append(f"The chain allocated {each.fact} to {part}, where the rules give {each.expected}.")
    return found
