"""Lines: what moved an address's accounts in a period, read from the books, each with the other side of it.

Every transaction in which one of the accounts moved is read as a whole: only so can be said from whom a transfer to a
contract's pocket came. What the lines of an account add up to is held against the balances of the books, always.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from deepnode_graphql.reading import Reading, driver_connection
from deepnode_graphql.statements.flows import Flow, Moved, flows_of
from deepnode_graphql.statements.line_types import TRANSFER, event_of, type_of
from deepnode_graphql.statements.own_accounts import OwnAccounts, Part, held_by
from deepnode_graphql.statements.prices import Prices
from deepnode_graphql.statements.rewards import Rewards
from deepnode_graphql.statements.statement import Balance, Dates, Line, LineType, Token
from deepnode_graphql.statements.tokens import tokens_of
from deepnode_ledger.account import BURN, UNATTRIBUTED, wallet
from deepnode_ledger.errors import BadInput
from deepnode_ledger.record import ChainLog

LINES_MAX: Final = 100_000
"""Movements of a statement. A longer one is a shorter period's."""

_MOVED: Final = (
    "SELECT DISTINCT position FROM posting WHERE account_id = ANY(%s) AND asset_id = ANY(%s)"
    " AND position > %s AND position <= %s"
    " ORDER BY position LIMIT %s"
)
_TRANSACTIONS: Final = """
    SELECT e.position, e.chain_id, e.kind, e.block_number, e.block_time, e.transaction_hash, e.log_index,
        a.name, p.asset_id, p.amount
    FROM entry e JOIN posting p ON p.position = e.position JOIN account a ON a.account_id = p.account_id
    WHERE e.transaction_hash IN (SELECT transaction_hash FROM entry WHERE position = ANY(%s)) AND e.position <= %s
    ORDER BY e.chain_id, e.transaction_hash, e.position, p.leg"""
_REGISTERED: Final = (
    "SELECT position, operator, fee, fee_burned FROM node WHERE position = ANY(%s) AND position = registered_position"
)
_NEAR: Final = (-2, -1, 1, 2)
"""How far from a registration's event the transfers of its fee stand: of what is burned, and of the rest."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry stands: its chain, its block and time, its transaction, and its place in the block."""

    chain_id: int
    block_number: int
    time: int
    transaction_hash: bytes
    log_index: int


@dataclass(frozen=True, slots=True)
class _Movement:
    """One side of a flow that is an own account's, before its balance is known."""

    position: int
    account: str
    asset: int
    amount: int
    counterparty: str
    own: bool
    type: LineType
    event: str
    paid_position: int


@dataclass(frozen=True, slots=True)
class Lines:
    """What moved in a period: the balances of the accounts, the lines, and which claims' payments are among them."""

    balances: tuple[Balance, ...]
    lines: tuple[Line, ...]
    claim_positions: frozenset[int]


def read_lines(
    reading: Reading,
    own: OwnAccounts,
    opening: int,
    position: int,
    rewards: Rewards,
    prices: Prices | None,
    lines_max: int = LINES_MAX,
) -> Lines:
    """Read what the entries behind ``opening`` up to ``position`` moved, in the order of the log.

    Args:
        reading: the books.
        own: the address's accounts.
        opening: the last position before the period.
        position: its last one.
        rewards: of the address in the period, for the dates of claims.
        prices: for values, if any are wanted.
        lines_max: how many lines there may be.

    Raises:
        BadInput: there are more.
    """
    positions = _positions(reading, own, opening, position, lines_max)
    flows, places = _flows(reading, positions, position)
    fees = _fees(reading, flows)
    movements = list(_movements(own, flows, fees, opening, position))
    movements += _unexplained(own.parts, movements, opening, position)
    if len(movements) > lines_max:
        raise _too_many(lines_max)
    movements.sort(key=lambda each: each.position)
    places |= _places_in_log(reading, {each.position for each in movements} - places.keys())
    before, after = _held(reading, own, opening), _held(reading, own, position)
    tokens = tokens_of(reading)
    claims = rewards.dates_of_claims
    lines, held = _lines(movements, places, before, tokens, claims, prices, reading.manifest.chain_id)
    assert {key: each for key, each in held.items() if each} == {key: each for key, each in after.items() if each}, (
        "the lines do not lead from the opening balances to the closing ones"
    )
    balances = tuple(
        Balance(
            account,
            tokens[asset],
            before.get((account, asset), 0),
            after.get((account, asset), 0),
            (account, asset) in before,
        )
        for account, asset in sorted(before.keys() | after.keys() | held.keys(), key=lambda each: (each[0], each[1]))
    )
    paid = (each.paid_position for each in movements if each.type is LineType.REWARD)
    return Lines(balances, lines, frozenset(paid))


