"""The chain that everybody indexes: anvil, one contract, and transfers in blocks of a chosen size.

The contract (peers/Transfers.sol) says the same for the same number, so the balances that everybody must arrive at are
computed here from its rule, without any node.
"""

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from eth_utils.crypto import keccak

from deepnode_indexer.devnet.anvil import Anvil
from deepnode_indexer.devnet.json_rpc import JsonRpc

CHAIN_ID: Final = 8453
CONTRACT: Final = "0x5fbdb2315678afecb367f032d93f642f64180aa3"
"""Where the first contract of anvil's first account always stands; the peers' configurations name it too."""

FIRST_BLOCK: Final = 2
"""The first block with transfers; the contract is created in block 1."""

EMPTY_BLOCKS: Final = 70
"""Blocks without transfers behind the last one, so that all of them are final for everybody (SQD stops 64 behind)."""

TRANSFER: Final = "0x" + keccak(text="Transfer(address,address,uint256)").hex()
PEERS: Final = Path(__file__).parents[1] / "peers"

_EMIT: Final = "0x9a1304ae"
"""The selector of ``emitTransfers(uint256)``."""

_TRANSACTION_LOGS_MAX: Final = 50
_ACCOUNTS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Span:
    """Blocks with transfers: ``logs`` of them in the blocks up to ``last_block``, so many in each block."""

    logs: int
    block_logs: int
    last_block: int


class Chain:
    """A running node with the contract on it. ``mined_at``: when its last block was there, by ``time.perf_counter``."""

    def __init__(self, node: Anvil) -> None:
        self.url = node.url
        self.pid = node.pid
        self.logs = 0
        self._node = node
        self._rpc = JsonRpc(node.url)
        self._account = node.rpc("eth_accounts")[0]
        self._nonce = 0
        self.mined_at = 0.0
        artifact = json.loads((PEERS / "Transfers.json").read_text(encoding="utf-8"))
        receipt = self._mined([{"data": artifact["bytecode"], "gas": hex(3_000_000)}])
        assert receipt["contractAddress"].lower() == CONTRACT, f"the contract is at {receipt['contractAddress']}"

    def mine(self, logs: int) -> int:
        """Mine one block with so many transfers and return its number."""
        transactions = []
        for start in range(0, logs, _TRANSACTION_LOGS_MAX):
            count = min(_TRANSACTION_LOGS_MAX, logs - start)
            data = _EMIT + count.to_bytes(32, "big").hex()
            transactions.append({"to": CONTRACT, "data": data, "gas": hex(100_000 + count * 5_000)})
        receipt = self._mined(transactions)
        self.logs += logs
        return int(receipt["blockNumber"], 16)

    def fill(self, logs: int, block_logs: int) -> Span:
        """Mine blocks until the chain has so many transfers in all, then empty ones, until all of them are final."""
        last = 0
        while self.logs < logs:
            last = self.mine(min(block_logs, logs - self.logs))
        self._node.mine(EMPTY_BLOCKS)
        return Span(logs, block_logs, last)

    def genesis(self) -> str:
        """Return the hash of block 0."""
        return str(self._rpc.call("eth_getBlockByNumber", "0x0", False)["hash"])

    def _mined(self, transactions: list[dict[str, str]]) -> dict[str, str]:
        calls = []
        for each in transactions:
            sent = {"from": self._account, "nonce": hex(self._nonce), "gasPrice": "0x0", **each}
            calls.append(("eth_sendTransaction", [sent]))
            self._nonce += 1
        hashes = self._rpc.batch(calls)
        self._rpc.call("evm_mine")
        self.mined_at = time.perf_counter()
        receipt: dict[str, str] = self._rpc.call("eth_getTransactionReceipt", hashes[-1])
        assert receipt["status"] == "0x1", "a transaction failed; did it run out of gas?"
        return receipt


@contextmanager
def chain(final_after: int = 2) -> Iterator[Chain]:
    """Run a node of the benchmark's own, on which a block is final so many blocks (an even number) later."""
    with Anvil.start(chain_id=CHAIN_ID, slots_in_an_epoch=final_after // 2) as node:
        yield Chain(node)


def write_manifest(directory: Path, genesis: str) -> Path:
    """Describe the contract for `deepnode`."""
    artifact = json.loads((PEERS / "Transfers.json").read_text(encoding="utf-8"))
    (directory / "Transfers.abi.json").write_text(json.dumps(artifact["abi"]), encoding="utf-8")
    manifest = directory / "manifest.toml"
    manifest.write_text(
        f"""\
format = 1
name = "benchmark"
version = 1

[chain]
id = {CHAIN_ID}
genesis_hash = "{genesis}"

[[contracts]]
name = "Transfers"
kind = "Token"
address = "{CONTRACT}"
start_block = {FIRST_BLOCK}
abi = "Transfers.abi.json"
symbol = "DN"
decimals = 18
""",
        encoding="utf-8",
    )
    return manifest


def balances(logs: int) -> dict[str, int]:
    """Compute every account's balance after so many transfers, by the contract's rule; zeros are left out."""
    found: Counter[int] = Counter()
    for number in range(logs):
        chance = int.from_bytes(keccak(number.to_bytes(32, "big")), "big")
        amount = (chance >> 128) % 10**24 + 1
        found[chance % _ACCOUNTS] -= amount
        found[(chance >> 64) % _ACCOUNTS] += amount
    return {_address(account): balance for account, balance in found.items() if balance}


def _address(account: int) -> str:
    return f"0x{(0x00ACC0000000000000000000000000000000000000 + account * 0x10000000001):040x}"
