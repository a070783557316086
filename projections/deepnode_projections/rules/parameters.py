"""Parameters: the numbers by which the marketplace runs, and the ruleset that says how they are used.

A parameter is a number under a scope and a key (32 bytes each). The scope is a domain, or zeros for all of them; the
key is a text such as ``emission.miners.floor``, padded with zeros (``parameter_key``). What is set holds from an epoch
on. An epoch that has begun keeps the rates of its start: what names it counts from the next one. Of the settings whose
epoch has come, the one that was made last holds. Refused: a number that the books cannot hold, a ruleset's version out
of order.

The old value that an event names is compared with the books; the new one is taken in any case, because it is what the
contract holds from then on.

Sources: seeds/001 section 1 (governance-approved settings) and section 4 (global floors and ceilings), seeds/000
section 2 step 4 (d depends on governance settings); DESIGN section 6 (rulesets).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.posting import AMOUNT_LIMIT, Posting
from deepnode_projections.registers.record import Amount
from deepnode_projections.registers.state import State
from deepnode_projections.rules.comparisons import compare
from deepnode_projections.rules.epochs import current
from deepnode_projections.rules.reading import amount, number
from deepnode_projections.rules.scene import NoEffect, Rules, Scene
from deepnode_projections.rulesets import Ruleset, by_hash, default

EVERYWHERE: Final = bytes(32)
"""The scope of what holds for every domain that has no setting of its own."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A setting of a parameter.

    ``scope`` is the domain that it is for (32 bytes), zeros for all. ``key`` is a text that is padded with zeros to 32
    bytes. ``version`` counts the settings of a parameter from 1. It holds from ``from_epoch`` on, until the epoch of a
    later version comes. ``proposal`` (32 bytes) has decided so, unless a governor did by hand.
    """

    TABLE: ClassVar[str] = "parameter"
    KEY: ClassVar[int] = 3

    scope: bytes
    key: bytes
    version: int
    value: Amount
    from_epoch: int
    proposal: bytes | None


@dataclass(frozen=True, slots=True)
class RulesetInForce:
    """A ruleset that was activated: it is in force from ``from_epoch`` on, until the epoch of a later version comes.

    ``version`` counts them from 1. ``spec_hash`` is the hash of its text (32 bytes).
    """

    TABLE: ClassVar[str] = "ruleset_in_force"
    KEY: ClassVar[int] = 1

    version: int
    spec_hash: bytes
    from_epoch: int


def parameter_key(text: str) -> bytes:
    """Return the key that a text stands for (32 bytes): its characters, then zeros, as Solidity's ``bytes32("…")``."""
    key = text.encode("ascii")
    assert len(key) <= 32, text
    return key.ljust(32, b"\0")


def value_at(state: State, scope: bytes, key: bytes, epoch: int) -> int | None:
    """Return what a parameter is in an epoch, as far as it is known now; None if it was never set for it.

    A scope that has no value of its own has that of ``EVERYWHERE``.
    """
    for setting in reversed(state.every(Parameter, scope, key)):
        if setting.from_epoch <= epoch:
            return setting.value
    return None if scope == EVERYWHERE else value_at(state, EVERYWHERE, key, epoch)


def ruleset_hash_in_force(state: State, epoch: int) -> bytes | None:
    """Return the hash (32 bytes) of the ruleset of an epoch, as far as it is known now; None if there is none."""
    for ruleset in reversed(state.every(RulesetInForce)):
        if ruleset.from_epoch <= epoch:
            return ruleset.spec_hash
    return None


def ruleset_at(state: State, epoch: int) -> Ruleset:
    """Return the ruleset of an epoch: the default one where none was activated, or one that does not come with us.

    What a ruleset that we do not have would say cannot be guessed; its hash stays in ``RulesetInForce`` for all to see.
    A state with a ``ruling`` has the last word.
    """
    active = ruleset_hash_in_force(state, epoch)
    ruleset = (active is not None and by_hash(active)) or default()
    return ruleset if state.ruling is None else state.ruling(epoch, ruleset)


def effective_epoch(scene: Scene, epoch: int) -> int:
    """Return the epoch from which on something holds that was set to hold from ``epoch``: none that has begun.

    Before the first epoch is opened, everything may still be set.
    """
    now = current(scene.state)
    return epoch if now == 0 else max(epoch, now + 1)


def _param_set(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    scope, key, proposal = event.word("scope"), event.word("key"), event.word("proposal")
    value, old = amount(event, "new_"), event.uint("old")
    from_epoch = effective_epoch(scene, number(event, "effectiveAt"))
    settings = scene.state.every(Parameter, scope, key)
    # The contract names the value set last, which need not hold yet, and zero where there was none.
    held = settings[-1].value if settings else 0
    too_large = old >= AMOUNT_LIMIT
    compare(
        scene,
        "ParamSet",
        "old",
        scope + key,
        held,
        None if too_large else old,
        f"the event says {old}, and the books hold amounts below 10**38" if too_large else "",
    )
    decided = proposal if any(proposal) else None
    scene.state.put(Parameter(scope, key, len(settings) + 1, value, from_epoch, decided))
    return ()


def _ruleset_activated(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    version, spec_hash = event.uint("version"), event.word("specHash")
    expected = len(scene.state.every(RulesetInForce)) + 1
    if version != expected:
        raise NoEffect(f"ruleset {version} cannot follow ruleset {expected - 1}: versions count up by one")
    from_epoch = effective_epoch(scene, number(event, "fromEpoch"))
    scene.state.put(RulesetInForce(version, spec_hash, from_epoch))
    return ()


RULES: Final[Rules] = {
    ("Parameters", "ParamSet"): _param_set,
    ("Parameters", "RulesetActivated"): _ruleset_activated,
}
RECORDS: Final = (Parameter, RulesetInForce)
