"""What is recomputed of a deployment on two chains, whose tokens a factory makes."""

from contextlib import closing
from pathlib import Path

from deepnode_ledger.log import Log
from deepnode_ledger.record import Block, BlockRef, ChainLog, Header
from deepnode_projections.folds.transfers import TRANSFER
from deepnode_projections.projector import connect
from deepnode_projections.recompute import recompute
from tests.ledger.factories import FAR, FAR_CHAIN, FAR_FIRST_BLOCK, FAR_GENESIS, created, factories, said
from tests.ledger.histories import CHAIN_ID, FIRST_BLOCK, GENESIS, datastore, ref
from tests.projections.stories import ANNA, BEN, NOBODY, projecting, rows

CHILD, OTHER = b"\x71" * 20, b"\x72" * 20


def paid(block: BlockRef, index: int, giver: bytes, taker: bytes, value: int, token: bytes = CHILD) -> ChainLog:
    """A transfer of the child's tokens."""
    return said(token, TRANSFER, block, index, **{"from": giver, "to": taker, "value": value})


def test_a_child_counts_from_the_log_that_announces_it_on_its_own_chain(database_url: str, tmp_path: Path) -> None:
    """Moves tokens before and behind the announcement, to the child itself, and on the chain where it is nobody."""
    manifest = factories(tmp_path)
    far = manifest.contracts[FAR]
    with datastore(database_url) as store:
        chains = [Log(store, chain_id) for chain_id in (CHAIN_ID, FAR_CHAIN)]
        chains[0].create(GENESIS, FIRST_BLOCK, beside=[FAR_CHAIN])
        chains[1].create(FAR_GENESIS, FAR_FIRST_BLOCK, beside=[CHAIN_ID])
        home, own = ref(FIRST_BLOCK), ref(FAR_FIRST_BLOCK)
        chains[0].extend(None, [Block(Header(home, ref(FIRST_BLOCK - 1).hash), (paid(home, 0, NOBODY, ANNA, 9),))])
        logs = [
            paid(own, 0, NOBODY, ANNA, 5),
            created(far, CHILD, own, 1),
            paid(own, 2, NOBODY, ANNA, 100),
            paid(own, 3, ANNA, CHILD, 30),
            paid(own, 4, ANNA, OTHER, 20),
            created(far, OTHER, own, 5),
            paid(own, 6, ANNA, OTHER, 10),
            paid(own, 7, CHILD, BEN, 1),
        ]
        chains[1].extend(None, [Block(Header(own, ref(FAR_FIRST_BLOCK - 1).hash), tuple(logs))])
        with projecting(database_url, manifest) as projector:
            projector.catch_up()
    with closing(connect(database_url, "books")) as connection:
        found = recompute(connection, manifest)
    assert list(found.values) == []
    assert {each.relation: each.rows for each in found.relations}["posting"] == 10
    held = rows(database_url, "SELECT DISTINCT owner FROM account ORDER BY owner")
    assert held == [("FarToken.0x" + CHILD.hex(),), ("FarToken.0x" + OTHER.hex(),), ("Mint",), ("Wallet",)]
