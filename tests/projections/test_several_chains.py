"""The books of a deployment on two chains: what one chain takes back leaves the other's books as they were."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepnode_ledger.log import Log
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.posting import AMOUNT_LIMIT
from deepnode_ledger.record import Block, BlockRef, ChainLog, Header
from deepnode_projections import folding
from deepnode_projections.folds.transfers import TRANSFER
from tests.conftest import fresh_database
from tests.ledger.factories import (
    FACTORY,
    FAR,
    FAR_CHAIN,
    FAR_FIRST_BLOCK,
    FAR_GENESIS,
    created,
    factories,
    said,
)
from tests.ledger.histories import CHAIN_ID, FIRST_BLOCK, GENESIS, WITHOUT_SHRINKING, contents, datastore, ref, task
from tests.projections import stories as s
from tests.projections.stories import projecting, rows, stepped

TOKENS = [bytes([n]) * 20 for n in (0x71, 0x72)]
STARTS = {CHAIN_ID: (GENESIS, FIRST_BLOCK), FAR_CHAIN: (FAR_GENESIS, FAR_FIRST_BLOCK)}


@pytest.fixture(scope="module")
def two_chains(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return factories(tmp_path_factory.mktemp("factories"))


def paid(token: bytes, block: BlockRef, index: int, giver: bytes, taker: bytes, value: int) -> ChainLog:
    return said(token, TRANSFER, block, index, **{"from": giver, "to": taker, "value": value})


class Chain:
    """One of the two: its log, and the blocks that it has."""

    def __init__(self, log: Log, chain_id: int) -> None:
        self.log, self.chain_id = log, chain_id
        genesis, self.first = STARTS[chain_id]
        log.create(genesis, self.first, beside=set(STARTS) - {chain_id})
        self.blocks: list[BlockRef] = []
        self.sealed = 0

    def grow(self, kept: int, logs_of: list[Any], branch: str) -> None:
        """Go on behind the first ``kept`` blocks with new ones; each of ``logs_of`` makes a block's logs."""
        self.blocks, old = self.blocks[:kept], self.blocks
        made = []
        for logs in logs_of:
            block = ref(self.first + len(self.blocks), f"{self.chain_id} {branch}")
            parent = self.blocks[-1].hash if self.blocks else ref(self.first - 1, "before").hash
            made.append(Block(Header(block, parent), tuple(logs(block))))
            self.blocks.append(block)
        assert self.blocks != old or not made
        self.log.extend(self.blocks[kept - 1] if kept else None, made)

    def seal(self) -> None:
        """Make all but the last two blocks final."""
        if len(self.blocks) > 2:
            self.sealed = max(self.sealed, len(self.blocks) - 2)
            self.log.seal(self.blocks[self.sealed - 1])


def test_a_block_that_another_chain_cut_in_two_stays(database_url: str, two_chains: Manifest) -> None:
    """Has the far chain take back what stands between a home block's log and a task event under that block."""
    factory, far_factory = two_chains.contracts[FACTORY], two_chains.contracts[FAR]
    with datastore(database_url) as store:
        home, far = Chain(Log(store, CHAIN_ID), CHAIN_ID), Chain(Log(store, FAR_CHAIN), FAR_CHAIN)
        home.grow(0, [lambda block: [created(factory, s.BEN, block, 0)]], "a")
        far.grow(0, [lambda block: [created(far_factory, TOKENS[0], block, 0)]], "a")
        home.log.accept([task(1)])
        with projecting(database_url, two_chains, step_entries=1) as projector:
            projector.catch_up()
            assert rows(database_url, "SELECT number, last_position FROM block") == [(FIRST_BLOCK, 3)]
            assert rows(database_url, "SELECT address FROM asset") == [(TOKENS[0],)]
        # A projector that begins here has never seen the token that is taken back.
        with projecting(database_url, two_chains, step_entries=1) as projector:
            far.grow(0, [lambda block: [created(far_factory, TOKENS[1], block, 0)]], "b")
            assert projector.step().rolled_back_to == 1
            assert rows(database_url, "SELECT number, last_position FROM block") == [(FIRST_BLOCK, 1)]
            assert rows(database_url, "SELECT address FROM asset") == [(TOKENS[1],)]
            projector.catch_up()
            assert rows(database_url, "SELECT number, last_position FROM block") == [(FIRST_BLOCK, 3)]


