"""Gathering: which rows of a batch are logs of the same event of the same contract.

What is decided for one log by ``decoding`` is decided here for all logs of an address and a first topic at once, by the
same rules; a test holds the two together.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from deepnode_ledger.abi import EventAbi
from deepnode_ledger.contract import Contract, Contracts, Place
from deepnode_ledger.record import TOPICS_MAX, Kind

Rows = npt.NDArray[np.int64]
"""Numbers of rows of a batch, ascending."""


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """The ``rows`` of a batch that hold logs of an event; ``name`` is the event's name for the books."""

    contract: Contract
    event: EventAbi
    name: str
    rows: Rows


@dataclass(frozen=True, slots=True, eq=False)
class Stranger:
    """The ``rows`` that hold logs of an address and first topic (None: an anonymous event) which no ABI explains."""

    address: bytes
    topic0: bytes | None
    rows: Rows


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """A batch by what its rows are: each row is in exactly one group, stranger or among the task events."""

    groups: list[Group]
    strangers: list[Stranger]
    tasks: Rows

    @property
    def rest(self) -> Rows:
        """The rows of all strangers."""
        return np.sort(np.concatenate([np.empty(0, np.int64), *(each.rows for each in self.strangers)]))


def gather(batch: pa.RecordBatch, known: Contracts) -> Gathered:
    """Sort a batch's rows by contract and event.

    Args:
        batch: entries of the log, in the columns of ``batch_versions.SCHEMA``; their order does not matter.
        known: the manifest or, where it names factories, a roster that has learned of the batch's creating logs.
    """
    is_log = pc.equal(batch.column("kind"), int(Kind.CHAIN_LOG)).to_numpy(zero_copy_only=False)
    found: dict[tuple[int, bytes, EventAbi], Group] = {}
    strangers: list[Stranger] = []
    for rows in _alike(batch, np.flatnonzero(is_log)):
        [chain_id, address, topic0] = (
            batch.column(name)[rows[0]].as_py() for name in ("chain_id", "address", "topic0")
        )
        for contract, event, some in _explained(batch, rows, known):
            if contract is None or event is None:
                strangers.append(Stranger(address, topic0, some))
                continue
            # Versions of an ABI may declare an event alike: its logs are one group then.
            key = (chain_id, address, event)
            every = np.sort(np.concatenate([found[key].rows, some])) if key in found else some
            found[key] = Group(contract, event, contract.name_of(event), every)
    return Gathered(list(found.values()), strangers, np.flatnonzero(~is_log))


def _alike(batch: pa.RecordBatch, logs: Rows) -> Iterator[Rows]:
    """Yield the rows of chain logs that have chain, address, first topic and number of topics in common."""
    topics = [batch.column(f"topic{number}") for number in range(TOPICS_MAX)]
    code: Rows = np.sum([_valid(topic) for topic in topics], axis=0, dtype=np.int64)
    for column in (batch.column("chain_id"), batch.column("address"), topics[0]):
        encoded = column.dictionary_encode()
        values = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
        code = code * (len(encoded.dictionary) + 1) + values + 1
    order = logs[np.argsort(code[logs], kind="stable")]
    ends = np.flatnonzero(np.diff(code[order])) + 1
    yield from (rows for rows in np.split(order, ends) if len(rows))


def _explained(
    batch: pa.RecordBatch, rows: Rows, known: Contracts
) -> Iterator[tuple[Contract | None, EventAbi | None, Rows]]:
    """Cut rows that are alike by contract and event: an upgrade or a child's beginning may lie between them."""
    first = int(rows[0])
    chain_id, address, topic0 = (batch.column(name)[first].as_py() for name in ("chain_id", "address", "topic0"))
    count = sum(batch.column(f"topic{number}")[first].is_valid for number in range(TOPICS_MAX))
    blocks = batch.column("block_number").to_numpy()[rows]
    for contract, begun in _begun(batch, rows, blocks, lambda place: known.get(address, chain_id, place)):
        if contract is None or topic0 is None:
            yield contract, None, rows[begun]
            continue
        # In the very block of an upgrade another rule holds than behind it.
        bounds = sorted({bound for start, _ in contract.abis for bound in (start, start + 1)})
        version = np.searchsorted(np.array(bounds, np.int64), blocks[begun], side="right")
        for number in np.unique(version):
            same = begun[version == number]
            yield contract, contract.event(topic0, count, int(blocks[same[0]])), rows[same]


def _begun(
    batch: pa.RecordBatch, rows: Rows, blocks: Rows, contract_at: Callable[[Place], Contract | None]
) -> Iterator[tuple[Contract | None, Rows]]:
    """Cut rows of one address into those before and behind the log from which on it counts; indices into ``rows``."""
    logs = batch.column("log_index").to_numpy(zero_copy_only=False)[rows].astype(np.int64)
    order = np.lexsort((logs, blocks))

    def at(number: int) -> Contract | None:
        return contract_at((int(blocks[order[number]]), int(logs[order[number]])))

    before, behind = at(0), at(len(order) - 1)
    if before is behind:
        yield behind, np.arange(len(rows))
        return
    assert before is None, "a contract that is known at a place is known behind it"
    cut = bisect_left(range(len(order)), True, key=lambda number: at(number) is not None)
    yield None, np.sort(order[:cut])
    yield behind, np.sort(order[cut:])


def _valid(column: pa.Array) -> npt.NDArray[np.int8]:
    valid: npt.NDArray[np.bool_] = column.is_valid().to_numpy(zero_copy_only=False)
    return valid.astype(np.int8)
