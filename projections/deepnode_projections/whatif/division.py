"""Division: every pool that the chain allocated, divided over those who earned it, by a scenario's parameters.

How much was minted, and what revenue's leg z brought to a domain's pool, are facts. Which part of the mint a domain
gets follows the scenario's weighting; the legs follow its weights and ruleset; the lines follow who had earned what.
With nothing changed this gives the books' own lines again, which ``differing_lines`` shows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import Manifest
from deepnode_projections.maths.pools import DomainClaim, PoolLegs, WeightsRefused, over_domains, pool_legs
from deepnode_projections.maths.rewards import RewardLine
from deepnode_projections.registers.state import State
from deepnode_projections.rules.domains import Domain
from deepnode_projections.rules.emission import Allocation, EmissionMint
from deepnode_projections.rules.epochs import Epoch
from deepnode_projections.rules.pools import Earners, Reward
from deepnode_projections.rules.scene import Scene
from deepnode_projections.rules.work import Work
from deepnode_projections.rulesets.ruleset import Ruleset, Weights
from deepnode_projections.whatif.scenario import Scenario
from deepnode_projections.whatif.seen import Seen

Where = tuple[int, bytes, bytes]
"""Epoch, domain (32 bytes), asset (20 bytes)."""


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool, its legs, and the lines of those who earned them (base units). ``legs`` None: no weights are known."""

    amount: int
    legs: PoolLegs | None
    lines: tuple[RewardLine, ...]

    @property
    def undistributed(self) -> int:
        """What nobody gets."""
        return self.amount - sum(line.amount for line in self.lines)


@dataclass(frozen=True, slots=True)
class Division:
    """All pools, and in ``kept`` the epochs whose mint stays divided over the domains as it was, come what may.

    There the chain's own division is not what the rules give, or not all of it is in the log yet.
    """

    pools: Mapping[Where, Pool]
    kept: tuple[int, ...]


def minted_asset(manifest: Manifest) -> bytes | None:
    """Return the token that emissions are minted in (20 bytes), None if the manifest names none."""
    names = [each.asset for each in manifest.contracts.values() if each.kind == "Emission" and each.asset is not None]
    return manifest.by_name(names[0]).address if names else None


def divide(was: State, state: State, scenario: Scenario, manifest: Manifest) -> Division:
    """Divide every pool.

    Args:
        was: the replay as it was: its allocations are the facts.
        state: the replay under the scenario; the same one to do again what was.
        scenario: what holds.
        manifest: the deployment.

    Raises:
        BadInput: weights that the scenario's rules do not allow.
    """
    amounts, kept = _amounts(was, state, scenario, minted_asset(manifest))
    pools = {
        where: _divided(was, state, scenario, manifest, where, amount) for where, amount in sorted(amounts.items())
    }
    return Division(pools, tuple(kept))


def differing_lines(state: State, division: Division) -> list[Where]:
    """Return the pools whose lines are not those that the books hold of them; none if nothing was changed."""
    held: dict[Where, set[tuple[str, str, bytes, bytes, int]]] = {where: set() for where in division.pools}
    for each in state.every(Reward):
        line = (each.role, each.kind, each.subject, each.earner, each.amount)
        held.setdefault((each.epoch, each.domain, each.asset), set()).add(line)
    return [where for where, lines in held.items() if lines != _lines(division, where)]


def _lines(division: Division, where: Where) -> set[tuple[str, str, bytes, bytes, int]]:
    pool = division.pools.get(where)
    lines = () if pool is None else pool.lines
    return {(each.role, each.kind, each.subject, each.earner, each.amount) for each in lines}


def _divided(was: State, state: State, scenario: Scenario, manifest: Manifest, where: Where, amount: int) -> Pool:
    epoch, domain, asset = where
    seen = Seen(state, scenario, epoch, was)
    weights, rules = seen.weights(domain), seen.rules
    if weights is None:
        return Pool(amount, None, ())
    earners = Earners(Scene(seen, manifest, 0, manifest.chain_id, 0, 0), rules, epoch, domain, asset)
    of_leg = Weights(**{leg: getattr(weights, leg) for leg in Weights.__struct_fields__})
    try:
        legs = pool_legs(rules.emission, amount, of_leg, earners.earned)
    except WeightsRefused as refused:
        raise BadInput(f"under the scenario, domain {to_hex(domain)} in epoch {epoch}: {refused}") from refused
    return Pool(amount, legs, tuple(line for line in earners.lines(legs) if line.amount))


def _amounts(was: State, state: State, scenario: Scenario, minted: bytes | None) -> tuple[dict[Where, int], list[int]]:
    """Return how much each pool holds under the scenario, and the epochs that could not be divided anew."""
    facts = {(each.epoch, each.domain, each.asset): each.pool for each in was.every(Allocation)}
    amounts, kept = dict(facts), list[int]()
    if minted is None:
        return amounts, kept
    for mint in was.every(EmissionMint):
        if not any(where[0] == mint.epoch and where[2] == minted for where in facts):
            continue
        before, after = (
            _over_domains(each, Seen(each, how, mint.epoch).rules, how, mint)
            for each, how in ((was, _UNCHANGED), (state, scenario))
        )
        if before == after:
            continue
        if Seen(state, scenario, mint.epoch).rules.emission.domain_weighting == "governed" and not after:
            raise BadInput("emission.domain_weighting = governed: no domain has a weight; set governed.DOMAIN")
        made = {}
        for domain in sorted(before.keys() | after.keys()):
            where = (mint.epoch, domain, minted)
            made[where] = facts.get(where, 0) - before.get(domain, 0) + after.get(domain, 0)
        # What is in a pool beside its part of the mint came from revenue. Less than nothing cannot have come.
        rests = [facts.get((mint.epoch, domain, minted), 0) - part for domain, part in before.items()]
        if min(rests, default=0) < 0 or sum(before.values()) != sum(after.values()):
            kept.append(mint.epoch)
            continue
        amounts |= {where: amount for where, amount in made.items() if amount or where in facts}
    return amounts, kept


_UNCHANGED: Final = Scenario()


def _over_domains(state: State, rules: Ruleset, scenario: Scenario, mint: EmissionMint) -> dict[bytes, int]:
    """Divide what was minted for an epoch over the domains that there were in it; nothing where nobody has a claim."""
    behind = state.get(Epoch, mint.epoch + 1)
    if rules.emission.domain_weighting == "governed" and not scenario.chain_set.governed:
        return {}
    claims = [
        DomainClaim(
            each.domain, _work(state, mint.epoch, each.domain), scenario.chain_set.governed_weight(each.domain) or 0
        )
        for each in state.every(Domain)
        if behind is None or each.created_position < behind.opened_position
    ]
    return {share.key: share.amount for share in over_domains(rules.emission, mint.amount, claims).shares}


def _work(state: State, epoch: int, domain: bytes) -> int:
    return sum(each.weighted for each in state.every(Work, epoch, domain))
