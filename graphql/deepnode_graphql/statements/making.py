"""Making a statement of the books: everything together, with values and remarks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from deepnode_graphql import moments
from deepnode_graphql.reading import Reading
from deepnode_graphql.statements.lines import LINES_MAX, Lines, is_valued, read_lines
from deepnode_graphql.statements.own_accounts import own_accounts
from deepnode_graphql.statements.period import Period, read_known, read_period
from deepnode_graphql.statements.prices import Prices, read_prices
from deepnode_graphql.statements.restating import restate
from deepnode_graphql.statements.rewards import read_rewards
from deepnode_graphql.statements.statement import (
    CorrectedEvent,
    CorrectedReward,
    FiatValue,
    RewardPart,
    Statement,
    Token,
)
from deepnode_graphql.statements.waiting import read_waiting
from deepnode_ledger.errors import BadInput

LATEST = "latest"


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody wants a statement of.

    ``begins`` and ``ends`` say the period (``period.read_period``). ``fiat`` is a code of ISO 4217, None for no values;
    ``source`` is whose prices, None if there is only one's. ``known`` says up to where corrections of prices count: a
    position, a date, ``latest``, or None for the period's end. ``continues`` is for journals (``statement.Statement``).
    ``corrected`` asks for what was earned as corrected, beside what was counted: it reads the whole log.
    """

    address: bytes
    begins: str
    ends: str | None = None
    fiat: str | None = None
    source: str | None = None
    known: str | None = None
    continues: bool = False
    corrected: bool = False


def make_statement(reading: Reading, request: Request, *, lines_max: int = LINES_MAX) -> Statement:
    """Make a statement of an address for a period.

    Args:
        reading: the books.
        request: what is wanted.
        lines_max: how many lines there may be.

    Raises:
        BadInput: the address is a contract of the deployment, the period or a price's source is not in the books, or
            there are too many lines.
    """
    period = read_period(reading, request.begins, request.ends)
    known = _known(reading, request.known, period)
    own = own_accounts(reading, request.address, period.position)
    rewards = read_rewards(reading, request.address, period.opening_position, period.position, period.to_time)
    prices = None
    if request.fiat is not None:
        prices = read_prices(reading, request.fiat, request.source, period.position, known)
    found = read_lines(reading, own, period.opening_position, period.position, rewards, prices, lines_max)
    parts = tuple(_valued(rewards.parts, prices))
    corrected: tuple[CorrectedReward, ...] = ()
    corrections: tuple[CorrectedEvent, ...] = ()
    if request.corrected:
        edges = period.opening_position, period.position
        corrected, corrections = restate(reading, request.address, *edges, known)
    moment = moments.at_position(reading.database, reading.checkpoint, period.position)
    return Statement(
        request.address,
        period.from_time,
        period.to_time,
        reading.manifest.chain_id,
        period.opening_position,
        period.position,
        known,
        None if moment.block is None else moment.block.number,
        None if moment.block is None else moment.block.hash,
        "final" if period.final and known <= reading.checkpoint.sealed_position else "pending",
        reading.root(moment),
        reading.manifest.digest,
        "" if prices is None else prices.fiat,
        "" if prices is None else prices.source,
        found.balances,
        found.lines,
        parts,
        rewards.accruals,
        tuple(_remarks(period, found, parts, prices)),
        continues=request.continues,
        waiting=read_waiting(reading, request.address, period.opening_position, period.position),
        corrected=corrected,
        corrections=corrections,
    )


def _known(reading: Reading, given: str | None, period: Period) -> int:
    last = reading.checkpoint.position
    if given is None:
        return period.position
    known = last if given == LATEST else read_known(reading, given)
    if not period.position <= known <= last:
        raise BadInput(
            f"corrections count from the period's end, {period.position}, to the books', {last}: not {known}"
        )
    return known


def _valued(parts: Iterable[RewardPart], prices: Prices | None) -> Iterable[RewardPart]:
    """Value received parts so that those of a claim add up to what all of it was worth."""
    paid: dict[tuple[int, Token], int] = {}
    for part in parts:
        value = None
        if prices is not None and part.claim_position is not None:
            key = (part.claim_position, part.token)
            before = paid.get(key, 0)
            paid[key] = before + part.amount
            value = _difference(prices, part.token, before, paid[key], part.claim_position)
        yield replace(part, value=value)


def _difference(prices: Prices, token: Token, before: int, behind: int, position: int) -> FiatValue | None:
    whole, first = prices.value(token, behind, position), prices.value(token, before, position)
    if whole is None or first is None:
        return None
    return replace(whole, micros=whole.micros - first.micros)


def _remarks(period: Period, found: Lines, parts: Sequence[RewardPart], prices: Prices | None) -> Iterable[str]:
    if not period.over:
        yield "The period is not over in the books: what comes later is not in this statement."
    elif not period.final:
        yield "The chain has not finalized all of the period yet: a reorg could still change it."
    if prices is not None:
        missing = sorted(
            {each.token.symbol for each in found.lines if is_valued(each.type, own=each.own) and each.value is None}
        )
        if missing:
            yield f"No price in {prices.fiat} was known for some lines in {', '.join(missing)}: their value is empty."
    if any(each.epoch is None for each in parts):
        yield "More was claimed than the books know to be earned: such parts name no epoch."
    if {each.claim_position for each in parts} - {None} - found.claim_positions:
        yield "Some rewards were paid to another address: they are received, and no line of the wallet shows them."
    if any(each.account.startswith("Backing:") for each in found.lines):
        yield "A part in a round is shown at what was paid in for it, not at what it is worth."
    yield "Fees of transactions (gas) are paid in the chain's own coin, which these books do not hold."
