"""Contracts created one by one on a bare node, for tests of what a contract allows, says and holds.

Logs are read by the books' own vocabulary, so a test sees what the books will see; what they have no word for is passed
over. That a contract declares its events as the vocabulary does is a test of its own (`declared_events`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eth_abi.abi import decode
from eth_utils.abi import function_abi_to_4byte_selector, get_abi_input_types
from eth_utils.address import to_canonical_address, to_checksum_address

from deepnode_indexer.devnet.anvil import Anvil
from deepnode_indexer.devnet.artifacts import Interface, load_artifact
from deepnode_indexer.devnet.deployment import role
from deepnode_indexer.devnet.json_rpc import JsonRpc
from deepnode_ledger.abi import EventAbi, events_of
from deepnode_ledger.hexadecimal import from_hex
from deepnode_ledger.vocabulary import KINDS

KIND_OF_TOKENS = {"DNToken": "Token", "USDCStandIn": "Token"}
"""The kind of a contract is its name, but for tokens."""
_GAS = hex(6_000_000)


def word(text: str) -> bytes:
    """A readable id of 32 bytes."""
    return text.encode().ljust(32, b"\0")


@dataclass(frozen=True, slots=True)
class Said:
    """A log: which contract said what. Addresses are 20 bytes, ids 32."""

    contract: str
    event: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Refusal:
    """The custom error with which a transaction was reverted, and its values as eth-abi reads them."""

    error: str
    values: tuple[Any, ...]


class LoneContracts:
    """A node and the contracts that a test put on it; `sender` is a place in the node's list of accounts.

    Every transaction has a block of its own, two seconds after the one before unless `next_block_at` says otherwise.
    """

    def __init__(self, node: Anvil) -> None:
        self.rpc = JsonRpc(node.url)
        self.accounts = tuple(to_checksum_address(account) for account in self.rpc.call("eth_accounts"))
        self.addresses: dict[str, str] = {}
        self._interfaces: dict[str, Interface] = {}
        self._events: dict[str, tuple[str, dict[tuple[bytes, int], EventAbi]]] = {}
        self._errors: dict[bytes, tuple[str, list[str]]] = {}

    def create(self, name: str, *arguments: object, sender: int = 0) -> None:
        """Create the contract `name`; a second one of that name takes the place of the first."""
        receipt = self._transact(self._creation(sender, name, arguments))
        assert receipt["status"] == "0x1", (name, self._why(self._creation(sender, name, arguments)))
        address, abi = to_checksum_address(receipt["contractAddress"]), load_artifact(name).abi
        self.addresses[name], self._interfaces[name] = address, Interface(abi)
        spoken = {(event.topic0, event.topics_count): event for event in KINDS.get(KIND_OF_TOKENS.get(name, name), ())}
        self._events[address] = (name, spoken)
        self._learn_errors(abi)

    def refusal_to_create(self, name: str, *arguments: object, sender: int = 0) -> Refusal:
        """Try to create the contract, and return the error by which its constructor refuses."""
        self._learn_errors(load_artifact(name).abi)
        return self._refused(self._creation(sender, name, arguments))

    def grant(self, contract: str, name: str, address: str) -> None:
        """Give a role of `contract` to an address."""
        self._prepare(0, contract, "grantRole", role(name), address)

    def revoke(self, contract: str, name: str, address: str) -> None:
        """Take a role of `contract` from an address."""
        self._prepare(0, contract, "revokeRole", role(name), address)

    def allow(self, owner: int, asset: str, contract: str, amount: int) -> None:
        """Let a contract take a token from its owner."""
        self._prepare(owner, asset, "approve", self.addresses[contract], amount)

    def send(self, sender: int, contract: str, function: str, *arguments: object) -> list[Said]:
        """Mine a call that must succeed, and return what all contracts said in it, in their order."""
        request = self._request(sender, contract, function, arguments)
        receipt = self._transact(request)
        assert receipt["status"] == "0x1", (contract, function, self._why(request))
        return self._said(receipt["logs"])

    def attempt(self, sender: int, contract: str, function: str, *arguments: object) -> list[Said]:
        """Mine a call that may be reverted, and return what all contracts said in it: nothing if it was."""
        return self._said(self._transact(self._request(sender, contract, function, arguments))["logs"])

    def refusal(self, sender: int, contract: str, function: str, *arguments: object) -> Refusal:
        """Mine a call that must be reverted, and return the error that it was reverted with."""
        return self._refused(self._request(sender, contract, function, arguments))

    def effects_come_first(self, sender: int, contract: str, function: str, *arguments: object) -> bool:
        """Whether a call writes all of its own storage before it calls another contract that may write (not a view).

        Read from the trace of the EVM's steps: depth 1 is the contract's own code.
        """
        request = self._request(sender, contract, function, arguments)
        trace = self.rpc.call("debug_traceCall", request, "latest", {"disableStack": True, "disableStorage": True})
        own = [step["op"] for step in trace["structLogs"] if step["depth"] == 1]
        assert not trace["failed"], (contract, function)
        assert "SSTORE" in own, f"{function} writes nothing"
        assert "CALL" in own, f"{function} calls nobody"
        return "SSTORE" not in own[own.index("CALL") :]

    def read(self, contract: str, function: str, *arguments: object) -> Any:
        """The result of a view at the newest block."""
        result = self.rpc.call("eth_call", self._request(0, contract, function, arguments), "latest")
        return self._interfaces[contract].result(function, result)

    def balance(self, asset: str, holder: str) -> int:
        """What an address, or the contract of that name, holds of a token."""
        return int(self.read(asset, "balanceOf", self.addresses.get(holder, holder)))

    def account(self, place: int) -> bytes:
        """The address (20 bytes) of an account, as events have it."""
        return bytes(to_canonical_address(self.accounts[place]))

    def address(self, contract: str) -> bytes:
        """The address (20 bytes) of a contract, as events have it."""
        return bytes(to_canonical_address(self.addresses[contract]))

    def now(self) -> int:
        """The time of the newest block."""
        return int(self.rpc.call("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def next_block_at(self, time: int) -> None:
        """Choose the time of the next block."""
        self.rpc.call("evm_setNextBlockTimestamp", time)

    def _prepare(self, sender: int, contract: str, function: str, *arguments: object) -> None:
        # Roles and allowances have events that the books do not read, so nothing is decoded.
        request = self._request(sender, contract, function, arguments)
        assert self._transact(request)["status"] == "0x1", (contract, function, self._why(request))

    def _transact(self, request: dict[str, str]) -> dict[str, Any]:
        sent = self.rpc.call("eth_sendTransaction", request)
        self.rpc.call("evm_mine")
        receipt: dict[str, Any] = self.rpc.call("eth_getTransactionReceipt", sent)
        return receipt

    def _refused(self, request: dict[str, str]) -> Refusal:
        receipt = self._transact(request)
        assert receipt["status"] == "0x0", f"the transaction succeeded: {request}"
        # Its block changed nothing, so the same call at that block meets the same state and time.
        refusal = self._why(request)
        assert refusal is not None, f"refused once, then not: {request}"
        return refusal

    def _why(self, request: dict[str, str]) -> Refusal | None:
        # A plain eth_call's error has the values as text, and mangles those that happen to be text.
        trace = self.rpc.call("debug_traceCall", request, "latest", {"tracer": "callTracer"})
        if "error" not in trace:
            return None
        data = from_hex(trace["output"])
        name, types = self._errors[data[:4]]
        return Refusal(name, tuple(decode(types, data[4:])))

    def _learn_errors(self, abi: list[dict[str, Any]]) -> None:
        for entry in abi:
            if entry["type"] == "error":
                # An error's selector and values are made as a function's are.
                like: Any = {**entry, "type": "function"}
                self._errors[function_abi_to_4byte_selector(like)] = (entry["name"], get_abi_input_types(like))

    def _said(self, logs: list[dict[str, Any]]) -> list[Said]:
        # A stand-in, or a token that approves, says more than the books have words for.
        read = []
        for log in logs:
            name, spoken = self._events[to_checksum_address(log["address"])]
            topics = [from_hex(topic) for topic in log["topics"]]
            if (topics[0], len(topics)) in spoken:
                event = spoken[topics[0], len(topics)]
                read.append(Said(name, event.name, event.decode(topics, from_hex(log["data"]))))
        return read

    def _creation(self, sender: int, name: str, arguments: tuple[object, ...]) -> dict[str, str]:
        data = load_artifact(name).creation(*arguments)
        return {"from": self.accounts[sender], "data": data, "gas": _GAS, "gasPrice": "0x0"}

    def _request(self, sender: int, contract: str, function: str, arguments: tuple[object, ...]) -> dict[str, str]:
        data = self._interfaces[contract].call_data(function, *arguments)
        to = self.addresses[contract]
        return {"from": self.accounts[sender], "to": to, "data": data, "gas": _GAS, "gasPrice": "0x0"}


def declared_events(name: str) -> set[EventAbi]:
    """The events of a contract's ABI without those of access control, which the books do not read."""
    events = events_of(load_artifact(name).abi, what=name).values()
    return {event for event in events if not event.name.startswith("Role")}
