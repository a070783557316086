"""The registry: who works in which domain, and which models are there to be used.

A node pays a fee to be registered in one domain, as a miner or as a validator, and stays that domain's for ever, so
that a history can be told by node alone. A model's rates are set when it is registered and never change: b for its
creator, a for its backers, x = a + b. Refused: an id that is taken, a node that has left already, rates that do not add
up, a version out of order, a status that cannot follow.

What a registration cost is held against the parameters ``registration.fee`` (base units of DN) and
``registration.burn`` (d, in ppm of the fee) of its domain or of all, where governance has set them; under a ruleset
that takes d of revenue alone, nothing of a fee is burned. A domain is not looked up here: the contract has done that,
and a manifest may name no contract of domains.

Sources: seeds/000 section 2 step 0 (registration), section 3 B (deregistration); seeds/004 section 2 steps 2 and 4
(models, their rates and versions); seeds/001 section 1 (x is set at mint).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.posting import Posting
from deepnode_projections.registers.record import Amount
from deepnode_projections.registers.state import State
from deepnode_projections.rules.comparisons import compare
from deepnode_projections.rules.epochs import current
from deepnode_projections.rules.parameters import parameter_key, ruleset_at, value_at
from deepnode_projections.rules.reading import amount
from deepnode_projections.rules.scene import NoEffect, Rules, Scene

PPM: Final = 1_000_000
"""The whole, in millionths."""

MINER: Final = 1
VALIDATOR: Final = 2
"""The roles of nodes."""

BY_OPERATOR: Final = 1
BY_REVIEW: Final = 2
"""Why a node has left: its operator wanted so, or a review of its collateral did."""

REGISTERED: Final = 1
ACTIVE: Final = 2
PAUSED: Final = 3
RETIRED: Final = 4
"""The status of a model. Nothing follows ``RETIRED``, and nothing leads back to ``REGISTERED``."""


FEE: Final = parameter_key("registration.fee")
BURN: Final = parameter_key("registration.burn")
"""The parameters that say what a registration costs, and which part of that is burned."""

_OWN_SETTING: Final = "the contract of nodes has a setting of its own, which follows the parameter by hand"


@dataclass(frozen=True, slots=True)
class Node:
    """A miner or a validator of a domain, registered by its ``operator`` (20 bytes).

    ``role`` is 1 for a miner, 2 for a validator. ``active`` says that it has not left. ``fee`` is what registration
    cost in base units of DN, ``fee_burned`` the part of it that was burned (d). ``left_reason`` is 1 if its operator
    took it out, 2 if a review did. ``left_epoch`` is the epoch in which it left; its work counts to the end of that.
    """

    TABLE: ClassVar[str] = "node"
    KEY: ClassVar[int] = 1
    FOUND_BY: ClassVar[tuple[str, ...]] = ("operator", "domain")

    node: bytes
    domain: bytes
    operator: bytes
    role: int
    active: bool
    fee: Amount
    fee_burned: Amount
    registered_position: int
    left_reason: int | None
    left_epoch: int | None


@dataclass(frozen=True, slots=True)
class Model:
    """A model of a domain, and what its ``creator`` (20 bytes) has set.

    ``a`` is the backers' part of revenue in ppm, ``b`` the creator's royalty, and ``x`` both together. ``status`` is 1
    registered, 2 active, 3 paused or 4 retired. ``version`` is the newest that was published, 0 before the first.
    ``meta_hash`` is the hash (32 bytes) of its description.
    """

    TABLE: ClassVar[str] = "model"
    KEY: ClassVar[int] = 1
    FOUND_BY: ClassVar[tuple[str, ...]] = ("domain", "creator")

    model: bytes
    domain: bytes
    creator: bytes
    a: int
    b: int
    x: int
    status: int
    version: int
    meta_hash: bytes


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A published version of a model, counted from 1; ``hash`` (32 bytes) is of what it is made of."""

    TABLE: ClassVar[str] = "model_version"
    KEY: ClassVar[int] = 2

    model: bytes
    version: int
    hash: bytes
    published_position: int


def model_of(state: State, model: bytes) -> Model:
    """Return a model that must be there.

    Raises:
        NoEffect: it was never registered.
    """
    found = state.get(Model, model)
    if found is None:
        raise NoEffect(f"model {to_hex(model)} was never registered")
    return found


