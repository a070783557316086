"""A statement: everything that happened to an address's money in a period, as data.

It is of the state behind one log entry (its position), and holds nothing that is not in the books up to there: no
clock, no file, no order of making. So a statement of final blocks is the same whenever it is made. All amounts are
base units of a token, signed; all times are seconds since 1970.

The accounts are those of the books that are the address's own: its wallet, the collateral of the nodes that it
operates, and what it has unbonding. A stake and a backer's part in a round are held by the books together with those of
others; here they are accounts of the address's own, made of what the books record of its part.
"""

from dataclasses import dataclass
from enum import StrEnum


class LineType(StrEnum):
    """What a line is, for whoever sorts income from expenses."""

    REWARD = "reward"
    """Earned by work, stake or backing, and claimed."""
    REVENUE = "revenue"
    """A part of what consumers paid: a creator's royalty, a backers' share, fees of a processor, a domain's share."""
    FUNDING = "funding"
    """A round's money, released to the model's creator."""
    COMPENSATION = "compensation"
    """What a review gave to the one who was harmed, out of another's collateral."""
    MINT = "mint"
    """New tokens that were given by nobody."""
    TRANSFER_IN = "transfer in"
    """From somebody else, for no reason that the books know."""
    TRANSFER_OUT = "transfer out"
    """To somebody else, for no reason that the books know."""
    PAYMENT = "payment"
    """Paid for the use of a model."""
    REFUND = "refund"
    """A payment for the use of a model, or a backer's money, that came back."""
    FEE = "fee"
    """Paid to be registered, or to propose."""
    SLASHING = "slashing"
    """Collateral that a review burned, or gave to the one who was harmed."""
    BURN = "burn"
    """Tokens that the owner destroyed."""
    COLLATERAL_IN = "collateral in"
    """Between a wallet and a node's collateral: put behind the node. Both sides have a line, if both are own."""
    COLLATERAL_OUT = "collateral out"
    """Between a node's collateral and a wallet: withdrawn, or returned by a review."""
    FREEZE = "freeze"
    """Between a node's free and its frozen collateral, while a review lasts."""
    STAKE = "stake"
    """Between a wallet and a stake: staked."""
    RESTAKE = "restake"
    """Between one stake and another: moved at once."""
    UNBOND = "unbond"
    """Between a stake and what is unbonding: asked back."""
    UNSTAKE = "unstake"
    """Between what is unbonding and a wallet: returned."""
    BACKING = "backing"
    """Between a wallet and a round: paid for shares in it."""
    SHARES = "shares"
    """A part in a round that was handed on, at what had been paid for it."""
    OTHER = "other"
    """None of these: the event's name says more."""


@dataclass(frozen=True, slots=True, order=True)
class Token:
    """``address`` (20 bytes) is the token's contract; one whole token is ``10**decimals`` base units."""

    symbol: str
    address: bytes
    decimals: int


@dataclass(frozen=True, slots=True)
class Dates:
    """The three dates of a reward, in seconds since 1970; None for what has not happened by the statement's moment.

    ``accrued``: the epoch that it was earned in was over, and its pool allocated. ``claimable``: the root that entitles
    to it took force. ``received``: it was claimed.
    """

    accrued: int | None
    claimable: int | None
    received: int | None


@dataclass(frozen=True, slots=True)
class FiatValue:
    """What an amount was worth when it came or went: ``micros`` are millionths of a unit of ``fiat``, signed like it.

    The price is the newest of ``source`` that the log knew then, told by the entry at ``price_position``; a price that
    was corrected later is the corrected one. Micros are rounded half to even.
    """

    fiat: str
    micros: int
    source: str
    price_position: int


@dataclass(frozen=True, slots=True)
class Line:
    """One movement of one of the address's accounts.

    ``position`` and ``leg`` name the posting; a line of a stake or of a part in a round has the position of its event
    and a leg above those of postings. ``event`` is the event that says what it was for. ``counterparty`` is the other
    side, as an account's name (``Wallet:0x…``, ``Rewards:Payable`` …), and ``own`` says that this is an account of the
    statement too: then a line of it, of the same ``transaction_hash``, is the same money with the other sign.
    ``amount`` came in (above 0) or went out, and ``balance`` is the account's after it. ``dates`` are those of a reward:
    of the newest epoch that a claim pays. ``note`` says what cannot be said otherwise.
    """

    position: int
    leg: int
    time: int
    block_number: int
    transaction_hash: bytes
    log_index: int
    type: LineType
    event: str
    account: str
    counterparty: str
    own: bool
    token: Token
    amount: int
    balance: int
    dates: Dates | None
    value: FiatValue | None
    note: str


@dataclass(frozen=True, slots=True)
class RewardPart:
    """What was earned of a token in an epoch, or the part of it that one claim paid (or that none has paid yet).

    An epoch's parts add up to what was earned in it. ``claim_position`` is the claim's entry, None as long as there is
    none. ``roles`` are those in which it was earned (``miners`` …). ``value`` is at the claim, if it was received.
    """

    epoch: int
    token: Token
    amount: int
    roles: str
    dates: Dates
    claim_position: int | None
    value: FiatValue | None


@dataclass(frozen=True, slots=True)
class Balance:
    """What an account held of a token when the period began and when it ended: opening + its lines = closing."""

    account: str
    token: Token
    opening: int
    closing: int


@dataclass(frozen=True, slots=True)
class Total:
    """The lines of a token that have one type and one counterparty: how many there are, and what they add up to.

    ``fiat_micros`` adds up the lines that have a value, which are ``valued`` of them. Movements between own accounts
    are there too (``own``), and add up to zero over both sides.
    """

    type: LineType
    counterparty: str
    own: bool
    token: Token
    lines: int
    amount: int
    valued: int
    fiat_micros: int


@dataclass(frozen=True, slots=True)
class Statement:
    """What happened to an address's money from ``from_time`` until before ``to_time``.

    ``position`` is the last log entry that counts, ``block_number`` and ``block_hash`` are the newest block of the log
    up to there (None before the first), ``finality`` is ``final`` or ``pending``, ``state_root`` is that of all books
    at the position, ``manifest`` the digest of the contracts' description. ``fiat`` and ``price_source`` are what values
    are in and where prices are from, both empty if no value was asked for. ``rewards`` are of claims within the period,
    and of what is not received at its end. ``remarks`` say what the reader must know.
    """

    address: bytes
    from_time: int
    to_time: int
    chain_id: int
    opening_position: int
    position: int
    block_number: int | None
    block_hash: bytes | None
    finality: str
    state_root: bytes
    manifest: bytes
    fiat: str
    price_source: str
    balances: tuple[Balance, ...]
    lines: tuple[Line, ...]
    rewards: tuple[RewardPart, ...]
    remarks: tuple[str, ...]
