"""What a ruleset may say: the fields, their limits, and for each the seed document that leaves its meaning open.

Where the seeds disagree or are silent, the answer is a field here and never a constant in code. A ruleset is data:
whole numbers, and words out of a short list. Two of the same rules have the same hash, whatever their names are.

Rates are in ppm (1 000 000 is everything), amounts in base units. Source: DESIGN section 6.
"""

import hashlib
import json
from typing import Annotated, Any, Final, Literal

import msgspec
from eth_utils.crypto import keccak

from deepnode_ledger.errors import BadInput

PPM: Final = 10**6
"""Parts per million: a rate of this much is everything."""

FORMAT: Final = "deepnode/ruleset-format/1"
"""Part of what is hashed, so that the same fields with another meaning can never have an old hash."""


class RulesetRefused(BadInput):
    """A ruleset breaks a rule of its form; the message names the ruleset, the value and the rule."""


def _told(seed: str, meaning: str, *, ge: int | None = None, le: int | None = None) -> msgspec.Meta:
    """What a reader is told of a field, and its least and greatest value."""
    return msgspec.Meta(description=meaning, extra={"seed": seed}, ge=ge, le=le)


ModelShareBase = Literal["gross", "net"]
YieldSource = Literal["backers", "gross"]
BurnBase = Literal["both", "registration_fee", "revenue"]
Rounding = Literal["carry_forward", "largest_remainder", "floor"]
EmptyPool = Literal["undistributed", "foundation"]
DomainWeighting = Literal["verified_work", "equal", "governed"]
RevenueUse = Literal["reinforce", "offset"]
NodeCredit = Literal["full", "split", "first"]
LateEvents = Literal["next_epoch", "dropped"]
ModelUse = Literal["weighted", "tasks", "revenue"]
Outcome = Literal["approved", "rejected", "expired", "in_line", "out_of_line", "reported", "upheld"]


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A group of fields: immutable, compared by value, and strict about what it is made of."""


class RevenueRules(Rules, frozen=True, kw_only=True):
    """How a payment for the use of a model is split."""

    model_share_of: Annotated[
        ModelShareBase,
        _told(
            "001 section 1; 004 step 3",
            "what a and b (x = a + b) are taken of: gross, or what fees, buyback and foundation leave of it (net)",
        ),
    ]
    buyback_ppm: Annotated[int, _told("001 section 1; 004 section 3", "buyback and burn, of gross", ge=0, le=PPM)]
    foundation_ppm: Annotated[int, _told("004 section 3", "the foundation's share of revenue, of gross", ge=0, le=PPM)]
    yield_from: Annotated[
        YieldSource,
        _told("004 steps 1 and 3", "what the yield c comes out of: the backers' a, or gross beside the other legs"),
    ]
    variable_burn_on: Annotated[
        BurnBase,
        _told(
            "000 step 4 and section 4",
            "where a variable burn d that governance has set holds: both (a registration's fee, and revenue if the "
            "route says a rate), the registration_fee alone, or revenue alone; elsewhere it is 0",
        ),
    ]
    rounding: Annotated[
        Rounding,
        _told(
            "001 section 1",
            "what happens to parts of a base unit: carry_forward to the leg's next payment, largest_remainder within "
            "each payment, or floor with the rest to the emission leg",
        ),
    ]

    def __post_init__(self) -> None:
        if self.buyback_ppm + self.foundation_ppm > PPM:
            fixed = f"buyback_ppm {self.buyback_ppm} + foundation_ppm {self.foundation_ppm}"
            raise RulesetRefused(f"revenue: {fixed} is above {PPM}")


class Bounds(Rules, frozen=True, kw_only=True):
    """What a domain may give a leg of its emission: at least ``floor_ppm``, at most ``ceiling_ppm``."""

    floor_ppm: Annotated[int, _told("001 section 4", "governance's floor", ge=0, le=PPM)]
    ceiling_ppm: Annotated[int, _told("001 sections 2 and 4", "governance's ceiling", ge=0, le=PPM)]

    def __post_init__(self) -> None:
        if self.floor_ppm > self.ceiling_ppm:
            raise RulesetRefused(f"bounds: floor_ppm {self.floor_ppm} is above ceiling_ppm {self.ceiling_ppm}")


class Weights(Rules, frozen=True, kw_only=True):
    """What each of the five legs that a domain weights gets of the domain's emission, in ppm."""

    miners: Annotated[int, _told("001 section 2", "the miners' weight", ge=0, le=PPM)]
    stakers: Annotated[int, _told("001 section 2", "the stakers' weight", ge=0, le=PPM)]
    validators: Annotated[int, _told("001 section 2", "the validators' weight", ge=0, le=PPM)]
    owner: Annotated[int, _told("001 section 2", "the domain owner's weight", ge=0, le=PPM)]
    models: Annotated[int, _told("001 section 2", "the model owners' weight", ge=0, le=PPM)]


