"""Rewards: what was earned for each epoch, when it could be claimed, and which claim paid it.

What was earned is what the rules make of each epoch's pools, which is what the claim trees entitle to. What was claimed
is what the chain paid. Both are read up to the statement's position alone.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from deepnode_graphql.reading import Reading, driver_connection
from deepnode_graphql.statements.apportioning import Claim, Earning, Paid, apportion
from deepnode_graphql.statements.statement import Accrual, Dates, RewardPart, Token
from deepnode_graphql.statements.tokens import tokens_of
from deepnode_projections.registers.at import StateAt
from deepnode_projections.rules.emission import ClaimedTotal
from deepnode_projections.rules.epochs import Epoch
from deepnode_projections.rules.pools import Earned, Reward

_ROOTS: Final = """
    SELECT epoch, activates_at FROM reward_root
    WHERE asset = %s AND position <= %s AND (until IS NULL OR until > %s) AND disabled_reason IS NULL
    ORDER BY epoch"""
_TIMES: Final = """
    SELECT p.position, (SELECT time FROM block WHERE last_position >= p.position ORDER BY last_position LIMIT 1)
    FROM unnest(%s::bigint[]) p(position)"""


@dataclass(frozen=True, slots=True)
class Rewards:
    """An address's rewards: the parts that claims within the period paid, and those not received at its end."""

    parts: tuple[RewardPart, ...]
    accruals: tuple[Accrual, ...]

    @property
    def dates_of_claims(self) -> dict[int, Dates]:
        """The dates of the newest epoch that each claim pays, by the claim's position."""
        found: dict[int, Dates] = {}
        for each in sorted(self.parts, key=lambda part: part.epoch is not None):
            if each.claim_position is not None:
                found[each.claim_position] = each.dates
        return found


def read_rewards(reading: Reading, address: bytes, opening: int, position: int, to_time: int) -> Rewards:
    """Read the rewards of an address at a position, and which of them were received behind ``opening``."""
    state = StateAt(driver_connection(reading.database), position)
    kept = [each for _, each in sorted(state.found(Reward, "earner", address), key=lambda each: each[0])]
    parts: list[RewardPart] = []
    for token in tokens_of(reading).values():
        earnings, claims = _earnings(state, token, address), _claims(state, token, address)
        paid = [each for each in apportion(earnings, claims) if each.claim is None or opening < each.claim <= position]
        roles = _roles(kept, token)
        parts += _dated(reading, state, token, paid, roles, to_time)
    return Rewards(tuple(parts), tuple(_accruals(reading, state, address, opening)))


def _earnings(state: StateAt, token: Token, address: bytes) -> list[Earning]:
    before: dict[int, int] = {}
    earnings = []
    for position, each in state.changes(Earned, token.address, address):
        earnings.append(Earning(position, each.epoch, each.amount - before.get(each.epoch, 0)))
        before[each.epoch] = each.amount
    return earnings


def _claims(state: StateAt, token: Token, address: bytes) -> list[Claim]:
    before, claims = 0, []
    for position, each in state.changes(ClaimedTotal, address, token.address):
        claims.append(Claim(position, each.amount - before))
        before = each.amount
    return claims


def _dated(
    reading: Reading, state: StateAt, token: Token, paid: list[Paid], roles: Mapping[int, str], to_time: int
) -> Iterable[RewardPart]:
    if not paid:
        return
    ends = {each.epoch - 1: each.opened_time for each in state.every(Epoch)}
    roots = _roots(state, token)
    times = _times(state, sorted({each.claim for each in paid if each.claim is not None}))
    for each in paid:
        received = None if each.claim is None else times[each.claim]
        by = to_time - 1 if received is None else received
        claimable = None
        if each.epoch is not None:
            first = bisect_left(roots, (each.epoch, 0))
            claimable = next((at for _, at in islice(roots, first, None) if at <= by), None)
        accrued = None if each.epoch is None else ends.get(each.epoch)
        dates = Dates(accrued, claimable, received)
        role = "" if each.epoch is None else roles.get(each.epoch, "")
        yield RewardPart(each.epoch, token, each.amount, role, dates, each.claim, None)


def _roots(state: StateAt, token: Token) -> list[tuple[int, int]]:
    """Return the roots that stand, by epoch: each one's epoch and when it is activated."""
    rows = state.connection.execute(_ROOTS, (token.address, state.position, state.position))
    return [(int(epoch), int(activates_at)) for epoch, activates_at in rows]


def _times(state: StateAt, positions: list[int]) -> dict[int, int]:
    rows: Iterable[Any] = state.connection.execute(_TIMES, (positions,)) if positions else ()
    return {int(position): int(time) for position, time in rows}


def _roles(kept: Iterable[Reward], token: Token) -> dict[int, str]:
    found: dict[int, dict[str, None]] = {}
    for each in kept:
        if each.asset == token.address:
            found.setdefault(each.epoch, {})[f"{each.role} {each.kind}"] = None
    return {epoch: ", ".join(sorted(roles)) for epoch, roles in found.items()}


def _accruals(reading: Reading, state: StateAt, address: bytes, opening: int) -> Iterable[Accrual]:
    tokens = {each.address: each for each in tokens_of(reading).values()}
    ends = {each.epoch - 1: each.opened_time for each in state.every(Epoch)}
    for position, each in sorted(state.found(Reward, "earner", address), key=lambda found: found[0]):
        if position > opening and each.asset in tokens:
            yield Accrual(
                position,
                each.epoch,
                ends[each.epoch],
                each.domain,
                each.role,
                each.kind,
                each.subject,
                tokens[each.asset],
                each.amount,
            )
