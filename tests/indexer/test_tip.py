"""A producer can ask behind which block its next event would come to stand."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from deepnode_indexer.admission import Limits
from deepnode_indexer.intake import make_app
from deepnode_indexer.status import Status
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.log import Log
from deepnode_ledger.manifest import Manifest
from tests.ledger.histories import CHAIN_ID, block


@pytest.fixture
def client(log: Log, manifest: Manifest) -> Iterator[TestClient]:
    """The intake's door, with a rate of two lines a second, ten at once."""
    with TestClient(make_app(log, manifest, Status(), Limits(client_rate=2))) as client:
        yield client


def test_the_tip_is_the_last_block_that_is_in_the_log(client: TestClient, log: Log) -> None:
    """Asks before the first block, behind two blocks, and when the first of them is final."""
    assert client.get("/tip").json() == {"chain_id": CHAIN_ID, "block": None, "finalized": None}
    first, second = block(1, logs=1), block(2)
    log.extend(None, [first, second])
    log.seal(first.header.block)
    told = [
        {"number": each.header.block.number, "hash": to_hex(each.header.block.hash), "time": each.header.block.time}
        for each in (second, first)
    ]
    answer = client.get("/tip")
    assert (answer.status_code, answer.json()["block"], answer.json()["finalized"]) == (200, *told)


def test_who_asks_too_often_is_told_to_wait(client: TestClient) -> None:
    """Asks fifteen times at once: the bucket holds ten questions, and one or two come in meanwhile."""
    codes = [client.get("/tip").status_code for _ in range(15)]
    assert codes[:10] == [200] * 10
    assert codes[-1] == 429