LEG_NAMES: Final = Weights.__struct_fields__
"""The legs that a domain weights, in the order of the chain's ``EmissionWeightsSet``."""


class EmissionRules(Rules, frozen=True, kw_only=True):
    """How an epoch's emission is divided: over domains, over a domain's legs, within a leg."""

    foundation_ppm: Annotated[int, _told("001 section 2", "the foundation's fixed share of emission", ge=0, le=PPM)]
    miners: Annotated[Bounds, _told("001 section 2: 0-99 %", "bounds of the miners' weight")]
    stakers: Annotated[Bounds, _told("001 section 2: 0-99 %", "bounds of the stakers' weight")]
    validators: Annotated[Bounds, _told("001 section 2: 0-99 %", "bounds of the validators' weight")]
    owner: Annotated[Bounds, _told("001 section 2: 0-10 %", "bounds of the domain owner's weight")]
    models: Annotated[Bounds, _told("001 section 2: x %, with no range", "bounds of the model owners' weight")]
    fixed_weights: Annotated[
        Weights | None,
        _told("001 section 3", "weights that hold in every domain whatever it has set, for the 41/41 argument"),
    ] = None
    domain_weighting: Annotated[
        DomainWeighting,
        _told("001 section 4", "what an epoch's emission follows over the domains: verified_work, equal, or governed"),
    ]
    revenue_leg: Annotated[
        RevenueUse,
        _told(
            "001 section 1: 'reinforce or offset emissions'",
            "what the emission leg z of revenue does: it is added to what is minted, or so much less is minted",
        ),
    ]
    empty_pool: Annotated[
        EmptyPool, _told("001 section 4", "who gets a leg that nobody has earned: undistributed, or the foundation")
    ]
    no_delegators: Annotated[
        Literal["validator", "undistributed"],
        _told("001 section 4", "who gets a validator's reward behind its commission if nobody has staked on it"),
    ]
    no_backers: Annotated[
        Literal["creator", "undistributed"],
        _told("004 step 3", "who gets the backers' part of a model's reward if the model has no backers"),
    ]
    model_use: Annotated[
        ModelUse,
        _told(
            "002 section 2; 001 section 4",
            "a model's usage, before relevance: difficulty of its verified tasks (weighted), their number, its revenue",
        ),
    ]

    def __post_init__(self) -> None:
        bounds = {name: self.bounds_of(name) for name in LEG_NAMES}
        low = self.foundation_ppm + sum(each.floor_ppm for each in bounds.values())
        high = self.foundation_ppm + sum(each.ceiling_ppm for each in bounds.values())
        if not low <= PPM <= high:
            raise RulesetRefused(f"emission: no weights sum to {PPM} between floors ({low}) and ceilings ({high})")
        if self.fixed_weights is not None:
            total = self.foundation_ppm + sum(msgspec.structs.astuple(self.fixed_weights))
            if total != PPM:
                raise RulesetRefused(f"emission: fixed_weights and foundation_ppm sum to {total}, not to {PPM}")

    def bounds_of(self, leg: str) -> Bounds:
        """Return the bounds of a leg by its name."""
        assert leg in LEG_NAMES, leg
        found: Bounds = getattr(self, leg)
        return found


