"""Whatever the chain and its node do, the log ends up with the chain's logs, or unchanged."""

import contextlib

import pytest

from deepnode_indexer import backfill, following
from deepnode_indexer.changes import Change, Covered, Finalized, Reorged
from deepnode_indexer.completeness import Examiner
from deepnode_indexer.following import Follower
from deepnode_indexer.level import Level
from deepnode_indexer.pool import Providers
from deepnode_indexer.provider import Provider
from deepnode_indexer.rpc import BadAnswer, NodeError
from deepnode_ledger.errors import TryAgain
from deepnode_ledger.log import Log
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.record import ChainLog, Finality
from deepnode_ledger.sealing import Sealed
from deepnode_ledger.snapshot import snapshot
from deepnode_ledger.tail import ReorgBelowSealed
from tests.indexer.fake_node import FakeChain
from tests.ledger.histories import contents, everything, placed, task


@pytest.fixture
def follower(provider: Provider, log: Log, manifest: Manifest) -> Follower:
    return Follower(by_ends(provider), log, manifest, seal_entries=1)


def by_ends(provider: Provider) -> Examiner:
    """The fake chain's hashes are no hashes of headers, so only the ends of ranges can be checked."""
    return Examiner(Providers([provider]), level=Level.ENDS)


def sync(follower: Follower) -> list[Change]:
    return [change for change in follower.sync() if not isinstance(change, Finalized)]


def assert_in_step(log: Log, chain: FakeChain) -> None:
    """The log holds exactly the chain's logs, each under its block, in order; task events aside."""
    held = [(entry.block, entry.record) for entry in contents(log) if isinstance(entry.record, ChainLog)]
    assert held == placed([chain.blocks[n] for n in sorted(chain.blocks) if n > 0])
    assert log.chain().tip == chain.blocks[chain.head].header.block


def test_final_blocks_are_sealed_and_the_tail_is_pending(chain: FakeChain, follower: Follower, log: Log) -> None:
    """Starts on a chain of 30 blocks of which 20 are final, and follows it further."""
    chain.grow(30, logs=2)
    chain.finalized = 20
    changes = sync(follower)
    assert changes == [
        Covered(chain.blocks[20].header.block, 40, 30, finalized=True),
        Covered(chain.blocks[30].header.block, 20, 30, finalized=False),
    ]
    assert_in_step(log, chain)
    assert [entry.finality for entry in contents(log)] == [Finality.SEALED] * 40 + [Finality.PENDING] * 20
    assert sync(follower) == []
    chain.grow(3, logs=1)
    chain.finalized = 25
    assert sync(follower) == [Covered(chain.blocks[33].header.block, 3, 33, finalized=False), Sealed(41, 50)]
    assert_in_step(log, chain)


def test_a_chain_without_finality_is_followed_all_the_same(chain: FakeChain, follower: Follower, log: Log) -> None:
    """Has no finalized block: everything stays pending."""
    chain.grow(5)
    sync(follower)
    assert_in_step(log, chain)
    assert {entry.finality for entry in contents(log)} == {Finality.PENDING}


