"""Reads the devnet for tests: views by eth_call, logs decoded by web3, which shares no code with what is tested."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
from eth_utils.conversions import to_bytes
from hexbytes import HexBytes
from web3 import Web3
from web3._utils.events import get_event_data
from web3.types import LogReceipt

from deepnode_indexer.devnet.artifacts import Interface
from deepnode_indexer.devnet.deployment import Deployment
from deepnode_indexer.devnet.economy import Economy
from deepnode_indexer.devnet.json_rpc import JsonRpc


@dataclass(frozen=True, slots=True)
class Log:
    """One decoded log. `place` orders the logs of all contracts: block, then index in the block."""

    block: int
    place: tuple[int, int]
    contract: str
    event: str
    arguments: dict[str, Any]


@dataclass(slots=True)
class Devnet:
    """A node, the contracts on it, and the economy, with every envelope that it has said."""

    url: str
    deployment: Deployment
    economy: Economy
    said: list[bytes] = field(default_factory=list)
    rpc: JsonRpc = field(init=False)

    def __post_init__(self) -> None:
        self.rpc = JsonRpc(self.url)

    def play(self, steps: int) -> None:
        for _ in range(steps):
            self.said += self.economy.step()

    def read(self, contract: str, function: str, *arguments: object) -> Any:
        interface = Interface(self.abi(contract))
        call = {"to": self.deployment.addresses[contract], "data": interface.call_data(function, *arguments)}
        return interface.result(function, self.rpc.call("eth_call", call, "latest"))

    def send(self, sender: int, contract: str, function: str, *arguments: object) -> None:
        """Put a call into the node's pool."""
        self.rpc.call("eth_sendTransaction", self._request(sender, contract, function, *arguments))

    def simulate(self, sender: int, contract: str, function: str, *arguments: object) -> None:
        """Try a call without sending it; a revert is a NodeError."""
        self.rpc.call("eth_call", self._request(sender, contract, function, *arguments), "latest")

    def _request(self, sender: int, contract: str, function: str, *arguments: object) -> dict[str, str]:
        return {
            "from": self.deployment.accounts[sender],
            "to": self.deployment.addresses[contract],
            "data": Interface(self.abi(contract)).call_data(function, *arguments),
            "gas": hex(2_000_000),
            "gasPrice": "0x0",
        }

    def abi(self, contract: str) -> list[dict[str, Any]]:
        path = self.deployment.manifest.parent / "abi" / f"{contract}.json"
        return msgspec.json.decode(path.read_bytes(), type=list[dict[str, Any]])

    def head_hash(self) -> str:
        return str(self.rpc.call("eth_getBlockByNumber", "latest", False)["hash"])

    def logs(self, contract: str, event: str | None = None) -> list[Log]:
        query = {"address": self.deployment.addresses[contract], "fromBlock": "0x0", "toBlock": "latest"}
        codec = Web3().codec
        events: dict[bytes, Any] = {}
        for entry in self.abi(contract):
            if entry["type"] == "event":
                types = ",".join(argument["type"] for argument in entry["inputs"])
                events[bytes(Web3.keccak(text=f"{entry['name']}({types})"))] = entry
        decoded = []
        for raw in self.rpc.call("eth_getLogs", query):
            topics = [HexBytes(topic) for topic in raw["topics"]]
            abi = events[bytes(topics[0])]
            if event in (None, abi["name"]):
                log: Any = {
                    **raw,
                    "topics": topics,
                    "data": HexBytes(to_bytes(hexstr=raw["data"])),
                    "blockNumber": int(raw["blockNumber"], 16),
                }
                data = get_event_data(codec, abi, _as_log(log))
                place = (log["blockNumber"], int(raw["logIndex"], 16))
                decoded.append(Log(place[0], place, contract, abi["name"], dict(data["args"])))
        return decoded

    def donated(self, contract: str, asset: str) -> int:
        """What the stranger sent to a contract by plain transfers; it pays for nothing else."""
        stranger, target = self.deployment.accounts[39], self.deployment.addresses[contract]
        moves = (log.arguments for log in self.logs(asset, "Transfer"))
        return sum(move["value"] for move in moves if move["from"] == stranger and move["to"] == target)


def _as_log(log: Any) -> LogReceipt:
    return log  # type: ignore[no-any-return]  # web3 reads these fields only
