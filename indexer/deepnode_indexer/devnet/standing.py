"""How things stood at an epoch's start: who had staked on what, operated which node, owned which domain or shares.

Everything is read off the chain's events before the epoch was opened; what came later counts in the next one.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from deepnode_indexer.devnet.entitlements import ModelTerms, Standing
from deepnode_indexer.devnet.history import Event, History, Place


def standing_at(history: History, epoch: int) -> Standing:
    """The standing at the start of an epoch that was opened."""
    start = history.start_of(epoch)
    assert start is not None, epoch
    found = Standing()
    # A node's operator and a model's terms never change, and both may have come while the epoch was open.
    for event in history.of("Registered"):
        found.operators[event.args["node"]] = event.args["operator"]
    for event in _in_order(history, start, "DomainCreated", "DomainOwnerChanged"):
        found.owners[event.args["domain"]] = event.args["owner" if event.name == "DomainCreated" else "new_"]
    for event in history.of("ModelRegistered"):
        terms = ModelTerms(event.args["creator"], event.args["a"], event.args["b"])
        found.models[event.args["model"]] = terms
    for event in history.of("CommissionSet", start):
        if event.args["fromEpoch"] <= epoch:
            found.commissions[event.args["target"]] = event.args["new_"]
    for event in _in_order(history, start, "Staked", "UnstakeRequested", "Redelegated"):
        _stake(found, event.args, event.name)
    _back(found, history, start)
    return found


def _in_order(history: History, before: Place, *names: str) -> list[Event]:
    return sorted((event for name in names for event in history.of(name, before)), key=lambda event: event.place)


def _stake(standing: Standing, args: Any, name: str) -> None:
    def held(target_type: int, target: bytes) -> Counter[bytes]:
        return standing.stakes.setdefault((target_type, target), Counter())

    staker, amount = args["staker"], args["amount"]
    if name == "Staked":
        held(args["targetType"], args["target"])[staker] += amount
    elif name == "UnstakeRequested":
        held(args["targetType"], args["target"])[staker] -= amount
    else:
        held(args["fromType"], args["from"])[staker] -= amount
        held(args["toType"], args["to"])[staker] += amount


def _back(standing: Standing, history: History, start: Place) -> None:
    """A round that has not reached its target yet, or never did, makes nobody a backer of its model."""
    raised: Counter[bytes] = Counter()
    holders: dict[bytes, Counter[bytes]] = {}
    for event in _in_order(history, start, "Backed", "BackerShareTransferred"):
        args = event.args
        held = holders.setdefault(args["round"], Counter())
        if event.name == "Backed":
            raised[args["round"]] += args["amount"]
            held[args["backer"]] += args["shares"]
        else:
            held[args["from"]] -= args["shares"]
            held[args["to"]] += args["shares"]
    for event in history.of("RoundOpened", start):
        if raised[event.args["round"]] == event.args["target"]:
            shares = standing.shares.setdefault(event.args["model"], Counter())
            shares.update(holders[event.args["round"]])
