"""A decoded batch: a run of log entries as the kernel reads them. Its cells are those that ``ops`` names."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from deepnode_ledger.account import Account
from deepnode_ledger.batch_versions import SCHEMA
from deepnode_projections.books import Quarantined

Cells = npt.NDArray[Any]
"""An array of int64."""

Octets = npt.NDArray[np.uint8]


PLACES: Final = ("chain_id", "block_number", "block_hash", "block_time", "transaction_hash", "log_index")
"""The columns of a batch that say where its entries stand on their chains."""

BY_RUN: Final = PLACES[:-1]
"""Those of them that are told by runs: entries of a block stand side by side, but each log has an index of its own."""

PLACES_BY_RUN: Final = pa.schema(
    [
        SCHEMA.field(name).with_type(pa.run_end_encoded(pa.int32(), SCHEMA.field(name).type))
        if name in BY_RUN
        else SCHEMA.field(name)
        for name in PLACES
    ]
)
_PLACES: Final = pa.schema([SCHEMA.field(name) for name in PLACES])


@dataclass(frozen=True, slots=True, eq=False)
class DecodedBatch:
    """Entries from position ``first`` on, without a gap; arrays have an element a row unless said otherwise.

    ``ops`` (int8) says what each is, and ``cells[starts[row] : starts[row + 1]]`` (int64 both) is what it says.
    ``ids`` are the words (n, 32) that things are looked for by, each once; an address has zeros behind its 20 bytes.
    ``hashes`` are other words (n, 32), as they come. ``names`` are texts that things are looked for by (producers, and
    events that a correction may name), each once. Event ``n`` is the text ``events[event_ends[n] : event_ends[n + 1]]``
    (UTF-8). ``holders`` (int64) are whose tokens transfers move, each
    once: the number of the id that is a wallet's address, or -1 - n for ``pockets[n]``. ``quarantined`` are the logs
    without a meaning, in the order of positions. ``told_places`` has the batch's columns ``PLACES``, row by row or
    by run, and ``singles`` all columns of the rows that are left to the rules (``ops.RULES``), in their order.
    """

    first: int
    ops: npt.NDArray[np.int8]
    starts: Cells
    cells: Cells
    ids: Octets
    hashes: Octets
    names: Sequence[str]
    events: Octets
    event_ends: Cells
    holders: Cells
    pockets: Sequence[Account]
    quarantined: Sequence[Quarantined]
    told_places: pa.RecordBatch
    singles: pa.RecordBatch

    @property
    def places(self) -> pa.RecordBatch:
        """The batch's columns ``PLACES`` row by row; a fold that writes no rows never asks for them."""
        told = self.told_places
        if told.schema.equals(_PLACES):
            return told
        columns = [pc.run_end_decode(told.column(name)) if name in BY_RUN else told.column(name) for name in PLACES]
        return pa.RecordBatch.from_arrays(columns, schema=_PLACES)


def by_run(places: pa.RecordBatch) -> pa.RecordBatch:
    """Tell places by runs, whichever way they are told."""
    if places.schema.equals(PLACES_BY_RUN):
        return places
    columns = [pc.run_end_encode(places.column(name)) if name in BY_RUN else places.column(name) for name in PLACES]
    return pa.RecordBatch.from_arrays(columns, schema=PLACES_BY_RUN)
