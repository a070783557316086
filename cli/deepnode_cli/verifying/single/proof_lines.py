"""The lines of a proof, made again by the rules' own maths from the weights of its divisions.

This does not follow the divisions as the file tells them: the pool is divided over its legs and each leg over all who
have earned it, by the functions that the books use. What comes out for the earner must be the file's lines: all of
them, and no other.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from deepnode_cli.verifying.single.broken import require
from deepnode_cli.verifying.single.proof_weights import Weights
from deepnode_projections.maths.pools import WeightsRefused, pool_legs
from deepnode_projections.maths.rewards import (
    EARNER,
    REST,
    Holding,
    MinerWork,
    ModelUsage,
    RewardLine,
    StakeHeld,
    ValidatorWork,
    to_miners,
    to_models,
    to_one,
    to_stakers,
    to_validators,
)
from deepnode_projections.rulesets.ruleset import LEG_NAMES, PPM, EmissionRules
from deepnode_projections.rulesets.ruleset import Weights as LegWeights

Given = Mapping[tuple[str, bytes], Weights]
"""The weights of a proof's divisions, by what they are divided by and their subject."""

PARTS = (*LEG_NAMES, "foundation", "undistributed")


def lines_of(
    rules: EmissionRules, said: Mapping[str, Any], given: Given, foundation: bytes | None
) -> Iterator[RewardLine]:
    """Yield the lines of a pool that its EpochAllocated event (``said``) divides, of the legs that are in the proof.

    Raises:
        Broken: the chain has not divided the pool over its legs as the rules do.
    """
    domain, facts = said["domain"], {part: said[part] for part in PARTS}
    where = f"pool of domain 0x{domain.hex()}"
    legs = given["legs", domain]
    try:
        weights = LegWeights(**{name: legs.get(bytes([leg]), 0) for leg, name in enumerate(LEG_NAMES)})
        made = pool_legs(rules, sum(facts.values()), weights, [name for name in LEG_NAMES if facts[name]])
    except WeightsRefused as error:
        require(False, where, f"the legs' weights: {error}")
        raise AssertionError from error
    for part in PARTS:
        should_be = getattr(made, part)
        require(
            facts[part] == should_be,
            where,
            f"the chain allocated {facts[part]} to {part}, where the rules give {should_be}",
            allocated=facts[part],
            expected=should_be,
        )
    if (work := given.get(("work", domain))) is not None:
        yield from to_miners(made.miners, [MinerWork(key[20:], key[:20], w) for key, w in work.items()]).lines
    if (stakes := given.get(("stake", domain))) is not None:
        yield from to_stakers(made.stakers, [StakeHeld(key[:20], domain, held) for key, held in stakes.items()]).lines
    if (judged := given.get(("judgements", domain))) is not None:
        told = [_validator(given, key, weight) for key, weight in judged.items()]
        yield from _known(given, "commission", to_validators(rules, made.validators, told).lines)
    if (usage := given.get(("usage", domain))) is not None:
        models = [_model(given, key, weight) for key, weight in usage.items()]
        yield from _known(given, "royalty", to_models(rules, made.models, models).lines)
    for owner in given.get(("owner", domain), ()):
        yield from to_one("owner", "owner", made.owner, owner, domain).lines
    if ("foundation", domain) in given and foundation is not None:
        yield from to_one("foundation", "fixed", made.foundation, foundation, domain).lines


def _validator(given: Given, key: bytes, weighted: int) -> ValidatorWork:
    node, in_two = key[20:], given.get(("commission", key[20:]), {REST: PPM})
    held = tuple(Holding(*each) for each in given.get(("stake", node), {}).items())
    return ValidatorWork(node, key[:20], weighted, in_two.get(EARNER, 0), held)


def _model(given: Given, key: bytes, weight: int) -> ModelUsage:
    model, in_two = key[20:], given.get(("royalty", key[20:]), {EARNER: 1})
    held = tuple(Holding(*each) for each in given.get(("shares", model), {}).items())
    # The weight is the usage times the relevance already.
    return ModelUsage(model, key[:20], weight, 1, in_two.get(REST, 0), in_two.get(EARNER, 0), held)


def _known(given: Given, by: str, lines: tuple[RewardLine, ...]) -> Iterator[RewardLine]:
    """Leave out the lines of validators and models of which the proof does not tell how their part is divided."""
    return (line for line in lines if (by, line.subject) in given)
