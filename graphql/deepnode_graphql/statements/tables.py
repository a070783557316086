"""Tables: a statement as rows and columns, which CSV, spreadsheets and pages have in common.

Each cell is a plain value with the kind of its column, so that whoever writes it decides how exact numbers look, and
knows which cells are words that somebody else may have chosen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from deepnode_graphql.statements.figures import utc
from deepnode_graphql.statements.statement import Statement, Token
from deepnode_graphql.statements.totals import Total, by_counterparty, by_type
from deepnode_ledger.hexadecimal import to_hex


class Kind(Enum):
    """What a column's cells are."""

    TEXT = "text"
    WHOLE = "whole"
    """A whole number."""
    AMOUNT = "amount"
    """Base units and the token's decimals."""
    FIAT = "fiat"
    """Millionths of a unit of fiat money."""
    TIME = "time"
    """Seconds since 1970."""


Cell = str | int | tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Table:
    """``name`` is that of a file or sheet, ``title`` a heading; every row has a cell for each column."""

    name: str
    title: str
    columns: tuple[tuple[str, Kind], ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.columns) for row in self.rows), self.name


TERMS: Final = (
    ("opening", "what an account held of a token before the period's first entry"),
    ("closing", "what it held behind the period's last entry: opening and all lines of the account add up to it"),
    ("position", "the place of an entry in the log, from which the line can be looked up and proved"),
    ("own", "both sides are accounts of this statement: the two lines add up to zero"),
    ("accrued", "the end of the epoch in which a reward was earned"),
    ("claimable", "the time from which on a root of the chain entitled to the reward"),
    ("received", "the time of the claim that paid it; claims pay what was earned first"),
    ("value", "the amount at the newest price that the log knew then, in fiat money, rounded half to even"),
    ("as counted", "by what was known when the epoch ended: this is what was paid by, and it stays"),
    ("as corrected", "what the same rules give with the right values in the place of the wrong ones"),
    ("slashing", "collateral that a review burned, or gave to the one who was harmed"),
    ("fee", "what a registration cost, or a proposal's deposit that was forfeited"),
    ("freeze", "collateral held back while a review lasts, or free again: it is still the node's"),
    ("unbond", "a stake that was asked back, and waits until it may leave"),
    ("backing", "a part in a round, at what was paid in for it"),
)
"""What words mean."""


def tables(statement: Statement) -> tuple[Table, ...]:
    """Return all tables of a statement; those of corrections and of differences only if they were asked for."""
    found = [
        summary(statement),
        positions(statement),
        _totals("totals", "Totals by type", by_type(statement), with_counterparty=False),
        _totals("counterparties", "Totals by counterparty", by_counterparty(statement), with_counterparty=True),
        lines(statement),
        rewards(statement),
        accruals(statement),
        waiting(statement),
        terms(),
    ]
    if statement.corrected or statement.corrections:
        found += [corrected(statement), corrections(statement)]
    if statement.amends:
        found.append(differences(statement))
    return tuple(found)


def summary(statement: Statement) -> Table:
    """Say whose statement it is, of when, and by which books; and what the reader must know."""
    block = "" if statement.block_number is None else str(statement.block_number)
    rows: list[tuple[Cell, ...]] = [
        ("address", to_hex(statement.address)),
        ("from", utc(statement.from_time)),
        ("to (not included)", utc(statement.to_time)),
        ("chain", str(statement.chain_id)),
        ("first position", str(statement.opening_position + 1)),
        ("last position", str(statement.position)),
        ("block", block),
        ("block hash", "" if statement.block_hash is None else to_hex(statement.block_hash)),
        ("finality", statement.finality),
        ("state root", to_hex(statement.state_root)),
        ("manifest", to_hex(statement.manifest)),
        ("values in", statement.fiat or "none asked for"),
        ("prices from", statement.price_source or "none"),
        ("prices as corrected up to position", str(statement.known_position)),
        ("lines", str(len(statement.lines))),
    ]
    rows += [("remark", each) for each in statement.remarks]
    if statement.amends:
        rows += [("amends", statement.amends), ("differences", str(len(statement.differences)))]
    return Table("summary", "Statement", (("what", Kind.TEXT), ("value", Kind.TEXT)), tuple(rows))


