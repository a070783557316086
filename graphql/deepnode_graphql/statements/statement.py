"""A statement: everything that happened to an address's money in a period, as data.

It is of the state behind one log entry (its position), and holds nothing but what is in the books up to there: no clock
and no order of making. So a statement of final blocks is the same whenever it is made. All amounts are signed and in
base units of a token; all times are block times, in seconds since 1970.

The accounts are those of the books that are the address's own: its wallet, the collateral of the nodes that it
operates, what it has unbonding, and the deposits of its proposals. A stake and a backer's part in a round are held by
the books together with those of others; here they are accounts of the address's own, made of what the books record of
its part.
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
    """Paid to register a node, or a proposal's deposit that was forfeited; above 0 for whom such fees go to."""
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
    DEPOSIT = "deposit"
    """Between a wallet and a proposal's deposit: left when it was made, or returned."""
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

    ``accrued``: the epoch that it was earned in was over. ``claimable``: the first root that entitles to it was
    activated. ``received``: it was claimed.
    """

    accrued: int | None
    claimable: int | None
    received: int | None


@dataclass(frozen=True, slots=True)
class FiatValue:
    """What an amount was worth when it came or went: ``micros`` are millionths of a unit of ``fiat``, signed like it.

    The price is the newest of ``source`` that the log had told by then, in the entry at ``price_position``; where that
    was corrected, the right one. ``price_ppm`` is what a whole token was worth, in millionths of a unit of ``fiat``.
    Micros are rounded half to even.
    """

    fiat: str
    micros: int
    source: str
    price_position: int
    price_ppm: int


@dataclass(frozen=True, slots=True)
class Line:
    """One movement of one of the address's accounts.

    ``position`` is the entry that moved it, and ``leg`` counts the statement's lines of one entry from 0: what an entry
    divides has a line for each part. ``event`` is the event that says what it was for. ``counterparty`` is the other
    side, as an account's name (``Wallet:0x…``, ``Rewards:Payable`` …; empty if nobody's account changed), and ``own``
    says that this is an account of the statement too: then there is a line of it in the same transaction, of the same
    money with the other sign. ``amount`` came in (above 0) or went out, and ``balance`` is the account's after it.
    ``dates`` are those of a reward: of the newest epoch that the claim pays. Movements between own accounts, and
    shares that were handed on, have no ``value``. ``note`` says what cannot be said otherwise.
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
    """What one claim paid of what was earned of a token in an epoch, or what no claim has paid yet of it.

    Claims pay what was earned in the order in which it was. ``claim_position`` is the claim's entry, None as long as
    there is none. ``epoch`` is None for what was claimed beyond all that the books know to be earned. ``roles`` are
    those in which it was earned (``miner work, staker stake``). ``value`` is at the claim, if it was received.
    """

    epoch: int | None
    token: Token
    amount: int
    roles: str
    dates: Dates
    claim_position: int | None
    value: FiatValue | None


@dataclass(frozen=True, slots=True)
class Accrual:
    """What an epoch's pool gave to the address in one role, allocated within the period.

    ``domain`` and ``subject`` (a node, a model, a domain) are ids of 32 bytes. ``role`` and ``kind`` say what for: a
    validator's commission is ``validator`` and ``commission``. ``accrued`` is the end of the epoch.
    """

    position: int
    epoch: int
    accrued: int
    domain: bytes
    role: str
    kind: str
    subject: bytes
    token: Token
    amount: int


@dataclass(frozen=True, slots=True)
class CorrectedReward:
    """A line of what was earned in the period, as it was counted and paid by, and as corrected (base units).

    It is that of an ``Accrual``; ``amount`` is 0 where the corrections alone give it, ``corrected_amount`` where they
    take it away.
    """

    epoch: int
    domain: bytes
    role: str
    kind: str
    subject: bytes
    token: Token
    amount: int
    corrected_amount: int


@dataclass(frozen=True, slots=True)
class CorrectedEvent:
    """A wrong event that was counted in an ``epoch`` that was over when its correction came, at ``position``.

    ``event_id`` of ``producer`` told ``told`` as its ``value_name``; ``right`` is the right value, None if the event
    was withdrawn. ``reason`` is the producer's.
    """

    position: int
    producer: str
    event_id: str
    value_name: str
    told: int
    right: int | None
    epoch: int
    reason: str


@dataclass(frozen=True, slots=True)
class Balance:
    """What an account held of a token when the period began and when it ended: opening + its lines = closing.

    ``used_before`` says that it was moved before the period, even if nothing was left.
    """

    account: str
    token: Token
    opening: int
    closing: int
    used_before: bool = True


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that an earlier statement of the same period said otherwise.

    ``change`` is ``added``, ``removed`` or ``changed``, ``what`` the part of the statement (``lines``, ``rewards`` …),
    ``key`` names the thing in it. ``before`` and ``after`` are what was said and what is said now, empty if nothing.
    """

    change: str
    what: str
    key: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Statement:
    """What happened to an address's money from ``from_time`` until before ``to_time``.

    Its lines are of the entries behind ``opening_position`` up to ``position``. ``block_number`` and ``block_hash`` are
    of the block under which the last of them stands (None before the first). ``finality`` is ``final``, or ``pending``
    as long as a reorg could change it. ``state_root`` is that of all books at ``position``, ``manifest`` the digest of
    the contracts' description. ``fiat`` and ``price_source`` say what values are in and where prices are from, both
    empty if none were asked for; prices are as corrected up to ``known_position``. ``rewards`` are those of claims
    within the period, and what is not received at its end. ``accruals`` are what was allocated within it. ``remarks``
    say what the reader must know. ``amends`` is the digest of the earlier statement that this one was compared with,
    and ``differences`` are what that one said otherwise. ``continues`` asks journals to follow that of the period
    before: without an opening entry, and without declaring what that one has declared. ``waiting`` is what contracts
    hold for the address and have not paid out yet: in none of its accounts. ``corrected`` has what was earned as
    counted and as corrected, and ``corrections`` the events that make the difference, if they were asked for.
    """

    address: bytes
    from_time: int
    to_time: int
    chain_id: int
    opening_position: int
    position: int
    known_position: int
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
    accruals: tuple[Accrual, ...]
    remarks: tuple[str, ...]
    amends: str = ""
    differences: tuple[Difference, ...] = ()
    continues: bool = False
    waiting: tuple[Balance, ...] = ()
    corrected: tuple[CorrectedReward, ...] = ()
    corrections: tuple[CorrectedEvent, ...] = ()