def _positions(reading: Reading, own: OwnAccounts, opening: int, position: int, lines_max: int) -> list[int]:
    """Return where the own accounts moved."""
    rows = (
        driver_connection(reading.database)
        .execute(_MOVED, (list(own.names), list(reading.assets), opening, position, lines_max + 1))
        .fetchall()
    )
    if len(rows) > lines_max:
        raise _too_many(lines_max)
    found = {int(row[0]) for row in rows}
    return sorted(found | {at for part in own.parts for at, _ in part.changes if opening < at <= position})


def _flows(reading: Reading, positions: Sequence[int], last: int) -> tuple[list[Flow], dict[int, Place]]:
    """Return the flows of all transactions in which these entries are, and where each entry stands."""
    flows, places = [], {}
    rows = driver_connection(reading.database).execute(_TRANSACTIONS, (list(positions), last))
    for _, lines in groupby(rows, key=lambda row: (row[1], bytes(row[5]))):
        moved = []
        for position, chain_id, kind, number, time, transaction, index, name, asset, amount in lines:
            moved.append(Moved(position, name, asset, amount, kind))
            places[position] = Place(chain_id, number, time, bytes(transaction), index)
        flows += flows_of(moved, _passes)
    return flows, places


def _passes(account: str) -> bool:
    return account.endswith(f":{UNATTRIBUTED}")


def _fees(reading: Reading, flows: Iterable[Flow]) -> Counter[tuple[int, int, str, int]]:
    """Return the transfers that are fees of registrations, told by position, asset, payer and amount.

    A registration moves nothing by itself: its contract has the operator burn a part and pay the rest.
    """
    bare: dict[int, list[Flow]] = {}
    for each in flows:
        if each.events == (TRANSFER,) and each.source.startswith("Wallet:"):
            bare.setdefault(each.source_position, []).append(each)
    near = sorted({position + step for position in bare for step in _NEAR})
    rows = driver_connection(reading.database).execute(_REGISTERED, (near,)).fetchall()
    paid: Counter[tuple[int, int, str, int]] = Counter()
    for position, operator, fee, burned in rows:
        payer = wallet(bytes(operator)).name
        for each in (flow for step in _NEAR for flow in bare.get(position + step, ())):
            part = burned if each.target == BURN.name else fee - burned
            if each.source == payer and each.amount == part:
                paid[each.source_position, each.asset, each.source, each.amount] += 1
    return paid


def _movements(
    own: OwnAccounts, flows: Iterable[Flow], fees: Mapping[tuple[int, int, str, int], int], opening: int, position: int
) -> Iterable[_Movement]:
    names = set(own.names.values())
    parts = {
        (at, change > 0, each.asset): each
        for each in own.parts
        for at, change in each.changes
        if opening < at <= position
    }

    def named(account: str, at: int, incoming: bool, asset: int) -> str | None:
        """Return what an account is in the statement; None if it is another's."""
        if account in names:
            return account
        part = parts.get((at, incoming, asset))
        return part.account if part is not None and account.endswith(part.pocket) else None

    for flow in flows:
        source = named(flow.source, flow.source_position, False, flow.asset)
        target = named(flow.target, flow.target_position, True, flow.asset)
        both = source is not None and target is not None
        event = event_of(flow.events)
        if fees.get((flow.source_position, flow.asset, flow.source, flow.amount)):
            event = "Registered"
        for account, at, sign, other in (
            (source, flow.source_position, -1, target or flow.target),
            (target, flow.target_position, 1, source or flow.source),
        ):
            if account is not None and opening < at <= position:
                kind = type_of(event, flow.source, flow.target, incoming=sign > 0, own=both)
                amount = sign * flow.amount
                yield _Movement(at, account, flow.asset, amount, other, both, kind, event, flow.source_position)


