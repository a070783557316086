"""Tokens: what every movement of money rests on.

Tokens really move by ``Transfer`` alone. When one goes to or from a contract of the manifest, the other side is that
contract's ``Unattributed`` pocket, and the contract's own event of the same transaction says which named pocket it was
for. So every contract's pockets sum to its token balance, and ``Unattributed`` is zero again at a transaction's end,
unless somebody sent tokens without being asked.

A mint is a transfer from the zero address, a burn one to it (ERC-20).
"""

from collections.abc import Sequence
from typing import Final

from deepnode_ledger.account import BURN, MINT, UNATTRIBUTED, Account, wallet
from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.posting import Posting, postings
from deepnode_projections.rules.pockets import pocket_of
from deepnode_projections.rules.scene import Rules, Scene

ZERO_ADDRESS: Final = bytes(20)


def _transfer(event: ChainEvent, scene: Scene) -> Sequence[Posting]:
    sender, receiver = event.address("from"), event.address("to")
    value = event.uint("value")
    source = MINT if sender == ZERO_ADDRESS else _held_by(sender, scene)
    target = BURN if receiver == ZERO_ADDRESS else _held_by(receiver, scene)
    return postings(event.contract.address, [(source, -value), (target, value)])


def _held_by(address: bytes, scene: Scene) -> Account:
    contract = scene.contract(address)
    return wallet(address) if contract is None else pocket_of(contract, UNATTRIBUTED)


RULES: Final[Rules] = {("Token", "Transfer"): _transfer}
