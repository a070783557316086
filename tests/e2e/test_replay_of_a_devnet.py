"""A replay in memory of a devnet's log holds what the projector wrote: row by row, and at every epoch's end."""

from contextlib import closing

from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.snapshot import snapshot
from deepnode_projections.projector import connect
from deepnode_projections.registers.at import StateAt
from deepnode_projections.replay import Replay, Verdicts
from deepnode_projections.rules.book import RECORDS
from deepnode_projections.state_root import balances_at, state_root
from tests.e2e.real_parts import Devnet, Ledger

BLOCKS = 75
"""Two epochs are over by then."""


def test_a_replay_is_the_books_row_by_row(devnet: Devnet, ledger: Ledger) -> None:
    """Replays what is sealed and pending, in batches as stored and by the kernel in runs of 37; compares everything."""
    ledger.live(devnet, BLOCKS)
    with snapshot(ledger.log.datastore) as view:
        batches = list(view.read(1))
    replay, in_pieces = Replay(devnet.manifest), Replay(devnet.manifest, kernel_entries=1)
    verdicts, of_pieces = Verdicts(replay), Verdicts(in_pieces)
    ends = [end for batch in batches for end in replay.feed(batch).ended]
    for batch in batches:
        for start in range(0, batch.num_rows, 37):
            in_pieces.feed(batch.slice(start, 37))
    with closing(connect(ledger.url, "books")) as connection, connection.transaction():
        assert len(ends) >= 3
        assert [end.root for end in ends] == [state_root(connection, end.position) for end in ends]
        books = StateAt(connection, replay.position)
        for kind in RECORDS:
            assert list(replay.records(kind)) == list(in_pieces.records(kind)) == list(books.every(kind)), kind
        held = [((name, bytes(asset)), int(amount)) for name, asset, amount in balances_at(connection, replay.position)]
        assert sorted((key, amount) for key, amount in replay.balances.items() if amount) == held
    assert to_hex(replay.root()) == to_hex(in_pieces.root()) == ledger.root()
    assert of_pieces.allocations == verdicts.allocations
    assert of_pieces.roots == verdicts.roots
    assert len(verdicts.allocations) > 2
    assert all(allocation.agrees for allocation in verdicts.allocations)
    # The devnet's oracle lies in epoch 2: it exchanges the amounts of two earners, who are found.
    assert {root.epoch for root in verdicts.roots if not root.agrees} <= {2}
    assert all(len(root.altered) == 2 for root in verdicts.roots if not root.agrees)
    assert not verdicts.splits()
    assert not verdicts.claims()
    assert not verdicts.others()
