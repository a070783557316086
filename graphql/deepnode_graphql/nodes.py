"""What the API's lists are lists of: accounts, balances, postings, entries and what they name."""

from enum import Enum
from typing import TYPE_CHECKING, Annotated

import strawberry

from deepnode_graphql.amounts import format_amount
from deepnode_graphql.moments import At
from deepnode_graphql.scalars import Address, BigInt, Hex, Long
from deepnode_graphql.together import Together
from deepnode_ledger.record import BlockRef

if TYPE_CHECKING:
    from deepnode_graphql.reading import Reading

    Info = strawberry.Info[Reading, None]
else:
    # A reading holds assets, which are nodes; at run time the library does not look at the context's type.
    Info = strawberry.Info


@strawberry.enum
class Finality(Enum):
    """Whether a reorg can still take something back.

    Attributes:
        PENDING: the block is not final yet.
        SEALED: it never changes again.
    """

    PENDING = "PENDING"
    SEALED = "SEALED"


def finality(*, sealed: bool) -> Finality:
    """Return the name of what can or cannot be taken back."""
    return Finality.SEALED if sealed else Finality.PENDING


@strawberry.type
class Block:
    """A block of the chain.

    Attributes:
        number: its height.
        hash: its hash (32 bytes).
        time: its own time, in seconds since 1970.
    """

    number: Long
    hash: Hex
    time: Long


def block_of(block: BlockRef | None) -> Block | None:
    """Return the node of a block."""
    return None if block is None else Block(number=Long(block.number), hash=Hex(block.hash), time=Long(block.time))


@strawberry.type
class Asset:
    """A token that the books keep.

    Attributes:
        symbol: its short name, such as DN.
        address: the address of its contract.
        decimals: how many digits of an amount stand behind the point.
    """

    asset_id: strawberry.Private[int]
    symbol: str
    address: Address
    decimals: int

    @strawberry.field
    def total_supply(self, info: Info, at: At | None = strawberry.UNSET) -> BigInt:
        """Everything minted and not burned, in base units: it equals the token's totalSupply."""
        return BigInt(info.context.supply(self.asset_id, info.context.moment(at)))

    @strawberry.field
    def total_supply_formatted(self, info: Info, at: At | None = strawberry.UNSET) -> str:
        """The total supply in whole tokens, with the symbol."""
        return self.format(info.context.supply(self.asset_id, info.context.moment(at)))

    def format(self, amount: int) -> str:
        """Write an amount of this asset in whole tokens, with the symbol."""
        return format_amount(amount, self.decimals, self.symbol)


@strawberry.type
class Amount:
    """An amount of an asset.

    Attributes:
        asset: which asset.
        amount: how much, in base units.
    """

    asset: Asset
    amount: BigInt

    @strawberry.field
    def amount_formatted(self) -> str:
        """The amount in whole tokens, with the symbol."""
        return self.asset.format(self.amount)


@strawberry.type
class Account:
    """A pocket between which value moves.

    Attributes:
        name: what it is known by, such as `Wallet:0x…` or `Collateral:Free:0x…`.
        owner: `Wallet`, `Mint`, `Burn`, or the name of a contract.
        pocket: which of the contract's pockets; empty for others.
        key: the address or id behind the name, if it has one.
        holder: the address whose token balance includes this account; null for Mint and Burn.
        first_position: where it had its first posting.
    """

    account_id: strawberry.Private[int]
    balances_together: strawberry.Private["Together[int, list[Balance]]"]
    name: str
    owner: str
    pocket: str
    key: Hex | None
    holder: Address | None
    first_position: Long

    @strawberry.field
    def balances(self) -> list[Annotated["Balance", strawberry.lazy("deepnode_graphql.nodes")]]:
        """Its balance in each asset that it ever had, at the moment of the list that it is in."""
        return self.balances_together.get(self.account_id, [])


@strawberry.type
class Balance:
    """What an account holds of an asset.

    Attributes:
        account: whose balance.
        asset: of which asset.
        amount: how much, in base units. Mint and Burn are the other side of what exists: Mint's balance is negative.
        position: the last posting that changed it.
        finality: whether that posting can still be taken back.
    """

    account: Account
    asset: Asset
    amount: BigInt
    position: Long
    finality: Finality

    @strawberry.field
    def amount_formatted(self) -> str:
        """The amount in whole tokens, with the symbol."""
        return self.asset.format(self.amount)


@strawberry.type
class Posting:
    """One side of a movement of value: an amount that came into an account, or left it.

    Attributes:
        position: the log entry that it came from.
        leg: its number in the accounting entry, from 0.
        account: where the amount came in.
        asset: of which asset.
        amount: how much came in, in base units; negative if it left.
        balance: the account's balance in the asset after this posting, in base units.
        kind: the event that moved it.
        contract: the name of the contract that said so.
        block: the block of the event.
        transaction_hash: the transaction of the event (32 bytes).
        log_index: the number of the log in its block.
        finality: whether it can still be taken back.
    """

    position: Long
    leg: int
    account: Account
    asset: Asset
    amount: BigInt
    balance: BigInt
    kind: str
    contract: str
    block: Block
    transaction_hash: Hex
    log_index: int
    finality: Finality

    @strawberry.field
    def amount_formatted(self) -> str:
        """The amount in whole tokens, with the symbol."""
        return self.asset.format(self.amount)

    @strawberry.field
    def balance_formatted(self) -> str:
        """The balance in whole tokens, with the symbol."""
        return self.asset.format(self.balance)


@strawberry.type
class Entry:
    """What one event did to the books: postings that sum to zero in each asset.

    Attributes:
        position: the log entry that it came from.
        kind: the name of the event.
        contract: the name of the contract that said so.
        block: the block of the event.
        transaction_hash: the transaction of the event (32 bytes).
        log_index: the number of the log in its block.
        finality: whether it can still be taken back.
    """

    postings_together: strawberry.Private[Together[int, list[Posting]]]
    position: Long
    kind: str
    contract: str
    block: Block
    transaction_hash: Hex
    log_index: int
    finality: Finality

    @strawberry.field
    def postings(self) -> list[Posting]:
        """Its postings, in their order."""
        return self.postings_together.get(self.position, [])
