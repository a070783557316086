"""The economy repeats itself from its seed, signs what it says, and survives reorgs."""

import json
import tomllib

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct

from deepnode_indexer.devnet.cast_of_accounts import EPOCH_KEEPER, SCORER
from deepnode_indexer.devnet.mempool import ReorgTooDeepError
from deepnode_indexer.devnet.task_events import TYPE_NAMES
from tests.indexer.devnet.conftest import MakeDevnet
from tests.indexer.devnet.reading import Devnet


def test_the_same_seed_gives_the_same_chain_and_the_same_envelopes(make_devnet: MakeDevnet) -> None:
    """Two nodes, one seed: equal block hashes and envelopes, byte for byte, over a reorg too; another seed differs."""
    first, second, other = make_devnet(1), make_devnet(1), make_devnet(2)
    for devnet in (first, second, other):
        devnet.play(30)
        devnet.economy.reorg(7)
        devnet.play(20)
    assert first.head_hash() == second.head_hash() != other.head_hash()
    assert first.said == second.said != other.said


def test_every_envelope_is_signed_by_the_manifests_producer(old_devnet: Devnet) -> None:
    """The signature of each envelope recovers, over the payload's exact bytes, to the key that the manifest names."""
    manifest = tomllib.loads(old_devnet.deployment.manifest.read_text("utf-8"))
    (producer,) = manifest["producers"]
    # Recovering takes milliseconds; every twentieth envelope of thousands is enough.
    for line in old_devnet.said[::20]:
        envelope = json.loads(line)
        assert envelope.keys() == {"payload", "signature"}
        message = encode_defunct(text=envelope["payload"])
        assert Account.recover_message(message, signature=envelope["signature"]) == producer["key"]
        assert json.loads(envelope["payload"])["source"] == producer["id"]


def test_a_producers_sequence_has_no_gap_and_no_number_has_a_fraction(old_devnet: Devnet) -> None:
    """Sequence numbers run from 1 in the order of saying, also over reorgs; ids are unique; events hold no floats."""

    def refuse(text: str) -> None:
        raise AssertionError(f"{text} is not an integer")

    payloads = [json.loads(json.loads(line)["payload"], parse_float=refuse) for line in old_devnet.said]
    assert [payload["sequence"] for payload in payloads] == [str(n) for n in range(1, len(payloads) + 1)]
    assert len({payload["id"] for payload in payloads}) == len(payloads)
    assert all(payload["specversion"] == "1.0" for payload in payloads)
    times = [payload["time"] for payload in payloads]
    assert all(time.endswith("Z") for time in times)
    assert {payload["type"] for payload in payloads} == set(TYPE_NAMES.values())


def test_the_chain_shows_every_kind_of_event(old_devnet: Devnet) -> None:
    """A history of some hundred blocks has a log of nearly every event, so that an indexer meets them all."""
    seen = {
        log.event
        for contract in ("Domains", "Nodes", "Collateral", "Models", "RevenueRouter")
        for log in old_devnet.logs(contract)
    }
    expected = {
        *("DomainCreated", "RevenueRouteSet", "Registered", "Deregistered", "Deposited", "WithdrawalRequested"),
        *("Withdrawn", "Flagged", "ReviewOpened", "ReviewDecided", "ModelRegistered", "ModelVersionPublished"),
        *("ModelStatusChanged", "RevenueReceived", "RevenueRefunded", "RevenueSplit", "Released"),
    }
    assert expected <= seen


@pytest.mark.parametrize("depth", [5, 40])
def test_a_reorg_moves_transactions_and_life_goes_on(make_devnet: MakeDevnet, depth: int) -> None:
    """Dropped transactions come back in other blocks with the hashes they had, but for those of the scorer and of the
    keeper of epochs, who think again; and new tasks are settled after that."""
    devnet = make_devnet(20 + depth)
    devnet.play(60)
    head = devnet.economy.block_number
    dropped = transactions(devnet, head - depth + 1, head)
    old_hash = devnet.head_hash()
    devnet.economy.reorg(depth)
    assert devnet.economy.block_number == head
    assert devnet.head_hash() != old_hash
    assert transactions(devnet, head - depth + 1, head) == []
    devnet.play(30)
    returned = transactions(devnet, head + 1, head + 30)
    assert set(dropped) <= set(returned)
    assert [sent for sent in returned if sent in set(dropped)] != dropped
    devnet.play(30)
    late = [log for log in devnet.logs("RevenueRouter", "RevenueSplit") if log.block > head + 40]
    assert late


def test_a_reorg_behind_the_economy_is_refused(make_devnet: MakeDevnet) -> None:
    """A reorg may drop all of the economy's blocks, which come back in order, but never the deployment's."""
    devnet = make_devnet(30)
    devnet.play(6)
    with pytest.raises(ReorgTooDeepError):
        devnet.economy.reorg(7)
    devnet.economy.reorg(6)
    devnet.play(30)
    assert devnet.logs("RevenueRouter", "RevenueSplit")


def transactions(devnet: Devnet, first: int, last: int) -> list[str]:
    """The hashes of the transactions in a range of blocks, in their order, but for those who think again."""
    blocks = devnet.rpc.batch([("eth_getBlockByNumber", [hex(n), True]) for n in range(first, last + 1)])
    thoughtful = {devnet.deployment.accounts[place].lower() for place in (SCORER, EPOCH_KEEPER)}
    return [sent["hash"] for block in blocks for sent in block["transactions"] if sent["from"] not in thoughtful]