@settings(max_examples=4, phases=WITHOUT_SHRINKING)
@given(st.data())
def test_books_of_two_chains_that_lived_through_reorgs_equal_books_made_anew(
    postgres_url: str, two_chains: Manifest, data: st.DataObject
) -> None:
    """Extends and reorganises both chains at random beside a projector; compares with the rules alone, made anew."""
    factory, far_factory = two_chains.contracts[FACTORY], two_chains.contracts[FAR]
    who = st.sampled_from([*TOKENS, s.ANNA, s.BEN, s.NOBODY, FACTORY, FAR])
    payments = st.lists(st.tuples(st.sampled_from(TOKENS), st.tuples(who, who, st.integers(0, 9))), max_size=4)
    announced = st.sampled_from([None, *TOKENS])

    def far_logs(block: BlockRef) -> list[ChainLog]:
        child = data.draw(announced)
        logs = [created(far_factory, child, block, 0)] if child else []
        return logs + [paid(token, block, 1 + n, *rest) for n, (token, rest) in enumerate(data.draw(payments))]

    def home_logs(block: BlockRef) -> list[ChainLog]:
        return [created(factory, s.BEN, block, 0)] if data.draw(st.booleans()) else []

    with fresh_database(postgres_url) as url, datastore(url) as store:
        chains = [Chain(Log(store, CHAIN_ID), CHAIN_ID), Chain(Log(store, FAR_CHAIN), FAR_CHAIN)]
        for chain, logs in zip(chains, (home_logs, far_logs), strict=True):
            chain.grow(0, [logs], "a")
        for turn in range(data.draw(st.integers(4, 12))):
            number = data.draw(st.integers(0, 1))
            chain, logs = chains[number], (home_logs, far_logs)[number]
            kept = data.draw(st.integers(max(chain.sealed, 1, len(chain.blocks) - 3), len(chain.blocks)))
            chain.grow(kept, [logs] * data.draw(st.integers(1, 2)), f"b{turn}")
            if data.draw(st.booleans()):
                chains[0].log.accept([task(turn + 1)])
            if data.draw(st.booleans()):
                chain.seal()
            with projecting(url, two_chains, step_entries=data.draw(st.sampled_from([1, 3, 1000]))) as projector:
                for _ in range(data.draw(st.integers(0, 3))):
                    projector.step()
        with projecting(url, two_chains) as projector:
            projector.catch_up()
        stepped(url, two_chains, 1000, "anew", by_definition=True)
        assert s.dump(url) == s.dump(url, "anew")
        last = len(contents(chains[0].log))
        assert s.root_at(url, last) == s.root_at(url, last, "anew")
        assert {chain_id for (chain_id,) in rows(url, "SELECT DISTINCT chain_id FROM entry")} <= {FAR_CHAIN}


def test_the_tip_is_the_home_chains(database_url: str, two_chains: Manifest) -> None:
    """Extends both chains: the checkpoint and the blocks are the home chain's, the entries are of both."""
    far_factory = two_chains.contracts[FAR]
    with datastore(database_url) as store:
        home, far = Chain(Log(store, CHAIN_ID), CHAIN_ID), Chain(Log(store, FAR_CHAIN), FAR_CHAIN)
        home.grow(0, [lambda _block: []], "a")
        far.grow(
            0,
            [
                lambda block: [created(far_factory, TOKENS[0], block, 0)],
                lambda block: [paid(TOKENS[0], block, 0, s.NOBODY, s.ANNA, 5)],
            ],
            "a",
        )
        with projecting(database_url, two_chains) as projector:
            projector.catch_up()
    assert rows(database_url, "SELECT tip_number, tip_hash FROM checkpoint") == [(FIRST_BLOCK, home.blocks[0].hash)]
    assert rows(database_url, "SELECT count(*) FROM block") == [(0,)]
    assert rows(database_url, "SELECT position, chain_id, contract FROM entry") == [
        (2, FAR_CHAIN, f"FarToken.0x{TOKENS[0].hex()}")
    ]
    assert s.balances(database_url) == {("Mint", TOKENS[0]): -5, (f"Wallet:0x{s.ANNA.hex()}", TOKENS[0]): 5}


def test_a_step_that_falls_back_on_the_journal_names_no_token_too_early(
    database_url: str, two_chains: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mints too much of one token before another is announced, and lets a step take two logs one by one."""
    far_factory = two_chains.contracts[FAR]

    def logs(block: BlockRef) -> list[ChainLog]:
        minted = [paid(TOKENS[0], block, 1 + n, s.NOBODY, s.ANNA, AMOUNT_LIMIT - 1) for n in range(2)]
        return [created(far_factory, TOKENS[0], block, 0), *minted, created(far_factory, TOKENS[1], block, 3)]

    with datastore(database_url) as store:
        Chain(Log(store, CHAIN_ID), CHAIN_ID)
        Chain(Log(store, FAR_CHAIN), FAR_CHAIN).grow(0, [logs], "a")
        monkeypatch.setattr(folding, "SINGLE_ENTRIES", 2)
        with projecting(database_url, two_chains) as projector:
            assert projector.step().position == 2
            assert rows(database_url, "SELECT address FROM asset") == [(TOKENS[0],)]
            assert projector.catch_up().position == 4
    assert rows(database_url, "SELECT address FROM asset ORDER BY asset_id") == [(TOKENS[0],), (TOKENS[1],)]
    [(reason,)] = rows(database_url, "SELECT reason FROM refusal")
    assert reason.endswith("balances stay below 10**38")
