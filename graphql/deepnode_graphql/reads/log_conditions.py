"""Which entries of the log are meant: what ``where`` takes, as a selection that the log's indexes answer."""

from collections.abc import Sequence
from enum import Enum
from typing import Final

import strawberry

from deepnode_graphql.filters import at_most, given, text
from deepnode_graphql.reads.combined import check_size, link, parts
from deepnode_graphql.reads.log_selections import OfAny, OfNone, OfPositions
from deepnode_graphql.scalars import LONG_MAX, Address, Hex, Long
from deepnode_ledger.errors import BadInput
from deepnode_ledger.finding import OfAll, OfContract, OfKind, OfProducer, OfTask, OfTransaction, OfType, Selection
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.record import Kind

INDEXED: Final = ("transactionHash", "address", "event", "topic0", "producer", "task", "kind")
"""The conditions that an index of the log serves."""


@strawberry.enum
class LogEntryKind(Enum):
    """Which door a log entry came in by.

    Attributes:
        CHAIN_LOG: a log of a contract.
        TASK_EVENT: a signed task event.
    """

    CHAIN_LOG = "CHAIN_LOG"
    TASK_EVENT = "TASK_EVENT"


@strawberry.input
class LogEntryWhere:
    """Which log entries; all conditions that are given must hold.

    Attributes:
        kind: only contract logs, or only task events.
        transaction_hash: only the logs of this transaction (32 bytes).
        address: only the logs of this contract.
        event: only events of this name or signature, such as Transfer, or task events of this type.
        event_in: only events of one of these names, signatures or types.
        topic0: only contract logs with this first topic (32 bytes).
        producer: only task events of this producer (its id in the manifest).
        task: only task events that name this task in their data.
        position_gt: behind this position.
        position_gte: at or behind this position.
        position_lt: before this position.
        position_lte: at or before this position.
    """

    kind: LogEntryKind | None = strawberry.UNSET
    transaction_hash: Hex | None = strawberry.UNSET
    address: Address | None = strawberry.UNSET
    event: str | None = strawberry.UNSET
    event_in: list[str] | None = strawberry.UNSET
    topic0: Hex | None = strawberry.UNSET
    producer: str | None = strawberry.UNSET
    task: str | None = strawberry.UNSET
    position_gt: Long | None = strawberry.UNSET
    position_gte: Long | None = strawberry.UNSET
    position_lt: Long | None = strawberry.UNSET
    position_lte: Long | None = strawberry.UNSET
    all_of: "list[LogEntryWhere] | None" = link("_and")
    any_of: "list[LogEntryWhere] | None" = link("_or")
    none_of: "LogEntryWhere | None" = link("_not")


def selection_of(where: LogEntryWhere, manifest: Manifest) -> Selection | None:
    """Return what the conditions other than positions mean; None if there are none.

    Raises:
        BadInput: a condition breaks a rule, or no index serves any of them: the log is never scanned.
    """
    check_size(where)
    found = [*_own(where, manifest), *_linked(where, manifest)]
    if not found:
        return None
    selection = OfAll(tuple(found))
    if not selection.terms:
        raise BadInput(f"logEntries needs a condition that an index serves beside these: one of {', '.join(INDEXED)}")
    return selection


def _own(where: LogEntryWhere, manifest: Manifest) -> Sequence[Selection]:
    found: list[Selection] = []
    if (transaction := given(where.transaction_hash)) is not None:
        found.append(OfTransaction(transaction))
    if (task := given(where.task)) is not None:
        found.append(OfTask(text(task, "task")))
    if (producer := given(where.producer)) is not None:
        found.append(OfProducer(text(producer, "producer")))
    if (event := given(where.event)) is not None:
        found.append(_of_event(event, manifest))
    if (events := given(where.event_in)) is not None:
        found.append(OfAny(tuple(_of_event(each, manifest) for each in at_most(events, "event_in"))))
    if (topic0 := given(where.topic0)) is not None:
        found.append(OfType.named([bytes(topic0)]))
    if (address := given(where.address)) is not None:
        found.append(OfContract(address))
    if (kind := given(where.kind)) is not None:
        found.append(OfKind(Kind[kind.value]))
    return found


def _linked(where: LogEntryWhere, manifest: Manifest) -> Sequence[Selection]:
    of = parts(where)
    found: list[Selection] = [_whole(each, manifest) for each in of.all_of]
    if of.any_of is not None:
        found.append(OfAny(tuple(_whole(each, manifest) for each in of.any_of)))
    if of.none_of is not None:
        found.append(OfNone(_whole(of.none_of, manifest)))
    return found


def _whole(where: LogEntryWhere, manifest: Manifest) -> Selection:
    """Return what all conditions of an object mean, those on positions too."""
    first, last = bounds_of(where, LONG_MAX)
    return OfAll((OfPositions(first, last), *_own(where, manifest), *_linked(where, manifest)))


def _of_event(event: str, manifest: Manifest) -> Selection:
    return OfType.named([text(event, "event"), *manifest.topics_of(event)])


def bounds_of(where: LogEntryWhere, last: int) -> tuple[int, int]:
    """Return the first and the last position, up to ``last``, that the conditions on positions leave."""
    start, stop = 1, last
    if (gt := given(where.position_gt)) is not None:
        start = max(start, gt + 1)
    if (gte := given(where.position_gte)) is not None:
        start = max(start, gte)
    if (lt := given(where.position_lt)) is not None:
        stop = min(stop, lt - 1)
    if (lte := given(where.position_lte)) is not None:
        stop = min(stop, lte)
    return start, stop
