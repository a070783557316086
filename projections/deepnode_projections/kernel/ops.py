"""Operations: what an entry of the log is to the kernel, and which cells say it.

Cells are numbers of 64 bits. An ``id`` is the number of one of a batch's ``ids``, a ``hash`` of its ``hashes``, a
``name`` of its ``names`` and an ``event`` of its ``events`` (see ``decoded``); an amount is two cells, its lower and
its upper 64 bits; what may be left out is ``layout.NONE`` then. ``op_cells`` says the same as data.
"""

from typing import Final

RULES: Final = 0
"""Left to the rules. No cells."""

NOTHING: Final = 1
"""A log of an event that no rule is for, one without a meaning, or a transfer of nothing. No cells."""

TRANSFER: Final = 2
"""A transfer that moves something: token (id), giver and taker (numbers of the batch's ``holders``), amount."""

RECEIVED: Final = 3
"""RevenueReceived of a router that the manifest itself names: contract, receipt, model, asset, payer, ref (ids),
amount."""

SPLIT: Final = 4
"""RevenueSplit of such a router: contract, receipt, model, asset, ruleset (ids), gross, then the nine legs in the order
of ``LEGS``."""

CREATED: Final = 10
"""TaskCreated: task, domain, model (ids), version, consumer (hash), price, asset (id), difficulty, input (hash),
producer (name), event."""

ASSIGNED: Final = 11
"""TaskAssigned: task (id), attempt, slot, node (id), trust, collateral (amount)."""

ANSWERED: Final = 12
"""OutputSubmitted: task (id), attempt, slot, node (id), output (hash), latency, input tokens, output tokens."""

VALIDATED: Final = 13
"""ValidationSubmitted: task (id), attempt, slot, validator (id), 1 for correct or 0, score, report (hash)."""

AGREED: Final = 14
"""ConsensusReached: task (id), attempt, 1 for approved or 0, the accepted slots (slot s is bit s - 1)."""

CREDITED: Final = 15
"""VWUAssigned: task (id), attempt, slot, node (id), vwu, difficulty, producer (name), event."""

RATED: Final = 16
"""UserFeedback: task (id), rating, comment (hash), producer (name), event (name: a correction looks for it)."""

SETTLED: Final = 17
"""PaymentProcessorSettled: task, asset (ids), amount, processor (id), reference (hash), producer, event (names)."""

REPORTED: Final = 18
"""BadBehaviourReported: task (id), attempt, slot, node, validator (ids), severity, evidence (hash)."""

RETRIED: Final = 19
"""TaskReassigned: task (id), attempt, the next attempt."""

REJECTED: Final = 20
"""TaskRejected: task (id), attempt."""

EXPIRED: Final = 21
"""TaskExpired: task (id), attempt."""

PRICED: Final = 22
"""PriceObserved of a token: asset (id), fiat, source (names), price (amount), producer, event (names), time (event)."""
