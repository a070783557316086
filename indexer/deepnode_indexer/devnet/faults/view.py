"""Views of the chain: a request answered as by a node that is behind, or that still stands on a branch that was left.

One request sees one view, headers, logs and receipts alike: that is what a load balancer does, which sends each request
to another node. So a client that asks for the end of a range together with its logs can tell.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from typing_extensions import override

from deepnode_indexer.devnet.faults.branch import OldBranch, matches
from deepnode_indexer.devnet.faults.exchange import Call, Reply, number_of, quantity
from deepnode_indexer.devnet.faults.provider_words import Json, Refused

Ask = Callable[[str, Sequence[Json]], Json]
"""Ask the node one question of one's own; None if it does not answer it."""

UNKNOWN_BLOCK = Refused(-32000, "unknown block")


class View(Protocol):
    """What a node that is not up to date knows."""

    def before(self, call: Call) -> Call | Reply:
        """Return the question for the real node, or the answer if the real node is not needed."""

    def after(self, call: Call, reply: Reply) -> None:
        """Take from the real node's answer what this node cannot know, and add what it alone knows."""


class Honest(View):
    """The node as it is."""

    @override
    def before(self, call: Call) -> Call | Reply:
        return call

    @override
    def after(self, call: Call, reply: Reply) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Behind(View):
    """A node whose newest block is ``head``; with ``logs_only`` its headers are up to date."""

    head: int
    logs_only: bool

    @override
    def before(self, call: Call) -> Call | Reply:
        if call.method == "eth_getLogs":
            return _clipped(call, self.head)
        if self.logs_only:
            return call
        if call.method == "eth_blockNumber":
            return Reply(hex(self.head))
        if call.method in ("eth_getBlockByNumber", "eth_getBlockReceipts"):
            tag = call.parameter(0)
            number = number_of(tag, self.head)
            if number is not None and number > self.head:
                return Reply(None)
            if tag in ("latest", "pending"):
                return call.asking(hex(self.head), *call.params[1:])
        return call

    @override
    def after(self, call: Call, reply: Reply) -> None:
        if reply.error is not None:
            return
        if call.method == "eth_getLogs" and "blockHash" in call.filter():
            reply.value = [log for log in reply.value or () if _at(log, "blockNumber") <= self.head]
        elif not self.logs_only:
            _forget_above(call, reply, self.head)


@dataclass(frozen=True, slots=True)
class Stale(View):
    """A node on a branch that the chain left; up to ``old.kept`` it agrees with the real one."""

    old: OldBranch
    ask: Ask

    @override
    def before(self, call: Call) -> Call | Reply:
        old = self.old
        match call.method:
            case "eth_blockNumber":
                return Reply(hex(old.head))
            case "eth_getBlockByNumber":
                number = number_of(call.parameter(0), old.head)
                if number is None or number <= old.kept:
                    return call
                return Reply(old.header(number, full=bool(call.parameter(1))))
            case "eth_getBlockByHash":
                number = old.number_of(call.parameter(0))
                return call if number is None else Reply(old.header(number, full=bool(call.parameter(1))))
            case "eth_getBlockReceipts":
                tag = call.parameter(0)
                number = old.number_of(tag)
                if number is None:
                    number = number_of(tag, old.head)
                return call if number is None or number <= old.kept else Reply(old.receipts(number))
            case "eth_getTransactionReceipt":
                receipt = old.receipt(call.parameter(0))
                return call if receipt is None else Reply(receipt)
            case "eth_getLogs":
                return self._logs(call)
            case _:
                return call

    @override
    def after(self, call: Call, reply: Reply) -> None:
        if reply.error is not None:
            return
        if call.method == "eth_getLogs":
            wanted = call.filter()
            if "blockHash" not in wanted:
                first, last = self._range(wanted)
                reply.value = [*(reply.value or ()), *self._own_logs(wanted, first, last)]
            elif any(_at(log, "blockNumber") > self.old.kept for log in reply.value or ()):
                reply.refuse(UNKNOWN_BLOCK)
        elif call.method == "eth_getBlockByNumber" and _at(reply.value, "number") > self.old.kept:
            # A tag such as `finalized`, which has passed the place where the branches part: this node's is behind.
            reply.value = self.ask("eth_getBlockByNumber", [hex(max(0, self.old.kept)), bool(call.parameter(1))])
        else:
            _forget_above(call, reply, self.old.kept)

    def _logs(self, call: Call) -> Call | Reply:
        wanted = call.filter()
        if "blockHash" in wanted:
            number = self.old.number_of(wanted["blockHash"])
            return call if number is None else Reply(self._own_logs(wanted, number, number))
        first, last = self._range(wanted)
        if first > self.old.kept:
            return Reply(self._own_logs(wanted, first, last))
        return _clipped(call, self.old.kept)

    def _range(self, wanted: dict[str, Json]) -> tuple[int, int]:
        first = number_of(wanted.get("fromBlock"), self.old.head)
        last = number_of(wanted.get("toBlock"), self.old.head)
        kept = self.old.kept
        return (kept if first is None else first), (kept if last is None else last)

    def _own_logs(self, wanted: dict[str, Json], first: int, last: int) -> list[Json]:
        numbers = range(max(first, self.old.kept + 1), min(last, self.old.head) + 1)
        return [log for number in numbers for log in self.old.logs(number) if matches(log, wanted)]


def _clipped(call: Call, head: int) -> Call | Reply:
    """Ask for the logs up to a node's own head; nothing is to be asked if the range begins above it."""
    wanted = call.filter()
    if "blockHash" in wanted or not wanted:
        return call
    first, last = number_of(wanted.get("fromBlock"), head), number_of(wanted.get("toBlock"), head)
    if first is not None and first > head:
        return Reply([])
    clipped = dict(wanted)
    if last is not None:
        clipped["toBlock"] = hex(min(last, head))
    if first is not None:
        clipped["fromBlock"] = hex(first)
    return call.asking(clipped)


def _forget_above(call: Call, reply: Reply, head: int) -> None:
    """Answer null in place of a block, or its receipts, above the head."""
    if call.method == "eth_getBlockByHash" and _at(reply.value, "number") > head:
        reply.value = None
    if call.method == "eth_getTransactionReceipt" and _at(reply.value, "blockNumber") > head:
        reply.value = None
    if call.method == "eth_getBlockReceipts" and any(_at(each, "blockNumber") > head for each in reply.value or ()):
        reply.value = None


def _at(found: Json, member: str) -> int:
    number = quantity(found.get(member)) if isinstance(found, dict) else None
    return -1 if number is None else number