def positions(statement: Statement) -> Table:
    """Say what every account held when the period began and ended, and what its lines add up to."""
    moved: dict[tuple[str, Token], int] = {}
    for line in statement.lines:
        moved[line.account, line.token] = moved.get((line.account, line.token), 0) + line.amount
    columns = (
        ("account", Kind.TEXT),
        ("token", Kind.TEXT),
        ("token address", Kind.TEXT),
        ("opening", Kind.AMOUNT),
        ("lines", Kind.AMOUNT),
        ("closing", Kind.AMOUNT),
    )
    rows = tuple(
        (
            each.account,
            each.token.symbol,
            to_hex(each.token.address),
            _amount(each.opening, each.token),
            _amount(moved.get((each.account, each.token), 0), each.token),
            _amount(each.closing, each.token),
        )
        for each in statement.balances
    )
    return Table("positions", "Accounts", columns, rows)


def lines(statement: Statement) -> Table:
    """Return every line."""
    columns = (
        ("time", Kind.TIME),
        ("type", Kind.TEXT),
        ("account", Kind.TEXT),
        ("counterparty", Kind.TEXT),
        ("own", Kind.TEXT),
        ("token", Kind.TEXT),
        ("amount", Kind.AMOUNT),
        ("balance", Kind.AMOUNT),
        ("value", Kind.FIAT),
        ("fiat", Kind.TEXT),
        ("price", Kind.FIAT),
        ("price source", Kind.TEXT),
        ("price position", Kind.WHOLE),
        ("accrued", Kind.TIME),
        ("claimable", Kind.TIME),
        ("received", Kind.TIME),
        ("event", Kind.TEXT),
        ("position", Kind.WHOLE),
        ("leg", Kind.WHOLE),
        ("block", Kind.WHOLE),
        ("transaction", Kind.TEXT),
        ("log index", Kind.WHOLE),
        ("token address", Kind.TEXT),
        ("note", Kind.TEXT),
    )
    rows: list[tuple[Cell, ...]] = []
    for each in statement.lines:
        value, dates = each.value, each.dates
        priced = (None, "", None, "", None)
        rows.append(
            (
                each.time,
                each.type.value,
                each.account,
                each.counterparty,
                "yes" if each.own else "no",
                each.token.symbol,
                _amount(each.amount, each.token),
                _amount(each.balance, each.token),
                *(
                    priced
                    if value is None
                    else (value.micros, value.fiat, value.price_ppm, value.source, value.price_position)
                ),
                *((None, None, None) if dates is None else (dates.accrued, dates.claimable, dates.received)),
                each.event,
                each.position,
                each.leg,
                each.block_number,
                to_hex(each.transaction_hash),
                each.log_index,
                to_hex(each.token.address),
                each.note,
            )
        )
    return Table("lines", "Lines", columns, tuple(rows))


def rewards(statement: Statement) -> Table:
    """Return what claims of the period paid, epoch by epoch, and what was not received at its end."""
    columns = (
        ("epoch", Kind.WHOLE),
        ("token", Kind.TEXT),
        ("amount", Kind.AMOUNT),
        ("accrued", Kind.TIME),
        ("claimable", Kind.TIME),
        ("received", Kind.TIME),
        ("state", Kind.TEXT),
        ("value", Kind.FIAT),
        ("fiat", Kind.TEXT),
        ("price source", Kind.TEXT),
        ("claim position", Kind.WHOLE),
        ("earned as", Kind.TEXT),
        ("token address", Kind.TEXT),
    )
    rows: list[tuple[Cell, ...]] = []
    for each in statement.rewards:
        state = "received" if each.claim_position is not None else "claimable" if each.dates.claimable else "accrued"
        value = each.value
        rows.append(
            (
                each.epoch,
                each.token.symbol,
                _amount(each.amount, each.token),
                each.dates.accrued,
                each.dates.claimable,
                each.dates.received,
                state,
                *((None, "", "") if value is None else (value.micros, value.fiat, value.source)),
                each.claim_position,
                each.roles,
                to_hex(each.token.address),
            )
        )
    return Table("rewards", "Rewards", columns, tuple(rows))


