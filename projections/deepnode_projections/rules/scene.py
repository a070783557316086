"""What an event stands in when a rule is applied to it, and the shape of a rule.

A rule reads and writes ``scene.state`` and returns the postings of an event, which sum to zero. It raises ``NoEffect``
where it does not allow the event: then all of that event's changes are taken back, and the reason is kept as a row.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deepnode_ledger.contract import Contract, Contracts, Place
from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.errors import BadInput
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.posting import Posting
from deepnode_projections.registers.state import State

if TYPE_CHECKING:
    from deepnode_ledger.statement import Statement


class NoEffect(BadInput):
    """The rules give this event no effect; the message is the reason that the books show."""


@dataclass(frozen=True, slots=True)
class Scene:
    """An event's place in the log and on its chain, what is known so far, and the contracts.

    ``block_time`` is in seconds since 1970; ``block_hash`` is known of the block behind which a statement stands.
    ``contracts`` knows the children of factories; it may be left out where there are none. ``place`` is that of a
    contract log on its chain.
    """

    state: State
    manifest: Manifest
    position: int
    chain_id: int
    block_number: int
    block_time: int
    contracts: Contracts | None = None
    place: Place | None = None
    block_hash: bytes = b""

    def contract(self, address: bytes) -> Contract | None:
        """Return the contract that an address is to the event, or None."""
        known = self.manifest if self.contracts is None else self.contracts
        if self.place is not None:
            return known.get(address, self.chain_id, self.place)
        # A statement has no place on a chain; what it can name is what stands before it in the log.
        return known.get(address, self.chain_id, position=self.position)


Rule = Callable[[ChainEvent, Scene], Sequence[Posting]]
"""What an event of a contract does: it returns postings, none if nothing moves."""

Rules = Mapping[tuple[str, str], Rule]
"""Rules by the contract's kind and the event's name."""

TaskRule = Callable[["Statement", Scene], None]
"""What a statement about a task does; money moves on the chain alone."""

TaskRules = Mapping[str, TaskRule]
"""Rules by the statement's type."""
