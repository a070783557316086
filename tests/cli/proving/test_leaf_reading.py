"""An entry is read from its leaf's bytes as it was laid out, and nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_cli.proving.leaf_reading import entry_of
from deepnode_ledger import batch as batches
from deepnode_ledger import leaf
from deepnode_ledger.batch import from_rows
from deepnode_ledger.errors import BadInput
from deepnode_ledger.record import BlockRef, ChainLog, Finality, TaskEvent
from tests.ledger.test_batch import histories, rows_of


@given(st.integers(1, 2**62), histories)
def test_what_was_laid_out_is_read_again(first: int, placed: list[tuple[BlockRef, ChainLog | TaskEvent]]) -> None:
    """Lays out histories, reads each leaf, and lays it out again: the same entry, the same bytes."""
    for entry in batches.entries(from_rows(rows_of(first, placed)), Finality.SEALED):
        written = leaf.entry_bytes(entry)
        assert entry_of(written) == entry
        assert leaf.entry_bytes(entry_of(written)) == written


@given(st.binary(max_size=400))
def test_other_bytes_are_refused_in_words(raw: bytes) -> None:
    """Reads arbitrary bytes, and such as begin like an entry: an entry of these very bytes, or a refusal."""
    for each in (raw, b"\x01" + bytes(64) + raw, b"\x02" + bytes(64) + raw):
        try:
            found = entry_of(each)
        except BadInput:
            continue
        assert leaf.entry_bytes(found) == each


def test_data_that_entered_as_their_hash_cannot_be_read() -> None:
    """Lays out a log with data above the limit: its leaf has only their hash."""
    from tests.ledger.histories import chain_log, ref

    [entry] = batches.entries(
        from_rows([batches.row_of(1, 5, ref(9), chain_log(ref(9), 0, bytes(leaf.INLINE_BYTES_MAX + 1), topics=4))]),
        Finality.SEALED,
    )
    with pytest.raises(BadInput, match="not in it"):
        entry_of(leaf.entry_bytes(entry))