class WorkRules(Rules, frozen=True, kw_only=True):
    """What counts as verified work, and for whom."""

    slots: Annotated[
        int, _told("002; 003: 'one model, two nodes'", "k: nodes that an attempt is given to", ge=1, le=64)
    ]
    credit: Annotated[
        NodeCredit,
        _told(
            "000 step 3; 003 section 2",
            "work credited if several nodes did a task right: full to each, split between them, or the first alone",
        ),
    ]
    quorum: Annotated[int, _told("000 step 3", "validations that an output needs before it is decided", ge=1, le=1_000)]
    majority_ppm: Annotated[
        int,
        _told("000 step 3", "an output is correct if more than this part of its validations say so", ge=0, le=PPM - 1),
    ]
    late_events: Annotated[
        LateEvents,
        _told("000 step 4", "work that is verified after its epoch: it counts in the next, or not at all"),
    ]


class TrustStep(Rules, frozen=True, kw_only=True):
    """One step of a trust score: ``alpha_ppm`` of the way towards ``target_ppm``. An alpha of 0 changes nothing."""

    alpha_ppm: Annotated[int, _told("000 step 3", "how far a step goes", ge=0, le=PPM)]
    target_ppm: Annotated[int, _told("000 step 3", "where the step leads", ge=0, le=PPM)]


_BySeverity = Annotated[tuple[TrustStep, ...], msgspec.Meta(min_length=1, max_length=255)]


class TrustRules(Rules, frozen=True, kw_only=True):
    """Trust of a subject in a domain, 0 to 1 000 000 ppm."""

    start_ppm: Annotated[int, _told("000 step 2", "trust of a subject that nothing is known of", ge=0, le=PPM)]
    approved: Annotated[TrustStep, _told("000 step 3", "a node's output was found correct")]
    rejected: Annotated[TrustStep, _told("000 step 3", "a node's output was found incorrect")]
    expired: Annotated[TrustStep, _told("none: open", "a node let a task expire")]
    in_line: Annotated[TrustStep, _told("001 section 4", "a validator judged as the consensus did")]
    out_of_line: Annotated[TrustStep, _told("001 section 4", "a validator judged against the consensus")]
    reported: Annotated[
        _BySeverity,
        _told("000 step 3 and section 3", "a node was reported, by severity from 1 (above the last: the last)"),
    ]
    upheld: Annotated[
        _BySeverity,
        _told("000 section 3", "a review found a node at fault, by severity from 1 (above the last: the last)"),
    ]


class EconomicsRules(Rules, frozen=True, kw_only=True):
    """The assumptions of the sell pressure argument, under which it can be replayed."""

    sold_ppm: Annotated[int, _told("001 section 3", "part of emissions that those who earn them sell", ge=0, le=PPM)]
    value_needed: Annotated[
        int, _told("001 section 3: $100", "external value needed for so much as per_sold says", ge=0, le=PPM)
    ]
    per_sold: Annotated[int, _told("001 section 3: $82", "emissions sold that need that much value", ge=1, le=PPM)]


class Ruleset(Rules, frozen=True, kw_only=True):
    """A ruleset. Its name, its summary and its names on chain are no part of its hash: they are about it."""

    name: Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]{0,63}\\Z")]
    summary: Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
    aliases: tuple[Annotated[str, msgspec.Meta(pattern="^[!-~]{1,128}\\Z")], ...] = ()
    """Texts whose keccak-256 stands for this ruleset on chain, such as the router's ``RULESET``."""
    revenue: RevenueRules
    emission: EmissionRules
    work: WorkRules
    trust: TrustRules
    economics: EconomicsRules

    @property
    def canonical(self) -> str:
        """The rules as JSON without white space, keys sorted: whole numbers, texts, null, lists and objects alone."""
        rules: dict[str, Any] = {each: msgspec.to_builtins(getattr(self, each)) for each in SECTIONS}
        return json.dumps({"format": FORMAT, **rules}, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @property
    def spec_hash(self) -> bytes:
        """SHA-256 of the canonical text (32 bytes); ``RulesetActivated`` names a ruleset by it."""
        return hashlib.sha256(self.canonical.encode()).digest()

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """Everything that it answers to on chain: its own hash, then those of its aliases (32 bytes each)."""
        return (self.spec_hash, *(bytes(keccak(text=alias)) for alias in self.aliases))


SECTIONS: Final = ("revenue", "emission", "work", "trust", "economics")
"""The parts of a ruleset that hold rules."""