def accruals(statement: Statement) -> Table:
    """Return what epochs' pools gave within the period, by role: commissions, royalties and the like."""
    columns = (
        ("epoch", Kind.WHOLE),
        ("accrued", Kind.TIME),
        ("token", Kind.TEXT),
        ("amount", Kind.AMOUNT),
        ("role", Kind.TEXT),
        ("kind", Kind.TEXT),
        ("domain", Kind.TEXT),
        ("subject", Kind.TEXT),
        ("position", Kind.WHOLE),
        ("token address", Kind.TEXT),
    )
    rows = tuple(
        (
            each.epoch,
            each.accrued,
            each.token.symbol,
            _amount(each.amount, each.token),
            each.role,
            each.kind,
            to_hex(each.domain),
            to_hex(each.subject),
            each.position,
            to_hex(each.token.address),
        )
        for each in statement.accruals
    )
    return Table("accruals", "Earned in the period", columns, rows)


def waiting(statement: Statement) -> Table:
    """Return what contracts hold for the address and have not paid out."""
    columns = (
        ("pocket", Kind.TEXT),
        ("token", Kind.TEXT),
        ("at the beginning", Kind.AMOUNT),
        ("at the end", Kind.AMOUNT),
    )
    rows = tuple(
        (each.account, each.token.symbol, _amount(each.opening, each.token), _amount(each.closing, each.token))
        for each in statement.waiting
    )
    return Table("waiting", "Revenue not released yet (in no account above)", columns, rows)


def corrected(statement: Statement) -> Table:
    """Return what was earned in the period, as it was counted and as corrected."""
    columns = (
        ("epoch", Kind.WHOLE),
        ("token", Kind.TEXT),
        ("as counted", Kind.AMOUNT),
        ("as corrected", Kind.AMOUNT),
        ("difference", Kind.AMOUNT),
        ("role", Kind.TEXT),
        ("kind", Kind.TEXT),
        ("domain", Kind.TEXT),
        ("subject", Kind.TEXT),
    )
    rows = tuple(
        (
            each.epoch,
            each.token.symbol,
            _amount(each.amount, each.token),
            _amount(each.corrected_amount, each.token),
            _amount(each.corrected_amount - each.amount, each.token),
            each.role,
            each.kind,
            to_hex(each.domain),
            to_hex(each.subject),
        )
        for each in statement.corrected
    )
    return Table("corrected", "Earned in the period, as counted and as corrected", columns, rows)


def corrections(statement: Statement) -> Table:
    """Return the corrections that came when the epoch of their event was over."""
    columns = (
        ("epoch", Kind.WHOLE),
        ("value", Kind.TEXT),
        ("told", Kind.TEXT),
        ("right", Kind.TEXT),
        ("reason", Kind.TEXT),
        ("corrected at position", Kind.WHOLE),
        ("event", Kind.TEXT),
        ("producer", Kind.TEXT),
    )
    rows = tuple(
        (
            each.epoch,
            each.value_name,
            str(each.told),
            "withdrawn" if each.right is None else str(each.right),
            each.reason,
            each.position,
            each.event_id,
            each.producer,
        )
        for each in statement.corrections
    )
    return Table("corrections", "Events that were corrected after they had been counted", columns, rows)


def differences(statement: Statement) -> Table:
    """Return what an earlier statement said otherwise."""
    names = ("change", "what", "key", "before", "after")
    rows = tuple((each.change, each.what, each.key, each.before, each.after) for each in statement.differences)
    return Table("differences", "Differences", tuple((name, Kind.TEXT) for name in names), rows)


def terms() -> Table:
    """Explain the words."""
    return Table("terms", "Terms", (("word", Kind.TEXT), ("meaning", Kind.TEXT)), TERMS)


def _totals(name: str, title: str, totals: Sequence[Total], *, with_counterparty: bool) -> Table:
    columns = (
        ("type", Kind.TEXT),
        *((("counterparty", Kind.TEXT),) if with_counterparty else ()),
        ("own", Kind.TEXT),
        ("token", Kind.TEXT),
        ("lines", Kind.WHOLE),
        ("came in", Kind.AMOUNT),
        ("went out", Kind.AMOUNT),
        ("total", Kind.AMOUNT),
        ("valued lines", Kind.WHOLE),
        ("value", Kind.FIAT),
    )
    rows = tuple(
        (
            each.type.value,
            *((each.counterparty,) if with_counterparty else ()),
            "yes" if each.own else "no",
            each.token.symbol,
            each.lines,
            _amount(each.came_in, each.token),
            _amount(each.went_out, each.token),
            _amount(each.amount, each.token),
            each.valued,
            each.micros if each.valued else None,
        )
        for each in totals
    )
    return Table(name, title, columns, rows)


def _amount(amount: int, token: Token) -> tuple[int, int]:
    return amount, token.decimals
