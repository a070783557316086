"""Accounts: the pockets between which value moves.

An account's name is its identity: ``Wallet:0x…``, ``Collateral:Free:0x…``, ``RevenueRouter:Suspense:0x…``. The first
part is ``Wallet``, ``Mint``, ``Burn`` or the manifest's name of a contract. ``holder`` is the address whose token
balance includes the account, so the balances of all accounts of a holder add up to its ``balanceOf``. ``Mint`` and
``Burn`` are held by nobody: minus their sum is the token's ``totalSupply``.
"""

from dataclasses import dataclass, field
from typing import Final

from deepnode_ledger.hexadecimal import to_hex


@dataclass(frozen=True, slots=True, order=True)
class Account:
    """A pocket: ``owner`` is ``Wallet``, ``Mint``, ``Burn`` or a contract's name, ``key`` an address or id or empty."""

    owner: str
    pocket: str
    key: bytes
    holder: bytes | None
    name: str = field(init=False, compare=False)
    """Equal names are the same account. Made once: it is asked for several times a posting."""

    def __post_init__(self) -> None:
        parts = [self.owner, self.pocket, to_hex(self.key) if self.key else ""]
        object.__setattr__(self, "name", ":".join(part for part in parts if part))


MINT: Final = Account("Mint", "", b"", None)
"""Where new tokens come from; its balance is minus everything ever minted."""

BURN: Final = Account("Burn", "", b"", None)
"""Where burned tokens went."""

UNATTRIBUTED: Final = "Unattributed"
"""The pocket of a contract through which tokens pass on their way to a named pocket; zero between transactions, except
for what somebody sent to the contract without being asked."""


def wallet(address: bytes) -> Account:
    """Return the account of an address that is no contract of the manifest."""
    return Account("Wallet", "", address, address)
