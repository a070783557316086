"""Lines of the state root that are written from cells: octet for octet those that are written from records."""

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_ledger.posting import AMOUNT_LIMIT
from deepnode_projections.kernel import order
from deepnode_projections.kernel.pieces import ROWS_ALONE
from deepnode_projections.kernel.state import ColumnState
from deepnode_projections.registers.record import Record, values_of
from deepnode_projections.registers.state import MemoryState
from deepnode_projections.rules.comparisons import Checked
from deepnode_projections.rules.revenue import Receipt
from deepnode_projections.rules.work import Work
from deepnode_projections.state_root import record_line

KINDS: tuple[type[Record], ...] = (Checked, Receipt, Work)

_NEAR = [base**power + more for base in (2, 10) for power in range(127) for more in (-1, 0, 1)]


def near(limit: int) -> st.SearchStrategy[int]:
    """Return numbers whose sizes are below a limit, many of them around powers of 2 and of 10."""
    some = st.sampled_from([each for each in _NEAR if each < limit])
    return some | some.map(lambda each: -each) | st.integers(1 - limit, limit - 1)


_amounts, _numbers = near(AMOUNT_LIMIT), near(2**63)
_odd = st.sampled_from(['"', "\\", "\n", "\x00", "\x1f", " ", "!", "[", "]", "\x7f", "\x80", "ÿ", "€", "\U0001f600"])
_texts = st.text(_odd | st.sampled_from("ab"), max_size=40) | st.text(st.characters(exclude_categories=["Cs"]))
_words, _addresses = st.binary(min_size=32, max_size=32), st.binary(min_size=20, max_size=20)
_counts = st.integers(0, 2)
_checked = st.builds(Checked, subject=_texts, what=_texts, comparisons=_numbers, differing=_numbers)
_receipts = st.builds(
    Receipt,
    receipt=_words,
    contract=_addresses,
    model=_words,
    asset=_addresses,
    payer=_addresses,
    amount=_amounts,
    ref=_words,
    stage=_texts,
    as_expected=st.sampled_from([None, False, True]),
    received_position=st.just(1),
    closed_position=st.none(),
)
_few = st.sampled_from([bytes([1]) * 32, bytes([1]) * 31 + bytes([2]), bytes([255]) * 32])
_work = st.builds(Work, epoch=_counts, domain=_few, node=_few, vwu=_amounts, weighted=_amounts, tasks=_numbers)


def lines_of(state: MemoryState, records: Sequence[Record]) -> bytes:
    """Put records, and return the lines of all, taken as they come."""
    for record in records:
        state.put(record)
    return b"".join(map(bytes, state.lines(KINDS, lambda record: record_line(type(record), values_of(record)))))


@given(st.lists(_checked | _receipts | _work, max_size=12))
def test_cells_are_written_as_records_are(records: list[Record]) -> None:
    """Writes amounts and numbers around all powers of 2 and 10, texts with what is escaped, and what is unknown."""
    assert lines_of(ColumnState(), records) == lines_of(MemoryState(), records)


@pytest.mark.parametrize("by_thread", [0, 10**6])
def test_many_rows_are_put_in_order_and_written_by_several_threads(
    monkeypatch: pytest.MonkeyPatch, by_thread: int
) -> None:
    """Enters rows of two kinds at random; words begin alike, so that their ends are what is compared."""
    monkeypatch.setattr(order, "ROWS_BY_THREAD", by_thread)
    random = Random(7)
    nodes = [bytes(31) + bytes([each]) for each in random.sample(range(256), 90)]
    keys = random.sample([(epoch, node) for epoch in range(50) for node in nodes], ROWS_ALONE + 7)
    records: list[Record] = [Work(epoch, nodes[0], node, 10**20 + epoch, epoch, 3) for epoch, node in keys]
    records += [Checked(f"{number % 7}", f"{number}", number, 0) for number in random.sample(range(50), 50)]
    assert lines_of(ColumnState(), records) == lines_of(MemoryState(), records)
