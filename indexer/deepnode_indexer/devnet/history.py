"""What the chain has said so far, decoded: the facts that the devnet's keepers and its oracle act upon.

Nobody here trusts their own memory of what they sent, because a reorg may have moved or undone it. Events are read
once, block by block, and those of dropped blocks are forgotten with them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deepnode_indexer.devnet.json_rpc import JsonRpc
from deepnode_ledger.abi import EventAbi
from deepnode_ledger.vocabulary import KINDS

_READ: Mapping[str, tuple[str, ...]] = {
    "Parameters": ("ParamSet", "RulesetActivated"),
    "Domains": ("DomainCreated", "DomainOwnerChanged"),
    "Nodes": ("Registered",),
    "Collateral": ("Flagged", "ReviewDecided"),
    "Models": ("ModelRegistered",),
    "Staking": ("Staked", "UnstakeRequested", "Unstaked", "Redelegated", "CommissionSet"),
    "Funding": ("RoundOpened", "Backed", "Refunded", "BackerShareTransferred"),
    "RevenueRouter": ("Released",),
    "Burner": ("BuybackExecuted", "DNBurned"),
    "Emission": ("EpochOpened", "EmissionMinted", "EpochAllocated"),
    "Rewards": ("RootSubmitted", "RootDisabled"),
    "Trust": ("ScoreCheckpoint",),
    "Governance": ("ProposalCreated", "VoteCast", "ProposalTallied"),
}
"""The events that are read, by kind of contract. No two of them have the same name."""

Place = tuple[int, int]
"""A block's number and a log's index in it: earlier events have lower places."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event. Addresses are 20 bytes, ids 32, amounts ints."""

    place: Place
    name: str
    args: Mapping[str, Any]

    @property
    def block(self) -> int:
        """The number of its block."""
        return self.place[0]


class History:
    """The chain's events up to the block read last, by name and in their order."""

    def __init__(self, rpc: JsonRpc, addresses: Mapping[str, str]) -> None:
        self._rpc = rpc
        self._events: dict[str, list[Event]] = defaultdict(list)
        self._known: dict[tuple[str, str], EventAbi] = {}
        for kind, names in _READ.items():
            for event in KINDS[kind]:
                if event.name in names:
                    self._known[addresses[kind].lower(), "0x" + event.topic0.hex()] = event
        self._next = 0

    def read(self) -> list[Event]:
        """Read what is new up to the chain's head, and return it in its order."""
        query = {
            "address": sorted({address for address, _ in self._known}),
            "topics": [sorted({topic for _, topic in self._known})],
            "fromBlock": hex(self._next),
            "toBlock": "latest",
        }
        news: list[Event] = []
        head, logs = self._rpc.batch([("eth_blockNumber", []), ("eth_getLogs", [query])])
        for log in logs:
            event = self._known.get((log["address"], log["topics"][0]))
            if event is not None:
                topics = [bytes.fromhex(topic[2:]) for topic in log["topics"]]
                values = event.decode(topics, bytes.fromhex(log["data"][2:]))
                place = int(log["blockNumber"], 16), int(log["logIndex"], 16)
                news.append(Event(place, event.name, values))
                self._events[event.name].append(news[-1])
        self._next = int(head, 16) + 1
        return news

    def forget(self, first_block: int) -> None:
        """Forget the blocks from this one on: a reorg has replaced them."""
        self._next = min(self._next, first_block)
        for events in self._events.values():
            while events and events[-1].block >= first_block:
                events.pop()

    def of(self, name: str, before: Place | None = None, **args: object) -> Iterator[Event]:
        """The events of a name, those before a place only, with these arguments."""
        for event in self._events[name]:
            if before is not None and event.place >= before:
                return
            if all(event.args[key] == value for key, value in args.items()):
                yield event

    def start_of(self, epoch: int) -> Place | None:
        """Where an epoch began; None if it has not."""
        opened = self._events["EpochOpened"]
        return opened[epoch - 1].place if 1 <= epoch <= len(opened) else None

    @property
    def epoch(self) -> int:
        """The epoch that is open, 0 before the first one."""
        return len(self._events["EpochOpened"])

    def epoch_of(self, block: int) -> int:
        """The epoch that is open at the end of a block."""
        return sum(event.block <= block for event in self._events["EpochOpened"])

    def parameter(self, key: bytes, epoch: int) -> int | None:
        """What a parameter without a scope is in an epoch: what was set last, before its start, to hold by then."""
        values = [
            event.args["new_"]
            for event in self.of("ParamSet", self.start_of(epoch), key=key, scope=bytes(32))
            if event.args["effectiveAt"] <= epoch
        ]
        return values[-1] if values else None

    def ruleset(self, epoch: int) -> bytes | None:
        """The hash of the ruleset of an epoch: the one activated last, before its start, to hold by then."""
        hashes = [
            event.args["specHash"]
            for event in self.of("RulesetActivated", self.start_of(epoch))
            if event.args["fromEpoch"] <= epoch
        ]
        return hashes[-1] if hashes else None

    def roots(self, asset: bytes) -> list[Event]:
        """The submitted roots of an asset that are not disabled, oldest first."""
        told = [*self.of("RootSubmitted", asset=asset), *self.of("RootDisabled", asset=asset)]
        roots: list[Event] = []
        for event in sorted(told, key=lambda event: event.place):
            if event.name == "RootSubmitted":
                roots.append(event)
            else:
                roots = [root for root in roots if root.args["epoch"] != event.args["epoch"]]
        return roots