def _unexplained(
    parts: Iterable[Part], movements: Iterable[_Movement], opening: int, position: int
) -> Iterable[_Movement]:
    """Yield what changed a part in a shared pocket and moved no money: shares of a round that were handed on."""
    moved: Counter[tuple[str, int]] = Counter()
    for each in movements:
        moved[each.account, each.position] += each.amount
    for part in parts:
        for at, change in part.changes:
            rest = change - moved[part.account, at]
            if rest and opening < at <= position:
                event = "BackerShareTransferred" if part.account.startswith("Backing:") else "Redelegated"
                kind = LineType.SHARES if part.account.startswith("Backing:") else LineType.RESTAKE
                yield _Movement(at, part.account, part.asset, rest, "", False, kind, event, at)


def _places_in_log(reading: Reading, positions: Iterable[int]) -> dict[int, Place]:
    """Look up in the log itself where entries stand that moved no money."""
    found = {}
    for position in sorted(positions):
        [entry] = reading.snapshot.entries(position, position)
        assert isinstance(entry.record, ChainLog), entry
        log = entry.record
        block = entry.block
        found[position] = Place(entry.chain_id, block.number, block.time, log.transaction_hash, log.log_index)
    return found


def _held(reading: Reading, own: OwnAccounts, position: int) -> dict[tuple[str, int], int]:
    """Return what every own account held of each asset at a position."""
    held = held_by(reading, own.names, position)
    for part in own.parts:
        if any(at <= position for at, _ in part.changes):
            held[part.account, part.asset] = part.held(position)
    return held


def _lines(
    movements: Iterable[_Movement],
    places: Mapping[int, Place],
    opening: Mapping[tuple[str, int], int],
    tokens: Mapping[int, Token],
    claims: Mapping[int, Dates],
    prices: Prices | None,
    home: int,
) -> tuple[tuple[Line, ...], dict[tuple[str, int], int]]:
    """Write the movements as lines, each with the balance behind it; return them and the last balances."""
    held = dict(opening)
    lines: list[Line] = []
    for each in movements:
        place, key = places[each.position], (each.account, each.asset)
        held[key] = held.get(key, 0) + each.amount
        leg = lines[-1].leg + 1 if lines and lines[-1].position == each.position else 0
        kind, token, dates = each.type, tokens[each.asset], None
        note = "" if place.chain_id == home else f"on chain {place.chain_id}"
        if kind is LineType.REWARD:
            dates = claims.get(each.paid_position)
            if dates is None:
                kind, note = LineType.TRANSFER_IN, "a reward that is not this address's own"
        value = None
        if prices is not None and is_valued(kind, own=each.own):
            value = prices.value(token, each.amount, each.position)
        lines.append(
            Line(
                each.position,
                leg,
                place.time,
                place.block_number,
                place.transaction_hash,
                place.log_index,
                kind,
                each.event,
                each.account,
                each.counterparty,
                each.own,
                token,
                each.amount,
                held[key],
                dates,
                value,
                note,
            )
        )
    return tuple(lines), held


def is_valued(kind: LineType, *, own: bool) -> bool:
    """Say whether a line has a value: what went to oneself, and shares that were handed on at cost, have none."""
    return not own and kind is not LineType.SHARES


def _too_many(lines_max: int) -> BadInput:
    return BadInput(f"the period has more than {lines_max} movements of the address: choose a shorter one")
