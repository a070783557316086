"""Whether a batch is one that a log can hold: an auditor's file is not to be trusted to be of the log at all."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from deepnode_ledger.batch_versions import SCHEMA
from deepnode_ledger.errors import Damaged
from deepnode_ledger.record import DATA_BYTES_MAX, TOPICS_MAX, Kind
from deepnode_projections.folds.limbs import Flags

_OF_A_LOG = ("transaction_hash", "transaction_index", "log_index", "address")
_OF_A_TASK_EVENT = ("producer", "event_id", "sequence", "event_type", "signature")


def check(batch: pa.RecordBatch, first: int) -> None:
    """Check that a batch's entries stand at positions ``first`` and on, each with what its kind must have.

    Raises:
        Damaged: they do not; the message names the first position where that shows.
    """
    if not batch.schema.equals(SCHEMA):
        raise Damaged(
            f"entries from position {first} on have other columns than those of the log: {batch.schema.names}"
        )
    if not batch.num_rows:
        return
    try:
        batch.validate(full=True)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise Damaged(f"entries from position {first} on cannot be read: {error}") from error
    for name in SCHEMA.names:
        if not SCHEMA.field(name).nullable and batch.column(name).null_count:
            raise Damaged(f"entries from position {first} on have no {name} everywhere")
    kind = batch.column("kind").to_numpy()
    is_log, is_task = kind == int(Kind.CHAIN_LOG), kind == int(Kind.TASK_EVENT)
    positions = np.arange(first, first + batch.num_rows)
    _refuse(batch.column("position").to_numpy() != positions, first, "stands at another position")
    _refuse(~(is_log | is_task), first, "is of no kind that there is")
    for name in ("block_number", "block_time"):
        _refuse(batch.column(name).to_numpy() < 0, first, f"has a {name} below zero")
    for names, owners in ((_OF_A_LOG, is_log), (_OF_A_TASK_EVENT, is_task)):
        for name in names:
            given = batch.column(name).is_valid().to_numpy(zero_copy_only=False)
            _refuse(owners & ~given, first, f"has no {name}")
            _refuse(~owners & given, first, f"has a {name}, which is not for its kind")
    before = is_log
    for number in range(TOPICS_MAX):
        given = batch.column(f"topic{number}").is_valid().to_numpy(zero_copy_only=False)
        _refuse(given & ~before, first, f"has topic {number}, and none before")
        before = given
    for name in ("log_index", "transaction_index", "sequence"):
        negative = pc.fill_null(pc.less(batch.column(name), 0), False).to_numpy(zero_copy_only=False)
        _refuse(negative, first, f"has a {name} below zero")
    long = pc.greater(pc.binary_length(batch.column("data")), DATA_BYTES_MAX).to_numpy(zero_copy_only=False)
    _refuse(long, first, f"has more than {DATA_BYTES_MAX} bytes of data")


def _refuse(wrong: Flags, first: int, what: str) -> None:
    if wrong.any():
        raise Damaged(f"the entry at position {first + int(np.argmax(wrong))} {what}")
