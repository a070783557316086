"""What the chain itself has set, and a scenario sets otherwise: weights of emission, rates of models and of routes.

Each goes by a dotted name, in which ``*`` stands for all: ``weights.DOMAIN.LEG``, ``model.MODEL.a`` (or ``b``, ``x``),
``route.DOMAIN.ASSET.RATE`` and ``governed.DOMAIN``. Domains and models are ids (32 bytes, ``0x…``), assets symbols or
addresses. Where both speak of a thing, its own name has precedence over ``*``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import ADDRESS_BYTES, WORD_BYTES, from_hex
from deepnode_ledger.manifest import Manifest
from deepnode_projections.rules.domains import RATES, EmissionWeights, Route
from deepnode_projections.rules.registry import Model
from deepnode_projections.rulesets.ruleset import LEG_NAMES, PPM

ALL: Final = "*"
SHARES: Final = ("a", "b", "x")
WEIGHT_MAX: Final = 10**18
"""The most that a domain can be given as its governed weight; what counts is how they compare."""

KNOWN: Final = (
    f"weights.DOMAIN.({'|'.join(LEG_NAMES)})",
    f"model.MODEL.({'|'.join(SHARES)})",
    f"route.DOMAIN.ASSET.({'|'.join(RATES)})",
    "governed.DOMAIN",
)
"""The forms of names, with * for all domains, models or assets."""

Thing = tuple[bytes | None, ...]
"""Which domain, model, or domain and asset; None for all."""

R = TypeVar("R", EmissionWeights, Model, Route)


@dataclass(frozen=True, slots=True)
class ChainSet:
    """What is set otherwise, in ppm (governed weights: any unit), by the thing and by what of it is set."""

    weights: Mapping[Thing, Mapping[str, int]] = field(default_factory=dict)
    models: Mapping[Thing, Mapping[str, int]] = field(default_factory=dict)
    routes: Mapping[Thing, Mapping[str, int]] = field(default_factory=dict)
    governed: Mapping[Thing, Mapping[str, int]] = field(default_factory=dict)

    def of_weights(self, weights: EmissionWeights) -> EmissionWeights:
        """Return a domain's weights with the legs that are set otherwise."""
        return _replaced(weights, _found(self.weights, weights.domain))

    def of_model(self, model: Model) -> Model:
        """Return a model with the rates that are set otherwise; x alone is shared as a and b were."""
        found = _found(self.models, model.model)
        if "x" not in found:
            made = _replaced(model, found)
            return replace(made, x=made.a + made.b)
        x = found["x"]
        a = found.get("a", x - found["b"] if "b" in found else x * model.a // model.x if model.x else 0)
        made = replace(model, a=a, b=found.get("b", x - a), x=x)
        if min(made.a, made.b) < 0 or made.a + made.b != made.x:
            raise BadInput(f"model rates a {made.a}, b {made.b} and x {x} ppm: x is a + b")
        return made

    def of_route(self, route: Route) -> Route:
        """Return a route with the rates that are set otherwise."""
        return _replaced(route, _found(self.routes, route.domain, route.asset))

    def governed_weight(self, domain: bytes) -> int | None:
        """Return what governance gives a domain of the emission, None if nothing is set."""
        return _found(self.governed, domain).get("")

    def things(self, kind: str) -> list[Thing]:
        """Return the things of a kind (``weights``, ``models``, ``routes``, ``governed``) that are set by name."""
        return list(getattr(self, kind))


def is_chain_set(name: str) -> bool:
    """Say whether a name is of something that the chain has set, and not of a ruleset's field."""
    return name.partition(".")[0] in _KINDS


def read(settings: Mapping[str, int | str | None], manifest: Manifest) -> ChainSet:
    """Read settings by their dotted names.

    Raises:
        BadInput: a name of no such form, or a value that is no whole number within its limits.
    """
    made: dict[str, dict[Thing, dict[str, int]]] = {kind: {} for kind in _KINDS.values()}
    for name, value in settings.items():
        kind, thing, what = _thing(name, manifest)
        most = WEIGHT_MAX if kind == "governed" else PPM
        if not isinstance(value, int) or not 0 <= value <= most:
            raise BadInput(f"{name:.200} = {str(value)[:80]}: it is a whole number from 0 to {most}")
        held = made[kind].setdefault(thing, {})
        if what in held:
            raise BadInput(f"{name:.200} is set twice, under two names of one thing")
        held[what] = value
    return ChainSet(**made)


_KINDS: Final = {"weights": "weights", "model": "models", "route": "routes", "governed": "governed"}


def _thing(name: str, manifest: Manifest) -> tuple[str, Thing, str]:
    parts = name.split(".")
    match parts:
        case ["weights", domain, leg] if leg in LEG_NAMES:
            return "weights", (_id(domain, name),), leg
        case ["model", model, share] if share in SHARES:
            return "models", (_id(model, name),), share
        case ["route", domain, asset, rate] if rate in RATES or f"{rate}_" in RATES:
            return "routes", (_id(domain, name), _asset(asset, name, manifest)), rate if rate in RATES else f"{rate}_"
        case ["governed", domain]:
            return "governed", (_id(domain, name),), ""
    raise BadInput(f"{name!r:.200} is nothing that the chain sets: there are {', '.join(KNOWN)}")


def _id(text: str, name: str) -> bytes | None:
    return None if text == ALL else from_hex(text, WORD_BYTES, what=f"the id in {name:.200}")


def _asset(text: str, name: str, manifest: Manifest) -> bytes | None:
    if text == ALL:
        return None
    if text.startswith("0x"):
        return from_hex(text, ADDRESS_BYTES, what=f"the asset in {name:.200}")
    found = [token.address for token in manifest.tokens if token.symbol == text]
    if len(found) != 1:
        symbols = ", ".join(token.symbol or token.name for token in manifest.tokens)
        raise BadInput(f"{text!r:.80} in {name:.200} is the symbol of {len(found)} tokens: there are {symbols}")
    return found[0]


def _found(settings: Mapping[Thing, Mapping[str, int]], *thing: bytes) -> dict[str, int]:
    """Merge what is set for all and what is set for this thing, from the least to the most particular."""
    names: Sequence[Thing] = [(None,), thing] if len(thing) == 1 else [
        (None, None), (None, thing[1]), (thing[0], None), thing,
    ]  # fmt: skip
    return {what: value for name in names for what, value in settings.get(name, {}).items()}


def _replaced(record: R, changed: dict[str, int]) -> R:
    values: dict[str, Any] = dict(changed)
    return replace(record, **values)
