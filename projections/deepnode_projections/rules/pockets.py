"""Pockets: a contract's named accounts, and the tokens that are in them.

A pocket's account is the manifest's name of the contract, the pocket's name and what it is kept for (a node, a model,
a staker …). Which token is in it is said by the event (``token``) or, where a contract holds one token only, by the
manifest (``asset_of``).

An amount that is no token of the manifest's, or too large for the books, has no effect.
"""

from typing import Final

from deepnode_ledger.account import UNATTRIBUTED, Account
from deepnode_ledger.contract import Contract
from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.posting import AMOUNT_LIMIT, AmountTooLarge, Posting, postings
from deepnode_projections.rules.scene import NoEffect, Scene

_LEG_OF_MODEL: Final = frozenset({"creator", "backers", "yield"})
_LEG_OF_DOMAIN: Final = frozenset({"fees", "domain", "variableBurn", "emission"})


def pocket_of(contract: Contract, pocket: str, key: bytes = b"") -> Account:
    """Return one of a contract's accounts."""
    return Account(contract.name, pocket, key, contract.address)


def leg_pocket(router: Contract, leg: str, model: bytes, domain: bytes) -> Account:
    """Return the pocket of a leg of revenue (``vocabulary.LEGS``): that of a model, of a domain or of the network."""
    pocket = leg[0].upper() + leg[1:]
    if leg in _LEG_OF_MODEL:
        return pocket_of(router, pocket, model)
    if leg in _LEG_OF_DOMAIN:
        return pocket_of(router, pocket, domain)
    # Buyback and foundation belong to the whole network.
    return pocket_of(router, pocket)


def comes_in(event: ChainEvent, asset: bytes, amount: int, pocket: Account) -> tuple[Posting, ...]:
    """Say what a transfer to the event's contract was for; an amount below zero goes the other way.

    Raises:
        AmountTooLarge: the amount is 10**38 or more.
    """
    return postings(asset, [(pocket_of(event.contract, UNATTRIBUTED), -amount), (pocket, amount)])


def goes_out(event: ChainEvent, asset: bytes, amount: int, pocket: Account) -> tuple[Posting, ...]:
    """Say which pocket a transfer from the event's contract is taken from.

    Raises:
        AmountTooLarge: the amount is 10**38 or more.
    """
    return postings(asset, [(pocket, -amount), (pocket_of(event.contract, UNATTRIBUTED), amount)])


def asset_of(event: ChainEvent, scene: Scene) -> bytes:
    """Return the address of the one token that the event's contract holds.

    Raises:
        NoEffect: the manifest does not say which it is.
    """
    for each in scene.manifest.tokens:
        if each.name == event.contract.asset:
            return each.address
    raise NoEffect(f"the manifest names no token that {event.contract.name} holds")


def token(event: ChainEvent, scene: Scene, name: str = "asset") -> bytes:
    """Return an argument that is the address of a token.

    Raises:
        NoEffect: it is none of the manifest.
    """
    asset = event.address(name)
    contract = scene.contract(asset)
    if contract is None or contract.kind != "Token":
        raise NoEffect(f"the asset {to_hex(asset)} is no token of the manifest")
    return asset


def bounded(amount: int) -> int:
    """Return a sum of amounts, which may have become too large although each of them is not.

    Raises:
        AmountTooLarge: it is 10**38 or more, in either direction.
    """
    if not -AMOUNT_LIMIT < amount < AMOUNT_LIMIT:
        raise AmountTooLarge(f"{amount} base units: the books hold amounts below 10**38")
    return amount
