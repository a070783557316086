"""A node with some history, a proxy before it, and questions whose true answers are known."""

from dataclasses import dataclass
from typing import Any

from deepnode_indexer.devnet.anvil import Anvil
from deepnode_indexer.devnet.economy import Economy
from deepnode_indexer.devnet.faults import FaultProxy
from deepnode_indexer.devnet.json_rpc import JsonRpc

Json = Any
Question = tuple[str, list[Json]]


@dataclass
class Played:
    """A node and the economy that has played on it."""

    node: Anvil
    economy: Economy


@dataclass
class Scene:
    """A proxy before the node, and a client for each of them."""

    node: Anvil
    economy: Economy
    proxy: FaultProxy
    through: JsonRpc
    direct: JsonRpc

    def questions(self) -> list[Question]:
        """Questions about the newest blocks, one of each kind."""
        head = self.direct.call("eth_getBlockByNumber", "latest", False)
        return [
            ("eth_getLogs", [{"fromBlock": hex(int(head["number"], 16) - 6), "toBlock": head["number"]}]),
            ("eth_getLogs", [{"blockHash": head["hash"]}]),
            ("eth_getBlockByNumber", [head["number"], False]),
            ("eth_getBlockByNumber", ["finalized", False]),
            ("eth_getBlockByHash", [head["hash"], True]),
            ("eth_getBlockReceipts", [head["hash"]]),
            ("eth_blockNumber", []),
            ("eth_chainId", []),
        ]

    def lies(self) -> list[int]:
        """The places of the questions that are not answered as the node answers them."""
        questions = self.questions()
        pairs = zip(self.through.attempt(questions), self.direct.attempt(questions), strict=True)
        return [place for place, (told, true) in enumerate(pairs) if str(told) != str(true)]


def tried(url: str, *questions: Question) -> Json:
    """The answers, or what happened to a client that trusts whatever it gets."""
    rpc = JsonRpc(url)
    try:
        return rpc.batch(questions)
    except Exception as error:  # noqa: BLE001 (the devnet's client trusts its node, and falls over lies in any way)
        return type(error).__name__
    finally:
        rpc.close()