def test_long_tails_and_backfills_come_in_pieces(
    chain: FakeChain, follower: Follower, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lowers the sizes: 7 blocks a range with a window of 3, 4 blocks of the tail at once."""
    monkeypatch.setattr(backfill, "RANGE_BLOCKS_MAX", 7)
    monkeypatch.setattr(backfill, "WRITTEN_LOGS", 1)
    monkeypatch.setattr(backfill, "WINDOW", 3)
    monkeypatch.setattr(following, "TAIL_BLOCKS", 4)
    chain.grow(50)
    chain.finalized = 40
    changes = sync(follower)
    assert [c.last.number for c in changes if isinstance(c, Covered)] == [7, 14, 21, 28, 35, 40, 44, 48, 50]
    assert_in_step(log, chain)


def test_ranges_that_the_node_finds_too_large_are_halved(chain: FakeChain, follower: Follower, log: Log) -> None:
    """Refuses ranges of more than five blocks."""
    chain.grow(60)
    chain.finalized = 60
    chain.range_max = 5
    sync(follower)
    assert_in_step(log, chain)
    sizes = [int(p[0]["toBlock"], 16) - int(p[0]["fromBlock"], 16) + 1 for m, p in chain.requests if m == "eth_getLogs"]
    assert max(sizes) > 5
    assert sum(size for size in sizes if size <= 5) == 60


def test_a_node_that_refuses_every_range_is_tried_again_later(chain: FakeChain, follower: Follower, log: Log) -> None:
    """Refuses single blocks too: nothing is taken in until the node relents."""
    chain.grow(10)
    chain.finalized = 10
    chain.range_max = 0
    before = everything(log)
    with pytest.raises(NodeError):
        sync(follower)
    assert everything(log) == before
    chain.range_max = None
    sync(follower)
    assert_in_step(log, chain)


def test_a_node_that_is_behind_changes_nothing(chain: FakeChain, follower: Follower, log: Log) -> None:
    """Takes blocks back on the same branch: the node lags, which is no reorg."""
    chain.grow(20)
    chain.finalized = 10
    sync(follower)
    before = everything(log)
    chain.drop(4)
    assert sync(follower) == []
    assert everything(log) == before
    chain.drop(8)
    chain.finalized = 8
    with pytest.raises(TryAgain, match="the node lags: its head is 8"):
        sync(follower)
    assert everything(log) == before
    chain.grow(14)
    sync(follower)
    assert_in_step(log, chain)


@pytest.mark.parametrize("depth", [1, 2, 5, 9, 40, 99])
@pytest.mark.parametrize("count", [-1, 0, 3])
def test_a_reorg_of_any_depth_is_followed(
    chain: FakeChain, follower: Follower, log: Log, depth: int, count: int
) -> None:
    """Replaces the newest blocks by fewer, as many and more, with task events accepted before."""
    chain.grow(100, logs=1)
    sync(follower)
    log.accept([task(1), task(2)])
    old_tip = chain.blocks[100].header.block
    new = max(depth + count, 1)
    chain.reorganise(depth, "b", count=new, logs=2)
    changes = sync(follower)
    assert changes[0] == Reorged(chain.blocks[100 - depth].header.block, old_tip)
    assert isinstance(changes[0], Reorged)
    assert changes[0].depth == depth
    assert_in_step(log, chain)
    assert [entry.record for entry in contents(log)][-2:] == [task(1), task(2)]
    assert sync(follower) == []


def test_two_reorgs_between_two_looks_are_one(chain: FakeChain, follower: Follower, log: Log) -> None:
    """Replaces four blocks, then two of the new ones, before the follower looks; then goes back to the first branch."""
    chain.grow(20)
    sync(follower)
    chain.reorganise(4, "b", count=6)
    chain.reorganise(2, "c", count=3)
    assert [type(change) for change in sync(follower)] == [Reorged, Covered]
    assert_in_step(log, chain)
    chain.reorganise(7, "a", count=4)
    sync(follower)
    assert_in_step(log, chain)


def test_a_reorg_of_every_block_is_followed_while_nothing_is_final(
    chain: FakeChain, follower: Follower, log: Log
) -> None:
    """Replaces the chain from its first block on."""
    chain.grow(8)
    sync(follower)
    chain.reorganise(8, "b", count=9)
    assert isinstance(sync(follower)[0], Reorged)
    assert_in_step(log, chain)


def test_a_reorg_that_is_final_at_once_is_followed(chain: FakeChain, follower: Follower, log: Log) -> None:
    """Replaces pending blocks by many that are final when the follower looks again."""
    chain.grow(20)
    chain.finalized = 10
    sync(follower)
    chain.reorganise(8, "b", count=400)
    chain.finalized = 390
    sync(follower)
    assert_in_step(log, chain)
    sync(follower)
    assert contents(log)[389].finality == Finality.SEALED


@pytest.mark.parametrize("longer", [False, True])
def test_a_reorg_below_what_is_sealed_stops_loudly(
    chain: FakeChain, follower: Follower, log: Log, longer: bool
) -> None:
    """Replaces final blocks; the log does not move, however often it is tried."""
    chain.grow(20)
    chain.finalized = 15
    sync(follower)
    before = everything(log)
    chain.reorganise(8, "b", count=30 if longer else 8)
    chain.finalized = 35 if longer else 15
    for _ in range(2):
        with pytest.raises(ReorgBelowSealed, match="sealed, and the node has another block at that height"):
            sync(follower)
        assert everything(log) == before


def test_a_reorg_between_two_sealed_ranges_stops_loudly(
    chain: FakeChain, follower: Follower, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is interrupted behind the second range of a backfill, whose final blocks are then replaced, not the first's."""
    monkeypatch.setattr(backfill, "RANGE_BLOCKS_MAX", 10)
    monkeypatch.setattr(backfill, "WRITTEN_LOGS", 1)
    chain.grow(30)
    chain.finalized = 30
    steps = follower.sync()
    assert next(steps) == Finalized(30)
    assert [next(steps), next(steps)] == [
        Covered(chain.blocks[number].header.block, 10, 30, finalized=True) for number in (10, 20)
    ]
    del steps
    before = everything(log)
    chain.reorganise(15, "b", count=18)
    with pytest.raises(ReorgBelowSealed):
        sync(follower)
    assert everything(log) == before


def test_a_chain_that_changes_between_two_answers_is_looked_at_again(
    chain: FakeChain, follower: Follower, log: Log
) -> None:
    """Replaces blocks after the headers were told and before the logs are asked for, and between two headers."""
    chain.grow(10)
    sync(follower)
    chain.grow(5)

    def change_once(method: str, _parameters: object, result: object) -> object:
        if method == "eth_getLogs":
            chain.spoil = lambda _method, _parameters, result: result
            chain.reorganise(4, "b")
            return []  # a node that no longer knows the block may say so by an empty list
        return result

    chain.spoil = change_once
    with contextlib.suppress(TryAgain):
        sync(follower)
    chain.grow(1)
    sync(follower)
    assert_in_step(log, chain)


def test_headers_of_two_branches_are_not_joined(chain: FakeChain, follower: Follower, log: Log) -> None:
    """Tells one block of another branch in the middle of the new ones."""
    chain.grow(10)
    sync(follower)
    before = everything(log)
    chain.grow(5)
    fork = FakeChain()
    fork.grow(12)
    fork.grow(1, branch="b")
    chain.spoil = lambda method, parameters, result: (
        fork._result(method, parameters) if method == "eth_getBlockByNumber" and parameters[0] == hex(13) else result
    )
    with pytest.raises(BadAnswer, match="the chain changed"):
        sync(follower)
    assert everything(log) == before
    chain.spoil = lambda _method, _parameters, result: result
    sync(follower)
    assert_in_step(log, chain)


def test_a_node_that_answers_null_at_its_own_head_is_asked_again(
    chain: FakeChain, follower: Follower, log: Log
) -> None:
    """Tells a head whose block it does not have when asked by number, as a group of nodes behind one name does."""
    chain.grow(10)
    sync(follower)
    before = everything(log)
    chain.grow(3)
    chain.spoil = lambda method, parameters, result: (
        None if method == "eth_getBlockByNumber" and parameters[0] == hex(13) else result
    )
    with pytest.raises(BadAnswer, match="has 2 of the 3 blocks up to its head"):
        sync(follower)
    assert everything(log) == before
    chain.spoil = lambda _method, _parameters, result: result
    sync(follower)
    assert_in_step(log, chain)


def test_a_final_block_that_changes_during_the_backfill_is_not_taken_in(
    chain: FakeChain, follower: Follower, log: Log
) -> None:
    """Tells another header for the last block of the range than for the tag `finalized`."""
    chain.grow(10)
    chain.finalized = 10
    before = everything(log)
    fork = FakeChain()
    fork.grow(9)
    fork.grow(1, branch="b")
    chain.spoil = lambda method, parameters, result: (
        fork._result(method, parameters) if method == "eth_getBlockByNumber" and parameters[0] == hex(10) else result
    )
    with pytest.raises(BadAnswer, match="block 10 "):
        sync(follower)
    assert everything(log) == before


def test_a_failure_in_the_middle_keeps_what_is_whole(
    chain: FakeChain, follower: Follower, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lets the node fail for blocks above 30 during the backfill: the ranges before stay, the rest comes later."""
    monkeypatch.setattr(backfill, "RANGE_BLOCKS_MAX", 10)
    chain.grow(50)
    chain.finalized = 50
    chain.spoil = lambda method, parameters, result: (
        {"code": -32000, "message": "no"}
        if method == "eth_getLogs" and int(parameters[0]["toBlock"], 16) > 30
        else result
    )
    with pytest.raises(NodeError):
        sync(follower)
    tip = log.chain().tip
    assert tip is not None
    assert tip.number == 30
    chain.spoil = lambda _method, _parameters, result: result
    sync(follower)
    assert_in_step(log, chain)


def test_small_batches_wait_and_old_ones_do_not(
    provider: Provider, chain: FakeChain, log: Log, manifest: Manifest
) -> None:
    """Seals by 1000 entries: a few final ones wait until they are 150 blocks old."""
    follower = Follower(by_ends(provider), log, manifest, seal_entries=1_000)
    chain.grow(20)
    sync(follower)
    chain.finalized = 20
    chain.grow(5)
    assert not [change for change in sync(follower) if isinstance(change, Sealed)]
    chain.grow(200)
    sync(follower)
    chain.finalized = 200
    assert [change for change in sync(follower) if isinstance(change, Sealed)] == [Sealed(1, 200)]


def test_two_followers_of_one_log_do_not_make_up_a_reorg(
    provider: Provider, chain: FakeChain, log: Log, manifest: Manifest
) -> None:
    """Lets one follower pass another in the middle of its steps: the chain had no reorg, so the log has none."""
    chain.grow(600)
    one, two = (Follower(by_ends(provider), log, manifest, seal_entries=1) for _ in range(2))
    steps = one.sync()
    next(steps)
    sync(two)
    assert_in_step(log, chain)
    with contextlib.suppress(TryAgain):
        list(steps)
    assert_in_step(log, chain)
    with snapshot(log.datastore) as view:
        assert view.reorgs() == []


def test_a_chain_that_has_not_come_to_the_first_contract_is_waited_for(
    chain: FakeChain, follower: Follower, log: Log
) -> None:
    """Follows a chain that is only its genesis block, and then one that is final up to it: nothing to take in yet."""
    assert sync(follower) == []
    chain.finalized = 0
    assert sync(follower) == []
    assert log.chain().tip is None
    chain.grow(1)
    assert [type(change) for change in sync(follower)] == [Covered]