def _registered(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    node, role = event.word("node"), event.uint("role")
    fee, burned = amount(event, "fee"), amount(event, "feeBurned")
    taken = scene.state.get(Node, node)
    if taken is not None:
        raise NoEffect(f"node {to_hex(node)} is taken: it is of domain {to_hex(taken.domain)} for ever")
    if role not in (MINER, VALIDATOR):
        raise NoEffect(f"role {role} of node {to_hex(node)}: a node is a miner ({MINER}) or a validator ({VALIDATOR})")
    if burned > fee:
        raise NoEffect(f"node {to_hex(node)} burned {burned} of a fee of {fee}")
    domain = event.word("domain")
    _compare_fee(scene, domain, node, fee, burned)
    scene.state.put(Node(node, domain, event.address("operator"), role, True, fee, burned, scene.position, None, None))
    return ()


def _compare_fee(scene: Scene, domain: bytes, node: bytes, fee: int, burned: int) -> None:
    epoch = current(scene.state)
    due, rate = (value_at(scene.state, domain, key, epoch) for key in (FEE, BURN))
    if ruleset_at(scene.state, epoch).revenue.variable_burn_on == "revenue":
        rate = 0
    if due is not None:
        compare(scene, "Registered", "fee", node, due, fee, _OWN_SETTING)
    if rate is not None:
        compare(scene, "Registered", "feeBurned", node, fee * min(rate, PPM) // PPM, burned, _OWN_SETTING)


def _deregistered(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    node, domain, reason = event.word("node"), event.word("domain"), event.uint("reason")
    known = scene.state.get(Node, node)
    if known is None:
        raise NoEffect(f"node {to_hex(node)} was never registered")
    if known.domain != domain:
        raise NoEffect(f"node {to_hex(node)} is of domain {to_hex(known.domain)}, not of {to_hex(domain)}")
    if not known.active:
        raise NoEffect(f"node {to_hex(node)} has left already, for reason {known.left_reason}")
    if reason not in (BY_OPERATOR, BY_REVIEW):
        raise NoEffect(f"reason {reason}: node {to_hex(node)} can leave by its operator (1) or by a review (2)")
    scene.state.put(replace(known, active=False, left_reason=reason, left_epoch=current(scene.state)))
    return ()


def _model_registered(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    model = event.word("model")
    a, b, x = event.uint("a"), event.uint("b"), event.uint("x")
    taken = scene.state.get(Model, model)
    if taken is not None:
        raise NoEffect(f"model {to_hex(model)} is taken: it is of creator {to_hex(taken.creator)}")
    if a + b != x:
        raise NoEffect(f"rates of model {to_hex(model)}: x = {x} is not a + b = {a} + {b}")
    if x > PPM:
        raise NoEffect(f"rates of model {to_hex(model)}: x = {x} is more than {PPM} ppm")
    scene.state.put(
        Model(model, event.word("domain"), event.address("creator"), a, b, x, REGISTERED, 0, event.word("metaHash"))
    )
    return ()


def _version_published(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    known, version = model_of(scene.state, event.word("model")), event.uint("version")
    if version != known.version + 1:
        raise NoEffect(f"version {version} of model {to_hex(known.model)} cannot follow version {known.version}")
    scene.state.put(replace(known, version=version))
    scene.state.put(ModelVersion(known.model, version, event.word("hash"), scene.position))
    return ()


def _status_changed(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    known, status = model_of(scene.state, event.word("model")), event.uint("new_")
    if known.status == RETIRED:
        raise NoEffect(f"model {to_hex(known.model)} is retired, which is final: status {status} cannot follow")
    if status == known.status or status not in (ACTIVE, PAUSED, RETIRED):
        raise NoEffect(f"status {status} of model {to_hex(known.model)} cannot follow status {known.status}")
    compare(scene, "ModelStatusChanged", "old", known.model, known.status, event.uint("old"))
    scene.state.put(replace(known, status=status))
    return ()


RULES: Final[Rules] = {
    ("Nodes", "Registered"): _registered,
    ("Nodes", "Deregistered"): _deregistered,
    ("Models", "ModelRegistered"): _model_registered,
    ("Models", "ModelVersionPublished"): _version_published,
    ("Models", "ModelStatusChanged"): _status_changed,
}
RECORDS: Final = (Node, Model, ModelVersion)
