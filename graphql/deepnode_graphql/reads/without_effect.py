"""Reading what moved nothing, and why: refusals of the rules, logs in quarantine, and what reorgs took back."""

from functools import partial
from typing import Any

import strawberry
from sqlalchemy import ColumnElement, select

from deepnode_graphql.connections import Connection, check_first, connection_of, read_slice
from deepnode_graphql.cursors import Order
from deepnode_graphql.filters import given, text
from deepnode_graphql.moments import Moment
from deepnode_graphql.nodes import Finality, finality
from deepnode_graphql.reading import Reading
from deepnode_graphql.scalars import Address, Hex, Long
from deepnode_ledger.snapshot import Reorg as ReorgRecord
from deepnode_projections.tables import quarantine as quarantine_table
from deepnode_projections.tables import refusal as refusal_table


@strawberry.type
class Refusal:
    """An event that the rules give no effect.

    Attributes:
        position: its log entry.
        kind: the name of the event.
        contract: the name of the contract.
        reason: the rule that it fails.
        finality: whether it can still be taken back.
    """

    position: Long
    kind: str
    contract: str
    reason: str
    finality: Finality


@strawberry.input
class RefusalWhere:
    """Which refusals; all conditions that are given must hold.

    Attributes:
        kind: the name of the event.
        contract: the name of the contract.
    """

    kind: str | None = strawberry.UNSET
    contract: str | None = strawberry.UNSET


@strawberry.type
class Quarantined:
    """A log of a contract of ours that the manifest's ABIs cannot read. It is in the log, and a better ABI reads it.

    Attributes:
        position: its log entry.
        address: the contract that emitted it.
        topic0: its first topic (32 bytes), if it has one.
        reason: why it cannot be read.
        finality: whether it can still be taken back.
    """

    position: Long
    address: Address
    topic0: Hex | None
    reason: str
    finality: Finality


@strawberry.type
class Reorg:
    """A time when the chain replaced blocks that the log held already.

    Attributes:
        number: counts reorgs from 1.
        kept_position: what stood behind this position was taken back.
        kept_block: the last block that stayed.
        old_tip_number: the height of the chain before.
        old_tip_hash: the last block of the chain before.
        new_tip_number: the height of the chain that replaced it, when it was first seen.
        new_tip_hash: the last block of the chain that replaced it, when it was first seen.
    """

    number: Long
    kept_position: Long
    kept_block: Long
    old_tip_number: Long
    old_tip_hash: Hex
    new_tip_number: Long
    new_tip_hash: Hex


def list_refusals(
    reading: Reading, where: RefusalWhere | None, moment: Moment, first: int, after: str | None
) -> Connection[Refusal]:
    """Return a page of the refusals up to a moment, oldest first.

    Raises:
        BadInput: ``first``, ``after`` or a filter breaks a rule.
    """
    where = given(where) or RefusalWhere()
    conditions: list[ColumnElement[bool]] = [refusal_table.c.position <= moment.position]
    if (kind := given(where.kind)) is not None:
        conditions.append(refusal_table.c.kind == text(kind, "kind"))
    if (contract := given(where.contract)) is not None:
        conditions.append(refusal_table.c.contract == text(contract, "contract"))
    order = Order("refusals", (refusal_table.c.position,))
    page = read_slice(reading.database, select(refusal_table).where(*conditions), order, first, after)
    return page.connect(
        [
            Refusal(
                position=Long(row.position),
                kind=row.kind,
                contract=row.contract,
                reason=row.reason,
                finality=finality(sealed=reading.sealed(row.position)),
            )
            for row in page.rows
        ]
    )


def list_quarantine(reading: Reading, moment: Moment, first: int, after: str | None) -> Connection[Quarantined]:
    """Return a page of the logs in quarantine up to a moment, oldest first.

    Raises:
        BadInput: ``first`` or ``after`` breaks a rule.
    """
    statement = select(quarantine_table).where(quarantine_table.c.position <= moment.position)
    order = Order("quarantine", (quarantine_table.c.position,))
    page = read_slice(reading.database, statement, order, first, after)
    return page.connect(
        [
            Quarantined(
                position=Long(row.position),
                address=Address(row.address),
                topic0=None if row.topic0 is None else Hex(row.topic0),
                reason=row.reason,
                finality=finality(sealed=reading.sealed(row.position)),
            )
            for row in page.rows
        ]
    )


def list_reorgs(reading: Reading, first: int, after: str | None) -> Connection[Reorg]:
    """Return a page of the reorgs that the books have followed, oldest first.

    Raises:
        BadInput: ``first`` or ``after`` breaks a rule.
    """
    check_first(first)
    order = Order("reorgs", (_NUMBER,))
    behind = 0 if after is None else order.decode(after)[0]
    followed = [
        each for each in reading.snapshot.reorgs(after=behind) if each.number <= reading.checkpoint.reorg_number
    ]
    page = followed[:first]
    cursors = [order.encode([each.number]) for each in page]
    more = len(followed) > first
    # They are numbered from 1 without a gap.
    counted = partial(int, reading.checkpoint.reorg_number)
    nodes = [_reorg(each) for each in page]
    return connection_of(nodes, cursors, more=more, continued=after is not None, counted=counted)


_NUMBER: ColumnElement[Any] = refusal_table.c.position


def _reorg(record: ReorgRecord) -> Reorg:
    return Reorg(
        number=Long(record.number),
        kept_position=Long(record.kept_position),
        kept_block=Long(record.kept_block),
        old_tip_number=Long(record.old_tip[0]),
        old_tip_hash=Hex(record.old_tip[1]),
        new_tip_number=Long(record.new_tip[0]),
        new_tip_hash=Hex(record.new_tip[1]),
    )
