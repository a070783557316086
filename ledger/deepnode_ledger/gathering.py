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
from deepnode_ledger.column import present
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
    is_log = batch.column("kind").to_numpy() == int(Kind.CHAIN_LOG)
    columns = _Columns.of(batch)
    found: dict[tuple[int, bytes, EventAbi], Group] = {}
    strangers: list[Stranger] = []
    for rows in columns.alike(np.flatnonzero(is_log)):
        chain_id, address, topic0, _ = columns.key(rows)
        for contract, event, some in _explained(columns, rows, known):
            if contract is None or event is None:
                strangers.append(Stranger(address, topic0, some))
                continue
            # Versions of an ABI may declare an event alike: its logs are one group then.
            key = (chain_id, address, event)
            every = np.sort(np.concatenate([found[key].rows, some])) if key in found else some
            found[key] = Group(contract, event, contract.name_of(event), every)
    return Gathered(list(found.values()), strangers, np.flatnonzero(~is_log))


@dataclass(frozen=True, slots=True, eq=False)
class _Columns:
    """What tells logs apart, each column converted once for all groups; of a task event some are without meaning."""

    chains: Rows
    addresses: pa.Array
    topics0: pa.Array
    counts: Rows
    blocks: Rows
    logs: Rows

    @classmethod
    def of(cls, batch: pa.RecordBatch) -> "_Columns":
        topics = [batch.column(f"topic{number}") for number in range(TOPICS_MAX)]
        return cls(
            batch.column("chain_id").to_numpy(),
            batch.column("address").dictionary_encode(),
            topics[0].dictionary_encode(),
            np.add.reduce([present(topic).view(np.uint8) for topic in topics], dtype=np.int64),
            batch.column("block_number").to_numpy(),
            pc.fill_null(batch.column("log_index"), 0).to_numpy().astype(np.int64),
        )

    def key(self, rows: Rows) -> tuple[int, bytes, bytes | None, int]:
        """Return what rows that are alike have in common: chain, address, first topic, and the number of topics."""
        row = int(rows[0])
        address, topic0 = self.addresses[row].as_py(), self.topics0[row].as_py()
        return int(self.chains[row]), address, topic0, int(self.counts[row])

    def alike(self, logs: Rows) -> Iterator[Rows]:
        """Yield those of the rows ``logs`` that have a key in common."""
        code, encoded = self.counts, [self.addresses, self.topics0]
        if len(logs) and bool(np.any(self.chains != self.chains[0])):
            encoded.insert(0, pa.array(self.chains).dictionary_encode())
        for column in encoded:
            code = code * (len(column.dictionary) + 1) + pc.fill_null(column.indices, -1).to_numpy() + 1
        code = code[logs]
        # Numbers of 16 bits are put in order by their bits, several times as quickly.
        small = code.astype(np.uint16) if code.max(initial=0) < 2**16 else code
        places = np.argsort(small, kind="stable")
        ends = np.flatnonzero(np.diff(code[places])) + 1
        yield from (rows for rows in np.split(logs[places], ends) if len(rows))


def _explained(
    columns: _Columns, rows: Rows, known: Contracts
) -> Iterator[tuple[Contract | None, EventAbi | None, Rows]]:
    """Cut rows that are alike by contract and event: an upgrade or a child's beginning may lie between them."""
    chain_id, address, topic0, count = columns.key(rows)
    for contract, begun in _begun(columns, rows, lambda place: known.get(address, chain_id, place)):
        if contract is None or topic0 is None:
            yield contract, None, begun
        elif not contract.abis:
            yield contract, contract.event(topic0, count), begun
        else:
            # In the very block of an upgrade another rule holds than behind it.
            bounds = sorted({bound for start, _ in contract.abis for bound in (start, start + 1)})
            version = np.searchsorted(np.array(bounds, np.int64), columns.blocks[begun], side="right")
            for number in np.unique(version):
                same = begun[version == number]
                yield contract, contract.event(topic0, count, int(columns.blocks[same[0]])), same


def _begun(
    columns: _Columns, rows: Rows, contract_at: Callable[[Place | None], Contract | None]
) -> Iterator[tuple[Contract | None, Rows]]:
    """Cut rows of one address into those before and those behind the log from which on it is a contract."""
    from_the_start, in_the_end = contract_at((-1, -1)), contract_at(None)
    if in_the_end is from_the_start:
        yield in_the_end, rows
        return
    assert from_the_start is None, "a contract that is known at a place is known behind it"
    order = rows[np.lexsort((columns.logs[rows], columns.blocks[rows]))]

    def is_known(row: np.int64) -> bool:
        return contract_at((int(columns.blocks[row]), int(columns.logs[row]))) is not None

    cut = bisect_left(order, True, key=is_known)
    for contract, some in ((None, order[:cut]), (in_the_end, order[cut:])):
        if len(some):
            yield contract, np.sort(some)
