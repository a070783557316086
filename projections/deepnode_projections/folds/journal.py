"""The journal's rules: what each event moves, from which pocket to which.

Tokens really move by ``Transfer`` alone. When one goes to or from a contract of the manifest, the other side is that
contract's ``Unattributed`` pocket, and the contract's own event of the same transaction says which named pocket it was
for. So every contract's pockets sum to its token balance, and ``Unattributed`` is zero again at a transaction's end,
unless somebody sent tokens without being asked.

A log that the rules give no effect (a case that was never flagged, an asset that is no token of the manifest) leaves a
``Refusal`` with its reason: nothing is dropped in silence.

Sources: seeds/000 steps 0 and 3 (collateral), seeds/001 section 1 and seeds/004 step 3 (the legs of revenue).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from deepnode_ledger.account import BURN, MINT, UNATTRIBUTED, Account, wallet
from deepnode_ledger.contract import Contract, Contracts, Place
from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.posting import AmountTooLarge, Posting, postings
from deepnode_ledger.vocabulary import LEGS

ZERO_ADDRESS: Final = bytes(20)
ZERO_WORD: Final = bytes(32)

FactKey = tuple[str, bytes]
"""What is known of something: its sort (``case``, ``model``, ``receipt``) and the key that it is looked up by."""

Facts = Mapping[FactKey, bytes]

_LEG_OF_MODEL: Final = frozenset({"creator", "backers", "yield"})
_LEG_OF_DOMAIN: Final = frozenset({"fees", "domain", "variableBurn", "emission"})


class NoEffect(BadInput):
    """The rules give this event no effect; the message is the reason that the books show."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What an event does: ``postings`` that sum to zero, ``facts`` that later events will ask for."""

    postings: tuple[Posting, ...] = ()
    facts: dict[FactKey, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An event without effect, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Around:
    """What an event stands in: the deployment, the contracts that are known, and its own place on its chain.

    ``contracts`` knows the children of factories; it may be left out where there are none.
    """

    manifest: Manifest
    contracts: Contracts | None = None
    place: Place | None = None

    def contract(self, address: bytes, event: ChainEvent) -> Contract | None:
        """Return the contract that an address is to an event, or None."""
        known = self.manifest if self.contracts is None else self.contracts
        return known.get(address, event.contract.chain_id, self.place)


def facts_needed(event: ChainEvent) -> list[FactKey]:
    """Name the facts that ``apply`` will ask for, so that the caller can fetch them for a whole batch at once."""
    match (event.contract.kind, event.name):
        case ("Collateral", "ReviewOpened" | "ReviewDecided"):
            return [_case(event)]
        case ("RevenueRouter", "RevenueRefunded"):
            return [_receipt(event)]
        case ("RevenueRouter", "RevenueSplit"):
            return [("model", event.word("model"))]
        case _:
            return []


def has_rule(kind: str, name: str) -> bool:
    """Say whether events of this name, of contracts of this kind, do anything to the books."""
    return (kind, name) in _RULES


def apply(event: ChainEvent, facts: Facts, around: Around) -> Effect | Refusal:
    """Say what an event does to the books.

    Args:
        event: the decoded log.
        facts: at least those that ``facts_needed`` names, as far as they are known.
        around: says which addresses are contracts and tokens.
    """
    rule = _RULES.get((event.contract.kind, event.name))
    if rule is None:
        return Effect()
    try:
        return rule(event, facts, around)
    except (NoEffect, AmountTooLarge) as error:
        return Refusal(str(error))


def _transfer(event: ChainEvent, _facts: Facts, around: Around) -> Effect:
    sender, receiver = event.address("from"), event.address("to")
    value = event.uint("value")
    source = MINT if sender == ZERO_ADDRESS else _held_by(sender, event, around)
    target = BURN if receiver == ZERO_ADDRESS else _held_by(receiver, event, around)
    return Effect(postings(event.contract.address, [(source, -value), (target, value)]))


def _deposited(event: ChainEvent, _facts: Facts, around: Around) -> Effect:
    amount = event.uint("amount")
    free = pocket_of(event.contract, "Free", event.word("node"))
    moves = [(pocket_of(event.contract, UNATTRIBUTED), -amount), (free, amount)]
    return Effect(postings(_collateral_asset(event, around), moves))


def _withdrawn(event: ChainEvent, _facts: Facts, around: Around) -> Effect:
    amount = event.uint("amount")
    free = pocket_of(event.contract, "Free", event.word("node"))
    moves = [(free, -amount), (pocket_of(event.contract, UNATTRIBUTED), amount)]
    return Effect(postings(_collateral_asset(event, around), moves))


def _flagged(event: ChainEvent, _facts: Facts, _around: Around) -> Effect:
    return Effect(facts={_case(event): event.word("node")})


def _review_opened(event: ChainEvent, facts: Facts, around: Around) -> Effect:
    frozen = event.uint("frozen")
    node = _known(facts, _case(event), "a review of a case that was never flagged")
    moves = [
        (pocket_of(event.contract, "Free", node), -frozen),
        (pocket_of(event.contract, "Frozen", event.word("caseId")), frozen),
    ]
    return Effect(postings(_collateral_asset(event, around), moves))


def _review_decided(event: ChainEvent, facts: Facts, around: Around) -> Effect:
    node = _known(facts, _case(event), "a verdict on a case that was never flagged")
    # Burned, compensated and returned leave the contract by transfers of the same transaction.
    leaving = event.uint("burned") + event.uint("compensated") + event.uint("returned")
    retained = event.uint("retained")
    moves = [
        (pocket_of(event.contract, "Frozen", event.word("caseId")), -leaving - retained),
        (pocket_of(event.contract, UNATTRIBUTED), leaving),
        (pocket_of(event.contract, "Free", node), retained),
    ]
    return Effect(postings(_collateral_asset(event, around), moves))


def _model_registered(event: ChainEvent, _facts: Facts, _around: Around) -> Effect:
    return Effect(facts={("model", event.word("model")): event.word("domain")})


def _revenue_received(event: ChainEvent, _facts: Facts, around: Around) -> Effect:
    asset = _token(event, around)
    model, amount = event.word("model"), event.uint("amount")
    moves = [(pocket_of(event.contract, UNATTRIBUTED), -amount), (pocket_of(event.contract, "Escrow", model), amount)]
    return Effect(postings(asset, moves), {_receipt(event): model + asset})


def _revenue_refunded(event: ChainEvent, facts: Facts, _around: Around) -> Effect:
    amount = event.uint("amount")
    receipt = _known(facts, _receipt(event), "a refund of a receipt that was never seen")
    model, asset = receipt[:32], receipt[32:]
    moves = [(pocket_of(event.contract, "Escrow", model), -amount), (pocket_of(event.contract, UNATTRIBUTED), amount)]
    return Effect(postings(asset, moves))


def _revenue_split(event: ChainEvent, facts: Facts, around: Around) -> Effect:
    asset = _token(event, around)
    model, gross = event.word("model"), event.uint("gross")
    domain = _known(facts, ("model", model), "revenue of a model that was never registered")
    legs = {leg: event.uint(leg) for leg in LEGS}
    moves = [(pocket_of(event.contract, "Escrow", model), -gross)]
    moves += [(_leg_pocket(event.contract, leg, model, domain), amount) for leg, amount in legs.items()]
    # What is less than a base unit of a leg waits here for the next payment (carry-forward): see DESIGN section 6.
    moves.append((pocket_of(event.contract, "Suspense", model), gross - sum(legs.values())))
    return Effect(postings(asset, moves))


def _released(event: ChainEvent, _facts: Facts, around: Around) -> Effect:
    number, amount = event.uint("leg"), event.uint("amount")
    if number >= len(LEGS):
        raise NoEffect(f"leg {number}: a split has the legs 0 to {len(LEGS) - 1}")
    beneficiary = event.word("beneficiary")
    pocket = _leg_pocket(event.contract, LEGS[number], beneficiary, beneficiary)
    moves = [(pocket, -amount), (pocket_of(event.contract, UNATTRIBUTED), amount)]
    return Effect(postings(_token(event, around), moves))


_Rule = Callable[[ChainEvent, Facts, Around], Effect]

_RULES: Final[dict[tuple[str, str], _Rule]] = {
    ("Token", "Transfer"): _transfer,
    ("Collateral", "Deposited"): _deposited,
    ("Collateral", "Withdrawn"): _withdrawn,
    ("Collateral", "Flagged"): _flagged,
    ("Collateral", "ReviewOpened"): _review_opened,
    ("Collateral", "ReviewDecided"): _review_decided,
    ("Models", "ModelRegistered"): _model_registered,
    ("RevenueRouter", "RevenueReceived"): _revenue_received,
    ("RevenueRouter", "RevenueRefunded"): _revenue_refunded,
    ("RevenueRouter", "RevenueSplit"): _revenue_split,
    ("RevenueRouter", "Released"): _released,
}


def _held_by(address: bytes, event: ChainEvent, around: Around) -> Account:
    contract = around.contract(address, event)
    return wallet(address) if contract is None else pocket_of(contract, UNATTRIBUTED)


def pocket_of(contract: Contract, pocket: str, key: bytes = b"") -> Account:
    """Return one of a contract's accounts."""
    return Account(contract.name, pocket, key, contract.address)


def _leg_pocket(router: Contract, leg: str, model: bytes, domain: bytes) -> Account:
    pocket = leg[0].upper() + leg[1:]
    if leg in _LEG_OF_MODEL:
        return pocket_of(router, pocket, model)
    if leg in _LEG_OF_DOMAIN:
        return pocket_of(router, pocket, domain)
    # Buyback and foundation belong to the whole network.
    return pocket_of(router, pocket)


def _collateral_asset(event: ChainEvent, around: Around) -> bytes:
    assert event.contract.asset is not None, "the manifest gives each collateral contract its asset"
    return around.manifest.by_name(event.contract.asset).address


def _token(event: ChainEvent, around: Around) -> bytes:
    asset = event.address("asset")
    contract = around.contract(asset, event)
    if contract is None or contract.kind != "Token":
        raise NoEffect(f"the asset {to_hex(asset)} is no token of the manifest")
    return asset


def _case(event: ChainEvent) -> FactKey:
    return ("case", event.contract.address + event.word("caseId"))


def _receipt(event: ChainEvent) -> FactKey:
    return ("receipt", event.contract.address + event.word("receipt"))


def _known(facts: Facts, key: FactKey, otherwise: str) -> bytes:
    value = facts.get(key)
    if value is None:
        raise NoEffect(f"{otherwise}: {key[0]} {to_hex(key[1][-32:])}")
    return value
